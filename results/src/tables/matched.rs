//! Conditions at matched training accuracy.

use crate::table::{Column, Scope, Table, number};

/// One row a condition.
pub const MATCHED: Table = Table {
    name: "matched",
    about: "One row for each condition, if its noise level has several conditions: where its training accuracy first reaches A, which every run of the noise level reached [S 4.2]. Values are means over seeds.",
    scope: Scope::Condition,
    columns: &COLUMNS,
    curves: &[],
};

const COLUMNS: [Column; 4] = [
    number("train_accuracy", "", "A, the largest training accuracy that every run of the noise level reached"),
    number("step", "steps", "step at which A is reached, interpolated between evaluations"),
    number("test_accuracy", "", "test accuracy at that step; null without a test set"),
    number("overfit", "", "overfit at that step; null without a test set"),
];
