//! The tables, a file each.

mod coherence;
mod comparison;
mod comparison_tests;
mod contributions;
mod coverage;
mod cross_terms;
mod cumulative;
mod curves;
mod differences;
mod gradient_norms;
mod groups;
mod learned;
mod matched;
mod metrics;
mod neighbours;
mod null;
mod over_seeds;
mod overfit;
mod predictions;
mod runs;
mod shares;
mod similarity;
mod tests;

use crate::Table;

pub use coherence::COHERENCE;
pub use comparison::COMPARISON;
pub use comparison_tests::COMPARISON_TESTS;
pub use contributions::CONTRIBUTIONS;
pub use coverage::COVERAGE;
pub use cross_terms::CROSS_TERMS;
pub use cumulative::CUMULATIVE;
pub use curves::CURVES;
pub use differences::DIFFERENCES;
pub use gradient_norms::GRADIENT_NORMS;
pub use groups::GROUPS;
pub use learned::LEARNED;
pub use matched::MATCHED;
pub use metrics::METRICS;
pub use neighbours::NEIGHBOURS;
pub use null::NULL;
pub use over_seeds::OVER_SEEDS;
pub use overfit::OVERFIT;
pub use predictions::PREDICTIONS;
pub use runs::RUNS;
pub use shares::SHARES;
pub use similarity::SIMILARITY;
pub use tests::TESTS;

/// The tables of an analysis, in the order in which documents and pages show them.
pub const TABLES: &[&Table] = &[
    &RUNS,
    &GROUPS,
    &METRICS,
    &LEARNED,
    &OVERFIT,
    &CONTRIBUTIONS,
    &GRADIENT_NORMS,
    &SHARES,
    &CUMULATIVE,
    &DIFFERENCES,
    &NULL,
    &TESTS,
    &CROSS_TERMS,
    &COHERENCE,
    &SIMILARITY,
    &NEIGHBOURS,
    &COVERAGE,
    &CURVES,
    &OVER_SEEDS,
    &MATCHED,
    &PREDICTIONS,
];

/// The tables of a comparison of studies.
pub const COMPARISON_TABLES: &[&Table] = &[&COMPARISON, &COMPARISON_TESTS];

/// The table of an analysis or a comparison with this name.
pub fn table(name: &str) -> Option<&'static Table> {
    TABLES.iter().chain(COMPARISON_TABLES).copied().find(|table| table.name == name)
}
