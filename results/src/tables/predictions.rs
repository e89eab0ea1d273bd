//! The paper's predictions, judged.

use crate::table::{Column, Scope, Table, number, text};

/// One row a prediction as a whole, and one a comparison that it was judged by.
pub const PREDICTIONS: Table = Table {
    name: "predictions",
    about: "For each prediction of the paper, one row for the verdict, followed by one row for each number that it was judged by [S 5]. Studies without a condition `noise` have no rows.",
    scope: Scope::Study,
    columns: &COLUMNS,
    curves: &[],
};

const COLUMNS: [Column; 9] = [
    text("prediction", "name of the prediction"),
    number("noise", "", "label noise ε of the number; null in the row of the verdict"),
    number(
        "winsorization",
        "%",
        "winsorization level c of the number; null in the row of the verdict, or if the prediction is not about levels",
    ),
    text("quantity", "name of the number; null in the row of the verdict"),
    number(
        "measured",
        "",
        "the number, mean over seeds; infinite for a step that is never reached; null in the row of the verdict, or if it is missing",
    ),
    number("compared_with", "", "number that it must exceed, or stay below; null if there is none"),
    number("p", "", "largest p-value of the seeds; null if the number is not tested"),
    text("verdict", "`holds`, `fails` or `not checkable`; null for a number that is only reported"),
    text("reason", "why it is not checkable; null otherwise"),
];
