//! The rows that each results table must have, one file a table.

mod coherence;
mod contributions;
mod coverage;
mod cross_terms;
mod cumulative;
pub(crate) mod curves;
mod differences;
mod gradient_norms;
mod groups;
mod learned;
mod matched;
mod metrics;
mod neighbours;
pub(crate) mod null;
pub(crate) mod over_seeds;
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

/// Makes the sheet of one table of one run; the reason if it cannot be told from the study alone.
type OfRun = fn(&Recomputed) -> Result<Sheet, String>;

/// Makes the sheet of one table of the whole study.
type OfStudy = fn(&Study<'_>) -> Result<Sheet, String>;

/// How the rows of a table are made.
#[derive(Clone, Copy)]
pub(crate) enum Make {
    /// Of some steps of a run after the others.
    OfSteps(OfRun),
    /// Of a run, when it is whole.
    OfRun(OfRun),
    /// Of a run, when it is whole, in parts: the null distributions.
    Null,
    /// Of a run, from the other tables as they are published.
    Curves,
    /// Of the study.
    OfStudy(OfStudy),
    /// Of the study, from `curves` as it is published.
    OverSeeds,
}

/// What the sheets of the whole study are made of.
pub(crate) struct Study<'a> {
    /// The runs, in the order of the tables; the reason if not all could be recomputed.
    pub runs: Result<Vec<&'a Evidence>, String>,
    /// Ids of all runs.
    pub names: Vec<&'a str>,
    /// The conditions of the study, as the summary has them.
    pub conditions: &'a [Condition],
}

/// How the rows of a table are made; `None` if the audit does not recompute it.
pub(crate) fn make(table: &str) -> Option<Make> {
    Some(match table {
        "runs" => Make::OfRun(runs::sheet),
        "groups" => Make::OfRun(groups::sheet),
        "metrics" => Make::OfSteps(metrics::sheet),
        "learned" => Make::OfSteps(learned::sheet),
        "overfit" => Make::OfSteps(overfit::sheet),
        "contributions" => Make::OfSteps(contributions::sheet),
        "gradient_norms" => Make::OfSteps(gradient_norms::sheet),
        "shares" => Make::OfSteps(shares::sheet),
        "cumulative" => Make::OfSteps(cumulative::sheet),
        "differences" => Make::OfSteps(differences::sheet),
        "null" => Make::Null,
        "tests" => Make::OfRun(tests::sheet),
        "cross_terms" => Make::OfSteps(cross_terms::sheet),
        "coherence" => Make::OfSteps(coherence::sheet),
        "coverage" => Make::OfRun(coverage::sheet),
        "similarity" => Make::OfSteps(similarity::sheet),
        "neighbours" => Make::OfSteps(neighbours::sheet),
        "curves" => Make::Curves,
        "over_seeds" => Make::OverSeeds,
        "matched" => Make::OfStudy(matched::sheet),
        "predictions" => Make::OfStudy(predictions::sheet),
        _ => return None,
    })
}

/// Keys `group_a` and `group_b` of a group or pair of these groups.
fn keys(names: &[String], subject: Option<Subject>) -> [Key; 2] {
    let name = |group: Option<usize>| Key::from(group.map(|group| names[group].as_str()));
    [name(subject.map(|subject| subject.0)), name(subject.and_then(|subject| subject.1))]
}
