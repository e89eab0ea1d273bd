//! Curves of several studies side by side.

use crate::table::common::{ESTIMATOR, GROUP_A, GROUP_B};
use crate::table::{Column, Scope, Table, count, integer, number, text};

/// One row a condition, curve, study and step.
pub const COMPARISON: Table = Table {
    name: "comparison",
    about: "One row for each condition, curve, study and step: the curve over the seeds of the study.",
    scope: Scope::Condition,
    columns: &COLUMNS,
    curves: &[],
};

const COLUMNS: [Column; 11] = [
    text("curve", "name of the curve"),
    ESTIMATOR,
    text("layer", "name of the layer; null: all layers together, or a curve that is of no layer"),
    GROUP_A,
    GROUP_B,
    integer("step", "step"),
    text("study", "name of the study"),
    count("seeds", "seeds with a value at the step"),
    number("mean", "", "mean of the values; null without any"),
    number("lower", "", "lower end of the 95 % Student-t interval of the mean; null with fewer than two seeds"),
    number("upper", "", "upper end of the same interval"),
];
