//! Streaming the recorded gradients: row groups in parallel, each one step at a time.
//!
//! The order of rows is known beforehand: row r of all the files together is that of recorded step r / n and sampled
//! example r % n. So every row group is checked on its own, whatever the others hold.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::Schema;
use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::{DataType, FloatType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::serialized_reader::SerializedPageReader;
use rayon::prelude::*;

use crate::manifest::{GRADIENTS, path_in_run};
use crate::{FileEntry, Run, TraceError, schema};

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

/// One `gradients/part-*.parquet`.
struct Part {
    path: PathBuf,
    metadata: Arc<ParquetMetaData>,
    /// Leaf columns `step`, `example_id` and the values of `gradient`.
    leaves: [usize; 3],
}

/// One row group: whole steps.
struct Group {
    part: usize,
    index: usize,
    /// Its first row in the file.
    first_row: usize,
    /// Its steps, as places in the recorded steps.
    steps: std::ops::Range<usize>,
}

/// What all row groups share.
struct Plan<'a> {
    recorded_steps: &'a [i64],
    example_ids: Vec<u32>,
    coordinates: usize,
    parts: Vec<Part>,
    groups: Vec<Group>,
}

/// See [`Run::map_steps`].
pub(crate) fn map_steps<T: Send>(
    run: &Run,
    work: impl Fn(StepGradients<'_>) -> T + Sync,
) -> Result<Vec<T>, TraceError> {
    keep_freed_memory();
    let plan = Plan::of(run)?;
    let results: Result<Vec<Vec<T>>, TraceError> =
        plan.groups.par_iter().with_max_len(1).map(|group| plan.map_group(group, &work)).collect();
    Ok(results?.into_iter().flatten().collect())
}

/// Lets the allocator keep the buffers of a page for the next page.
///
/// glibc hands freed blocks back to the system from a size on that rises to the largest block freed so far, 32 MiB at
/// most. Without this, fetching the pages (1 MiB each) anew from the system is a third of the time of decoding.
fn keep_freed_memory() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity((32 << 20) - (64 << 10))));
}

impl<'a> Plan<'a> {
    fn of(run: &'a Run) -> Result<Plan<'a>, TraceError> {
        let manifest = run.manifest();
        let examples = run.examples()?;
        let mut plan = Plan {
            recorded_steps: &manifest.recorded_steps,
            example_ids: examples.iter().filter(|example| example.sampled).map(|example| example.example_id).collect(),
            coordinates: manifest.coordinates,
            parts: Vec::new(),
            groups: Vec::new(),
        };
        let schema = schema::gradients(manifest.coordinates);
        for (name, entry) in manifest.gradient_files() {
            plan.add_part(path_in_run(run.directory(), name), entry, &schema)?;
        }
        let read = plan.groups.last().map_or(0, |group| group.steps.end);
        if read != manifest.recorded_steps.len() {
            let message = format!("row groups hold {read} of {} recorded steps", manifest.recorded_steps.len());
            return Err(TraceError::contents(&run.directory().join(GRADIENTS), message));
        }
        Ok(plan)
    }

    fn add_part(&mut self, path: PathBuf, entry: &FileEntry, schema: &Schema) -> Result<(), TraceError> {
        let (_, arrow) = schema::open(&path, schema)?;
        let metadata = arrow.metadata().clone();
        let rows = metadata.file_metadata().num_rows();
        if u64::try_from(rows) != Ok(entry.rows) {
            return Err(TraceError::contents(&path, format!("has {rows} rows, but the manifest says {}", entry.rows)));
        }
        let leaves = leaves(&path, &metadata)?;
        self.add_groups(&path, &metadata)?;
        self.parts.push(Part { path, metadata, leaves });
        Ok(())
    }

    fn add_groups(&mut self, path: &Path, metadata: &ParquetMetaData) -> Result<(), TraceError> {
        let n = self.example_ids.len();
        let mut first_row = 0;
        for (index, group) in metadata.row_groups().iter().enumerate() {
            let rows = usize::try_from(group.num_rows()).unwrap_or(0);
            if rows % n != 0 {
                let message =
                    format!("row group {index} has {rows} rows, no whole number of steps of {n} sampled examples");
                return Err(TraceError::contents(path, message));
            }
            let first = self.groups.last().map_or(0, |group| group.steps.end);
            let steps = first..first + rows / n;
            if steps.end > self.recorded_steps.len() {
                return Err(TraceError::contents(path, "has more rows than its footer says"));
            }
            self.groups.push(Group { part: self.parts.len(), index, first_row, steps });
            first_row += rows;
        }
        Ok(())
    }

    fn map_group<T>(&self, group: &Group, work: impl Fn(StepGradients<'_>) -> T) -> Result<Vec<T>, TraceError> {
        let part = &self.parts[group.part];
        let mut reader = schema::guarded(&part.path, || GroupReader::open(part, group.index))?;
        let mut results = Vec::with_capacity(group.steps.len());
        for (place, step) in self.recorded_steps[group.steps.clone()].iter().enumerate() {
            reader.row = group.first_row + place * self.example_ids.len();
            schema::guarded(&part.path, || reader.read_step(*step, &self.example_ids, self.coordinates))?;
            results.push(work(StepGradients {
                step: *step,
                example_ids: &self.example_ids,
                values: &reader.gradients.values,
                coordinates: self.coordinates,
            }));
        }
        Ok(results)
    }
}

/// The leaf columns of `step`, `example_id` and `gradient`, their physical types checked.
fn leaves(path: &Path, metadata: &ParquetMetaData) -> Result<[usize; 3], TraceError> {
    let schema = metadata.file_metadata().schema_descr();
    let leaf = |name: &str, kind, repetition: i16| {
        let leaf = (0..schema.num_columns()).find(|leaf| schema.get_column_root(*leaf).name() == name);
        leaf.filter(|leaf| {
            let column = schema.column(*leaf);
            column.physical_type() == kind && column.max_rep_level() == repetition
        })
        .ok_or_else(|| {
            TraceError::contents(path, format!("column `{name}` is not stored as docs/trace-format.md says"))
        })
    };
    Ok([
        leaf("step", Int64Type::get_physical_type(), 0)?,
        leaf("example_id", Int32Type::get_physical_type(), 0)?,
        leaf("gradient", FloatType::get_physical_type(), 1)?,
    ])
}

/// One column of one row group, and what was last read of it.
struct Column<T: DataType> {
    reader: ColumnReaderImpl<T>,
    /// Level at which a value is there, not null.
    present: i16,
    definition: Vec<i16>,
    repetition: Vec<i16>,
    values: Vec<T::T>,
}

impl<T: DataType> Column<T> {
    fn open(part: &Part, file: &Arc<File>, group: usize, leaf: usize) -> Result<Column<T>, ParquetError> {
        let group = part.metadata.row_group(group);
        let chunk = group.column(leaf);
        let rows = usize::try_from(group.num_rows())?;
        let pages = SerializedPageReader::new(file.clone(), chunk, rows, None)?;
        Ok(Column {
            reader: ColumnReaderImpl::new(chunk.column_descr_ptr(), Box::new(pages)),
            present: chunk.column_descr().max_def_level(),
            definition: Vec::new(),
            repetition: Vec::new(),
            values: Vec::new(),
        })
    }

    /// Reads the next `rows` rows in place of the last ones; returns how many there were.
    fn read(&mut self, rows: usize) -> Result<usize, ParquetError> {
        self.definition.clear();
        self.repetition.clear();
        self.values.clear();
        let (definition, repetition) = (&mut self.definition, &mut self.repetition);
        self.reader.read_records(rows, Some(definition), Some(repetition), &mut self.values).map(|(rows, _, _)| rows)
    }
}

/// The three columns of one row group, read step by step.
struct GroupReader<'a> {
    path: &'a Path,
    /// Row of the file that the step being read begins at, for messages.
    row: usize,
    steps: Column<Int64Type>,
    example_ids: Column<Int32Type>,
    gradients: Column<FloatType>,
}

impl<'a> GroupReader<'a> {
    fn open(part: &'a Part, group: usize) -> Result<GroupReader<'a>, TraceError> {
        // Each row group has its own handle: reading moves the handle's position.
        let file = Arc::new(File::open(&part.path).map_err(TraceError::io("open", &part.path))?);
        let error = || TraceError::parquet("read", &part.path);
        let [step, example_id, gradient] = part.leaves;
        Ok(GroupReader {
            path: &part.path,
            row: 0,
            steps: Column::open(part, &file, group, step).map_err(error())?,
            example_ids: Column::open(part, &file, group, example_id).map_err(error())?,
            gradients: Column::open(part, &file, group, gradient).map_err(error())?,
        })
    }

    /// Reads the rows of the next step, which must be `step`, into `self.gradients.values`.
    fn read_step(&mut self, step: i64, example_ids: &[u32], coordinates: usize) -> Result<(), TraceError> {
        let n = example_ids.len();
        let error = || TraceError::parquet("read", self.path);
        let rows = [
            self.steps.read(n).map_err(error())?,
            self.example_ids.read(n).map_err(error())?,
            self.gradients.read(n).map_err(error())?,
        ];
        if rows != [n; 3] {
            return Err(TraceError::contents(self.path, "has fewer rows than its footer says"));
        }
        self.check_key(step, example_ids)?;
        self.check_lists(n, coordinates)?;
        self.check_finite(step, example_ids, coordinates)
    }

    fn row_error(&self, row: usize, column: &'static str, message: String) -> TraceError {
        TraceError::Row { path: self.path.to_path_buf(), row: self.row + row, column, message }
    }

    fn check_nulls<T: DataType>(&self, column: &Column<T>, name: &'static str) -> Result<(), TraceError> {
        match column.definition.iter().position(|level| *level != column.present) {
            Some(row) => Err(self.row_error(row, name, "is null, but must have a value".to_string())),
            None => Ok(()),
        }
    }

    /// Checks that the rows are those of `step` and of `example_ids`.
    fn check_key(&self, step: i64, example_ids: &[u32]) -> Result<(), TraceError> {
        self.check_nulls(&self.steps, "step")?;
        self.check_nulls(&self.example_ids, "example_id")?;
        if let Some((row, found)) = self.steps.values.iter().enumerate().find(|(_, found)| **found != step) {
            let message = format!(
                "is {found} where step {step} is due: rows must be those of the manifest's recorded_steps, by step and example_id"
            );
            return Err(self.row_error(row, "step", message));
        }
        // Parquet stores unsigned 32-bit integers as signed ones of the same bits.
        let found = self.example_ids.values.iter().map(|id| id.cast_unsigned());
        match found.zip(example_ids).enumerate().find(|(_, (found, due))| found != *due) {
            Some((row, (found, due))) => {
                let message = format!(
                    "is {found} where example {due} is due at step {step}: every step must have the examples that examples.parquet marks as sampled, ascending"
                );
                Err(self.row_error(row, "example_id", message))
            }
            None => Ok(()),
        }
    }

    /// Checks that each of the `n` lists has `coordinates` values, none of them null.
    fn check_lists(&self, n: usize, coordinates: usize) -> Result<(), TraceError> {
        let column = &self.gradients;
        // A level of repetition 0 begins a list, 1 goes on with it.
        let whole = |levels: &[i16]| levels.split_first().is_some_and(|(first, rest)| *first == 0 && all_ones(rest));
        let regular = column.repetition.len() == n * coordinates
            && column.values.len() == n * coordinates
            && column.repetition.chunks_exact(coordinates).all(whole);
        if regular { Ok(()) } else { Err(self.irregular_list(coordinates)) }
    }

    /// The first list that is null, has a null, or has another length.
    fn irregular_list(&self, coordinates: usize) -> TraceError {
        let column = &self.gradients;
        let starts = column.repetition.iter().enumerate().filter(|(_, level)| **level == 0).map(|(place, _)| place);
        let starts: Vec<usize> = starts.chain([column.repetition.len()]).collect();
        for (row, list) in starts.windows(2).enumerate() {
            let levels = column.definition.get(list[0]..list[1]).unwrap_or_default();
            if levels.iter().any(|level| *level != column.present) {
                return self.row_error(row, "gradient", "is null, empty, or has a null in it".to_string());
            }
            if levels.len() != coordinates {
                let message =
                    format!("has {} values, but the manifest says coordinates is {coordinates}", levels.len());
                return self.row_error(row, "gradient", message);
            }
        }
        TraceError::contents(self.path, "column `gradient` is damaged")
    }

    fn check_finite(&self, step: i64, example_ids: &[u32], coordinates: usize) -> Result<(), TraceError> {
        match first_non_finite(&self.gradients.values, coordinates) {
            Some((row, coordinate, value)) => {
                let path = self.path.to_path_buf();
                Err(TraceError::NonFinite { path, step, example_id: example_ids[row], coordinate, value })
            }
            None => Ok(()),
        }
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
