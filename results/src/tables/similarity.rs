//! The cosines of gradients, in blocks of neighbouring examples.

use crate::table::common::STEP;
use crate::table::{Column, Scope, Table, count, number, text};

/// One row a chosen step, order and pair of blocks.
pub const SIMILARITY: Table = Table {
    name: "similarity",
    about: "One row for each chosen step, order of the sampled examples, and pair of blocks a ≤ b of neighbours in that order: the mean cosine of their gradients [S 8.4].",
    scope: Scope::Run,
    columns: &COLUMNS,
    curves: &[],
};

const COLUMNS: [Column; 8] = [
    STEP,
    text("order", "what the examples are ordered by: `class` or `learned_step`"),
    count("block_a", "place of the first block, from 0"),
    count("block_b", "place of the second block"),
    text("name_a", "label of the first block, or its learned steps: `first – last`, or `never`"),
    text("name_b", "likewise of the second block"),
    count("pairs", "pairs of distinct examples, one in each block, that have a cosine"),
    number("cosine", "", "mean cosine over these pairs; null if there is none"),
];
