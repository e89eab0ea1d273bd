//! The learning curves, as recorded.

use crate::table::common::EVALUATED;
use crate::table::{Column, Curve, CurveName, Scope, Table, count, number, text};

/// One row an evaluated number.
pub const METRICS: Table = Table {
    name: "metrics",
    about: "One row for each evaluated step, split, group and metric: the learning curves as they were recorded.",
    scope: Scope::Run,
    columns: &COLUMNS,
    curves: &CURVES,
};

const COLUMNS: [Column; 6] = [
    EVALUATED,
    text("split", "`train` (measured against the labels trained on), `test`, or any other split of the trace"),
    text("group", "`all`, or a group's name"),
    text(
        "metric",
        "`loss` (mean over the examples), `accuracy` (fraction of the examples whose largest output is the label), or any other metric of the trace",
    ),
    number("value", "", "value of the metric; null if it is not finite"),
    count("examples", "examples that it was measured on"),
];

const CURVES: [Curve; 1] =
    [Curve { name: CurveName::Joined("split", "metric"), ..Curve::fixed("", "value").by_group() }];
