//! A results table, read whole.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type, UInt64Type};
use bytes::Bytes;
use cograd_results::Kind;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// The tables by their names.
pub(crate) type Tables = BTreeMap<&'static str, Table>;

/// One cell of a table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cell<'a> {
    Null,
    Text(&'a str),
    Int(i128),
    Float(f64),
    Flag(bool),
}

enum Column {
    /// Places in `texts`.
    Text {
        codes: Vec<Option<u32>>,
        texts: Vec<String>,
    },
    Integer(Vec<Option<i64>>),
    Count(Vec<Option<u64>>),
    Number(Vec<Option<f64>>),
    Flag(Vec<Option<bool>>),
}

/// The rows of a Parquet file, column by column; none by default.
#[derive(Default)]
pub(crate) struct Table {
    columns: BTreeMap<String, Column>,
    rows: usize,
    by_run: HashMap<String, Vec<usize>>,
}

impl Table {
    /// Reads a table from the bytes of its file; it must have exactly `columns`, by name and type.
    pub(crate) fn read(bytes: Vec<u8>, columns: &[(String, Kind)]) -> Result<Table, String> {
        catch_unwind(AssertUnwindSafe(|| read(bytes, columns))).unwrap_or_else(|_| Err("it is no sound Parquet".into()))
    }

    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    fn index_runs(&mut self) {
        let mut by_run: HashMap<String, Vec<usize>> = HashMap::new();
        for row in (0..self.rows).filter(|_| self.columns.contains_key("run")) {
            let run = if let Cell::Text(run) = self.cell("run", row) { run } else { "" };
            match by_run.get_mut(run) {
                Some(places) => places.push(row),
                None => drop(by_run.insert(run.to_string(), vec![row])),
            }
        }
        self.by_run = by_run;
    }

    /// Places of the rows of `run`.
    pub(crate) fn rows_of(&self, run: &str) -> &[usize] {
        self.by_run.get(run).map_or(&[], Vec::as_slice)
    }

    /// The runs that rows are of; none of a table that is not of runs.
    pub(crate) fn runs(&self) -> impl Iterator<Item = &str> {
        self.by_run.keys().map(String::as_str)
    }

    /// One cell; null if there is no such column.
    pub(crate) fn cell(&self, column: &str, row: usize) -> Cell<'_> {
        fn of<'a, T: Copy>(values: &[Option<T>], row: usize, cell: impl Fn(T) -> Cell<'a>) -> Cell<'a> {
            values.get(row).copied().flatten().map_or(Cell::Null, cell)
        }
        match self.columns.get(column) {
            None => Cell::Null,
            Some(Column::Text { codes, texts }) => of(codes, row, |code| Cell::Text(&texts[code as usize])),
            Some(Column::Integer(values)) => of(values, row, |value| Cell::Int(value.into())),
            Some(Column::Count(values)) => of(values, row, |value| Cell::Int(value.into())),
            Some(Column::Number(values)) => of(values, row, Cell::Float),
            Some(Column::Flag(values)) => of(values, row, Cell::Flag),
        }
    }

    /// One number; `None` if it is null.
    pub(crate) fn number(&self, column: &str, row: usize) -> Option<f64> {
        match self.cell(column, row) {
            Cell::Float(value) => Some(value),
            _ => None,
        }
    }
}

fn read(bytes: Vec<u8>, expected: &[(String, Kind)]) -> Result<Table, String> {
    let damaged = |error: &dyn std::fmt::Display| format!("it is no sound Parquet: {error}");
    let builder = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes)).map_err(|error| damaged(&error))?;
    let found: Vec<(&str, &DataType)> =
        builder.schema().fields().iter().map(|field| (field.name().as_str(), field.data_type())).collect();
    check_columns(&found, expected)?;
    let mut table = Table {
        columns: expected.iter().map(|(name, kind)| (name.clone(), Column::empty(*kind))).collect(),
        ..Table::default()
    };
    for batch in builder.build().map_err(|error| damaged(&error))? {
        let batch = batch.map_err(|error| damaged(&error))?;
        for (name, column) in &mut table.columns {
            let array = batch.column_by_name(name).ok_or_else(|| format!("column `{name}` is missing"))?;
            column.extend(array);
        }
        table.rows += batch.num_rows();
    }
    table.index_runs();
    Ok(table)
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

impl Column {
    fn empty(kind: Kind) -> Column {
        match kind {
            Kind::Text => Column::Text { codes: Vec::new(), texts: Vec::new() },
            Kind::Integer => Column::Integer(Vec::new()),
            Kind::Count => Column::Count(Vec::new()),
            Kind::Number => Column::Number(Vec::new()),
            Kind::Boolean => Column::Flag(Vec::new()),
        }
    }

    /// Adds the values of an array of the column's type.
    fn extend(&mut self, array: &dyn Array) {
        match self {
            Column::Text { codes, texts } => {
                for text in array.as_string::<i32>() {
                    codes.push(text.map(|text| code_of(texts, text)));
                }
            }
            Column::Integer(values) => values.extend(array.as_primitive::<Int64Type>()),
            Column::Count(values) => values.extend(array.as_primitive::<UInt64Type>()),
            Column::Number(values) => values.extend(array.as_primitive::<Float64Type>()),
            Column::Flag(values) => values.extend(array.as_boolean()),
        }
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
        let mut table = Table { rows: rows.len(), ..Table::default() };
        for (place, (name, kind)) in columns.into_iter().enumerate() {
            let mut column = Column::empty(kind);
            for row in rows {
                let cell = row.split(' ').nth(place).filter(|cell| *cell != "-");
                match &mut column {
                    Column::Text { codes, texts } => codes.push(cell.map(|text| code_of(texts, text))),
                    Column::Integer(values) => values.push(cell.map(|cell| cell.parse().unwrap())),
                    Column::Count(values) => values.push(cell.map(|cell| cell.parse().unwrap())),
                    Column::Number(values) => values.push(cell.map(|cell| cell.parse().unwrap())),
                    Column::Flag(values) => values.push(cell.map(|cell| cell.parse().unwrap())),
                }
            }
            table.columns.insert(name.to_string(), column);
        }
        table.index_runs();
        table
    }
}
