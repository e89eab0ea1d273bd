//! `examples.parquet`: which training examples were recorded, and whatever else is known of them.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, UInt32Array};
use arrow::datatypes::DataType;
use parquet::file::metadata::KeyValue;

use crate::TraceError;
use crate::schema::{self, Kind, Wanted, is_text, present, type_name};
use crate::table::{Column, Table, read_table, row_error, write_table};

/// Columns that say which examples were recorded; all others are free.
const KEYS: [&str; 3] = ["example_id", "sampled", "population"];

/// Columns that are known by their names.
const LABEL: &str = "label";
const ORIGINAL_LABEL: &str = "original_label";
const PRISTINE: &str = "pristine";
const LEARNED_STEP: &str = "learned_step";

/// Bytes of strings that are read from a file of any size, and for each byte of a larger one.
const SOME_TEXT: usize = 64 << 20;
const TEXT_PER_BYTE: usize = 64;

/// Which of the m training examples were recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examples {
    /// Whether the example's gradients were recorded, for examples 0 to m − 1.
    pub sampled: Vec<bool>,
    /// Whether it belongs to the population. `None`: all do.
    pub population: Option<Vec<bool>>,
}

impl Examples {
    /// Number of training examples, m.
    pub fn len(&self) -> usize {
        self.sampled.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sampled.is_empty()
    }

    /// The n sampled examples, ascending.
    pub fn sampled_ids(&self) -> Vec<u32> {
        ids(&self.sampled)
    }

    /// The examples of the population, ascending.
    pub fn population_ids(&self) -> Vec<u32> {
        match &self.population {
            Some(population) => ids(population),
            // `Manifest::check` keeps m within u32.
            None => (0..self.len() as u32).collect(),
        }
    }
}

fn ids(marked: &[bool]) -> Vec<u32> {
    (0..).zip(marked).filter(|(_, marked)| **marked).map(|(id, _)| id).collect()
}

/// A column of `examples.parquet`: a value for each of the m training examples, `None` where there is none.
#[derive(Clone, Debug, PartialEq)]
pub enum ExampleColumn {
    /// Integers of any width.
    Integers(Vec<Option<i64>>),
    /// Floating-point numbers of any width; NaN is `None`.
    Numbers(Vec<Option<f64>>),
    /// Strings, and dictionaries of strings.
    Texts(Vec<Option<String>>),
    /// Booleans.
    Booleans(Vec<Option<bool>>),
}

impl ExampleColumn {
    /// Number of values, m.
    pub fn len(&self) -> usize {
        match self {
            ExampleColumn::Integers(values) => values.len(),
            ExampleColumn::Numbers(values) => values.len(),
            ExampleColumn::Texts(values) => values.len(),
            ExampleColumn::Booleans(values) => values.len(),
        }
    }

    /// Whether it has no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn array(&self) -> ArrayRef {
        match self {
            ExampleColumn::Integers(values) => Arc::new(Int64Array::from(values.clone())),
            ExampleColumn::Numbers(values) => Arc::new(Float64Array::from(values.clone())),
            ExampleColumn::Texts(values) => Arc::new(StringArray::from_iter(values)),
            ExampleColumn::Booleans(values) => Arc::new(BooleanArray::from(values.clone())),
        }
    }

    /// Whether each value is the other column's; `None` where one is missing, or altogether if the two cannot be compared.
    fn equals(&self, other: &ExampleColumn) -> Option<Vec<Option<bool>>> {
        fn compare<T: PartialEq>(left: &[Option<T>], right: &[Option<T>]) -> Vec<Option<bool>> {
            left.iter().zip(right).map(|(left, right)| Some(left.as_ref()? == right.as_ref()?)).collect()
        }
        match (self, other) {
            (ExampleColumn::Integers(left), ExampleColumn::Integers(right)) => Some(compare(left, right)),
            (ExampleColumn::Numbers(left), ExampleColumn::Numbers(right)) => Some(compare(left, right)),
            (ExampleColumn::Texts(left), ExampleColumn::Texts(right)) => Some(compare(left, right)),
            (ExampleColumn::Booleans(left), ExampleColumn::Booleans(right)) => Some(compare(left, right)),
            _ => None,
        }
    }
}

/// Reads which examples were recorded: rows 0 to m − 1 in order.
pub(crate) fn read_examples(path: &Path) -> Result<Examples, TraceError> {
    let wanted = [
        Wanted::required(KEYS[0], Kind::Integer),
        Wanted::required(KEYS[1], Kind::Flag),
        Wanted::optional(KEYS[2], Kind::Flag),
    ];
    let mut examples = Examples { sampled: Vec::new(), population: None };
    read_table(path, &wanted, |table| {
        let ids = table.integers(KEYS[0])?;
        if let Some(row) = (0..table.rows()).find(|row| usize::try_from(ids.value(*row)) != Ok(table.first_row + row)) {
            let message = format!("is {}, but the rows must be the training set's, in order", ids.value(row));
            return Err(table.error(row, KEYS[0], message));
        }
        examples.sampled.extend(table.flags(KEYS[1])?.values());
        if table.array(KEYS[2]).is_some() {
            examples.population.get_or_insert_default().extend(table.flags(KEYS[2])?.values());
        }
        Ok(())
    })?;
    Ok(examples)
}

/// Names and types of the free columns that can be read, in the order of the file, and `pristine` where it is derived.
pub(crate) fn columns(path: &Path) -> Result<Vec<(String, String)>, TraceError> {
    let (_, metadata) = schema::open(path, &[])?;
    let fields = metadata.schema().fields().iter();
    let usable = fields.filter(|field| !KEYS.contains(&field.name().as_str()) && is_usable(field.data_type()));
    let mut columns: Vec<(String, String)> =
        usable.map(|field| (field.name().clone(), type_name(field.data_type()))).collect();
    let kind = |name: &str| present(metadata.schema(), name).map(|field| family(field.data_type()));
    let comparable =
        matches!((kind(LABEL), kind(ORIGINAL_LABEL)), (Some(Some(left)), Some(Some(right))) if left == right);
    if comparable && kind(PRISTINE).is_none() {
        columns.push((PRISTINE.to_string(), type_name(&DataType::Boolean)));
    }
    Ok(columns)
}

fn is_usable(kind: &DataType) -> bool {
    family(kind).is_some()
}

/// Which of the kinds of [`ExampleColumn`] a type becomes, if any.
fn family(kind: &DataType) -> Option<u8> {
    match kind {
        DataType::Boolean => Some(0),
        DataType::Dictionary(_, value) => family(value),
        _ if kind.is_integer() => Some(1),
        _ if kind.is_floating() => Some(2),
        _ if is_text(kind) => Some(3),
        _ => None,
    }
}

/// Reads one free column, and `pristine` from the labels where it is not there itself; `None` if there is no such column.
pub(crate) fn read_column(path: &Path, name: &str) -> Result<Option<ExampleColumn>, TraceError> {
    let column = if KEYS.contains(&name) { None } else { read_free(path, name)? };
    if name == PRISTINE {
        return with_labels(path, column);
    }
    Ok(column)
}

fn with_labels(path: &Path, pristine: Option<ExampleColumn>) -> Result<Option<ExampleColumn>, TraceError> {
    let types = columns(path)?;
    let has = |name: &str| types.iter().any(|(column, _)| column == name);
    if !has(LABEL) || !has(ORIGINAL_LABEL) {
        return Ok(pristine);
    }
    let derived = match (read_free(path, LABEL)?, read_free(path, ORIGINAL_LABEL)?) {
        (Some(label), Some(original)) => label.equals(&original),
        _ => None,
    };
    let (pristine, derived) = match (pristine, derived) {
        (pristine, None) => return Ok(pristine),
        (None, Some(derived)) => return Ok(Some(ExampleColumn::Booleans(derived))),
        (Some(pristine), Some(derived)) => (pristine, derived),
    };
    match check_pristine(&pristine, &derived) {
        Ok(()) => Ok(Some(pristine)),
        Err((row, message)) => Err(row_error(path, row, PRISTINE, message)),
    }
}

/// Checks that `pristine` is what the labels say wherever they say something.
fn check_pristine(pristine: &ExampleColumn, derived: &[Option<bool>]) -> Result<(), (usize, String)> {
    let ExampleColumn::Booleans(values) = pristine else { return Ok(()) };
    let differs = |(value, derived): (&Option<bool>, &Option<bool>)| derived.is_some() && value != derived;
    match values.iter().zip(derived).position(differs) {
        Some(row) => {
            let value = values[row].map_or("null".to_string(), |value| value.to_string());
            Err((row, format!("is {value}, but label and original_label say otherwise")))
        }
        None => Ok(()),
    }
}

fn read_free(path: &Path, name: &str) -> Result<Option<ExampleColumn>, TraceError> {
    let (_, metadata) = schema::open(path, &[])?;
    let Some(field) = present(metadata.schema(), name) else { return Ok(None) };
    let (mut column, kind) = match family(field.data_type()) {
        Some(0) => (ExampleColumn::Booleans(Vec::new()), Kind::Any),
        Some(1) => (ExampleColumn::Integers(Vec::new()), Kind::Any),
        Some(2) => (ExampleColumn::Numbers(Vec::new()), Kind::Any),
        Some(_) => (ExampleColumn::Texts(Vec::new()), Kind::Text),
        None => {
            return Err(TraceError::Column {
                path: path.to_path_buf(),
                column: name.to_string(),
                expected: "integers, floating-point numbers, strings or booleans".to_string(),
                found: format!("is {}", type_name(field.data_type())),
            });
        }
    };
    let file_bytes = path.metadata().map_err(TraceError::io("read", path))?.len();
    let mut text_left = (file_bytes as usize).saturating_mul(TEXT_PER_BYTE).max(SOME_TEXT);
    read_table(path, &[Wanted::optional(name, kind)], |table| extend(&mut column, &table, name, &mut text_left))?;
    Ok(Some(column))
}

fn extend(column: &mut ExampleColumn, table: &Table<'_>, name: &str, text_left: &mut usize) -> Result<(), TraceError> {
    match column {
        ExampleColumn::Booleans(values) => values.extend(&table.nullable_flags(name)?),
        ExampleColumn::Numbers(values) => {
            values.extend(table.nullable_numbers(name)?.iter().map(|value| value.filter(|value| !value.is_nan())));
        }
        ExampleColumn::Integers(values) => {
            let first = values.len();
            values.extend(&table.nullable_integers(name)?);
            let negative = |value: &Option<i64>| value.is_some_and(|value| value < 0);
            match values[first..].iter().position(negative) {
                Some(row) if name == LEARNED_STEP => {
                    return Err(table.error(row, name, "is negative; an example never learned has a null"));
                }
                _ => {}
            }
        }
        ExampleColumn::Texts(values) => {
            let texts = table.nullable_texts(name)?;
            let bytes = texts.value_data().len();
            *text_left = text_left.checked_sub(bytes).ok_or_else(|| {
                table.error(
                    0,
                    name,
                    "has strings too long, and too often the same, to be read: it is no column of groups",
                )
            })?;
            values.extend(texts.iter().map(|text| text.map(str::to_string)));
        }
    }
    Ok(())
}

/// What is wrong with columns to be written of m examples, if anything.
pub(crate) fn check_columns(columns: &[(&str, ExampleColumn)], m: usize) -> Result<(), String> {
    for (place, (name, column)) in columns.iter().enumerate() {
        if name.is_empty() || KEYS.contains(name) || columns[..place].iter().any(|(other, _)| other == name) {
            return Err(format!("examples have a column `{name}` already, or none can be named so"));
        }
        if column.len() != m {
            return Err(format!("column `{name}` of the examples has {} values, not {m}", column.len()));
        }
        if let (&LEARNED_STEP, ExampleColumn::Integers(values)) = (name, column)
            && let Some(row) = values.iter().position(|value| value.is_some_and(|value| value < 0))
        {
            return Err(format!("example {row}: {LEARNED_STEP} is negative; an example never learned has none"));
        }
    }
    let column = |name: &str| columns.iter().find(|(column, _)| *column == name).map(|(_, column)| column);
    match (column(PRISTINE), column(LABEL), column(ORIGINAL_LABEL)) {
        (Some(pristine), Some(label), Some(original)) => match label.equals(original) {
            Some(derived) => check_pristine(pristine, &derived)
                .map_err(|(row, message)| format!("example {row}: pristine {message}")),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

/// Writes `examples.parquet` to `sink`; `path` is for messages.
pub(crate) fn write_examples(
    sink: impl Write + Send,
    path: &Path,
    footer: KeyValue,
    examples: &Examples,
    free: &[(&str, ExampleColumn)],
) -> Result<(), TraceError> {
    let mut columns: Vec<Column<'_>> = vec![
        (KEYS[0], Arc::new(UInt32Array::from_iter_values(0..examples.len() as u32)), false),
        (KEYS[1], Arc::new(BooleanArray::from(examples.sampled.clone())), false),
    ];
    if let Some(population) = &examples.population {
        columns.push((KEYS[2], Arc::new(BooleanArray::from(population.clone())), false));
    }
    columns.extend(free.iter().map(|(name, column)| (*name, column.array(), true)));
    write_table(sink, path, footer, columns)
}
