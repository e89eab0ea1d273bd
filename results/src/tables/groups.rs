//! The groups that the examples were put into.

use crate::table::common::GROUP;
use crate::table::{Column, Scope, Table, count};

/// One row a group.
pub const GROUPS: Table = Table {
    name: "groups",
    about: "One row for each run and group: the groups that the examples were put into [S 2.4].",
    scope: Scope::Run,
    columns: &COLUMNS,
    curves: &[],
};

const COLUMNS: [Column; 4] = [
    GROUP,
    count("order", "place among the groups, from 0"),
    count(
        "examples",
        "training examples of the group, of all m; if the groups come from a file, the examples that the file names",
    ),
    count("sampled", "examples of the group in the analysed sample"),
];
