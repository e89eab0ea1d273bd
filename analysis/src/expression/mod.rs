//! Statistics that are expressions on whole columns, a file each.

pub(crate) mod clopper_pearson;
pub(crate) mod holm;
pub(crate) mod student_t;
pub(crate) mod welch;
