//! The nearest neighbours of every sampled example.

use crate::table::common::STEP;
use crate::table::{Column, Scope, Table, boolean, count, number};

/// One row a chosen step, example and neighbour.
pub const NEIGHBOURS: Table = Table {
    name: "neighbours",
    about: "One row for each chosen step, sampled example and rank from 1 to 5: the examples whose gradients are nearest to its own by their cosine [S 8.4]. An example whose gradient is 0 has no rows.",
    scope: Scope::Run,
    columns: &COLUMNS,
    curves: &[],
};

const COLUMNS: [Column; 6] = [
    STEP,
    count("example_id", "row of the training set, from 0; ascending within a step"),
    count("rank", "1: the nearest"),
    count("neighbour", "example_id of the neighbour; of equal cosines the smaller id comes first"),
    number("cosine", "", "cosine of the two gradients, over all layers together"),
    boolean("same_class", "whether both are trained on one label; null without labels, or with more than 100"),
];
