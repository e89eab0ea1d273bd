//! What every sampled example contributes.

use crate::table::common::{GROUP, LOSS, STEP};
use crate::table::{Column, Scope, Table, count, number};

/// One row a step and sampled example.
pub const CONTRIBUTIONS: Table = Table {
    name: "contributions",
    about: "One row for each recorded step and sampled example: what the example contributes [S 2]. Examples that were not sampled have no rows.",
    scope: Scope::Run,
    columns: &COLUMNS,
    curves: &[],
};

const COLUMNS: [Column; 5] = [
    STEP,
    count("example_id", "row of the training set, from 0; ascending within a step"),
    GROUP,
    number("contribution", LOSS, "contribution s = ⟨g_i, g⟩"),
    number("self_term", LOSS, "self term q = ‖g_i‖²"),
];
