//! The schemas of the Parquet files, and opening a file against one.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::Compression;
use parquet::file::metadata::ParquetMetaData;

use crate::TraceError;
use crate::population::value_columns;

/// Columns of `examples.parquet`.
pub(crate) fn examples() -> SchemaRef {
    let mut fields = required(&[
        ("example_id", DataType::UInt32),
        ("label", DataType::UInt8),
        ("original_label", DataType::UInt8),
        ("pristine", DataType::Boolean),
        ("sampled", DataType::Boolean),
    ]);
    fields.push(Field::new("learned_step", DataType::Int64, true));
    Arc::new(Schema::new(fields))
}

/// Columns of `coordinates.parquet`.
pub(crate) fn coordinates() -> SchemaRef {
    Arc::new(Schema::new(required(&[
        ("coordinate", DataType::UInt32),
        ("layer", DataType::UInt32),
        ("row", DataType::UInt32),
        ("column", DataType::UInt32),
    ])))
}

/// Columns of `metrics.parquet`.
pub(crate) fn metrics() -> SchemaRef {
    Arc::new(Schema::new(required(&[
        ("step", DataType::Int64),
        ("split", DataType::Utf8),
        ("subset", DataType::Utf8),
        ("examples", DataType::UInt32),
        ("loss", DataType::Float64),
        ("accuracy", DataType::Float64),
    ])))
}

/// Columns of `gradients/part-*.parquet` with `coordinates` (d) values a gradient.
pub(crate) fn gradients(coordinates: usize) -> SchemaRef {
    // `Manifest::check` and `RunDescription` keep d within i32.
    let width = i32::try_from(coordinates).unwrap_or(i32::MAX);
    let list = DataType::FixedSizeList(Arc::new(list_value()), width);
    Arc::new(Schema::new(required(&[("step", DataType::Int64), ("example_id", DataType::UInt32), ("gradient", list)])))
}

/// The elements of the lists `gradient` and `input`.
pub(crate) fn list_value() -> Field {
    Field::new("element", DataType::Float32, false)
}

/// Columns of `population/part-*.parquet` of a network of so many layers.
pub(crate) fn population(layers: usize) -> SchemaRef {
    let mut fields = required(&[("step", DataType::Int64), ("example_id", DataType::UInt32)]);
    fields.extend(value_columns(layers).into_iter().map(|name| Field::new(name, DataType::Float64, false)));
    Arc::new(Schema::new(fields))
}

/// Columns of `population/gradient-norms.parquet`.
pub(crate) fn gradient_norms() -> SchemaRef {
    Arc::new(Schema::new(required(&[
        ("step", DataType::Int64),
        ("layer", DataType::UInt32),
        ("gradient_norm_sq", DataType::Float64),
    ])))
}

/// Columns of `inputs.parquet` of a network of `width` inputs.
pub(crate) fn inputs(width: usize) -> SchemaRef {
    let width = i32::try_from(width).unwrap_or(i32::MAX);
    let list = DataType::FixedSizeList(Arc::new(list_value()), width);
    Arc::new(Schema::new(required(&[("example_id", DataType::UInt32), ("input", list)])))
}

fn required(columns: &[(&str, DataType)]) -> Vec<Field> {
    columns.iter().map(|(name, kind)| Field::new(*name, kind.clone(), false)).collect()
}

/// Reads the footer of the Parquet file at `path` and checks that it has the columns of `schema`, in any order,
/// among any others, and that each is compressed in a way that this crate reads.
pub(crate) fn open(path: &Path, schema: &Schema) -> Result<(File, ArrowReaderMetadata), TraceError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(TraceError::MissingFile { path: path.to_path_buf() });
        }
        Err(error) => return Err(TraceError::io("open", path)(error)),
    };
    let metadata = guarded(path, || {
        ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).map_err(TraceError::parquet("read", path))
    })?;
    for field in schema.fields() {
        check_column(path, field, metadata.schema())?;
    }
    check_compression(path, metadata.metadata())?;
    Ok((file, metadata))
}

fn check_column(path: &Path, expected: &Field, found: &Schema) -> Result<(), TraceError> {
    let error = |found| TraceError::Column {
        path: path.to_path_buf(),
        column: expected.name().clone(),
        expected: type_name(expected.data_type()),
        found,
    };
    match found.field_with_name(expected.name()) {
        Ok(field) if accepts(expected.data_type(), field.data_type()) => Ok(()),
        Ok(field) => Err(error(format!("is {}", type_name(field.data_type())))),
        Err(_) => {
            let names: Vec<&str> = found.fields().iter().map(|field| field.name().as_str()).collect();
            Err(error(format!("is missing (the file has {})", names.join(", "))))
        }
    }
}

/// Whether a column of type `found` can be read as `expected`.
fn accepts(expected: &DataType, found: &DataType) -> bool {
    match (expected, found) {
        (DataType::FixedSizeList(_, width), DataType::FixedSizeList(value, found)) => {
            width == found && value.data_type() == &DataType::Float32
        }
        // Lists of any length have the same bytes in Parquet: their lengths are checked as they are read.
        (DataType::FixedSizeList(..), DataType::List(value) | DataType::LargeList(value)) => {
            value.data_type() == &DataType::Float32
        }
        (DataType::Utf8, DataType::LargeUtf8 | DataType::Utf8View) => true,
        (DataType::Utf8, DataType::Dictionary(_, value)) => accepts(expected, value),
        _ => expected == found,
    }
}

fn check_compression(path: &Path, metadata: &ParquetMetaData) -> Result<(), TraceError> {
    let columns = metadata.row_groups().iter().flat_map(|group| group.columns());
    for column in columns {
        match column.compression() {
            Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::ZSTD(_) => {}
            other => {
                let message = format!(
                    "column `{}` is compressed with {other}; write it with zstd, snappy or no compression",
                    column.column_path()
                );
                return Err(TraceError::contents(path, message));
            }
        }
    }
    Ok(())
}

/// Runs a decoder on bytes whose hash has perhaps not been checked: should it panic on them, that is an error.
pub(crate) fn guarded<T>(path: &Path, decode: impl FnOnce() -> Result<T, TraceError>) -> Result<T, TraceError> {
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|_| {
        let message = "the decoder gave up on it; it is damaged: restore it from a copy or record the run again";
        Err(TraceError::Parquet { path: path.to_path_buf(), message: message.to_string() })
    })
}

/// Names and types of the columns of the Parquet file at `path`, in its order.
pub(crate) fn columns(path: &Path) -> Result<Vec<(String, String)>, TraceError> {
    let (_, metadata) = open(path, &Schema::empty())?;
    let fields = metadata.schema().fields();
    Ok(fields.iter().map(|field| (field.name().clone(), type_name(field.data_type()))).collect())
}

/// The type as `docs/trace-format.md` writes it.
fn type_name(kind: &DataType) -> String {
    match kind {
        DataType::FixedSizeList(value, width) => format!("list<{}>[{width}]", type_name(value.data_type())),
        DataType::List(value) | DataType::LargeList(value) => format!("list<{}>", type_name(value.data_type())),
        DataType::Int64 => "i64".to_string(),
        DataType::Int32 => "i32".to_string(),
        DataType::UInt32 => "u32".to_string(),
        DataType::UInt8 => "u8".to_string(),
        DataType::Float32 => "f32".to_string(),
        DataType::Float64 => "f64".to_string(),
        DataType::Boolean => "bool".to_string(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "string".to_string(),
        other => other.to_string(),
    }
}
