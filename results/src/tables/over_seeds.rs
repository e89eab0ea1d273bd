//! Every curve over the seeds of a condition.

use crate::table::common::{ESTIMATOR, GROUP_A, GROUP_B};
use crate::table::{Column, Scope, Table, count, integer, number, text};

/// One row a condition, curve and step.
pub const OVER_SEEDS: Table = Table {
    name: "over_seeds",
    about: "One row for each condition, curve and step: the curve over the runs that differ in nothing but their seed [S 9.1].",
    scope: Scope::Condition,
    columns: &COLUMNS,
    curves: &[],
};

const COLUMNS: [Column; 10] = [
    text("curve", "name of the curve"),
    ESTIMATOR,
    text("layer", "name of the layer; null: all layers together, or a curve that is of no layer"),
    GROUP_A,
    GROUP_B,
    integer("step", "step; every step at which a seed has the curve"),
    count("seeds", "seeds with a value at the step"),
    number("mean", "", "mean of the values; null without any"),
    number("lower", "", "lower end of the 95 % Student-t interval of the mean; null with fewer than two seeds"),
    number("upper", "", "upper end of the same interval"),
];
