//! Streaming the recorded gradients.

use parquet::data_type::FloatType;

use crate::manifest::{GRADIENTS, path_in_run};
use crate::row_groups::{Column, GroupReader, PartFiles, Rows};
use crate::{Run, TraceError, schema};

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
    let (manifest, examples) = (run.manifest(), run.examples()?);
    let rows = Rows {
        steps: &manifest.recorded_steps,
        example_ids: examples.iter().filter(|example| example.sampled).map(|example| example.example_id).collect(),
        steps_field: "recorded_steps",
        examples: "sampled examples",
        due: "the examples that examples.parquet marks as sampled",
    };
    let coordinates = manifest.coordinates;
    let (directory, schema) = (run.directory(), schema::gradients(coordinates));
    let files = manifest.gradient_files().map(|(name, entry)| (path_in_run(directory, name), entry.clone()));
    let parts = PartFiles::open::<FloatType>(&directory.join(GRADIENTS), files, &schema, rows)?;
    parts.map(
        |reader, step| {
            check_lists(reader, coordinates)?;
            check_finite(reader, step, coordinates)
        },
        |step, example_ids, columns| work(StepGradients { step, example_ids, values: &columns[0].values, coordinates }),
    )
}

/// Checks that each list of the step that was read last has `coordinates` values, none of them null.
fn check_lists(reader: &GroupReader<'_, FloatType>, coordinates: usize) -> Result<(), TraceError> {
    let (column, n) = (&reader.values[0], reader.examples().len());
    // A level of repetition 0 begins a list, 1 goes on with it.
    let whole = |levels: &[i16]| levels.split_first().is_some_and(|(first, rest)| *first == 0 && all_ones(rest));
    let regular = column.repetition.len() == n * coordinates
        && column.values.len() == n * coordinates
        && column.repetition.chunks_exact(coordinates).all(whole);
    if regular { Ok(()) } else { Err(irregular_list(reader, column, coordinates)) }
}

/// The first list that is null, has a null, or has another length.
fn irregular_list(reader: &GroupReader<'_, FloatType>, column: &Column<FloatType>, coordinates: usize) -> TraceError {
    let starts = column.repetition.iter().enumerate().filter(|(_, level)| **level == 0).map(|(place, _)| place);
    let starts: Vec<usize> = starts.chain([column.repetition.len()]).collect();
    for (row, list) in starts.windows(2).enumerate() {
        let levels = column.definition.get(list[0]..list[1]).unwrap_or_default();
        if levels.iter().any(|level| *level != column.present) {
            return reader.row_error(row, "gradient", "is null, empty, or has a null in it");
        }
        if levels.len() != coordinates {
            let message = format!("has {} values, but the manifest says coordinates is {coordinates}", levels.len());
            return reader.row_error(row, "gradient", message);
        }
    }
    TraceError::contents(reader.path, "column `gradient` is damaged")
}

fn check_finite(reader: &GroupReader<'_, FloatType>, step: i64, coordinates: usize) -> Result<(), TraceError> {
    match first_non_finite(&reader.values[0].values, coordinates) {
        Some((row, coordinate, value)) => {
            let (path, example_id) = (reader.path.to_path_buf(), reader.examples()[row]);
            Err(TraceError::NonFinite { path, step, example_id, coordinate, value })
        }
        None => Ok(()),
    }
}

/// Without an early exit, so that it is one pass of vector instructions.
fn all_ones(levels: &[i16]) -> bool {
    levels.iter().fold(0, |difference, level| difference | (level ^ 1)) == 0
}

/// Row, coordinate and value of the first NaN or infinity in gradients `[n, d]`.
pub(crate) fn first_non_finite(values: &[f32], coordinates: usize) -> Option<(usize, usize, f32)> {
    // Whole rows first without an early exit, which vectorises; then the place in the row found.
    let finite = |row: &&[f32]| row.iter().fold(true, |finite, value| finite & value.is_finite());
    let row = values.chunks_exact(coordinates).position(|row| !finite(&row))?;
    let found = values.chunks_exact(coordinates).nth(row)?.iter().enumerate().find(|(_, value)| !value.is_finite());
    found.map(|(coordinate, value)| (row, coordinate, *value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_non_finite_value_is_found_by_row_and_coordinate() {
        let mut values = vec![1.0_f32; 12];
        assert!(first_non_finite(&values, 4).is_none());
        values[10] = f32::INFINITY;
        values[7] = f32::NAN;
        let (row, coordinate, value) = first_non_finite(&values, 4).unwrap();
        assert_eq!((row, coordinate), (1, 3));
        assert!(value.is_nan());
    }
}
