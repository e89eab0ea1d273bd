//! A file that names examples, and perhaps a group for each: Parquet, or CSV with the names of the columns in its first line.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// Reads column `example_id` and one more, if one is asked for: one pair a row.
pub(crate) fn read(path: &Path, second: Option<&str>) -> Result<Vec<(usize, String)>, String> {
    let text = cograd_files::read_regular(path).map_err(|error| match path.to_string_lossy().contains('\u{fffd}') {
        true => format!(
            "the summary could not hold its name, `{}`, which is not UTF-8: rename it, and analyse again",
            path.display()
        ),
        false => format!("{} cannot be read: {error}", path.display()),
    })?;
    let rows = match text.starts_with(b"PAR1") {
        true => catch_unwind(AssertUnwindSafe(|| from_parquet(path, second))).unwrap_or(None),
        false => String::from_utf8(text).ok().and_then(|text| from_csv(&text, second)),
    };
    rows.ok_or_else(|| format!("{} has not the columns that were asked for", path.display()))
}

fn from_parquet(path: &Path, second: Option<&str>) -> Option<Vec<(usize, String)>> {
    let file = cograd_files::open_regular(path).ok()?;
    cograd_files::check_parquet_schema(&file).ok()?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).ok()?.build().ok()?;
    let mut rows = Vec::new();
    for batch in reader {
        let batch = batch.ok()?;
        let ids = texts(&batch, "example_id")?;
        let seconds = match second {
            Some(name) => texts(&batch, name)?,
            None => vec![String::new(); ids.len()],
        };
        for (id, second) in ids.into_iter().zip(seconds) {
            rows.push((id.parse().ok()?, second));
        }
    }
    Some(rows)
}

/// A column as texts; `None` if it is not there or a value is missing.
fn texts(batch: &RecordBatch, name: &str) -> Option<Vec<String>> {
    let column = cast(batch.column_by_name(name)?, &DataType::Utf8).ok()?;
    let column = column.as_string_opt::<i32>()?;
    (0..column.len()).map(|row| column.is_valid(row).then(|| column.value(row).to_string())).collect()
}

fn from_csv(text: &str, second: Option<&str>) -> Option<Vec<(usize, String)>> {
    let mut records = records(text.trim_start_matches('\u{feff}')).into_iter();
    let names = records.next()?;
    let place = |name: &str| names.iter().position(|found| found.trim() == name);
    let id = place("example_id")?;
    let second = match second {
        Some(name) => Some(place(name)?),
        None => None,
    };
    let row = |record: Vec<String>| {
        let second = second.map_or(Some(String::new()), |place| record.get(place).map(|text| text.trim().to_string()));
        Some((record.get(id)?.trim().parse().ok()?, second?))
    };
    records.map(row).collect()
}

/// The records of a CSV text, whose fields may be quoted; blank lines are none.
fn records(text: &str) -> Vec<Vec<String>> {
    let (mut records, mut record, mut field, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut letters = text.chars().chain(['\n']).peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                field.push('"');
            }
            '"' if quoted || field.is_empty() => quoted = !quoted,
            _ if quoted => field.push(letter),
            ',' => record.push(std::mem::take(&mut field)),
            '\r' => {}
            '\n' => {
                record.push(std::mem::take(&mut field));
                if record.len() > 1 || !record[0].trim().is_empty() {
                    records.push(std::mem::take(&mut record));
                }
                record.clear();
            }
            _ => field.push(letter),
        }
    }
    records
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn only_a_regular_file_is_read_and_a_name_that_was_lost_is_told() {
        // Not a pipe, which a reader would wait for, nor a device without an end.
        let why = read(Path::new("/dev/null"), None).unwrap_err();
        assert!(why.contains("it is not a regular file"), "{why}");
        let why = read(Path::new("groups-\u{fffd}.csv"), None).unwrap_err();
        assert!(why.contains("is not UTF-8"), "{why}");
    }

    #[test]
    fn csv_is_read_with_quotes_in_any_order_of_columns() {
        let text = "group,example_id\r\n\"a, \"\"b\"\"\",3\n\nc, 1\n";
        let rows = from_csv(text, Some("group")).unwrap();
        assert_eq!(rows, [(3, "a, \"b\"".to_string()), (1, "c".to_string())]);
        assert!(from_csv(text, Some("label")).is_none());
        assert!(from_csv("example_id\nx\n", None).is_none());
    }
}
