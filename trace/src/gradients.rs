//! Streaming the recorded gradients.

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

/// See [`Run::map_steps`].
pub(crate) fn map_steps<T: Send>(
    run: &Run,
    work: impl Fn(StepGradients<'_>) -> T + Sync,
) -> Result<Vec<T>, TraceError> {
    let (manifest, coordinates) = (run.manifest(), run.manifest().coordinates);
    let rows = Rows {
        steps: &manifest.recorded_steps,
        example_ids: run.examples()?.sampled_ids(),
        steps_field: "recorded_steps",
        examples: "sampled examples",
        due: "the examples that examples.parquet marks as sampled",
    };
    let (directory, files) = (run.directory().join(GRADIENTS), manifest.part_files(GRADIENTS, run.directory()));
    let parts =
        PartFiles::open(&directory, files, vec![Wanted::required("gradient", Kind::Floats(coordinates))], rows)?;
    parts.map(|step, example_ids, columns| {
        let values = columns[0].unwrap_or_default();
        work(StepGradients { step, example_ids, values, coordinates })
    })
}
