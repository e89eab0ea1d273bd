//! The squared norm of the summed gradient.

use crate::table::common::{ESTIMATOR, LOSS, STEP};
use crate::table::{Column, Curve, Scope, Table, number};

/// One row an estimator and step.
pub const GRADIENT_NORMS: Table = Table {
    name: "gradient_norms",
    about: "One row for each estimator and recorded step: the squared norm of the summed gradient [S 2].",
    scope: Scope::Run,
    columns: &COLUMNS,
    curves: &CURVES,
};

const COLUMNS: [Column; 3] = [
    ESTIMATOR,
    STEP,
    number(
        "gradient_norm_sq",
        LOSS,
        "‖g‖²; null if it is not finite. For `population` it is the estimate N̂ [S 8.1], which can be negative",
    ),
];

const CURVES: [Curve; 1] = [Curve::fixed("gradient_norm_sq", "gradient_norm_sq")];
