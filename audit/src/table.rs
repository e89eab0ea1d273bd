//! A results table, read whole.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// Type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    I64,
    U32,
    F64,
    Flag,
    Text,
}

impl Kind {
    fn of(kind: &DataType) -> Option<Kind> {
        match kind {
            DataType::Int64 => Some(Kind::I64),
            DataType::UInt32 => Some(Kind::U32),
            DataType::Float64 => Some(Kind::F64),
            DataType::Boolean => Some(Kind::Flag),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(Kind::Text),
            DataType::Dictionary(_, value) => Kind::of(value),
            _ => None,
        }
    }
}

/// One cell of a table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cell<'a> {
    Null,
    Text(&'a str),
    Int(i64),
    Float(f64),
    Flag(bool),
}

enum Column {
    /// Places in `texts`.
    Text {
        codes: Vec<Option<u32>>,
        texts: Vec<String>,
    },
    Int(Vec<Option<i64>>),
    Float(Vec<Option<f64>>),
    Flag(Vec<Option<bool>>),
}

/// The rows of a Parquet file, column by column.
pub(crate) struct Table {
    columns: BTreeMap<String, Column>,
    rows: usize,
    by_run: HashMap<String, Vec<usize>>,
}

impl Table {
    /// Reads the table at `path`, which must have exactly `columns`, by name and type.
    pub(crate) fn read(path: &Path, columns: &[(&str, Kind)]) -> Result<Table, String> {
        catch_unwind(AssertUnwindSafe(|| read(path, columns))).unwrap_or_else(|_| Err("it is no sound Parquet".into()))
    }

    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Places of the rows of `run`; of all rows if the table has no column of runs.
    pub(crate) fn rows_of(&self, run: &str) -> &[usize] {
        self.by_run.get(run).map_or(&[], Vec::as_slice)
    }

    /// The runs that rows are of.
    pub(crate) fn runs(&self) -> impl Iterator<Item = &str> {
        self.by_run.keys().map(String::as_str)
    }

    /// One cell; null if there is no such column.
    pub(crate) fn cell(&self, column: &str, row: usize) -> Cell<'_> {
        match self.columns.get(column) {
            None => Cell::Null,
            Some(Column::Text { codes, texts }) => match codes.get(row).copied().flatten() {
                Some(code) => texts.get(code as usize).map_or(Cell::Null, |text| Cell::Text(text)),
                None => Cell::Null,
            },
            Some(Column::Int(values)) => values.get(row).copied().flatten().map_or(Cell::Null, Cell::Int),
            Some(Column::Float(values)) => values.get(row).copied().flatten().map_or(Cell::Null, Cell::Float),
            Some(Column::Flag(values)) => values.get(row).copied().flatten().map_or(Cell::Null, Cell::Flag),
        }
    }
}

fn read(path: &Path, expected: &[(&str, Kind)]) -> Result<Table, String> {
    let file = File::open(path).map_err(|error| format!("it cannot be read: {error}"))?;
    let damaged = |error: &dyn std::fmt::Display| format!("it is no sound Parquet: {error}");
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| damaged(&error))?;
    let found: Vec<(String, Option<Kind>)> =
        builder.schema().fields().iter().map(|field| (field.name().clone(), Kind::of(field.data_type()))).collect();
    check_columns(&found, expected)?;
    let mut columns: BTreeMap<String, Column> =
        expected.iter().map(|(name, kind)| (name.to_string(), Column::empty(*kind))).collect();
    let mut rows = 0;
    for batch in builder.build().map_err(|error| damaged(&error))? {
        let batch = batch.map_err(|error| damaged(&error))?;
        for (name, column) in &mut columns {
            let array = batch.column_by_name(name).ok_or_else(|| format!("column `{name}` is missing"))?;
            column.extend(array).map_err(|error| damaged(&error))?;
        }
        rows += batch.num_rows();
    }
    let mut table = Table { columns, rows, by_run: HashMap::new() };
    let mut by_run: HashMap<String, Vec<usize>> = HashMap::new();
    for row in 0..rows {
        match table.cell("run", row) {
            Cell::Text(run) => match by_run.get_mut(run) {
                Some(places) => places.push(row),
                None => drop(by_run.insert(run.to_string(), vec![row])),
            },
            _ => by_run.entry(String::new()).or_default().push(row),
        }
    }
    table.by_run = by_run;
    Ok(table)
}

fn check_columns(found: &[(String, Option<Kind>)], expected: &[(&str, Kind)]) -> Result<(), String> {
    for (name, kind) in expected {
        match found.iter().find(|(found, _)| found == name) {
            None => return Err(format!("column `{name}` is missing")),
            Some((_, found)) if *found != Some(*kind) => return Err(format!("column `{name}` has another type")),
            Some(_) => {}
        }
    }
    match found.iter().find(|(found, _)| !expected.iter().any(|(name, _)| name == found)) {
        Some((name, _)) => Err(format!("column `{name}` belongs to nothing")),
        None if found.len() != expected.len() => Err("a column is there twice".to_string()),
        None => Ok(()),
    }
}

impl Column {
    fn empty(kind: Kind) -> Column {
        match kind {
            Kind::Text => Column::Text { codes: Vec::new(), texts: Vec::new() },
            Kind::I64 | Kind::U32 => Column::Int(Vec::new()),
            Kind::F64 => Column::Float(Vec::new()),
            Kind::Flag => Column::Flag(Vec::new()),
        }
    }

    fn extend(&mut self, array: &dyn Array) -> Result<(), arrow::error::ArrowError> {
        match self {
            Column::Text { codes, texts } => {
                let plain = cast(array, &DataType::Utf8)?;
                for text in plain.as_string::<i32>() {
                    codes.push(text.map(|text| code_of(texts, text)));
                }
            }
            Column::Int(values) => values.extend(cast(array, &DataType::Int64)?.as_primitive::<Int64Type>()),
            Column::Float(values) => values.extend(cast(array, &DataType::Float64)?.as_primitive::<Float64Type>()),
            Column::Flag(values) => values.extend(array.as_boolean()),
        }
        Ok(())
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
