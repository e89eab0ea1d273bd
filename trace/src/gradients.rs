//! Streaming the recorded gradients.

use std::ops::Range;

use crate::manifest::GRADIENTS;
use crate::row_groups::{PartFiles, Rows};
use crate::schema::{Kind, Wanted};
use crate::{Run, TraceError};

/// The gradients of the n sampled examples at one step.
#[derive(Clone, Copy, Debug)]
pub struct StepGradients<'a> {
    /// Step t; the gradients are those at w_t, before update t.
    pub step: i64,
    /// The n sampled examples, ascending.
    pub example_ids: &'a [u32],
    /// Gradients `[n, d]`, row-major, rows as in `example_ids`.
    pub values: &'a [f32],
    /// Number of coordinates, d.
    pub coordinates: usize,
}

/// The part files of the run's gradients.
pub(crate) fn open(run: &Run) -> Result<PartFiles<'_>, TraceError> {
    let manifest = run.manifest();
    let rows = Rows {
        steps: &manifest.recorded_steps,
        example_ids: run.examples()?.sampled_ids(),
        steps_field: "recorded_steps",
        examples: "sampled examples",
        due: "the examples that examples.parquet marks as sampled",
    };
    let files = manifest.part_files(GRADIENTS, run.directory());
    let wanted = vec![Wanted::required("gradient", Kind::Floats(manifest.coordinates))];
    PartFiles::open(run.directory().join(GRADIENTS), files, wanted, rows)
}

/// See [`Run::map_row_groups`].
pub(crate) fn map_steps<T: Send>(
    run: &Run,
    row_groups: Range<usize>,
    work: impl Fn(StepGradients<'_>) -> T + Sync,
) -> Result<Vec<T>, TraceError> {
    let coordinates = run.manifest().coordinates;
    open(run)?.map(row_groups, |step, example_ids, columns| {
        let values = columns[0].unwrap_or_default();
        work(StepGradients { step, example_ids, values, coordinates })
    })
}
