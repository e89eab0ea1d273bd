//! Streaming the recorded gradients.

use std::ops::Range;

use crate::manifest::GRADIENTS;
use crate::row_groups::{PartFiles, Rows, Step};
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

/// One step, whose gradients are read when they are asked for: all, or those of some coordinates where all are too many for memory.
pub struct GradientStep<'s, 'f> {
    step: Step<'s, 'f, f32>,
    coordinates: usize,
}

impl<'f> GradientStep<'_, 'f> {
    /// Step t.
    pub fn step(&self) -> i64 {
        self.step.step()
    }

    /// The n sampled examples, ascending.
    pub fn example_ids(&self) -> &'f [u32] {
        self.step.example_ids()
    }

    /// Number of coordinates, d.
    pub fn coordinates(&self) -> usize {
        self.coordinates
    }

    /// Reads and checks the step; returns the gradients `[n, d]`, row-major, or those of the `chosen` of the d coordinates in
    /// their order. Memory is for these. Read again, the step is decoded again.
    ///
    /// # Errors
    /// As [`Run::map_steps`].
    pub fn read(&mut self, chosen: Option<&[usize]>) -> Result<&[f32], TraceError> {
        Ok(self.step.read(chosen)?[0].unwrap_or_default())
    }
}

/// See [`Run::each_step`].
pub(crate) fn each<T: Send, E>(
    run: &Run,
    row_groups: Range<usize>,
    work: impl Fn(GradientStep<'_, '_>) -> Result<T, TraceError> + Sync,
    take: impl FnMut(T) -> Result<(), E>,
) -> Result<Result<(), E>, TraceError> {
    let coordinates = run.manifest().coordinates;
    open(run)?.each(row_groups, |step| work(GradientStep { step, coordinates }), take)
}

/// See [`Run::map_steps`].
pub(crate) fn map<T: Send>(run: &Run, work: impl Fn(StepGradients<'_>) -> T + Sync) -> Result<Vec<T>, TraceError> {
    let coordinates = run.manifest().coordinates;
    open(run)?.map(0..usize::MAX, |mut step| {
        let (t, example_ids) = (step.step(), step.example_ids());
        Ok(work(StepGradients { step: t, example_ids, values: step.read(None)?[0].unwrap_or_default(), coordinates }))
    })
}

/// See [`Run::map_steps_at`].
pub(crate) fn map_places<T: Send>(
    run: &Run,
    places: Range<usize>,
    work: impl Fn(GradientStep<'_, '_>) -> Result<T, TraceError> + Sync,
) -> Result<Vec<T>, TraceError> {
    let coordinates = run.manifest().coordinates;
    open(run)?.map_places(places, |step| work(GradientStep { step, coordinates }))
}
