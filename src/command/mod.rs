//! One file a command: it turns arguments into calls of the libraries and says what came of them.

pub mod analyze;
pub mod audit;
pub mod compare;
pub mod completions;
pub mod data;
pub mod demo;
pub mod export;
pub mod import;
pub mod init;
pub mod inspect;
pub mod record;
pub mod report;
pub mod watch;
