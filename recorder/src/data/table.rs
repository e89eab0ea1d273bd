//! Tables of numbers with a label, as CSV or Parquet: every column but `label` is a number that the network reads as it is.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::csv::ReaderBuilder;
use arrow::csv::reader::Format;
use arrow::datatypes::{DataType, Float64Type};
use arrow::error::ArrowError;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{DataError, Dataset, Examples, MOST_CLASSES, Values, signature};

/// The column of the labels.
const LABEL: &str = "label";

/// A file's numbers, row by row, and its labels as texts.
struct Table {
    path: PathBuf,
    columns: Vec<String>,
    numbers: Vec<f32>,
    labels: Vec<String>,
}

/// Loads `train` and `test` of a directory, each `.csv` or `.parquet`. Classes are numbers in their order, or texts in
/// alphabetical order.
pub(super) fn load(directory: &Path) -> Result<Dataset, DataError> {
    let (train, test) = (Table::read(directory, "train")?, Table::read(directory, "test")?);
    if train.columns != test.columns {
        let problem = format!("its columns are {:?}, those of the training set {:?}", test.columns, train.columns);
        return Err(DataError::Table { path: test.path, problem });
    }
    let names: BTreeSet<&String> = train.labels.iter().chain(&test.labels).collect();
    let mut classes: Vec<&String> = names.into_iter().collect();
    if let Some(numbers) = classes.iter().map(|name| name.parse::<i128>().ok()).collect::<Option<Vec<_>>>() {
        let mut numbered: Vec<(i128, &String)> = numbers.into_iter().zip(classes).collect();
        numbered.sort();
        classes = numbered.into_iter().map(|(_, name)| name).collect();
    }
    if !(2..=MOST_CLASSES).contains(&classes.len()) {
        let problem = format!("labels are of {} classes: 2 to {MOST_CLASSES} are possible", classes.len());
        return Err(DataError::Table { path: train.path, problem });
    }
    let examples = |table: &Table| {
        let class = |label: &String| classes.iter().position(|class| *class == label).unwrap_or_default() as u8;
        Examples {
            values: Values::Numbers(table.numbers.clone()),
            shape: vec![table.columns.len()],
            labels: table.labels.iter().map(class).collect(),
        }
    };
    Ok(Dataset { train: examples(&train), test: examples(&test), classes: classes.len(), noise_file: None })
}

impl Table {
    fn read(directory: &Path, name: &str) -> Result<Table, DataError> {
        let paths = ["csv", "parquet"].map(|ending| directory.join(format!("{name}.{ending}")));
        let path = paths.into_iter().find(|path| path.exists());
        let path = path.ok_or_else(|| DataError::NoTables { directory: directory.to_path_buf() })?;
        let file =
            cograd_files::open_regular(&path).map_err(|source| DataError::Read { path: path.clone(), source })?;
        let is_csv = path.extension().is_some_and(|ending| ending == "csv");
        let rows = match is_csv {
            true => check_csv(&file).and_then(|()| from_csv(file).map_err(|error| error.to_string())),
            false => from_parquet(file).map_err(|error| error.to_string()),
        };
        let table = rows.and_then(|rows| Table::new(&path, &rows));
        table.map_err(|problem| DataError::Table { path, problem })
    }

    fn new(path: &Path, rows: &RecordBatch) -> Result<Table, String> {
        if rows.num_rows() == 0 {
            return Err("it has 0 rows".to_string());
        }
        let names: Vec<String> = rows.schema().fields().iter().map(|field| field.name().clone()).collect();
        match names.iter().filter(|name| *name == LABEL).count() {
            0 => return Err(no_label(&names)),
            1 => {}
            labels => {
                return Err(format!("it has {labels} columns `{LABEL}`: keep one, and rename or remove the others"));
            }
        }
        let (mut columns, mut values, mut labels) = (Vec::new(), Vec::new(), Vec::new());
        for (field, column) in rows.schema().fields().iter().zip(rows.columns()) {
            let name = field.name();
            if column.null_count() > 0 {
                let row = (0..column.len()).find(|&row| column.is_null(row)).unwrap_or_default();
                return Err(format!("`{name}` has no value in row {row} (counted from 0)"));
            }
            if name == LABEL {
                labels = labels_of(column)?;
                continue;
            }
            if !(column.data_type().is_numeric() || *column.data_type() == DataType::Boolean) {
                return Err(format!(
                    "`{name}` is {}, but every column except `{LABEL}` must be numbers",
                    column.data_type()
                ));
            }
            let numbers = cast(column, &DataType::Float64).map_err(|error| error.to_string())?;
            let numbers = numbers.as_primitive::<Float64Type>().values();
            if let Some(row) = numbers.iter().position(|number| !(*number as f32).is_finite()) {
                let (number, most) = (numbers[row], f32::MAX);
                let why = match number.is_finite() {
                    true => format!("cograd computes in f32, whose largest number is {most:e}: divide the column"),
                    false => "every value must be a finite number, at most 1.8e308".to_string(),
                };
                return Err(format!("`{name}` is {number:e} in row {row} (counted from 0): {why}"));
            }
            columns.push(name.clone());
            values.push(numbers.iter().map(|number| *number as f32).collect::<Vec<f32>>());
        }
        if columns.is_empty() {
            return Err("it has 0 columns of numbers".to_string());
        }
        let numbers = (0..labels.len()).flat_map(|row| values.iter().map(move |column| column[row])).collect();
        Ok(Table { path: path.to_path_buf(), columns, numbers, labels })
    }
}

/// Most names of columns in a message.
const MOST_NAMES: usize = 10;

fn no_label(names: &[String]) -> String {
    let some: Vec<String> = names.iter().take(MOST_NAMES).map(|name| format!("`{name}`")).collect();
    let more = match names.len() - some.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("it has no column `{LABEL}`: its columns are {}{more}: name that of the labels `{LABEL}`", some.join(", "))
}

/// Whole numbers above this are not all there among numbers with a fraction.
const MOST_WHOLE: f64 = 9_007_199_254_740_992.0;

/// Labels as texts: whole numbers, of whichever type, as they are written without a fraction.
fn labels_of(column: &Arc<dyn Array>) -> Result<Vec<String>, String> {
    let kind = match column.data_type() {
        DataType::Dictionary(_, kind) => kind,
        kind => kind,
    };
    let is_text = matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Boolean);
    let all = "labels must be whole numbers or texts";
    if kind.is_numeric() && !kind.is_integer() {
        let numbers = cast(column, &DataType::Float64).map_err(|error| error.to_string())?;
        let whole = |(row, number): (usize, &f64)| match number.fract() == 0.0 && number.abs() <= MOST_WHOLE {
            true => Ok((*number as i64).to_string()),
            false => Err(format!("`{LABEL}` is {number} in row {row} (counted from 0): {all}")),
        };
        return numbers.as_primitive::<Float64Type>().values().iter().enumerate().map(whole).collect();
    }
    if !(is_text || kind.is_integer()) {
        return Err(format!("`{LABEL}` is {kind}: {all}"));
    }
    let texts = cast(column, &DataType::Utf8).map_err(|error| error.to_string())?;
    Ok(texts.as_string::<i32>().iter().map(|text| text.unwrap_or_default().to_string()).collect())
}

/// Longest header of which it is told whether it has commas.
const HEADER: u64 = 1 << 20;

/// Checks that a file begins as CSV with commas does.
fn check_csv(mut file: &File) -> Result<(), String> {
    let mut header = Vec::new();
    BufReader::new(file.take(HEADER)).read_until(b'\n', &mut header).map_err(|error| error.to_string())?;
    file.rewind().map_err(|error| error.to_string())?;
    if let Some(hint) = signature::hint(&header, false) {
        return Err(format!("it is no CSV: {hint}"));
    }
    let header = signature::text_of(&header)?;
    let other = [(b';', "semicolons"), (b'\t', "tabs")].into_iter().find(|(separator, _)| header.contains(separator));
    match other.filter(|_| !header.contains(&b',')) {
        Some((_, separators)) => Err(format!("its columns are separated by {separators}: separate them by commas")),
        None => Ok(()),
    }
}

fn from_csv(mut file: File) -> Result<RecordBatch, ArrowError> {
    let format = Format::default().with_header(true);
    let (schema, _) = format.infer_schema(&mut file, None)?;
    file.rewind()?;
    let schema = Arc::new(schema);
    let reader = ReaderBuilder::new(Arc::clone(&schema)).with_format(format).build(file)?;
    concat_batches(&schema, &reader.collect::<Result<Vec<_>, _>>()?)
}

fn from_parquet(file: File) -> Result<RecordBatch, ArrowError> {
    cograd_files::check_parquet_schema(&file)?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)?;
    let mut chunks = reader.metadata().row_groups().iter().flat_map(|group| group.columns());
    chunks.try_for_each(cograd_trace::check_compression).map_err(ArrowError::ParquetError)?;
    let schema = Arc::clone(reader.schema());
    concat_batches(&schema, &reader.build()?.collect::<Result<Vec<_>, _>>()?)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use arrow::array::{Float64Array, Int32Array, StringArray};
    use parquet::arrow::ArrowWriter;

    use super::*;

    fn load_of(train: &str, test: &str) -> Result<Dataset, String> {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("train.csv"), train).unwrap();
        fs::write(directory.path().join("test.csv"), test).unwrap();
        load(directory.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn csv_and_parquet_are_read_alike() {
        let data = load_of("x,label,y\n1,b,0.5\n-2,\"a\",1e1\n", "x,label,y\n3,c,4\n").unwrap();
        assert_eq!(data.train.values, Values::Numbers(vec![1.0, 0.5, -2.0, 10.0]));
        assert_eq!((&data.train.labels[..], &data.test.labels[..], data.classes), (&[1, 0][..], &[2][..], 3));
        assert_eq!(data.train.shape, [2]);

        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, x: Vec<i32>, label: Vec<&str>, y: Vec<f64>| {
            let columns: [(&str, Arc<dyn Array>); 3] = [
                ("x", Arc::new(Int32Array::from(x))),
                ("label", Arc::new(StringArray::from(label))),
                ("y", Arc::new(Float64Array::from(y))),
            ];
            let batch = RecordBatch::try_from_iter(columns).unwrap();
            let file = File::create(directory.path().join(name)).unwrap();
            let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
            writer.write(&batch).unwrap();
            writer.close().unwrap();
        };
        write("train.parquet", vec![1, -2], vec!["b", "a"], vec![0.5, 10.0]);
        write("test.parquet", vec![3], vec!["c"], vec![4.0]);
        let again = load(directory.path()).unwrap();
        assert_eq!((again.train, again.test), (data.train, data.test));
    }

    #[test]
    fn labels_that_are_numbers_are_in_their_order() {
        let data = load_of("x,label\n1,10\n2,9\n", "x,label\n3,-1\n").unwrap();
        assert_eq!((data.train.labels, data.test.labels), (vec![2, 1], vec![0]));
        let data = load_of("x,label\n1,10.0\n2,9.0\n", "x,label\n3,9\n").unwrap();
        assert_eq!((data.train.labels, data.test.labels, data.classes), (vec![1, 0], vec![0], 2));
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_column() {
        let data = load_of("\u{feff}label,x\n1,10\n0,9\n", "\u{feff}label,x\n1,3\n").unwrap();
        assert_eq!((data.train.labels, data.test.labels), (vec![1, 0], vec![1]));
    }

    #[test]
    fn tables_that_are_of_no_use_say_why() {
        let error = |train: &str| load_of(train, "x,label\n1,0\n").unwrap_err();
        for (train, part) in [
            ("x\n1\n", "it has no column `label`: its columns are `x`: name"),
            ("x,Label\n1,a\n", "it has no column `label`: its columns are `x`, `Label`"),
            ("x;label\n0,5;cat\n", "its columns are separated by semicolons"),
            ("x\tlabel\n1\tcat\n", "its columns are separated by tabs"),
            ("label,x,label\n1,2,3\n", "it has 2 columns `label`"),
            (
                "x,label\n1,0\n1,1.5\n",
                "`label` is 1.5 in row 1 (counted from 0): labels must be whole numbers or texts",
            ),
            ("x,label\n1,2020-01-02\n", "`label` is Date32: labels must be whole"),
            ("<!doctype html>", "it is no CSV: it is a web page"),
            ("", "it is no CSV: it is empty"),
            ("x,label\n1,0\n1e39,1\n", "`x` is 1e39 in row 1 (counted from 0): cograd computes in f32"),
            ("x,label\n1,0\n1e400,1\n", "`x` is inf in row 1"),
            ("x,label\nred,1\n", "`x` is Utf8"),
            ("x,label\n1,0\n,1\n", "`x` has no value in row 1"),
            ("x,label\n1,0\n", "labels are of 1 classes"),
            ("label\n0\n", "0 columns of numbers"),
            ("x,label\n", "0 rows"),
            ("y,label\n1,1\n", "its columns are [\"x\"]"),
            ("x,label\n1,0,3\n", "train.csv"),
        ] {
            assert!(error(train).contains(part), "{}", error(train));
        }
        let directory = tempfile::tempdir().unwrap();
        assert!(load(directory.path()).unwrap_err().to_string().contains("train.csv"));
        fs::write(directory.path().join("train.parquet"), b"PAR1").unwrap();
        assert!(load(directory.path()).unwrap_err().to_string().contains("train.parquet"));
    }
}
