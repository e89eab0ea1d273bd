//! The rows that each results table must have for one run, one file a table.

mod coherence;
mod contributions;
mod cross_terms;
mod cumulative;
mod curves;
mod decomposition;
mod group_tests;
mod groups;
mod learned;
mod null;
mod overfit;
mod shares;
mod tests;

use crate::recompute::Recomputed;
use crate::sheet::Sheet;

/// Makes the sheet of one table; the reason if it cannot be told from the study alone.
type Make = fn(&Recomputed) -> Result<Sheet, String>;

/// The tables of runs, and how their sheets are made.
pub(crate) const OF_RUN: [(&str, Make); 13] = [
    ("curves.parquet", |run| Ok(curves::sheet(run))),
    ("learned.parquet", |run| Ok(learned::sheet(run))),
    ("overfit.parquet", |run| Ok(overfit::sheet(run))),
    ("contributions.parquet", |run| Ok(contributions::sheet(run))),
    ("decomposition.parquet", |run| Ok(decomposition::sheet(run))),
    ("cumulative.parquet", |run| Ok(cumulative::sheet(run))),
    ("null.parquet", |run| Ok(null::sheet(run))),
    ("tests.parquet", |run| Ok(tests::sheet(run))),
    ("groups.parquet", |run| Ok(groups::sheet(run, run.grouping.as_ref()?))),
    ("shares.parquet", |run| Ok(shares::sheet(run, run.grouping.as_ref()?))),
    ("group_tests.parquet", |run| Ok(group_tests::sheet(run, run.grouping.as_ref()?))),
    ("cross_terms.parquet", |run| Ok(cross_terms::sheet(run, run.grouping.as_ref()?))),
    ("coherence.parquet", |run| run.grouping.as_ref().map(|_| coherence::sheet(run)).map_err(String::clone)),
];
