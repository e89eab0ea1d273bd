//! A file of a person's own that names examples, and perhaps a group for each: Parquet or CSV.

use std::io::Cursor;
use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, new_empty_array};
use arrow::compute::{cast, concat};
use arrow::datatypes::DataType;
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::AnalysisError;

/// The rows of such a file, in its order.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct ExampleFile {
    pub(crate) example_ids: Vec<u32>,
    /// One an example; empty if the groups were not asked for.
    pub(crate) groups: Vec<String>,
}

const ID: &str = "example_id";
const GROUP: &str = "group";

/// Reads column `example_id`, and column `group` if it is asked for, of a run of so many `examples`. A file that
/// begins as Parquet does is Parquet; any other is CSV with the names of the columns in its first line.
///
/// # Errors
/// The file cannot be read, lacks a column, has more rows than there are examples, or an entry is missing or of another kind.
pub(crate) fn read(path: &Path, with_group: bool, examples: usize) -> Result<ExampleFile, AnalysisError> {
    let bytes =
        cograd_files::read_regular(path).map_err(|source| AnalysisError::Input { path: path.to_path_buf(), source })?;
    let rows = match bytes.starts_with(b"PAR1") {
        true => from_parquet(bytes, with_group, examples),
        false => from_csv(&bytes, with_group),
    };
    rows.map_err(|message| AnalysisError::ExampleFile { path: path.to_path_buf(), message })
}

fn from_parquet(bytes: Vec<u8>, with_group: bool, examples: usize) -> Result<ExampleFile, String> {
    // Only the two columns are read, and a panic of the reader on a damaged file is an error of the file.
    let read = std::panic::catch_unwind(move || read_columns(bytes, with_group, examples));
    let columns = read.unwrap_or_else(|_| Err("it is damaged".to_string()))?;
    let example_ids = texts(&columns[0], ID)?;
    let example_ids = example_ids.iter().enumerate().map(|(row, text)| id(text, || format!("row {row}")));
    let example_ids = example_ids.collect::<Result<_, _>>()?;
    let groups = if with_group { texts(&columns[1], GROUP)? } else { Vec::new() };
    Ok(ExampleFile { example_ids, groups })
}

/// The columns `example_id` and, if it is asked for, `group`.
fn read_columns(bytes: Vec<u8>, with_group: bool, examples: usize) -> Result<Vec<ArrayRef>, String> {
    let damaged = |error: String| format!("it is damaged: {error}");
    cograd_files::check_parquet_schema(Cursor::new(&bytes)).map_err(|error| damaged(error.to_string()))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes));
    let builder = builder.map_err(|error| damaged(error.to_string()))?;
    let schema = builder.schema().clone();
    let wanted = if with_group { vec![ID, GROUP] } else { vec![ID] };
    for name in &wanted {
        let names = || schema.fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>().join(", ");
        let field = schema.field_with_name(name);
        let kind = field.map_err(|_| format!("it has no column `{name}` (it has {})", names()))?.data_type();
        let kind = if let DataType::Dictionary(_, values) = kind { values } else { kind };
        match *name {
            ID if !kind.is_integer() => return Err(format!("column `{ID}` is {kind}, but must be whole numbers")),
            GROUP if !(kind.is_integer() || is_text(kind) || *kind == DataType::Boolean) => {
                return Err(format!("column `{GROUP}` is {kind}, but must be text or whole numbers"));
            }
            _ => {}
        }
    }
    let rows: i64 = builder.metadata().row_groups().iter().map(|group| group.num_rows()).sum();
    if rows > examples as i64 {
        return Err(format!("it has {rows} rows, but there are {examples} examples, each of which it may name once"));
    }
    let chunks = builder.metadata().row_groups().iter().flat_map(|group| group.columns());
    let mut read =
        chunks.filter(|chunk| chunk.column_path().parts().first().is_some_and(|name| wanted.contains(&name.as_str())));
    read.try_for_each(cograd_trace::check_compression)?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), wanted.iter().copied());
    let reader = builder.with_projection(mask).build().map_err(|error| damaged(error.to_string()))?;
    let batches = reader.collect::<Result<Vec<RecordBatch>, _>>().map_err(|error| damaged(error.to_string()))?;
    let column = |name: &&str| -> Result<ArrayRef, String> {
        let parts: Vec<ArrayRef> = batches.iter().filter_map(|batch| batch.column_by_name(name).cloned()).collect();
        let parts: Vec<ArrayRef> = parts
            .iter()
            .map(|part| cast(part, &DataType::Utf8))
            .collect::<Result<_, _>>()
            .map_err(|error| damaged(error.to_string()))?;
        let parts: Vec<&dyn Array> = parts.iter().map(|part| part.as_ref()).collect();
        if parts.is_empty() {
            Ok(new_empty_array(&DataType::Utf8))
        } else {
            concat(&parts).map_err(|error| damaged(error.to_string()))
        }
    };
    wanted.iter().map(column).collect()
}

fn is_text(kind: &DataType) -> bool {
    matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn texts(column: &ArrayRef, name: &str) -> Result<Vec<String>, String> {
    let texts = column.as_string::<i32>();
    let present = |row: usize| match texts.is_valid(row) {
        true => Ok(texts.value(row).to_string()),
        false => Err(format!("row {row}, column `{name}`: there is no value")),
    };
    (0..texts.len()).map(present).collect()
}

fn id(text: &str, place: impl Fn() -> String) -> Result<u32, String> {
    text.trim().parse().map_err(|_| format!("{}, column `{ID}`: `{text}` is no id of an example", place()))
}

fn from_csv(bytes: &[u8], with_group: bool) -> Result<ExampleFile, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is neither Parquet nor text in UTF-8".to_string())?;
    let mut records = csv_records(text.trim_start_matches('\u{feff}'))?.into_iter();
    let (_, names) = records.next().ok_or("it is empty: its first line must name the columns")?;
    let place = |name: &str| {
        let found = names.iter().position(|found| found.trim() == name);
        found.ok_or_else(|| format!("it has no column `{name}` (its first line has {})", names.join(", ")))
    };
    let (id_place, group_place) = (place(ID)?, if with_group { Some(place(GROUP)?) } else { None });
    let mut file = ExampleFile::default();
    for (line, record) in records {
        if record.len() != names.len() {
            return Err(format!("line {line} has {} fields where {} are due", record.len(), names.len()));
        }
        file.example_ids.push(id(&record[id_place], || format!("line {line}"))?);
        if let Some(place) = group_place {
            let group = record[place].trim();
            if group.is_empty() {
                return Err(format!("line {line}, column `{GROUP}`: there is no value"));
            }
            file.groups.push(group.to_string());
        }
    }
    Ok(file)
}

/// The records of a CSV text (RFC 4180), each with the number of its first line; blank lines are left out.
fn csv_records(text: &str) -> Result<Vec<(usize, Vec<String>)>, String> {
    let mut records = Vec::new();
    let (mut line, mut begun) = (1, 1);
    let (mut record, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        line += usize::from(character == '\n');
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' if quoted || field.is_empty() => quoted = !quoted,
            _ if quoted => field.push(character),
            ',' => record.push(std::mem::take(&mut field)),
            '\r' if characters.peek() == Some(&'\n') => {}
            '\n' => {
                end_record(&mut records, begun, &mut record, &mut field);
                begun = line;
            }
            _ => field.push(character),
        }
    }
    if quoted {
        return Err(format!("a quotation that begins in line {begun} has no end"));
    }
    end_record(&mut records, begun, &mut record, &mut field);
    Ok(records)
}

fn end_record(records: &mut Vec<(usize, Vec<String>)>, line: usize, record: &mut Vec<String>, field: &mut String) {
    record.push(std::mem::take(field));
    let record = std::mem::take(record);
    if record.len() > 1 || !record[0].trim().is_empty() {
        records.push((line, record));
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float64Array, Int64Array, StringArray, UInt32Array};
    use parquet::arrow::ArrowWriter;
    use std::fs;
    use std::sync::Arc;
    use tempfile::NamedTempFile;

    use super::*;

    fn read_bytes(bytes: &[u8], with_group: bool) -> Result<ExampleFile, AnalysisError> {
        let file = NamedTempFile::new().unwrap();
        fs::write(file.path(), bytes).unwrap();
        read(file.path(), with_group, 100)
    }

    fn message(bytes: &[u8]) -> String {
        match read_bytes(bytes, true).unwrap_err() {
            AnalysisError::ExampleFile { message, .. } => message,
            other => panic!("{other}"),
        }
    }

    fn parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
        let batch =
            RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)))
                .unwrap();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.into_inner().unwrap()
    }

    #[test]
    fn csv_is_read_whatever_its_line_ends_quotes_and_order_of_columns() {
        let expected =
            ExampleFile { example_ids: vec![3, 0], groups: vec!["a, \"b\"".to_string(), "two\nlines".to_string()] };
        for text in [
            "example_id,group\n3,\"a, \"\"b\"\"\"\n0,\"two\nlines\"\n",
            "\u{feff}group,other,example_id\r\n\"a, \"\"b\"\"\",,3\r\n\r\n\"two\nlines\",x,0",
        ] {
            assert_eq!(read_bytes(text.as_bytes(), true).unwrap(), expected, "{text}");
        }
        let ids = read_bytes(b"example_id\n7\n 8 \n", false).unwrap();
        assert_eq!((ids.example_ids, ids.groups.len()), (vec![7, 8], 0));
    }

    #[test]
    fn parquet_is_read_with_groups_of_text_or_of_whole_numbers() {
        let ids = (ID, Arc::new(Int64Array::from(vec![5, 2])) as ArrayRef);
        let text = parquet(vec![(GROUP, Arc::new(StringArray::from(vec!["easy", "hard"]))), ids.clone()]);
        assert_eq!(read_bytes(&text, true).unwrap().groups, ["easy", "hard"]);
        let numbers = parquet(vec![ids, (GROUP, Arc::new(UInt32Array::from(vec![10, 9])))]);
        let file = read_bytes(&numbers, true).unwrap();
        assert_eq!((file.example_ids, file.groups), (vec![5, 2], vec!["10".to_string(), "9".to_string()]));
    }

    #[test]
    fn a_compression_that_is_not_read_is_named() {
        use parquet::basic::{Compression, GzipLevel};
        use parquet::file::metadata::ColumnChunkMetaData;
        use parquet::schema::types::{ColumnDescriptor, ColumnPath, Type};

        let column = Type::primitive_type_builder("group", parquet::basic::Type::INT32).build().unwrap();
        let column = ColumnDescriptor::new(Arc::new(column), 0, 0, ColumnPath::from("group"));
        let chunk = ColumnChunkMetaData::builder(Arc::new(column));
        let chunk = chunk.set_compression(Compression::GZIP(GzipLevel::default())).build().unwrap();
        let message = cograd_trace::check_compression(&chunk).unwrap_err();
        assert!(message.contains("`group` is compressed with gzip; write it with zstd"), "{message}");
    }

    #[test]
    fn a_pipe_or_a_device_is_not_waited_for() {
        let error = read(Path::new("/dev/zero"), true, 1).unwrap_err().to_string();
        let why =
            std::error::Error::source(&read(Path::new("/dev/zero"), true, 1).unwrap_err()).map(ToString::to_string);
        assert!(error.contains("/dev/zero") && why.unwrap().contains("not a regular file"), "{error}");
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_with_its_place() {
        assert!(message(b"").contains("empty"));
        assert!(message(b"id,group\n1,a\n").contains("no column `example_id` (its first line has id, group)"));
        assert!(message(b"example_id,group\n1,a\n-2,b\n").contains("line 3, column `example_id`: `-2`"));
        assert!(message(b"example_id,group\n1,a\n2\n").contains("line 3 has 1 fields where 2 are due"));
        assert!(message(b"example_id,group\n1,\n").contains("line 2, column `group`: there is no value"));
        assert!(message(b"example_id,group\n1,\"a\n").contains("begins in line 2 has no end"));
        assert!(message(&[0xff, 0xfe, 0]).contains("neither Parquet nor text"));
        assert!(message(b"PAR1 and no more").contains("damaged"));
        let many = parquet(vec![
            (ID, Arc::new(UInt32Array::from_iter_values(0..101))),
            (GROUP, Arc::new(StringArray::from(vec!["a"; 101]))),
        ]);
        assert!(message(&many).contains("it has 101 rows, but there are 100 examples"));
        let missing = parquet(vec![
            (ID, Arc::new(UInt32Array::from(vec![Some(1), None]))),
            (GROUP, Arc::new(StringArray::from(vec!["a", "b"]))),
        ]);
        assert!(message(&missing).contains("row 1, column `example_id`: there is no value"));
        let fractions =
            parquet(vec![(ID, Arc::new(UInt32Array::from(vec![1]))), (GROUP, Arc::new(Float64Array::from(vec![0.5])))]);
        assert!(message(&fractions).contains("column `group` is Float64"));
        assert!(matches!(read(Path::new("nowhere.csv"), true, 1), Err(AnalysisError::Input { .. })));
    }
}
