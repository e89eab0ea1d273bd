//! Small tables: reading their rows column by column, and writing them.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, ListArray, RecordBatch, StringArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema};
use parquet::arrow::ArrowWriter;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use crate::schema::{self, Kind, Wanted, present};
use crate::{FORMAT_VERSION, TraceError};

/// Rows decoded at a time.
const ROWS: usize = 1024;

/// Rows decoded at a time where there are strings: each may be as large as a page.
const ROWS_OF_TEXT: usize = 64;

/// Bytes of a name of a parameter, layer, split, group or metric.
pub(crate) const LONGEST_NAME: usize = 1000;

/// Some consecutive rows of a file, with its name for messages. Its columns are the wanted ones.
pub(crate) struct Table<'a> {
    pub path: &'a Path,
    batch: &'a RecordBatch,
    /// Row of the file that the first of them is.
    pub first_row: usize,
}

impl Table<'_> {
    pub fn rows(&self) -> usize {
        self.batch.num_rows()
    }

    pub fn error(&self, row: usize, column: &str, message: impl Into<String>) -> TraceError {
        row_error(self.path, self.first_row + row, column, message)
    }

    /// The column, if the file has it.
    pub fn array(&self, name: &str) -> Option<&ArrayRef> {
        self.batch.column_by_name(name)
    }

    /// The column as `kind`; a value that does not fit is an error.
    fn converted(&self, name: &str, kind: &DataType) -> Result<ArrayRef, TraceError> {
        let array = self.array(name).ok_or_else(|| self.error(0, name, "is missing"))?;
        let converted = cast(array, kind).map_err(|error| self.error(0, name, error.to_string()))?;
        match (0..self.rows()).find(|row| converted.is_null(*row) && !array.is_null(*row)) {
            Some(row) => Err(self.error(row, name, "is no 64-bit signed integer")),
            None => Ok(converted),
        }
    }

    fn without_nulls(&self, name: &str, array: &dyn Array) -> Result<(), TraceError> {
        match (0..array.len()).find(|row| array.is_null(*row)) {
            Some(row) => Err(self.error(row, name, "is null, but must have a value")),
            None => Ok(()),
        }
    }

    /// A column of integers of any width, which may have nulls.
    pub fn nullable_integers(&self, name: &str) -> Result<Int64Array, TraceError> {
        Ok(self.converted(name, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
    }

    /// A column of integers of any width.
    pub fn integers(&self, name: &str) -> Result<Int64Array, TraceError> {
        let array = self.nullable_integers(name)?;
        self.without_nulls(name, &array)?;
        Ok(array)
    }

    /// A column of numbers of any type, which may have nulls.
    pub fn nullable_numbers(&self, name: &str) -> Result<Float64Array, TraceError> {
        Ok(self.converted(name, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
    }

    /// A column of numbers of any type.
    pub fn numbers(&self, name: &str) -> Result<Float64Array, TraceError> {
        let array = self.nullable_numbers(name)?;
        self.without_nulls(name, &array)?;
        Ok(array)
    }

    /// A column of booleans, which may have nulls.
    pub fn nullable_flags(&self, name: &str) -> Result<BooleanArray, TraceError> {
        Ok(self.converted(name, &DataType::Boolean)?.as_boolean().clone())
    }

    /// A column of booleans.
    pub fn flags(&self, name: &str) -> Result<BooleanArray, TraceError> {
        let array = self.nullable_flags(name)?;
        self.without_nulls(name, &array)?;
        Ok(array)
    }

    /// A column of strings, however it is stored, which may have nulls.
    pub fn nullable_texts(&self, name: &str) -> Result<StringArray, TraceError> {
        Ok(self.converted(name, &DataType::Utf8)?.as_string::<i32>().clone())
    }

    /// A column of names: strings, however they are stored, neither empty nor endless.
    pub fn names(&self, name: &str) -> Result<StringArray, TraceError> {
        let array = self.nullable_texts(name)?;
        self.without_nulls(name, &array)?;
        let wrong = |text: Option<&str>| text.is_some_and(|text| text.is_empty() || text.len() > LONGEST_NAME);
        match array.iter().position(wrong) {
            Some(row) => Err(self.error(row, name, format!("must have 1 to {LONGEST_NAME} bytes"))),
            None => Ok(array),
        }
    }

    /// A column of lists of 64-bit integers, none of them negative.
    pub fn sizes(&self, name: &str) -> Result<Vec<Vec<u64>>, TraceError> {
        let kind = DataType::List(Arc::new(Field::new("item", DataType::Int64, true)));
        let converted = self.converted(name, &kind)?;
        let lists: &ListArray = converted.as_list();
        self.without_nulls(name, lists)?;
        let list = |row: usize| {
            let values = lists.value(row);
            let sizes = values.as_primitive::<Int64Type>().iter().map(|size| u64::try_from(size?).ok());
            let sizes: Option<Vec<u64>> = sizes.collect();
            sizes.ok_or_else(|| self.error(row, name, "has a null or a negative size in it"))
        };
        (0..self.rows()).map(list).collect()
    }
}

pub(crate) fn row_error(path: &Path, row: usize, column: &str, message: impl Into<String>) -> TraceError {
    TraceError::Row { path: path.to_path_buf(), row, column: column.to_string(), message: message.into() }
}

/// Reads the wanted columns of the Parquet file at `path`, and no other, some rows at a time.
pub(crate) fn read_table(
    path: &Path,
    wanted: &[Wanted],
    mut take: impl FnMut(Table<'_>) -> Result<(), TraceError>,
) -> Result<(), TraceError> {
    let (file, metadata): (File, ArrowReaderMetadata) = schema::open(path, wanted)?;
    let texts = wanted.iter().any(|column| matches!(column.kind, Kind::Text));
    schema::guarded(path, || {
        let names = wanted.iter().map(|column| column.name.as_str());
        let roots = metadata.schema().fields().iter().map(|field| field.name().as_str());
        let is_wanted =
            |root: &str| names.clone().any(|name| name == root) && present(metadata.schema(), root).is_some();
        let roots = roots.enumerate().filter(|(_, root)| is_wanted(root));
        let mask = ProjectionMask::roots(metadata.parquet_schema(), roots.map(|(root, _)| root));
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
            .with_projection(mask)
            .with_batch_size(if texts { ROWS_OF_TEXT } else { ROWS })
            .build()
            .map_err(TraceError::parquet("read", path))?;
        let mut first_row = 0;
        for batch in reader {
            let batch = batch.map_err(|error| TraceError::parquet("read", path)(error.into()))?;
            take(Table { path, batch: &batch, first_row })?;
            first_row += batch.num_rows();
        }
        Ok(())
    })
}

/// The key of the footer of every Parquet file, and what the file says of itself: format version, run and table.
pub(crate) fn footer(run: &str, table: &str) -> KeyValue {
    let value = serde_json::json!({ "format_version": FORMAT_VERSION, "run": run, "table": table });
    KeyValue::new("cograd".to_string(), value.to_string())
}

/// A column to write: its name, its values and whether it is declared nullable.
pub(crate) type Column<'a> = (&'a str, ArrayRef, bool);

/// Writes columns of one length with `properties` to `sink`; `path` is for messages.
pub(crate) fn write_batch(
    sink: impl Write + Send,
    path: &Path,
    properties: WriterProperties,
    columns: Vec<Column<'_>>,
) -> Result<(), TraceError> {
    let error = || TraceError::parquet("write", path);
    let field = |(name, array, nullable): &Column<'_>| Field::new(*name, array.data_type().clone(), *nullable);
    let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
    let arrays = columns.into_iter().map(|(_, array, _)| array).collect();
    let batch = RecordBatch::try_new(schema.clone(), arrays).map_err(|source| error()(source.into()))?;
    let mut writer = ArrowWriter::try_new(sink, schema, Some(properties)).map_err(error())?;
    writer.write(&batch).map_err(error())?;
    // Not `into_inner`, which hides the operating system's errors.
    writer.finish().map(|_| ()).map_err(error())
}

/// Writes a small table to `sink`; `path` is for messages.
pub(crate) fn write_table(
    sink: impl Write + Send,
    path: &Path,
    footer: KeyValue,
    columns: Vec<Column<'_>>,
) -> Result<(), TraceError> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_key_value_metadata(Some(vec![footer]));
    write_batch(sink, path, properties.build(), columns)
}
