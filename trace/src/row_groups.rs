//! Part files of whole steps, streamed: row groups in parallel, each one step at a time.
//!
//! The order of rows is known beforehand: of n examples a step, row r of all the files together is that of step r / n and
//! example r % n. So every row group is checked on its own, whatever the others hold.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::Schema;
use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::{DataType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::serialized_reader::SerializedPageReader;
use rayon::prelude::*;

use crate::{FileEntry, TraceError, schema};

/// The rows that part files must have together.
pub(crate) struct Rows<'a> {
    /// Steps, ascending.
    pub steps: &'a [i64],
    /// The examples of each, ascending.
    pub example_ids: Vec<u32>,
    /// The manifest's field of the steps, for messages.
    pub steps_field: &'static str,
    /// What the examples are, for messages.
    pub examples: &'static str,
    /// Which they must be, for messages.
    pub due: &'static str,
}

/// The part files of a run that hold `rows`, and where in them.
pub(crate) struct PartFiles<'a> {
    rows: Rows<'a>,
    parts: Vec<Part>,
    groups: Vec<Group>,
}

/// One part file.
struct Part {
    path: PathBuf,
    metadata: Arc<ParquetMetaData>,
    /// Leaf columns: `step`, `example_id` and the values.
    leaves: Vec<usize>,
}

/// One row group: whole steps.
struct Group {
    part: usize,
    index: usize,
    /// Its first row in the file.
    first_row: usize,
    /// Its steps, as places among all steps.
    steps: std::ops::Range<usize>,
}

impl<'a> PartFiles<'a> {
    /// Opens `files` of `directory`, which must hold `rows` in the columns of `schema`: `step`, `example_id`, and then
    /// columns of physical type `T`.
    pub fn open<T: DataType>(
        directory: &Path,
        files: impl Iterator<Item = (PathBuf, FileEntry)>,
        schema: &Schema,
        rows: Rows<'a>,
    ) -> Result<PartFiles<'a>, TraceError> {
        let mut all = PartFiles { rows, parts: Vec::new(), groups: Vec::new() };
        for (path, entry) in files {
            all.add_part::<T>(path, &entry, schema)?;
        }
        let (read, due) = (all.groups.last().map_or(0, |group| group.steps.end), all.rows.steps.len());
        if read != due {
            let message = format!("row groups hold {read} of {due} {}", all.rows.steps_field.replace('_', " "));
            return Err(TraceError::contents(directory, message));
        }
        Ok(all)
    }

    fn add_part<T: DataType>(&mut self, path: PathBuf, entry: &FileEntry, schema: &Schema) -> Result<(), TraceError> {
        let (_, arrow) = schema::open(&path, schema)?;
        let metadata = arrow.metadata().clone();
        let rows = metadata.file_metadata().num_rows();
        if u64::try_from(rows) != Ok(entry.rows) {
            return Err(TraceError::contents(&path, format!("has {rows} rows, but the manifest says {}", entry.rows)));
        }
        let leaves = leaves::<T>(&path, &metadata, schema)?;
        self.add_groups(&path, &metadata)?;
        self.parts.push(Part { path, metadata, leaves });
        Ok(())
    }

    fn add_groups(&mut self, path: &Path, metadata: &ParquetMetaData) -> Result<(), TraceError> {
        let n = self.rows.example_ids.len();
        let mut first_row = 0;
        for (index, group) in metadata.row_groups().iter().enumerate() {
            let rows = usize::try_from(group.num_rows()).unwrap_or(0);
            if rows % n != 0 {
                let examples = self.rows.examples;
                let message = format!("row group {index} has {rows} rows, no whole number of steps of {n} {examples}");
                return Err(TraceError::contents(path, message));
            }
            let first = self.groups.last().map_or(0, |group| group.steps.end);
            let steps = first..first + rows / n;
            if steps.end > self.rows.steps.len() {
                return Err(TraceError::contents(path, "has more rows than its footer says"));
            }
            self.groups.push(Group { part: self.parts.len(), index, first_row, steps });
            first_row += rows;
        }
        Ok(())
    }

    /// Reads every step, checks it with `check` too, and returns what `work` makes of it, in the order of steps. Row
    /// groups are worked on in parallel on the current rayon pool.
    pub fn map<T: DataType, R: Send>(
        &self,
        check: impl Fn(&GroupReader<'_, T>, i64) -> Result<(), TraceError> + Sync,
        work: impl Fn(i64, &[u32], &[Column<T>]) -> R + Sync,
    ) -> Result<Vec<R>, TraceError> {
        keep_freed_memory();
        let groups = self.groups.par_iter().with_max_len(1);
        let results: Result<Vec<Vec<R>>, TraceError> =
            groups.map(|group| self.map_group(group, &check, &work)).collect();
        Ok(results?.into_iter().flatten().collect())
    }

    fn map_group<T: DataType, R>(
        &self,
        group: &Group,
        check: impl Fn(&GroupReader<'_, T>, i64) -> Result<(), TraceError>,
        work: impl Fn(i64, &[u32], &[Column<T>]) -> R,
    ) -> Result<Vec<R>, TraceError> {
        let part = &self.parts[group.part];
        let mut reader = schema::guarded(&part.path, || GroupReader::open(part, group.index, &self.rows))?;
        let mut results = Vec::with_capacity(group.steps.len());
        for (place, step) in self.rows.steps[group.steps.clone()].iter().enumerate() {
            reader.row = group.first_row + place * self.rows.example_ids.len();
            schema::guarded(&part.path, || reader.read_step(*step).and_then(|()| check(&reader, *step)))?;
            results.push(work(*step, &self.rows.example_ids, &reader.values));
        }
        Ok(results)
    }
}

/// Lets the allocator keep the buffers of a page for the next page.
///
/// glibc hands freed blocks back to the system from a size on that rises to the largest block freed so far, 32 MiB at
/// most. Without this, fetching the pages (1 MiB each) anew from the system is a third of the time of decoding.
fn keep_freed_memory() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity((32 << 20) - (64 << 10))));
}

/// The leaf columns of `schema`'s columns, their physical types checked: all after `example_id` are of type `T`.
fn leaves<T: DataType>(path: &Path, metadata: &ParquetMetaData, schema: &Schema) -> Result<Vec<usize>, TraceError> {
    let found = metadata.file_metadata().schema_descr();
    let leaf = |field: &Arc<arrow::datatypes::Field>| {
        let kind = match field.name().as_str() {
            "step" => Int64Type::get_physical_type(),
            "example_id" => Int32Type::get_physical_type(),
            _ => T::get_physical_type(),
        };
        let repetition = i16::from(field.data_type().is_nested());
        let leaf = (0..found.num_columns()).find(|leaf| found.get_column_root(*leaf).name() == field.name());
        leaf.filter(|leaf| {
            let column = found.column(*leaf);
            column.physical_type() == kind && column.max_rep_level() == repetition
        })
        .ok_or_else(|| {
            TraceError::contents(path, format!("column `{}` is not stored as docs/trace-format.md says", field.name()))
        })
    };
    schema.fields().iter().map(leaf).collect()
}

/// One column of one row group, and what was last read of it.
pub(crate) struct Column<T: DataType> {
    reader: ColumnReaderImpl<T>,
    /// Level at which a value is there, not null.
    pub present: i16,
    pub definition: Vec<i16>,
    pub repetition: Vec<i16>,
    pub values: Vec<T::T>,
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

    /// The first row that is null, of a column without lists.
    pub fn first_null(&self) -> Option<usize> {
        self.definition.iter().position(|level| *level != self.present)
    }
}

/// The columns of one row group, read step by step.
pub(crate) struct GroupReader<'a, T: DataType> {
    pub path: &'a Path,
    rows: &'a Rows<'a>,
    /// Row of the file that the step being read begins at, for messages.
    row: usize,
    steps: Column<Int64Type>,
    example_ids: Column<Int32Type>,
    /// The columns of values, in the order of the schema.
    pub values: Vec<Column<T>>,
}

impl<'a, T: DataType> GroupReader<'a, T> {
    fn open(part: &'a Part, group: usize, rows: &'a Rows<'a>) -> Result<GroupReader<'a, T>, TraceError> {
        // Each row group has its own handle: reading moves the handle's position.
        let file = Arc::new(File::open(&part.path).map_err(TraceError::io("open", &part.path))?);
        let error = || TraceError::parquet("read", &part.path);
        let values = part.leaves[2..].iter().map(|leaf| Column::open(part, &file, group, *leaf));
        Ok(GroupReader {
            path: &part.path,
            rows,
            row: 0,
            steps: Column::open(part, &file, group, part.leaves[0]).map_err(error())?,
            example_ids: Column::open(part, &file, group, part.leaves[1]).map_err(error())?,
            values: values.collect::<Result<_, _>>().map_err(error())?,
        })
    }

    /// The examples of every step.
    pub fn examples(&self) -> &[u32] {
        &self.rows.example_ids
    }

    /// Reads the rows of the next step, which must be `step`.
    fn read_step(&mut self, step: i64) -> Result<(), TraceError> {
        let n = self.rows.example_ids.len();
        let error = || TraceError::parquet("read", self.path);
        let mut complete = self.steps.read(n).map_err(error())? == n;
        complete &= self.example_ids.read(n).map_err(error())? == n;
        for column in &mut self.values {
            complete &= column.read(n).map_err(error())? == n;
        }
        if !complete {
            return Err(TraceError::contents(self.path, "has fewer rows than its footer says"));
        }
        self.check_key(step)
    }

    /// An error in the given row of the step that was read last.
    pub fn row_error(&self, row: usize, column: impl Into<String>, message: impl Into<String>) -> TraceError {
        let (path, row) = (self.path.to_path_buf(), self.row + row);
        TraceError::Row { path, row, column: column.into(), message: message.into() }
    }

    /// Checks that no row of a column without lists is null.
    pub fn check_nulls<U: DataType>(&self, column: &Column<U>, name: &str) -> Result<(), TraceError> {
        match column.first_null() {
            Some(row) => Err(self.row_error(row, name, "is null, but must have a value")),
            None => Ok(()),
        }
    }

    /// Checks that the rows are those of `step` and of its examples.
    fn check_key(&self, step: i64) -> Result<(), TraceError> {
        self.check_nulls(&self.steps, "step")?;
        self.check_nulls(&self.example_ids, "example_id")?;
        if let Some((row, found)) = self.steps.values.iter().enumerate().find(|(_, found)| **found != step) {
            let field = self.rows.steps_field;
            let message = format!(
                "is {found} where step {step} is due: rows must be those of the manifest's {field}, by step and example_id"
            );
            return Err(self.row_error(row, "step", message));
        }
        // Parquet stores unsigned 32-bit integers as signed ones of the same bits.
        let found = self.example_ids.values.iter().map(|id| id.cast_unsigned());
        match found.zip(&self.rows.example_ids).enumerate().find(|(_, (found, due))| found != *due) {
            Some((row, (found, due))) => {
                let which = self.rows.due;
                let message = format!(
                    "is {found} where example {due} is due at step {step}: every step must have {which}, ascending"
                );
                Err(self.row_error(row, "example_id", message))
            }
            None => Ok(()),
        }
    }
}
