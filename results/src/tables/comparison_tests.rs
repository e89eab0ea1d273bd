//! Tests of two studies against each other.

use crate::table::common::{ESTIMATOR, GROUP_A, GROUP_B};
use crate::table::{Column, Scope, Table, count, integer, number, text};

/// One row a condition, curve, pair of studies and step.
pub const COMPARISON_TESTS: Table = Table {
    name: "comparison_tests",
    about: "One row for each condition, curve, pair of studies and step, and one for the mean over the steps: Welch's test of study a against study b [S 9.2].",
    scope: Scope::Condition,
    columns: &COLUMNS,
    curves: &[],
};

const COLUMNS: [Column; 17] = [
    text("curve", "name of the curve"),
    ESTIMATOR,
    text("layer", "name of the layer; null: all layers together, or a curve that is of no layer"),
    GROUP_A,
    GROUP_B,
    integer("step", "step; null: the mean over the steps at which every seed of both studies has a value"),
    text("study_a", "name of the first study"),
    text("study_b", "name of the second study"),
    count("seeds_a", "seeds of the first with a value"),
    count("seeds_b", "seeds of the second with a value"),
    number("difference", "", "mean of a minus mean of b"),
    number("lower", "", "lower end of the 95 % interval of the difference; null as t"),
    number("upper", "", "upper end of the same interval"),
    number("t", "", "Welch's t; null with fewer than two seeds on a side, or without any spread"),
    number("freedom", "", "its degrees of freedom, ν; null as t"),
    number("p", "", "two-sided p-value; null as t"),
    number("p_holm", "", "corrected over the steps by Holm's method; null as t, and for the mean over the steps"),
];
