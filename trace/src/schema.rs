//! What columns a Parquet file must have, and opening a file against them.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::basic::Compression;
use parquet::column::page::PageReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::serialized_reader::SerializedPageReader;

use crate::TraceError;

/// Values that a column chunk of any size may hold.
const FEW_VALUES: u64 = 16 << 20;

/// Values that a byte of a larger column chunk may stand for: more than any encoding makes of a training run.
const MOST_VALUES_PER_BYTE: u64 = 1 << 14;

/// What a column must be.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// i64, in part files.
    Step,
    /// u32, in part files.
    ExampleId,
    /// f64.
    Double,
    /// Lists of so many f64.
    Doubles(usize),
    /// Lists of so many f32 or f16.
    Floats(usize),
    /// Integers of any width.
    Integer,
    /// Numbers of any type.
    Number,
    /// Strings, however they are stored.
    Text,
    /// bool.
    Flag,
    /// Lists of 64-bit integers.
    Sizes,
    /// Any at all.
    Any,
}

/// A column that a file must have.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub name: String,
    pub kind: Kind,
    /// Whether the column may be missing, and its values null.
    pub optional: bool,
}

impl Wanted {
    pub fn required(name: &str, kind: Kind) -> Wanted {
        Wanted { name: name.to_string(), kind, optional: false }
    }

    pub fn optional(name: &str, kind: Kind) -> Wanted {
        Wanted { name: name.to_string(), kind, optional: true }
    }
}

impl Kind {
    fn accepts(&self, found: &DataType) -> bool {
        match (self, found) {
            (Kind::Step, DataType::Int64) | (Kind::ExampleId, DataType::UInt32) => true,
            (Kind::Double, DataType::Float64) | (Kind::Flag, DataType::Boolean) => true,
            (Kind::Doubles(width), _) => is_list(found, *width, &[DataType::Float64]),
            (Kind::Floats(width), _) => is_list(found, *width, &[DataType::Float32, DataType::Float16]),
            (Kind::Integer, _) => found.is_integer(),
            (Kind::Number, _) => found.is_integer() || found.is_floating(),
            (Kind::Text, _) => is_text(found),
            (Kind::Sizes, DataType::List(value) | DataType::LargeList(value) | DataType::FixedSizeList(value, _)) => {
                matches!(value.data_type(), DataType::Int64 | DataType::UInt64)
            }
            (Kind::Any, _) => true,
            _ => false,
        }
    }

    /// As `docs/trace-format.md` writes it.
    fn describe(&self) -> String {
        match self {
            Kind::Step => "i64".to_string(),
            Kind::ExampleId => "u32".to_string(),
            Kind::Double => "f64".to_string(),
            Kind::Doubles(width) => format!("list<f64>[{width}]"),
            Kind::Floats(width) => format!("list<f32>[{width}] or list<f16>[{width}]"),
            Kind::Integer => "integers".to_string(),
            Kind::Number => "numbers".to_string(),
            Kind::Text => "string".to_string(),
            Kind::Flag => "bool".to_string(),
            Kind::Sizes => "list<u64>".to_string(),
            Kind::Any => "anything".to_string(),
        }
    }
}

/// Whether `found` is a column of lists of `width` such values.
fn is_list(found: &DataType, width: usize, values: &[DataType]) -> bool {
    match found {
        DataType::FixedSizeList(value, found) => {
            usize::try_from(*found) == Ok(width) && values.contains(value.data_type())
        }
        // Lists of any length have the same bytes in Parquet: their lengths are checked as they are read.
        DataType::List(value) | DataType::LargeList(value) => values.contains(value.data_type()),
        _ => false,
    }
}

/// Whether `found` is a column of strings.
pub(crate) fn is_text(found: &DataType) -> bool {
    match found {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, value) => is_text(value),
        _ => false,
    }
}

/// The type of the values of fixed-size lists.
pub(crate) fn list_value(kind: DataType) -> Arc<Field> {
    Arc::new(Field::new("element", kind, false))
}

/// Reads the footer of the Parquet file at `path` and checks that it has the wanted columns, in any order, among any
/// others, and that each is compressed in a way that this crate reads and no larger than the file can be.
pub(crate) fn open(path: &Path, wanted: &[Wanted]) -> Result<(File, ArrowReaderMetadata), TraceError> {
    let file = match cograd_files::open_regular(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(TraceError::MissingFile { path: path.to_path_buf() });
        }
        Err(error) => return Err(TraceError::io("open", path)(error)),
    };
    cograd_files::check_parquet_schema(&file).map_err(TraceError::io("read", path))?;
    let metadata = guarded(path, || {
        ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).map_err(TraceError::parquet("read", path))
    })?;
    wanted.iter().try_for_each(|column| check_column(path, column, metadata.schema()))?;
    let bytes = file.metadata().map_err(TraceError::io("read", path))?.len();
    let shared = Arc::new(file.try_clone().map_err(TraceError::io("open", path))?);
    let descriptor = metadata.parquet_schema();
    for leaf in 0..descriptor.num_columns() {
        let name = descriptor.get_column_root(leaf).name();
        if wanted.iter().any(|column| column.name == name) {
            for group in metadata.metadata().row_groups() {
                let rows = usize::try_from(group.num_rows()).unwrap_or(0);
                guarded(path, || check_chunk(path, &shared, bytes, group.column(leaf), rows))?;
            }
        }
    }
    Ok((file, metadata))
}

/// The field of a column, if there is one: a column of Arrow's type of nulls, which other writers give one of nulls only, is none.
pub(crate) fn present<'a>(schema: &'a Schema, name: &str) -> Option<&'a Field> {
    schema.field_with_name(name).ok().filter(|field| *field.data_type() != DataType::Null)
}

fn check_column(path: &Path, wanted: &Wanted, found: &Schema) -> Result<(), TraceError> {
    let error = |found| TraceError::Column {
        path: path.to_path_buf(),
        column: wanted.name.clone(),
        expected: wanted.kind.describe(),
        found,
    };
    match found.field_with_name(&wanted.name) {
        Ok(field) if wanted.kind.accepts(field.data_type()) => Ok(()),
        Ok(_) if wanted.optional && present(found, &wanted.name).is_none() => Ok(()),
        Ok(field) => Err(error(format!("is {}", type_name(field.data_type())))),
        Err(_) if wanted.optional => Ok(()),
        Err(_) => {
            let names: Vec<&str> = found.fields().iter().map(|field| field.name().as_str()).collect();
            Err(error(format!("is missing (the file has {})", names.join(", "))))
        }
    }
}

/// Checks that cograd reads the compression of a column chunk, of any Parquet file.
///
/// # Errors
/// It does not. The message says what to write instead.
pub fn check_compression(chunk: &ColumnChunkMetaData) -> Result<(), String> {
    match chunk.compression() {
        Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::ZSTD(_) => Ok(()),
        other => {
            // Without its level.
            let name = other.to_string().split('(').next().unwrap_or_default().to_lowercase();
            let column = chunk.column_path().string();
            Err(format!("column `{column}` is compressed with {name}; write it with zstd, snappy or no compression"))
        }
    }
}

/// Checks the compression of a column chunk, and that its pages hold no more values than it claims, nor it more than its
/// bytes can stand for: what is allocated for them is in proportion to the file.
fn check_chunk(
    path: &Path,
    file: &Arc<File>,
    file_bytes: u64,
    chunk: &ColumnChunkMetaData,
    rows: usize,
) -> Result<(), TraceError> {
    let (column, error) = (chunk.column_path(), || TraceError::parquet("read", path));
    check_compression(chunk).map_err(|message| TraceError::contents(path, message))?;
    let bytes = u64::try_from(chunk.compressed_size()).unwrap_or(0).min(file_bytes);
    let claimed = u64::try_from(chunk.num_values()).unwrap_or(u64::MAX).max(rows as u64);
    if claimed > FEW_VALUES.max(bytes.saturating_mul(MOST_VALUES_PER_BYTE)) {
        let message = format!("column `{column}` claims {claimed} values in {bytes} bytes: it is damaged");
        return Err(TraceError::contents(path, message));
    }
    let mut pages = SerializedPageReader::new(file.clone(), chunk, rows, None).map_err(error())?;
    let mut held = 0_u64;
    while let Some(page) = pages.peek_next_page().map_err(error())? {
        held = held.saturating_add(page.num_levels.unwrap_or(0) as u64);
        if held > claimed {
            return Err(error()(ParquetError::General(format!(
                "column `{column}` has more values than its footer says"
            ))));
        }
        pages.skip_next_page().map_err(error())?;
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
    let (_, metadata) = open(path, &[])?;
    let fields = metadata.schema().fields();
    Ok(fields.iter().map(|field| (field.name().clone(), type_name(field.data_type()))).collect())
}

/// The type as `docs/trace-format.md` writes it.
pub(crate) fn type_name(kind: &DataType) -> String {
    match kind {
        DataType::FixedSizeList(value, width) => format!("list<{}>[{width}]", type_name(value.data_type())),
        DataType::List(value) | DataType::LargeList(value) => format!("list<{}>", type_name(value.data_type())),
        DataType::Dictionary(_, value) => format!("dictionary<{}>", type_name(value)),
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => kind.to_string().replace("Int", "i"),
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => {
            kind.to_string().replace("UInt", "u")
        }
        DataType::Float16 | DataType::Float32 | DataType::Float64 => kind.to_string().replace("Float", "f"),
        DataType::Boolean => "bool".to_string(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "string".to_string(),
        other => other.to_string(),
    }
}
