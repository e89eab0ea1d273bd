//! The results tables: where the rows of each run are, and any of them when they are asked for.

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::{fmt, io};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, UInt64Array, new_empty_array};
use arrow::compute::concat;
use arrow::datatypes::{DataType, Float64Type, Int64Type, UInt64Type};
use arrow::record_batch::RecordBatch;
use cograd_results::Kind;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection,
};

use crate::claim::is_refusal;

/// Some rows of the tables, by the names of these.
pub(crate) type Tables = BTreeMap<&'static str, Table>;

/// Stands for a text that is null.
const NO_TEXT: u32 = u32::MAX;

/// Rows decoded at once.
const BATCH: usize = 1 << 14;

/// One cell of a table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cell<'a> {
    Null,
    Text(&'a str),
    Int(i128),
    Float(f64),
    Flag(bool),
}

/// As a message shows it.
impl fmt::Display for Cell<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cell::Null => formatter.write_str("null"),
            Cell::Text(text) => write!(formatter, "`{text}`"),
            Cell::Int(value) => write!(formatter, "{value}"),
            Cell::Float(value) => write!(formatter, "{value:e}"),
            Cell::Flag(value) => write!(formatter, "{value}"),
        }
    }
}

enum Column {
    /// Places in `texts`.
    Text {
        codes: Vec<u32>,
        texts: Vec<String>,
    },
    Integer(Int64Array),
    Count(UInt64Array),
    Number(Float64Array),
    Flag(BooleanArray),
}

/// Some rows of a table, column by column; none by default.
#[derive(Default)]
pub(crate) struct Table {
    columns: BTreeMap<String, Column>,
    /// Where they are in the file.
    rows: Vec<Range<usize>>,
}

/// Why rows cannot be read.
#[derive(Clone, Debug)]
pub(crate) struct Unread {
    /// Whether the operating system refused.
    pub is_refused: bool,
    why: String,
}

impl fmt::Display for Unread {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.why)
    }
}

/// The file of a table, whose columns were checked; without rows by default.
#[derive(Default)]
pub(crate) struct TableFile {
    path: PathBuf,
    columns: Vec<(String, Kind)>,
    metadata: Option<ArrowReaderMetadata>,
    /// Number of rows.
    pub rows: usize,
    /// Where the rows of each run are; none of a table that is not of runs.
    pub runs: BTreeMap<String, Vec<Range<usize>>>,
}

impl TableFile {
    /// Opens a table, which must have exactly `columns`, by name and type.
    pub(crate) fn open(path: &Path, columns: Vec<(String, Kind)>) -> Result<TableFile, Unread> {
        let mut file = TableFile { path: path.to_path_buf(), columns, ..TableFile::default() };
        let metadata = file.guarded(|| {
            let opened = cograd_files::open_regular(path).map_err(|error| format!("cannot be read: {error}"))?;
            cograd_files::check_parquet_schema(&opened).map_err(|error| error.to_string())?;
            ArrowReaderMetadata::load(&opened, ArrowReaderOptions::new()).map_err(|error| error.to_string())
        })?;
        let fields = metadata.schema().fields().iter();
        let found: Vec<(&str, &DataType)> = fields.map(|field| (field.name().as_str(), field.data_type())).collect();
        check_columns(&found, &file.columns).map_err(|why| Unread { is_refused: false, why })?;
        file.rows = usize::try_from(metadata.metadata().file_metadata().num_rows()).unwrap_or(0);
        file.metadata = Some(metadata);
        if file.columns.iter().any(|(name, _)| name == "run") {
            let mut runs: BTreeMap<String, Vec<Range<usize>>> = BTreeMap::new();
            let mut first = 0;
            file.read(std::slice::from_ref(&(0..file.rows)), Some(&["run"]), |batch| {
                for (row, run) in batch.column(0).as_string::<i32>().iter().enumerate() {
                    let (run, row) = (run.unwrap_or_default(), first + row);
                    match runs.get_mut(run) {
                        Some(ranges) => push_row(ranges, row),
                        None => drop(runs.insert(run.to_string(), single(row..row + 1))),
                    }
                }
                first += batch.num_rows();
            })?;
            file.runs = runs;
        }
        Ok(file)
    }

    /// Where the rows of a run are.
    pub(crate) fn rows_of(&self, run: &str) -> &[Range<usize>] {
        self.runs.get(run).map_or(&[], Vec::as_slice)
    }

    /// The same, cut at steps: of each of the parts that begin at these steps.
    pub(crate) fn parts_of(&self, run: &str, begins: &[i64]) -> Result<Vec<Vec<Range<usize>>>, Unread> {
        let all = self.rows_of(run);
        let mut parts = vec![Vec::new(); begins.len()];
        if !self.columns.iter().any(|column| *column == ("step".to_string(), Kind::Integer)) || begins.len() < 2 {
            parts[0] = all.to_vec();
            return Ok(parts);
        }
        let mut rows = all.iter().flat_map(Range::clone);
        self.read(all, Some(&["step"]), |batch| {
            for step in batch.column(0).as_primitive::<Int64Type>() {
                let part = begins.partition_point(|begin| step.is_some_and(|step| *begin <= step)).saturating_sub(1);
                rows.next().into_iter().for_each(|row| push_row(&mut parts[part], row));
            }
        })?;
        Ok(parts)
    }

    /// All rows.
    pub(crate) fn whole(&self) -> Result<Table, Unread> {
        self.load(single(0..self.rows))
    }

    /// The rows in these ranges, which ascend.
    pub(crate) fn load(&self, rows: Vec<Range<usize>>) -> Result<Table, Unread> {
        let mut loading: Vec<Loading> = self.columns.iter().map(|(_, kind)| Loading::new(*kind)).collect();
        self.read(&rows, None, |batch| {
            for ((name, _), column) in self.columns.iter().zip(&mut loading) {
                batch.column_by_name(name).into_iter().for_each(|array| column.extend(array));
            }
        })?;
        let columns = self.columns.iter().zip(loading);
        let columns = columns.map(|((name, kind), loading)| Ok((name.clone(), loading.finish(*kind)?)));
        let columns = columns.collect::<Result<_, String>>().map_err(|why| Unread { is_refused: false, why })?;
        Ok(Table { columns, rows })
    }

    /// Hands on the rows in these ranges, of all columns or some, in batches.
    fn read(
        &self,
        rows: &[Range<usize>],
        columns: Option<&[&str]>,
        mut take: impl FnMut(&RecordBatch),
    ) -> Result<(), Unread> {
        let Some(metadata) = self.metadata.clone().filter(|_| !rows.is_empty()) else { return Ok(()) };
        self.guarded(|| {
            let damaged = |error: &dyn fmt::Display| format!("it is no sound Parquet: {error}");
            // A row group of which nothing is read is not opened.
            let (mut groups, mut selected) = (Vec::new(), Vec::new());
            let (mut first, mut skipped, mut rest) = (0, 0, rows);
            for (group, of_group) in metadata.metadata().row_groups().iter().enumerate() {
                let past = first + usize::try_from(of_group.num_rows()).unwrap_or(0);
                rest = &rest[rest.partition_point(|range| range.end <= first)..];
                let here = &rest[..rest.partition_point(|range| range.start < past)];
                match here.is_empty() {
                    true => skipped += past - first,
                    false => groups.push(group),
                }
                let within = |range: &Range<usize>| range.start.max(first) - skipped..range.end.min(past) - skipped;
                selected.extend(here.iter().map(within));
                first = past;
            }
            let selection = RowSelection::from_consecutive_ranges(selected.into_iter(), first - skipped);
            let file = cograd_files::open_regular(&self.path).map_err(|error| damaged(&error))?;
            let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
                .with_row_groups(groups)
                .with_row_selection(selection)
                .with_batch_size(BATCH);
            if let Some(columns) = columns {
                let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
                builder = builder.with_projection(mask);
            }
            for batch in builder.build().map_err(|error| damaged(&error))? {
                take(&batch.map_err(|error| damaged(&error))?);
            }
            Ok(())
        })
    }

    /// What `decode` makes of the file, on whose bytes a decoder may panic.
    fn guarded<T>(&self, decode: impl FnOnce() -> Result<T, String>) -> Result<T, Unread> {
        let decoded = catch_unwind(AssertUnwindSafe(decode));
        decoded.unwrap_or_else(|_| Err("it is no sound Parquet".to_string())).map_err(|why| {
            // Of an error in the middle of a file decoders do not say whether it was the operating system's.
            let read = cograd_files::open_regular(&self.path).and_then(|mut file| io::copy(&mut file, &mut io::sink()));
            match read.err().filter(|error| is_refusal(error)) {
                Some(error) => Unread { is_refused: true, why: format!("cannot be read: {error}") },
                None => Unread { is_refused: false, why },
            }
        })
    }
}

/// One range of rows.
pub(crate) fn single(rows: Range<usize>) -> Vec<Range<usize>> {
    std::iter::once(rows).collect()
}

/// Adds a row, larger than those so far, to ranges of rows.
pub(crate) fn push_row(ranges: &mut Vec<Range<usize>>, row: usize) {
    match ranges.last_mut() {
        Some(last) if last.end == row => last.end += 1,
        _ => ranges.push(row..row + 1),
    }
}

impl Table {
    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.rows.iter().map(Range::len).sum()
    }

    /// Where a row is in the file.
    pub(crate) fn row_of_file(&self, mut row: usize) -> usize {
        for range in &self.rows {
            if row < range.len() {
                return range.start + row;
            }
            row -= range.len();
        }
        row
    }

    /// One cell; null if there is no such column.
    pub(crate) fn cell(&self, column: &str, row: usize) -> Cell<'_> {
        match self.columns.get(column) {
            None => Cell::Null,
            Some(column) => column.cell(row),
        }
    }

    /// One number; `None` if it is null.
    pub(crate) fn number(&self, column: &str, row: usize) -> Option<f64> {
        match self.cell(column, row) {
            Cell::Float(value) => Some(value),
            _ => None,
        }
    }

    /// What tells the cells of a column apart: of equal ones the same; `None` of a null.
    pub(crate) fn mark(&self, column: &str, row: usize) -> Option<u64> {
        match self.columns.get(column)? {
            Column::Text { codes, .. } => Some(codes[row].into()),
            column => match column.cell(row) {
                Cell::Null | Cell::Text(_) => None,
                Cell::Int(value) => Some(value as u64),
                Cell::Float(value) => Some(value.to_bits()),
                Cell::Flag(value) => Some(value.into()),
            },
        }
    }
}

impl Column {
    fn cell(&self, row: usize) -> Cell<'_> {
        match self {
            Column::Text { codes, texts } => match codes.get(row) {
                Some(&code) if code != NO_TEXT => Cell::Text(&texts[code as usize]),
                _ => Cell::Null,
            },
            Column::Integer(values) if values.is_valid(row) => Cell::Int(values.value(row).into()),
            Column::Count(values) if values.is_valid(row) => Cell::Int(values.value(row).into()),
            Column::Number(values) if values.is_valid(row) => Cell::Float(values.value(row)),
            Column::Flag(values) if values.is_valid(row) => Cell::Flag(values.value(row)),
            _ => Cell::Null,
        }
    }
}

/// A column while its rows are read.
enum Loading {
    Text { codes: Vec<u32>, texts: Vec<String> },
    Arrays(Vec<ArrayRef>),
}

impl Loading {
    fn new(kind: Kind) -> Loading {
        match kind {
            Kind::Text => Loading::Text { codes: Vec::new(), texts: Vec::new() },
            _ => Loading::Arrays(Vec::new()),
        }
    }

    /// Adds the values of an array of the column's type.
    fn extend(&mut self, array: &ArrayRef) {
        match self {
            Loading::Text { codes, texts } => {
                for text in array.as_string::<i32>() {
                    codes.push(text.map_or(NO_TEXT, |text| match codes.last() {
                        Some(&last) if last != NO_TEXT && texts[last as usize] == text => last,
                        _ => code_of(texts, text),
                    }));
                }
            }
            Loading::Arrays(arrays) => arrays.push(array.clone()),
        }
    }

    fn finish(self, kind: Kind) -> Result<Column, String> {
        let array = match self {
            Loading::Text { codes, texts } => return Ok(Column::Text { codes, texts }),
            Loading::Arrays(arrays) if arrays.is_empty() => new_empty_array(&type_of(kind)),
            Loading::Arrays(arrays) => {
                let arrays: Vec<&dyn Array> = arrays.iter().map(ArrayRef::as_ref).collect();
                concat(&arrays).map_err(|error| error.to_string())?
            }
        };
        Ok(match kind {
            Kind::Text | Kind::Integer => Column::Integer(array.as_primitive::<Int64Type>().clone()),
            Kind::Count => Column::Count(array.as_primitive::<UInt64Type>().clone()),
            Kind::Number => Column::Number(array.as_primitive::<Float64Type>().clone()),
            Kind::Boolean => Column::Flag(array.as_boolean().clone()),
        })
    }
}

fn check_columns(found: &[(&str, &DataType)], expected: &[(String, Kind)]) -> Result<(), String> {
    for (name, kind) in expected {
        match found.iter().find(|(found, _)| found == name) {
            None => return Err(format!("column `{name}` is missing")),
            Some((_, found)) if **found != type_of(*kind) => return Err(format!("column `{name}` is no {kind}")),
            Some(_) => {}
        }
    }
    match found.iter().find(|(found, _)| !expected.iter().any(|(name, _)| name == found)) {
        Some((name, _)) => Err(format!("column `{name}` belongs to nothing")),
        None if found.len() != expected.len() => Err("a column is there twice".to_string()),
        None => Ok(()),
    }
}

fn type_of(kind: Kind) -> DataType {
    match kind {
        Kind::Text => DataType::Utf8,
        Kind::Integer => DataType::Int64,
        Kind::Count => DataType::UInt64,
        Kind::Number => DataType::Float64,
        Kind::Boolean => DataType::Boolean,
    }
}

/// Place of the text among `texts`, added if it is new; the last ones first, as rows repeat the ones before.
fn code_of(texts: &mut Vec<String>, text: &str) -> u32 {
    let place = texts.iter().rposition(|known| known == text).unwrap_or_else(|| {
        texts.push(text.to_string());
        texts.len() - 1
    });
    place as u32
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// A table of the definition of this name, perhaps after a text of a condition, from rows of cells between spaces, `-` being
    /// null; of those of the scope only the condition and `run` are given.
    pub(crate) fn table(name: &str, rows: &[&str]) -> Table {
        let (condition, name) = name.split_once(' ').map_or((None, name), |(condition, name)| (Some(condition), name));
        let definition = cograd_results::table(name).unwrap();
        let own = definition.columns.iter().map(|column| (column.name, column.kind));
        let scope = condition.into_iter().chain(["run"]).map(|column| (column, Kind::Text));
        let columns: Vec<(&str, Kind)> = scope.chain(own).collect();
        let cells = |place: usize| {
            rows.iter().map(move |row| row.split(' ').nth(place).filter(|cell| *cell != "-")).collect::<Vec<_>>()
        };
        fn parsed<T: std::str::FromStr<Err: std::fmt::Debug>>(cells: Vec<Option<&str>>) -> Vec<Option<T>> {
            cells.into_iter().map(|cell| cell.map(|cell| cell.parse().unwrap())).collect()
        }
        let column = |(place, (name, kind)): (usize, (&str, Kind))| {
            let (cells, mut texts) = (cells(place), Vec::new());
            let column = match kind {
                Kind::Text => {
                    let code = |cell: &Option<&str>| cell.map_or(NO_TEXT, |text| code_of(&mut texts, text));
                    let codes = cells.iter().map(code).collect();
                    Column::Text { codes, texts }
                }
                Kind::Integer => Column::Integer(parsed(cells).into()),
                Kind::Count => Column::Count(parsed(cells).into()),
                Kind::Number => Column::Number(parsed(cells).into()),
                Kind::Boolean => Column::Flag(parsed(cells).into()),
            };
            (name.to_string(), column)
        };
        Table { columns: columns.into_iter().enumerate().map(column).collect(), rows: single(0..rows.len()) }
    }
}
