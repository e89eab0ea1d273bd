//! The rows that each results table must have, one file a table.

mod coherence;
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

use cograd_results::summary::Condition;

use crate::evidence::Evidence;
use crate::recompute::Recomputed;
use crate::record::Subject;
use crate::sheet::{Key, Sheet};
use crate::table::Tables;

/// Makes the sheet of one table of one run, the other tables being as they are published; the reason if it cannot be told from
/// the study alone.
type OfRun = fn(&Recomputed, &Tables) -> Result<Sheet, String>;

/// Makes the sheet of one table of the whole study.
type OfStudy = fn(&Study<'_>) -> Result<Sheet, String>;

/// How the sheet of a table is made.
#[derive(Clone, Copy)]
pub(crate) enum Make {
    OfRun(OfRun),
    OfStudy(OfStudy),
}

/// What the sheets of the whole study are made of.
pub(crate) struct Study<'a> {
    /// The runs, in the order of the tables; the reason if not all could be recomputed.
    pub runs: Result<Vec<&'a Evidence>, String>,
    /// Ids of all runs.
    pub names: Vec<&'a str>,
    /// The conditions of the study, as the summary has them.
    pub conditions: &'a [Condition],
    pub tables: &'a Tables,
}

/// How the sheet of a table is made; `None` if the audit does not recompute it.
pub(crate) fn make(table: &str) -> Option<Make> {
    let of_run: OfRun = match table {
        "runs" => runs::sheet,
        "groups" => groups::sheet,
        "metrics" => metrics::sheet,
        "learned" => learned::sheet,
        "overfit" => overfit::sheet,
        "contributions" => contributions::sheet,
        "gradient_norms" => gradient_norms::sheet,
        "shares" => shares::sheet,
        "cumulative" => cumulative::sheet,
        "differences" => differences::sheet,
        "null" => null::sheet,
        "tests" => tests::sheet,
        "cross_terms" => cross_terms::sheet,
        "coherence" => coherence::sheet,
        "coverage" => coverage::sheet,
        "similarity" => similarity::sheet,
        "neighbours" => neighbours::sheet,
        "curves" => curves::sheet,
        "over_seeds" => return Some(Make::OfStudy(over_seeds::sheet)),
        "matched" => return Some(Make::OfStudy(matched::sheet)),
        "predictions" => return Some(Make::OfStudy(predictions::sheet)),
        _ => return None,
    };
    Some(Make::OfRun(of_run))
}

/// Keys `group_a` and `group_b` of a group or pair of these groups.
fn keys(names: &[String], subject: Option<Subject>) -> [Key; 2] {
    let name = |group: Option<usize>| Key::from(group.map(|group| names[group].as_str()));
    [name(subject.map(|subject| subject.0)), name(subject.and_then(|subject| subject.1))]
}
