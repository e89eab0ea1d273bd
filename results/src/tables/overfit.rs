//! Accuracies and overfit.

use crate::table::common::EVALUATED;
use crate::table::{Column, Curve, Scope, Table, number};

/// One row an evaluated step.
pub const OVERFIT: Table = Table {
    name: "overfit",
    about: "One row for each evaluated step: accuracies and overfit [S 4.1].",
    scope: Scope::Run,
    columns: &COLUMNS,
    curves: &CURVES,
};

const COLUMNS: [Column; 6] = [
    EVALUATED,
    number("train_accuracy", "", "ta, accuracy on all training examples; null if they were not evaluated"),
    number("test_accuracy", "", "va, accuracy on all test examples; null if they were not evaluated"),
    number(
        "overfit",
        "",
        "ta − (ε c + (1 − ε) va), c the chance level; null if ta or va is, or if ε or c is not known",
    ),
    number(
        "chance",
        "",
        "c, the accuracy on permuted test labels: the metric `chance`, else Σ p_k² of the label frequencies, else 1/K",
    ),
    number(
        "proper_accuracy",
        "",
        "|P|/m, the share of pristine examples; the same in all rows of a run; null if it is not known which are pristine",
    ),
];

const CURVES: [Curve; 1] = [Curve::fixed("overfit", "overfit")];
