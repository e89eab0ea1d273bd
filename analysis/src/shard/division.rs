//! Which row groups a shard has: neighbours, so that shards have few files in common, and about as many numbers in each.

use std::collections::BTreeSet;
use std::ops::Range;

use cograd_trace::{RowGroup, Run};
use rayon::prelude::*;

use super::Shard;
use crate::AnalysisError;
use crate::run::{Reads, RunPart};
use crate::study::Plan;

/// What a shard has of one run.
#[derive(Debug, Default)]
pub(super) struct Piece {
    /// Place of the run in the study.
    pub(super) run: usize,
    pub(super) part: RunPart,
    /// Number of steps.
    pub(super) steps: usize,
    /// The files that these are read from.
    pub(super) files: BTreeSet<String>,
}

/// What `shard` has of each run that it has anything of.
///
/// The row groups of all runs stand in a line, those of the gradients before those of the population record; a row group is
/// in the shard in whose share of all numbers its middle lies.
///
/// # Errors
/// A footer cannot be read, or says something else than the manifest.
pub(super) fn pieces(plan: &Plan<'_>, shard: Shard) -> Result<Vec<Piece>, AnalysisError> {
    let runs: Result<Vec<[Vec<RowGroup>; 2]>, _> =
        plan.study.runs().par_iter().map(|run| row_groups(plan, run)).collect();
    let runs = runs?;
    let numbers = |row_group: &RowGroup| u128::from(row_group.values);
    let all: u128 = runs.iter().flatten().flatten().map(numbers).sum();
    let (mut before, mut pieces) = (0, Vec::new());
    for (run, records) in runs.iter().enumerate() {
        let mut piece = Piece { run, ..Piece::default() };
        for (record, part) in records.iter().zip([&mut piece.part.sample, &mut piece.part.population]) {
            for (place, row_group) in record.iter().enumerate() {
                let middle = 2 * before + numbers(row_group);
                before += numbers(row_group);
                if middle * u128::from(shard.count()) / (2 * all).max(1) + 1 == u128::from(shard.number()) {
                    extend(part, place);
                    piece.steps += row_group.steps;
                    piece.files.extend(row_group.files.iter().cloned());
                }
            }
        }
        pieces.extend(Some(piece).filter(|piece| piece.steps > 0));
    }
    Ok(pieces)
}

/// Adds the next place to a range.
fn extend(range: &mut Range<usize>, place: usize) {
    *range = if range.end == 0 { place..place + 1 } else { range.start..place + 1 };
}

/// The row groups of the gradients and of the population record, as far as they are read.
fn row_groups(plan: &Plan<'_>, run: &Run) -> Result<[Vec<RowGroup>; 2], AnalysisError> {
    let reads = Reads::new(run, &plan.statistics, plan.options);
    let some = |wanted: bool, read: fn(&Run) -> _| if wanted { read(run) } else { Ok(Vec::new()) };
    let read = || {
        Ok([
            some(reads.gradients, Run::row_groups)?,
            some(reads.gradients && reads.population, Run::population_row_groups)?,
        ])
    };
    read().map_err(|source| AnalysisError::in_run(run, source))
}
