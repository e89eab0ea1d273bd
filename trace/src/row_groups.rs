//! Part files of whole steps, streamed: row groups in parallel, each one step at a time.
//!
//! The order of rows is known beforehand: of a worker with n examples, row r of all its files together is that of step
//! r / n and example r % n. So every row group is checked on its own, whatever the others hold. Steps that several workers
//! share are put together from a row group of each, one step at a time as well.

use std::convert::Infallible;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType as ArrowType, Float32Type};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::basic::{LogicalType, Type as Physical};
use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::{DataType, DoubleType, FloatType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::schema::types::ColumnDescPtr;

use crate::TraceError;
use crate::manifest::PartFile;
use crate::parallel::map_in_order;
use crate::schema::{self, Kind, Wanted};
use crate::table::row_error;

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

/// Steps of a piece of a row group: a row group of more is read in several, each of which decodes it up to there.
const PIECE: usize = 256;
/// Pieces for each thread that are worked on before what was made of them is taken.
const AT_ONCE: usize = 2;

/// The part files of a run that hold `rows`, and where in them.
pub(crate) struct PartFiles<'a> {
    directory: PathBuf,
    rows: Rows<'a>,
    /// Columns of values.
    wanted: Vec<Wanted>,
    workers: Vec<Worker>,
}

/// The files of one directory: the same examples at every step.
struct Worker {
    name: String,
    example_ids: Vec<u32>,
    /// Places of its examples among those of a step.
    places: Vec<usize>,
    parts: Vec<Part>,
    groups: Vec<Group>,
}

/// One part file.
pub(crate) struct Part {
    /// As the manifest lists it.
    name: String,
    path: PathBuf,
    metadata: ArrowReaderMetadata,
    /// Leaf columns: `step`, `example_id` and those of values, where the file has them.
    leaves: Vec<Option<usize>>,
}

/// One row group: whole steps.
struct Group {
    part: usize,
    index: usize,
    /// Its first row in the file.
    first_row: usize,
    /// Its steps, as places among all steps.
    steps: Range<usize>,
}

/// A row group of a record, or those of several workers that hold the same steps: what is read by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowGroup {
    /// How many steps it holds.
    pub steps: usize,
    /// How many numbers it holds.
    pub values: u64,
    /// The files that it is read from, as the manifest names them.
    pub files: Vec<String>,
}

impl<'a> PartFiles<'a> {
    /// Opens `files` of `directory`, worker by worker, which must hold `rows` in the columns `step`, `example_id` and
    /// those that are wanted.
    pub fn open(
        directory: PathBuf,
        files: Vec<PartFile<'_>>,
        wanted: Vec<Wanted>,
        rows: Rows<'a>,
    ) -> Result<PartFiles<'a>, TraceError> {
        let mut all = PartFiles { directory, rows, wanted, workers: Vec::new() };
        let workers: Vec<&[PartFile<'_>]> = files.chunk_by(|left, right| left.worker == right.worker).collect();
        for files in &workers {
            let mut worker = Worker {
                name: files[0].worker.to_string(),
                example_ids: Vec::new(),
                places: Vec::new(),
                parts: Vec::new(),
                groups: Vec::new(),
            };
            files.iter().try_for_each(|file| all.add_part(&mut worker, file))?;
            match workers.len() {
                1 => worker.example_ids = all.rows.example_ids.clone(),
                _ => worker.example_ids = all.examples_of(&worker, files)?,
            }
            all.add_groups(&mut worker)?;
            all.workers.push(worker);
        }
        all.share_out()?;
        Ok(all)
    }

    fn add_part(&self, worker: &mut Worker, file: &PartFile<'_>) -> Result<(), TraceError> {
        let (path, entry) = (file.path.clone(), file.entry);
        let keys = [Wanted::required("step", Kind::Step), Wanted::required("example_id", Kind::ExampleId)];
        let wanted: Vec<Wanted> = keys.into_iter().chain(self.wanted.iter().cloned()).collect();
        let (_, metadata) = schema::open(&path, &wanted)?;
        let rows = metadata.metadata().file_metadata().num_rows();
        if u64::try_from(rows) != Ok(entry.rows) {
            return Err(TraceError::contents(&path, format!("has {rows} rows, but the manifest says {}", entry.rows)));
        }
        let leaves = wanted.iter().map(|column| leaf(&path, metadata.metadata(), column)).collect::<Result<_, _>>()?;
        worker.parts.push(Part { name: file.name.to_string(), path, metadata, leaves });
        Ok(())
    }

    /// The examples of one of several workers: as many as its rows are for each step, those of its first step.
    fn examples_of(&self, worker: &Worker, files: &[PartFile<'_>]) -> Result<Vec<u32>, TraceError> {
        let (rows, steps) = (files.iter().map(|file| file.entry.rows).sum::<u64>(), self.rows.steps.len() as u64);
        if steps == 0 {
            return Ok(Vec::new());
        }
        let directory = self.directory.join(&worker.name);
        let n = usize::try_from(rows / steps).unwrap_or(0);
        if n == 0 || rows % steps != 0 {
            let message = format!("has {rows} rows, not the same examples at each of {steps} steps");
            return Err(TraceError::contents(&directory, message));
        }
        let part = worker.parts.iter().find(|part| part.metadata.metadata().file_metadata().num_rows() > 0);
        let group =
            part.and_then(|part| part.metadata.metadata().row_groups().iter().position(|group| group.num_rows() > 0));
        let (Some(part), Some(group)) = (part, group) else {
            return Err(TraceError::contents(&directory, "has no rows"));
        };
        let mut ids = schema::guarded(&part.path, || {
            let file = Arc::new(File::open(&part.path).map_err(TraceError::io("open", &part.path))?);
            let column =
                Column::<i32>::open(part, &file, group, 1, 0).map_err(TraceError::parquet("read", &part.path))?;
            let mut ids = column.ok_or_else(|| TraceError::contents(&part.path, "has no column `example_id`"))?;
            ids.read(n).map_err(TraceError::parquet("read", &part.path))?;
            Ok(ids)
        })?;
        let ids: Vec<u32> = std::mem::take(&mut ids.values).into_iter().map(i32::cast_unsigned).collect();
        match ids.windows(2).position(|pair| pair[0] >= pair[1]) {
            Some(row) => Err(row_error(
                &part.path,
                row + 1,
                "example_id",
                format!("is {} after {}: a worker's examples must ascend at every step", ids[row + 1], ids[row]),
            )),
            None => Ok(ids),
        }
    }

    fn add_groups(&self, worker: &mut Worker) -> Result<(), TraceError> {
        let (n, all) = (worker.example_ids.len(), self.rows.steps.len());
        for (place, part) in worker.parts.iter().enumerate() {
            let mut first_row = 0;
            for (index, group) in part.metadata.metadata().row_groups().iter().enumerate() {
                let rows = usize::try_from(group.num_rows()).unwrap_or(0);
                if rows == 0 {
                    continue;
                }
                if n == 0 || rows % n != 0 {
                    let examples = self.rows.examples;
                    let message =
                        format!("row group {index} has {rows} rows, no whole number of steps of {n} {examples}");
                    return Err(TraceError::contents(&part.path, message));
                }
                let first = worker.groups.last().map_or(0, |group| group.steps.end);
                let steps = first..first + rows / n;
                if steps.end > all {
                    return Err(TraceError::contents(&part.path, "has more rows than its footer says"));
                }
                worker.groups.push(Group { part: place, index, first_row, steps });
                first_row += rows;
            }
        }
        let read = worker.groups.last().map_or(0, |group| group.steps.end);
        if read != all {
            let message = format!("row groups hold {read} of {all} {}", self.rows.steps_field.replace('_', " "));
            return Err(TraceError::contents(&self.directory.join(&worker.name), message));
        }
        Ok(())
    }

    /// Finds the place of every worker's examples, of which each must have one worker.
    fn share_out(&mut self) -> Result<(), TraceError> {
        if self.rows.steps.is_empty() {
            return Ok(());
        }
        let mut owners: Vec<Option<usize>> = vec![None; self.rows.example_ids.len()];
        for index in 0..self.workers.len() {
            let wrong = |message| TraceError::contents(&self.directory.join(&self.workers[index].name), message);
            let mut places = Vec::with_capacity(self.workers[index].example_ids.len());
            for id in &self.workers[index].example_ids {
                let place = self.rows.example_ids.binary_search(id);
                let place = place.map_err(|_| wrong(format!("has example {id}, none of {}", self.rows.due)))?;
                if let Some(other) = owners[place].replace(index) {
                    return Err(wrong(format!("has example {id}, which {} has too", self.workers[other].name)));
                }
                places.push(place);
            }
            self.workers[index].places = places;
        }
        match owners.iter().position(Option::is_none) {
            Some(place) => {
                let message = format!(
                    "no worker has example {}: together they must have {}",
                    self.rows.example_ids[place], self.rows.due
                );
                Err(TraceError::contents(&self.directory, message))
            }
            None => Ok(()),
        }
    }

    /// The row groups, in the order of their steps.
    pub fn row_groups(&self) -> Vec<RowGroup> {
        let values: usize = self.wanted.iter().map(|column| width(column).max(1)).sum();
        let row_group = |group: &Group| RowGroup {
            steps: group.steps.len(),
            values: (group.steps.len() * self.rows.example_ids.len() * values) as u64,
            files: self.workers.iter().flat_map(|worker| worker.files(&group.steps)).collect(),
        };
        self.units().iter().map(row_group).collect()
    }

    /// Where the work is cut: at the row groups of the worker that has the smallest.
    fn units(&self) -> &[Group] {
        self.workers.iter().map(|worker| &worker.groups[..]).max_by_key(|groups| groups.len()).unwrap_or_default()
    }

    /// Gives `work` every step of those `row_groups`, by their places, and `take` what it makes of them, in the order of steps. Row groups,
    /// or parts of those of many steps, are worked on in parallel on the current rayon pool, and no more than some thousand steps before
    /// what was made of them is taken.
    pub fn each<V: Value, R: Send, E>(
        &self,
        row_groups: Range<usize>,
        work: impl Fn(Step<'_, '_, V>) -> Result<R, TraceError> + Sync,
        mut take: impl FnMut(R) -> Result<(), E>,
    ) -> Result<Result<(), E>, TraceError> {
        let units = self.units();
        let units = &units[row_groups.start.min(units.len())..row_groups.end.min(units.len())];
        let pieces: Vec<Range<usize>> = units.iter().flat_map(|group| pieces(group.steps.clone(), PIECE)).collect();
        let at_once = AT_ONCE * PIECE * rayon::current_num_threads();
        let mut rest = &pieces[..];
        while let Some(first) = rest.first() {
            let end = rest.partition_point(|piece| piece.start < first.start + at_once);
            for made in self.map_pieces(&rest[..end], &work)? {
                if let Err(error) = take(made) {
                    return Ok(Err(error));
                }
            }
            rest = &rest[end..];
        }
        Ok(Ok(()))
    }

    /// The same, all at once: what `work` makes of the steps.
    pub fn map<V: Value, R: Send>(
        &self,
        row_groups: Range<usize>,
        work: impl Fn(Step<'_, '_, V>) -> Result<R, TraceError> + Sync,
    ) -> Result<Vec<R>, TraceError> {
        let mut all = Vec::new();
        let taken = self.each(row_groups, work, |made| {
            all.push(made);
            Ok::<(), Infallible>(())
        });
        taken.map(|_| all)
    }

    /// The same of the steps at these `places` among all. A row group is worked on in as many pieces as there are threads.
    pub fn map_places<V: Value, R: Send>(
        &self,
        places: Range<usize>,
        work: impl Fn(Step<'_, '_, V>) -> Result<R, TraceError> + Sync,
    ) -> Result<Vec<R>, TraceError> {
        let within = |group: &Group| group.steps.start.max(places.start)..group.steps.end.min(places.end);
        let in_pieces = |steps: Range<usize>| {
            let length = steps.len().div_ceil(rayon::current_num_threads());
            pieces(steps, length)
        };
        let all: Vec<Range<usize>> = self.units().iter().map(within).flat_map(in_pieces).collect();
        self.map_pieces(&all, work)
    }

    /// The same of these pieces of row groups.
    fn map_pieces<V: Value, R: Send>(
        &self,
        pieces: &[Range<usize>],
        work: impl Fn(Step<'_, '_, V>) -> Result<R, TraceError> + Sync,
    ) -> Result<Vec<R>, TraceError> {
        keep_freed_memory();
        let results = map_in_order(pieces, |places| self.map_steps(places.clone(), &work))?;
        Ok(results.into_iter().flatten().collect())
    }

    fn map_steps<V: Value, R>(
        &self,
        places: Range<usize>,
        work: impl Fn(Step<'_, '_, V>) -> Result<R, TraceError>,
    ) -> Result<Vec<R>, TraceError> {
        let readers = self.workers.iter().map(|worker| StepReader::open(self, worker, places.start));
        let mut readers = readers.collect::<Result<Vec<StepReader<'_, V>>, TraceError>>()?;
        let mut together = vec![Vec::new(); self.wanted.len()];
        let step = |place| work(Step { files: self, readers: &mut readers, together: &mut together, place });
        places.map(step).collect()
    }

    /// The columns of a step that several workers share, in the order of the examples.
    fn put_together<'b, V: Value>(
        &self,
        readers: &[StepReader<'_, V>],
        place: usize,
        chosen: Option<&[usize]>,
        together: &'b mut [Vec<V>],
    ) -> Result<Vec<Option<&'b [V]>>, TraceError> {
        let n = self.rows.example_ids.len();
        let mut columns = Vec::with_capacity(together.len());
        for (column, all) in together.iter_mut().enumerate() {
            let width = width(&self.wanted[column]).max(1);
            let width = chosen.map_or(width, <[usize]>::len);
            let present = readers.iter().filter(|reader| reader.values(column).is_some()).count();
            if present == 0 {
                columns.push(None);
                continue;
            }
            all.resize(n * width, V::default());
            for reader in readers {
                let Some(values) = reader.values(column) else {
                    let (name, step) = (&self.wanted[column].name, self.rows.steps[place]);
                    let message = format!("has no `{name}` at step {step}, but other workers have");
                    return Err(TraceError::contents(&self.directory.join(&reader.worker.name), message));
                };
                for (place, row) in reader.worker.places.iter().zip(values.chunks_exact(width.max(1))) {
                    all[place * width..][..width].copy_from_slice(row);
                }
            }
            columns.push(Some(&all[..]));
        }
        Ok(columns)
    }
}

/// One step, read when it is asked for.
pub(crate) struct Step<'s, 'f, V: Value> {
    files: &'f PartFiles<'f>,
    readers: &'s mut [StepReader<'f, V>],
    together: &'s mut [Vec<V>],
    place: usize,
}

impl<'f, V: Value> Step<'_, 'f, V> {
    /// The step.
    pub fn step(&self) -> i64 {
        self.files.rows.steps[self.place]
    }

    /// Its examples.
    pub fn example_ids(&self) -> &'f [u32] {
        &self.files.rows.example_ids
    }

    /// Reads and checks all of it. Returns the wanted columns, `None` where one is missing or null, and of lists those
    /// values only whose places are `chosen`. Read again, it is decoded again.
    pub fn read(&mut self, chosen: Option<&[usize]>) -> Result<Vec<Option<&[V]>>, TraceError> {
        self.readers.iter_mut().try_for_each(|reader| reader.read_step(self.place, chosen))?;
        match &*self.readers {
            [reader] => Ok((0..self.files.wanted.len()).map(|column| reader.values(column)).collect()),
            several => self.files.put_together(several, self.place, chosen, self.together),
        }
    }
}

impl Worker {
    /// Names of the part files that hold these steps.
    fn files(&self, steps: &Range<usize>) -> impl Iterator<Item = String> {
        let holds = |group: &&Group| group.steps.start < steps.end && steps.start < group.steps.end;
        let mut parts: Vec<usize> = self.groups.iter().filter(holds).map(|group| group.part).collect();
        parts.dedup();
        parts.into_iter().map(|part| self.parts[part].name.clone())
    }
}

/// Values of a list of the column, 0 if it has none.
fn width(wanted: &Wanted) -> usize {
    match wanted.kind {
        Kind::Floats(width) | Kind::Doubles(width) => width,
        _ => 0,
    }
}

/// Lets the allocator keep the buffers of a page for the next page.
///
/// glibc hands freed blocks back to the system from a size on that rises to the largest block freed so far, 32 MiB at
/// most. Without this, fetching the pages (1 MiB each) anew from the system is a third of the time of decoding.
fn keep_freed_memory() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity((32 << 20) - (64 << 10))));
}

/// Values too many of a row group that are decoded, to say in which row they are.
const SLACK: i64 = 1 << 20;

/// The leaf column of a wanted column, its nesting checked; `None` if the file has not got it.
fn leaf(path: &Path, metadata: &ParquetMetaData, wanted: &Wanted) -> Result<Option<usize>, TraceError> {
    let found = metadata.file_metadata().schema_descr();
    let Some(leaf) = (0..found.num_columns()).find(|leaf| found.get_column_root(*leaf).name() == wanted.name) else {
        return Ok(None);
    };
    let (column, nested) = (found.column(leaf), i16::from(width(wanted) > 0));
    if wanted.optional && column.logical_type_ref() == Some(&LogicalType::Unknown) {
        return Ok(None);
    }
    let physical = match wanted.kind {
        Kind::Step => column.physical_type() == Physical::INT64,
        Kind::ExampleId => column.physical_type() == Physical::INT32,
        Kind::Floats(_) => column.physical_type() == Physical::FLOAT || is_half(&column),
        _ => column.physical_type() == Physical::DOUBLE,
    };
    if !physical || column.max_rep_level() != nested {
        let message = format!("column `{}` is not stored as docs/trace-format.md says", wanted.name);
        return Err(TraceError::contents(path, message));
    }
    // Before anything is decoded, so that memory is bounded by what the manifest says; the row of a small difference is found later.
    let due = |group: &RowGroupMetaData| group.num_rows().saturating_mul(width(wanted).max(1) as i64);
    let too_many = |group: &&RowGroupMetaData| group.column(leaf).num_values() > due(group).saturating_add(SLACK);
    if let Some(group) = metadata.row_groups().iter().find(too_many) {
        let (found, rows) = (group.column(leaf).num_values(), group.num_rows());
        let message =
            format!("column `{}` has {found} values in {rows} rows, but should have {}", wanted.name, due(group));
        return Err(TraceError::contents(path, message));
    }
    Ok(Some(leaf))
}

fn is_half(column: &ColumnDescPtr) -> bool {
    column.logical_type_ref() == Some(&LogicalType::Float16) && column.type_length() == 2
}

/// A type of values, and how it is decoded.
pub(crate) trait Value: Copy + Default + Send + Sync + 'static {
    /// A decoder of a leaf column of a row group, which holds such values.
    fn decoder(part: &Part, file: &Arc<File>, group: usize, leaf: usize) -> NewSource<Self>;
    /// Whether it is neither NaN nor an infinity.
    fn is_finite(self) -> bool {
        true
    }
    /// The error that says it is.
    fn non_finite(self, at: &ValuePosition<'_>) -> TraceError {
        TraceError::contents(at.path, "has a value that is not finite")
    }
}

type NewSource<V> = Result<Box<dyn Source<V>>, ParquetError>;

/// Where a value is.
pub(crate) struct ValuePosition<'a> {
    pub path: &'a Path,
    pub column: &'a Wanted,
    pub step: i64,
    pub example_id: u32,
    /// Its place in its list.
    pub place: usize,
}

/// A decoder of a column: appends levels and values of the next rows, and returns how many rows there were.
pub(crate) trait Source<V>: Send {
    fn read(
        &mut self,
        rows: usize,
        definition: &mut Vec<i16>,
        repetition: &mut Vec<i16>,
        values: &mut Vec<V>,
    ) -> Result<usize, ParquetError>;
    fn skip(&mut self, rows: usize) -> Result<usize, ParquetError>;
}

impl<T: DataType> Source<T::T> for ColumnReaderImpl<T> {
    fn read(
        &mut self,
        rows: usize,
        definition: &mut Vec<i16>,
        repetition: &mut Vec<i16>,
        values: &mut Vec<T::T>,
    ) -> Result<usize, ParquetError> {
        self.read_records(rows, Some(definition), Some(repetition), values).map(|(rows, _, _)| rows)
    }

    fn skip(&mut self, rows: usize) -> Result<usize, ParquetError> {
        self.skip_records(rows)
    }
}

/// Lists of f16, which Parquet stores as two bytes: Arrow's reader is ten times as fast with these as the column reader.
struct Halves {
    /// What is read of, until the first rows are.
    file: Option<(File, ArrowReaderMetadata, usize, usize)>,
    skipped: usize,
    batches: Option<ParquetRecordBatchReader>,
    /// What was decoded and not yet read.
    rest: Option<ArrayRef>,
    /// Level at which a value is there, not null.
    present: i16,
}

impl Source<f32> for Halves {
    fn read(
        &mut self,
        rows: usize,
        definition: &mut Vec<i16>,
        repetition: &mut Vec<i16>,
        values: &mut Vec<f32>,
    ) -> Result<usize, ParquetError> {
        if let Some((file, metadata, group, leaf)) = self.file.take() {
            let mask = ProjectionMask::leaves(metadata.parquet_schema(), [leaf]);
            let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
                .with_row_groups(vec![group])
                .with_projection(mask)
                .with_offset(self.skipped)
                .with_batch_size(rows);
            self.batches = Some(reader.build()?);
        }
        let Some(lists) = self.next(rows)? else { return Ok(0) };
        let lists = cast(&lists, &ArrowType::new_large_list(ArrowType::Float32, true))?;
        let lists = lists.as_list::<i64>();
        for list in lists.iter() {
            let Some(list) = list.filter(|list| !list.is_empty()) else {
                definition.push(self.present - 1);
                repetition.push(0);
                continue;
            };
            let halves = list.as_primitive::<Float32Type>();
            let level = |place| if halves.is_valid(place) { self.present } else { self.present - 1 };
            match halves.null_count() {
                0 => {
                    values.extend_from_slice(halves.values());
                    definition.resize(definition.len() + halves.len(), self.present);
                }
                _ => {
                    values.extend(halves.iter().flatten());
                    definition.extend((0..halves.len()).map(level));
                }
            }
            repetition.push(0);
            repetition.resize(repetition.len() + halves.len() - 1, 1);
        }
        Ok(lists.len())
    }

    fn skip(&mut self, rows: usize) -> Result<usize, ParquetError> {
        self.skipped += rows;
        Ok(rows)
    }
}

impl Halves {
    /// The next lists, at most `rows` of them; `None` after the last.
    fn next(&mut self, rows: usize) -> Result<Option<ArrayRef>, ParquetError> {
        let decoded = match self.rest.take() {
            Some(rest) => rest,
            None => match self.batches.as_mut().and_then(Iterator::next).transpose()? {
                Some(batch) => batch.column(0).clone(),
                None => return Ok(None),
            },
        };
        if decoded.len() > rows {
            self.rest = Some(decoded.slice(rows, decoded.len() - rows));
        }
        Ok(Some(decoded.slice(0, rows.min(decoded.len()))))
    }
}

/// A column as Parquet's own column reader decodes it.
fn plain<T: DataType>(part: &Part, file: &Arc<File>, group: usize, leaf: usize) -> NewSource<T::T>
where
    ColumnReaderImpl<T>: Send + 'static,
{
    let group = part.metadata.metadata().row_group(group);
    let chunk = group.column(leaf);
    let pages = SerializedPageReader::new(file.clone(), chunk, usize::try_from(group.num_rows())?, None)?;
    Ok(Box::new(ColumnReaderImpl::<T>::new(chunk.column_descr_ptr(), Box::new(pages))))
}

impl Value for f32 {
    fn decoder(part: &Part, file: &Arc<File>, group: usize, leaf: usize) -> NewSource<f32> {
        let column = part.metadata.parquet_schema().column(leaf);
        if !is_half(&column) {
            return plain::<FloatType>(part, file, group, leaf);
        }
        let file = Some((File::open(&part.path)?, part.metadata.clone(), group, leaf));
        Ok(Box::new(Halves { file, skipped: 0, batches: None, rest: None, present: column.max_def_level() }))
    }

    fn is_finite(self) -> bool {
        f32::is_finite(self)
    }

    fn non_finite(self, at: &ValuePosition<'_>) -> TraceError {
        let (path, coordinate) = (at.path.to_path_buf(), at.place);
        TraceError::NonFinite { path, step: at.step, example_id: at.example_id, coordinate, value: self }
    }
}

impl Value for f64 {
    fn decoder(part: &Part, file: &Arc<File>, group: usize, leaf: usize) -> NewSource<f64> {
        plain::<DoubleType>(part, file, group, leaf)
    }

    fn is_finite(self) -> bool {
        f64::is_finite(self)
    }

    fn non_finite(self, at: &ValuePosition<'_>) -> TraceError {
        let (path, name) = (at.path.to_path_buf(), &at.column.name);
        let column = if width(at.column) > 0 { format!("{name}[{}]", at.place) } else { name.clone() };
        TraceError::NonFinitePopulation { path, column, step: at.step, example_id: at.example_id, value: self }
    }
}

impl Value for i32 {
    fn decoder(part: &Part, file: &Arc<File>, group: usize, leaf: usize) -> NewSource<i32> {
        plain::<Int32Type>(part, file, group, leaf)
    }
}

impl Value for i64 {
    fn decoder(part: &Part, file: &Arc<File>, group: usize, leaf: usize) -> NewSource<i64> {
        plain::<Int64Type>(part, file, group, leaf)
    }
}

/// One column of one row group, and what was last read of it.
struct Column<V> {
    source: Box<dyn Source<V>>,
    /// Values of a list; 0: no lists.
    width: usize,
    /// Level at which a value is there, not null.
    present: i16,
    definition: Vec<i16>,
    repetition: Vec<i16>,
    values: Vec<V>,
}

impl<V: Value> Column<V> {
    /// The column at this place of the part's leaves, in lists of `width`; `None` if the file has not got it.
    fn open(
        part: &Part,
        file: &Arc<File>,
        group: usize,
        place: usize,
        width: usize,
    ) -> Result<Option<Column<V>>, ParquetError> {
        let Some(leaf) = part.leaves[place] else { return Ok(None) };
        let source = V::decoder(part, file, group, leaf)?;
        let present = part.metadata.parquet_schema().column(leaf).max_def_level();
        let (definition, repetition) = (Vec::new(), Vec::new());
        Ok(Some(Column { source, width, present, definition, repetition, values: Vec::new() }))
    }

    /// Reads the next `rows` rows in place of the last ones; returns how many there were.
    fn read(&mut self, rows: usize) -> Result<usize, ParquetError> {
        self.definition.clear();
        self.repetition.clear();
        self.values.clear();
        self.source.read(rows, &mut self.definition, &mut self.repetition, &mut self.values)
    }

    /// Whether `rows` rows were read, all of them null.
    fn is_null(&self, rows: usize) -> bool {
        self.values.is_empty() && self.definition.len() == rows && rows > 0
    }

    /// What is wrong with the `rows` rows read last, if anything: the row and a message.
    fn check(&self, rows: usize) -> Result<(), (usize, String)> {
        if self.width == 0 {
            return match self.definition.iter().position(|level| *level != self.present) {
                Some(row) => Err((row, "is null, but must have a value".to_string())),
                None => Ok(()),
            };
        }
        // A level of repetition 0 begins a list, 1 goes on with it.
        let whole = |levels: &[i16]| levels.split_first().is_some_and(|(first, rest)| *first == 0 && all_ones(rest));
        let regular = self.repetition.len() == rows * self.width
            && self.values.len() == rows * self.width
            && self.repetition.chunks_exact(self.width).all(whole);
        if regular { Ok(()) } else { Err(self.irregular_list()) }
    }

    /// The first list that is null, has a null, or has another length.
    fn irregular_list(&self) -> (usize, String) {
        let starts = self.repetition.iter().enumerate().filter(|(_, level)| **level == 0).map(|(place, _)| place);
        let starts: Vec<usize> = starts.chain([self.repetition.len()]).collect();
        for (row, list) in starts.windows(2).enumerate() {
            let levels = self.definition.get(list[0]..list[1]).unwrap_or_default();
            if levels.iter().any(|level| *level != self.present) {
                return (row, "is null, empty, or has a null in it".to_string());
            }
            if levels.len() != self.width {
                return (row, format!("has {} values, but should have {}", levels.len(), self.width));
            }
        }
        (0, "is damaged".to_string())
    }
}

/// Without an early exit, so that it is one pass of vector instructions.
fn all_ones(levels: &[i16]) -> bool {
    levels.iter().fold(0, |difference, level| difference | (level ^ 1)) == 0
}

/// Place and value of the first NaN or infinity.
pub(crate) fn first_non_finite<V: Value>(values: &[V]) -> Option<(usize, V)> {
    // Whole blocks first without an early exit, which vectorises; then the place in the block found.
    let finite = |block: &[V]| block.iter().fold(true, |finite, value| finite & value.is_finite());
    let block = values.chunks(4096).position(|block| !finite(block))?;
    let mut rest = values.iter().copied().enumerate().skip(4096 * block);
    rest.find(|(_, value)| !value.is_finite())
}

/// Steps in pieces of this length, the last of which may be shorter.
fn pieces(steps: Range<usize>, length: usize) -> impl Iterator<Item = Range<usize>> {
    let end = steps.end;
    steps.step_by(length.max(1)).map(move |first| first..(first + length.max(1)).min(end))
}

/// Numbers that are decoded at a time, about: bounds what is needed beside those that are kept.
const CHUNK: usize = 1 << 20;

/// Reads the steps of one worker, one after the other.
struct StepReader<'a, V: Value> {
    files: &'a PartFiles<'a>,
    worker: &'a Worker,
    /// The row group being read, as a place among the worker's.
    group: usize,
    /// The place of the step whose rows come next.
    next: usize,
    steps: Column<i64>,
    example_ids: Column<i32>,
    columns: Vec<Option<Column<V>>>,
    /// Whether the column has values at the step that was read last, and those of them that were chosen.
    present: Vec<bool>,
    kept: Vec<Vec<V>>,
}

impl<'a, V: Value> StepReader<'a, V> {
    /// Opens the worker's row group that holds the step at `place`, and goes there.
    fn open(files: &'a PartFiles<'a>, worker: &'a Worker, place: usize) -> Result<StepReader<'a, V>, TraceError> {
        let group = worker.groups.partition_point(|group| group.steps.end <= place);
        let Group { part, index, ref steps, .. } = worker.groups[group];
        let part = &worker.parts[part];
        schema::guarded(&part.path, || {
            // Each row group has its own handle: reading moves the handle's position.
            let file = Arc::new(File::open(&part.path).map_err(TraceError::io("open", &part.path))?);
            let error = || TraceError::parquet("read", &part.path);
            let missing = || TraceError::contents(&part.path, "has no column `step` or `example_id`");
            let column = |(column, wanted)| Column::open(part, &file, index, column + 2, width(wanted));
            let columns = files.wanted.iter().enumerate().map(column).collect::<Result<Vec<_>, _>>();
            let mut reader = StepReader {
                files,
                worker,
                group,
                next: place,
                steps: Column::open(part, &file, index, 0, 0).map_err(error())?.ok_or_else(missing)?,
                example_ids: Column::open(part, &file, index, 1, 0).map_err(error())?.ok_or_else(missing)?,
                columns: columns.map_err(error())?,
                present: vec![false; files.wanted.len()],
                kept: vec![Vec::new(); files.wanted.len()],
            };
            let rows = (place - steps.start) * worker.example_ids.len();
            if rows > 0 {
                reader.skip(rows).map_err(error())?;
            }
            Ok(reader)
        })
    }

    fn skip(&mut self, rows: usize) -> Result<(), ParquetError> {
        self.steps.source.skip(rows)?;
        self.example_ids.source.skip(rows)?;
        self.columns.iter_mut().flatten().try_for_each(|column| column.source.skip(rows).map(|_| ()))
    }

    /// Reads and checks the rows of the step at `place`, and keeps the values at these places of their lists, or all.
    fn read_step(&mut self, place: usize, chosen: Option<&[usize]>) -> Result<(), TraceError> {
        if self.next != place || self.worker.groups[self.group].steps.end <= place {
            *self = StepReader::open(self.files, self.worker, place)?;
        }
        self.next = place + 1;
        schema::guarded(self.path(), || {
            let n = self.worker.example_ids.len();
            let numbers: usize = self.files.wanted.iter().map(|column| width(column).max(1)).sum();
            let rows = (CHUNK / numbers.max(1)).max(1);
            self.kept.iter_mut().for_each(Vec::clear);
            (0..n).step_by(rows).try_for_each(|first| self.read_rows(place, first..(first + rows).min(n), chosen))
        })
    }

    fn read_rows(&mut self, place: usize, rows: Range<usize>, chosen: Option<&[usize]>) -> Result<(), TraceError> {
        let (n, path) = (rows.len(), self.path());
        let error = || TraceError::parquet("read", path);
        let mut complete = self.steps.read(n).map_err(error())? == n;
        complete &= self.example_ids.read(n).map_err(error())? == n;
        for column in self.columns.iter_mut().flatten() {
            complete &= column.read(n).map_err(error())? == n;
        }
        if !complete {
            return Err(TraceError::contents(path, "has fewer rows than its footer says"));
        }
        self.check_key(place, &rows)?;
        for column in 0..self.columns.len() {
            let present = self.check_column(column, place, &rows)?;
            if rows.start > 0 && present != self.present[column] {
                let message = "is null, but not in every row of the step";
                let row = rows.start - usize::from(present);
                return Err(self.row_error(place, row, &self.files.wanted[column].name, message));
            }
            self.present[column] = present;
            self.keep(column, chosen);
        }
        Ok(())
    }

    /// Keeps what is chosen of the rows of a column that were read last.
    fn keep(&mut self, column: usize, chosen: Option<&[usize]>) {
        let Some(Column { values, width, .. }) = &mut self.columns[column] else { return };
        let (kept, width) = (&mut self.kept[column], (*width).max(1));
        match chosen {
            None if kept.is_empty() && values.len() == self.worker.example_ids.len() * width => {
                std::mem::swap(kept, values);
            }
            None => {
                kept.reserve_exact(self.worker.example_ids.len() * width - kept.len());
                kept.extend_from_slice(values);
            }
            Some(chosen) => {
                kept.reserve_exact(self.worker.example_ids.len() * chosen.len() - kept.len());
                let in_order = chosen.windows(2).all(|pair| pair[0] + 1 == pair[1]);
                for row in values.chunks_exact(width) {
                    match chosen {
                        [first, ..] if in_order => kept.extend_from_slice(&row[*first..first + chosen.len()]),
                        _ => kept.extend(chosen.iter().map(|&place| row[place])),
                    }
                }
            }
        }
    }

    fn path(&self) -> &'a Path {
        &self.worker.parts[self.worker.groups[self.group].part].path
    }

    /// The values of a column at the step that was read last; `None` if it has none.
    fn values(&self, column: usize) -> Option<&[V]> {
        self.present[column].then(|| &self.kept[column][..])
    }

    /// An error in the given row of the step at `place`.
    fn row_error(&self, place: usize, row: usize, column: &str, message: impl Into<String>) -> TraceError {
        let group = &self.worker.groups[self.group];
        let first_row = group.first_row + (place - group.steps.start) * self.worker.example_ids.len();
        row_error(self.path(), first_row + row, column, message)
    }

    /// Checks that the rows that were read last are those of the step at `place`, and of the worker's examples at these places.
    fn check_key(&self, place: usize, rows: &Range<usize>) -> Result<(), TraceError> {
        let error = |row: usize, column, message: String| self.row_error(place, rows.start + row, column, message);
        self.steps.check(rows.len()).map_err(|(row, message)| error(row, "step", message))?;
        self.example_ids.check(rows.len()).map_err(|(row, message)| error(row, "example_id", message))?;
        let (all, step) = (&self.files.rows, self.files.rows.steps[place]);
        if let Some((row, found)) = self.steps.values.iter().enumerate().find(|(_, found)| **found != step) {
            let field = all.steps_field;
            let message = format!(
                "is {found} where step {step} is due: rows must be those of the manifest's {field}, by step and example_id"
            );
            return Err(error(row, "step", message));
        }
        // Parquet stores unsigned 32-bit integers as signed ones of the same bits.
        let found = self.example_ids.values.iter().map(|id| id.cast_unsigned());
        let due = &self.worker.example_ids[rows.clone()];
        match found.zip(due).enumerate().find(|(_, (found, due))| found != *due) {
            Some((row, (found, due))) => {
                let which = if self.files.workers.len() == 1 { all.due } else { "the same examples of a worker" };
                let message = format!(
                    "is {found} where example {due} is due at step {step}: every step must have {which}, ascending"
                );
                Err(error(row, "example_id", message))
            }
            None => Ok(()),
        }
    }

    /// Checks the values of a column in the rows that were read last, which are these of the step at `place`; returns whether it
    /// has any.
    fn check_column(&self, index: usize, place: usize, rows: &Range<usize>) -> Result<bool, TraceError> {
        let (n, wanted) = (rows.len(), &self.files.wanted[index]);
        let Some(column) = &self.columns[index] else { return Ok(false) };
        if wanted.optional && column.is_null(n) {
            return Ok(false);
        }
        let error = |(row, message)| self.row_error(place, rows.start + row, &wanted.name, message);
        column.check(n).map_err(error)?;
        match first_non_finite(&column.values) {
            Some((found, value)) => {
                let (row, within) = (rows.start + found / column.width.max(1), found % column.width.max(1));
                let (path, step, example_id) =
                    (self.path(), self.files.rows.steps[place], self.worker.example_ids[row]);
                Err(value.non_finite(&ValuePosition { path, column: wanted, step, example_id, place: within }))
            }
            None => Ok(true),
        }
    }
}
