//! The fraction of the examples that was learned.

use crate::table::common::EVALUATED;
use crate::table::{Column, Curve, Scope, Table, count, number, text};

/// One row an evaluated step and group.
pub const LEARNED: Table = Table {
    name: "learned",
    about: "One row for each evaluated step and group: the fraction of the training examples that were learned by then [S 4].",
    scope: Scope::Run,
    columns: &COLUMNS,
    curves: &CURVES,
};

const COLUMNS: [Column; 5] = [
    EVALUATED,
    text("group", "`all`, or a group's name"),
    count("examples", "size of the group, of all training examples"),
    count("learned", "examples learned at or before the step"),
    number("fraction", "", "`learned`/`examples`; null if the group is empty"),
];

const CURVES: [Curve; 1] = [Curve::fixed("learned", "fraction").by_group()];
