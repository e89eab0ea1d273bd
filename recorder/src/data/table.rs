//! Tables of numbers with a label, as CSV or Parquet: every column but `label` is a number that the network reads as it is.
//!
//! Files are read in batches of rows, so that memory is that of the values, once.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::csv::ReaderBuilder;
use arrow::csv::reader::Format;
use arrow::datatypes::{DataType, Field, Float64Type, Schema};
use arrow::error::ArrowError;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::labels::{whole, whole_of};
use super::{DataError, Dataset, Examples, MOST_CLASSES, Values, few, signature};

/// The column of the labels.
const LABEL: &str = "label";

/// Most numbers of a file.
const MOST_NUMBERS: u64 = u32::MAX as u64;

/// What labels may be.
const ALLOWED: &str = "labels must be whole numbers or texts";

/// A file's numbers, row by row, and its labels.
struct Table {
    path: PathBuf,
    columns: Vec<String>,
    numbers: Vec<f32>,
    labels: Labels,
}

/// Loads `train` and `test` of a directory, each `.csv` or `.parquet`. Classes are numbers in their order, or texts in
/// alphabetical order.
pub(super) fn load(directory: &Path) -> Result<Dataset, DataError> {
    let tables = [Table::read(directory, "train")?, Table::read(directory, "test")?];
    let [train, test] = &tables;
    if train.columns != test.columns {
        let problem = format!("its columns are {:?}, those of the training set {:?}", test.columns, train.columns);
        return Err(DataError::Table { path: test.path.clone(), problem });
    }
    let are_numbers = are_numbers(&tables)?;
    let class = |label: &str| Class::new(label, are_numbers);
    let classes: BTreeSet<Class> =
        tables.iter().flat_map(|table| &table.labels.names).map(|name| class(name)).collect();
    if !(2..=MOST_CLASSES).contains(&classes.len()) {
        let problem = format!("labels are of {} classes: 2 to {MOST_CLASSES} are possible", classes.len());
        return Err(DataError::Table { path: train.path.clone(), problem });
    }
    let classes: Vec<Class> = classes.into_iter().collect();
    let [train, test] = tables.map(|table| {
        let of_name = |name: &String| classes.binary_search(&class(name)).unwrap_or_default() as u8;
        let of_names: Vec<u8> = table.labels.names.iter().map(of_name).collect();
        let labels = table.labels.rows.iter().map(|&name| of_names[usize::from(name)]).collect();
        Examples { values: Values::Numbers(table.numbers), shape: vec![table.columns.len()], labels }
    });
    let class_names: Vec<String> = classes.into_iter().map(Class::into_name).collect();
    Ok(Dataset { train, test, classes: class_names.len(), class_names, noise_file: None })
}

/// A class in the order of all.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Number(i128),
    Text(String),
}

impl Class {
    fn new(label: &str, are_numbers: bool) -> Class {
        match whole(label).filter(|_| are_numbers) {
            Some(number) => Class::Number(number),
            None => Class::Text(label.to_string()),
        }
    }

    fn into_name(self) -> String {
        match self {
            Class::Number(number) => number.to_string(),
            Class::Text(text) => text,
        }
    }
}

/// Whether all labels of these tables are whole numbers. If all are numbers and some have a fraction, it is an error that names the
/// first of these: they are no classes.
fn are_numbers(tables: &[Table]) -> Result<bool, DataError> {
    let is_number = |name: &String| whole(name).is_some() || name.parse().is_ok_and(f64::is_finite);
    if !tables.iter().flat_map(|table| &table.labels.names).all(is_number) {
        return Ok(false);
    }
    for table in tables {
        let labels = &table.labels;
        if let Some(name) = labels.names.iter().position(|name| whole(name).is_none()) {
            let row = labels.rows.iter().position(|&of_row| usize::from(of_row) == name).unwrap_or_default();
            let problem = format!("`{LABEL}` is {} in row {row} (counted from 0): {ALLOWED}", labels.names[name]);
            return Err(DataError::Table { path: table.path.clone(), problem });
        }
    }
    Ok(true)
}

impl Table {
    fn read(directory: &Path, name: &str) -> Result<Table, DataError> {
        let paths = ["csv", "parquet"].map(|ending| directory.join(format!("{name}.{ending}")));
        let path = paths.into_iter().find(|path| path.exists());
        let path = path.ok_or_else(|| DataError::NoTables { directory: directory.to_path_buf() })?;
        let file =
            cograd_files::open_regular(&path).map_err(|source| DataError::Read { path: path.clone(), source })?;
        let is_csv = path.extension().is_some_and(|ending| ending == "csv");
        let table = if is_csv { from_csv(file, &path) } else { from_parquet(file, &path) };
        table.map_err(|problem| DataError::Table { path, problem })
    }

    /// Of these columns, without rows so far.
    fn new(path: &Path, schema: &Schema) -> Result<Table, String> {
        let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
        match names.iter().filter(|name| *name == LABEL).count() {
            0 => {
                let there = few(&names);
                return Err(format!(
                    "it has no column `{LABEL}`: its columns are {there}: name that of the labels `{LABEL}`"
                ));
            }
            1 => {}
            labels => {
                return Err(format!("it has {labels} columns `{LABEL}`: keep one, and rename or remove the others"));
            }
        }
        let columns: Vec<String> = names.into_iter().filter(|name| name != LABEL).collect();
        match columns.is_empty() {
            true => Err("it has 0 columns of numbers".to_string()),
            false => Ok(Table { path: path.to_path_buf(), columns, numbers: Vec::new(), labels: Labels::default() }),
        }
    }

    /// Adds some rows.
    fn add(&mut self, rows: &RecordBatch) -> Result<(), String> {
        let (before, width, begin) = (self.labels.rows.len(), self.columns.len(), self.numbers.len());
        check_size((before + rows.num_rows()) as u64, width)?;
        self.numbers.resize(begin + rows.num_rows() * width, 0.0);
        let mut place = begin;
        for (field, column) in rows.schema().fields().iter().zip(rows.columns()) {
            if field.name() == LABEL {
                self.labels.add(column, before)?;
                continue;
            }
            for (row, number) in numbers_of(field.name(), column, before)?.into_iter().enumerate() {
                self.numbers[place + row * width] = number;
            }
            place += 1;
        }
        Ok(())
    }

    /// With all its rows.
    fn finished(mut self) -> Result<Table, String> {
        self.numbers.shrink_to_fit();
        self.labels.rows.shrink_to_fit();
        if self.labels.rows.is_empty() { Err("it has 0 rows".to_string()) } else { Ok(self) }
    }
}

/// Refuses more rows than can be held.
fn check_size(rows: u64, columns: usize) -> Result<(), String> {
    let numbers = u128::from(rows) * columns as u128;
    match numbers <= u128::from(MOST_NUMBERS) {
        true => Ok(()),
        false => Err(format!(
            "it has {rows} rows or more of {columns} numbers, {numbers} in all: at most {MOST_NUMBERS} are possible: keep fewer \
             rows"
        )),
    }
}

/// The labels of the rows of a file.
#[derive(Default)]
struct Labels {
    /// Every label that is there, once, as the file writes it.
    names: Vec<String>,
    places: HashMap<String, u16>,
    /// Place among the names of every row's.
    rows: Vec<u16>,
}

impl Labels {
    /// Adds those of some rows, before which there are so many.
    fn add(&mut self, column: &Arc<dyn Array>, before: usize) -> Result<(), String> {
        for (row, label) in texts_of(column, before)?.iter().enumerate() {
            let label = label.map(str::trim).filter(|label| !label.is_empty());
            let label = label.ok_or_else(|| no_value(LABEL, before + row))?;
            let place = match self.places.get(label) {
                Some(place) => *place,
                None => self.add_name(label)?,
            };
            self.rows.push(place);
        }
        Ok(())
    }

    fn add_name(&mut self, label: &str) -> Result<u16, String> {
        let more = format!("labels are of more than {} classes: 2 to {MOST_CLASSES} are possible", u16::MAX);
        let place = u16::try_from(self.names.len()).map_err(|_| more)?;
        self.names.push(label.to_string());
        self.places.insert(label.to_string(), place);
        Ok(place)
    }
}

fn no_value(name: &str, row: usize) -> String {
    format!("`{name}` has no value in row {row} (counted from 0): give it one, or remove the row")
}

/// Labels as texts: whole numbers, of whichever type, as they are written without a fraction.
fn texts_of(column: &Arc<dyn Array>, before: usize) -> Result<StringArray, String> {
    let kind = match column.data_type() {
        DataType::Dictionary(_, kind) => kind,
        kind => kind,
    };
    if kind.is_numeric() && !kind.is_integer() {
        let numbers = cast(column, &DataType::Float64).map_err(|error| error.to_string())?;
        let text = |(row, number): (usize, Option<f64>)| {
            let Some(number) = number else { return Ok(None) };
            let of_row = || format!("`{LABEL}` is {number} in row {} (counted from 0): {ALLOWED}", before + row);
            whole_of(number).map(|number| Some(number.to_string())).ok_or_else(of_row)
        };
        return numbers.as_primitive::<Float64Type>().iter().enumerate().map(text).collect();
    }
    let is_text = matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Boolean);
    if !(is_text || kind.is_integer() || kind.is_null()) {
        return Err(format!("`{LABEL}` is {kind}: {ALLOWED}"));
    }
    let texts = cast(column, &DataType::Utf8).map_err(|error| error.to_string())?;
    Ok(texts.as_string::<i32>().clone())
}

/// The numbers of a column, before whose rows there are so many.
fn numbers_of(name: &str, column: &Arc<dyn Array>, before: usize) -> Result<Vec<f32>, String> {
    let numbers: Vec<f64> = match column.as_string_opt::<i32>() {
        Some(texts) => {
            let texts = texts.iter().enumerate();
            texts.map(|(row, text)| number_of(name, text, before + row)).collect::<Result<_, _>>()?
        }
        None => {
            let numbers = cast(column, &DataType::Float64).map_err(|error| error.to_string())?;
            let numbers = numbers.as_primitive::<Float64Type>().iter().enumerate();
            numbers.map(|(row, number)| number.ok_or_else(|| no_value(name, before + row))).collect::<Result<_, _>>()?
        }
    };
    match numbers.iter().position(|number| !(*number as f32).is_finite()) {
        None => Ok(numbers.into_iter().map(|number| number as f32).collect()),
        Some(row) => {
            let (number, most) = (numbers[row], f32::MAX);
            let why = match number.is_finite() {
                true => format!("cograd computes in f32, whose largest number is {most:e}: divide the column"),
                false => "every value must be a finite number, at most 1.8e308".to_string(),
            };
            Err(format!("`{name}` is {number:e} in row {} (counted from 0): {why}", before + row))
        }
    }
}

/// The number that CSV has in a row.
fn number_of(name: &str, text: Option<&str>, row: usize) -> Result<f64, String> {
    let text = text.map(str::trim).filter(|text| !text.is_empty()).ok_or_else(|| no_value(name, row))?;
    let number = match text.to_ascii_lowercase().as_str() {
        "true" => Some(1.0),
        "false" => Some(0.0),
        text => text.parse().ok(),
    };
    number.ok_or_else(|| {
        format!("`{name}` is `{text}` in row {row} (counted from 0), but every column except `{LABEL}` must be numbers")
    })
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

/// A table of texts, of which all but the labels are numbers.
fn from_csv(mut file: File, path: &Path) -> Result<Table, String> {
    check_csv(&file)?;
    let (format, failed) = (Format::default().with_header(true), |error: ArrowError| error.to_string());
    let (header, _) = format.infer_schema(&mut file, Some(0)).map_err(failed)?;
    file.rewind().map_err(|error| error.to_string())?;
    let text = |field: &Arc<Field>| Field::new(field.name().trim(), DataType::Utf8, true);
    let schema = Schema::new(header.fields().iter().map(text).collect::<Vec<Field>>());
    let mut table = Table::new(path, &schema)?;
    for rows in ReaderBuilder::new(Arc::new(schema)).with_format(format).build(file).map_err(failed)? {
        table.add(&rows.map_err(failed)?)?;
    }
    table.finished()
}

fn from_parquet(file: File, path: &Path) -> Result<Table, String> {
    let failed = |error: ArrowError| error.to_string();
    cograd_files::check_parquet_schema(&file).map_err(|error| failed(error.into()))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| failed(error.into()))?;
    let groups = reader.metadata().row_groups();
    let mut chunks = groups.iter().flat_map(|group| group.columns());
    chunks.try_for_each(cograd_trace::check_compression).map_err(|error| failed(ArrowError::ParquetError(error)))?;
    let mut table = Table::new(path, reader.schema())?;
    reader.schema().fields().iter().try_for_each(|field| check_kind(field))?;
    // Before anything is read.
    let rows = groups.iter().map(|group| u64::try_from(group.num_rows()).unwrap_or_default());
    check_size(rows.fold(0, u64::saturating_add), table.columns.len())?;
    for rows in reader.build().map_err(|error| failed(error.into()))? {
        table.add(&rows.map_err(failed)?)?;
    }
    table.finished()
}

/// Refuses a column of Parquet that is none of numbers.
fn check_kind(field: &Field) -> Result<(), String> {
    let (name, kind) = (field.name(), field.data_type());
    match name == LABEL || kind.is_numeric() || kind.is_null() || *kind == DataType::Boolean {
        true => Ok(()),
        false => Err(format!("`{name}` is {kind}, but every column except `{LABEL}` must be numbers")),
    }
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
    fn labels_of_csv_are_numbers_if_all_of_both_files_are_and_otherwise_texts_as_they_are_spelled() {
        let table =
            |labels: &[&str]| labels.iter().fold("x,label\n".to_string(), |rows, label| rows + "1," + label + "\n");
        let load = |train: &[&str], test: &[&str]| load_of(&table(train), &table(test)).unwrap();
        for (train, test, classes) in [
            (&["True", "False", "maybe"][..], &["True", "False"][..], &["False", "True", "maybe"][..]),
            (&["01", "02", "x"], &["01", "02"], &["01", "02", "x"]),
            (&["1.0", "2.0", "x"], &["1.0"], &["1.0", "2.0", "x"]),
            (&["2020-01-01", "x"], &["2020-01-01"], &["2020-01-01", "x"]),
            (&["nan", "inf"], &["nan"], &["inf", "nan"]),
            (&["1.5", "x"], &["1.5"], &["1.5", "x"]),
            (
                &["10", " 9", "-0", "99999999999999999999"],
                &["+9", "010", "0.0"],
                &["0", "9", "10", "99999999999999999999"],
            ),
            (&["b", " a "], &["\"a\""], &["a", "b"]),
        ] {
            let data = load(train, test);
            assert_eq!(
                (data.class_names, data.classes),
                (classes.iter().map(ToString::to_string).collect(), classes.len())
            );
        }
        assert_eq!(load(&["True", "False", "maybe"], &["True"]).train.labels, [1, 0, 2]);
        let error = load_of("x,label\n1,0\n", "x,label\n1,1\n1,0.5\n").unwrap_err();
        assert!(error.contains("test.csv: `label` is 0.5 in row 1 (counted from 0): labels must be"), "{error}");
    }

    #[test]
    fn numbers_of_csv_may_have_spaces_around_them_and_any_size() {
        let data = load_of("x, y,label\n 1, .5 ,a\n99999999999999999999,+5.,b\nTrue,false,a\n", "x,y , label\n1,1,a\n")
            .unwrap();
        assert_eq!(data.train.values, Values::Numbers(vec![1.0, 0.5, 1e20, 5.0, 1.0, 0.0]));
    }

    #[test]
    fn more_rows_than_a_batch_are_read_and_their_rows_counted_through() {
        let rows: String = (0..3000).map(|row| format!("{row},{}\n", row % 3)).collect();
        let data = load_of(&format!("x,label\n{rows}"), "x,label\n1,2\n").unwrap();
        let Values::Numbers(numbers) = data.train.values else { panic!() };
        assert!(numbers.iter().enumerate().all(|(row, number)| *number == row as f32) && numbers.len() == 3000);
        assert!(data.train.labels.iter().enumerate().all(|(row, label)| usize::from(*label) == row % 3));
        let error = load_of(&format!("x,label\n{rows}z,1\n"), "x,label\n1,2\n").unwrap_err();
        assert!(error.contains("`x` is `z` in row 3000"), "{error}");
    }

    #[test]
    fn more_numbers_than_can_be_are_refused_with_their_number() {
        assert_eq!(check_size(u32::MAX.into(), 1), Ok(()));
        let message = check_size(1 << 31, 3).unwrap_err();
        assert!(message.contains("2147483648 rows or more of 3 numbers, 6442450944 in all"), "{message}");
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
            ("<!doctype html>", "it is no CSV: it is a web page"),
            ("", "it is no CSV: it is empty"),
            ("x,label\n1,0\n1e39,1\n", "`x` is 1e39 in row 1 (counted from 0): cograd computes in f32"),
            ("x,label\n1,0\n1e400,1\n", "`x` is inf in row 1"),
            ("x,label\n1,0\nnan,1\n", "`x` is NaN in row 1"),
            (
                "x,label\n1,0\nred,1\n",
                "`x` is `red` in row 1 (counted from 0), but every column except `label` must be",
            ),
            ("x,label\n2020-01-02,1\n", "`x` is `2020-01-02` in row 0"),
            ("x,label\n1,0\n,1\n", "`x` has no value in row 1"),
            ("x,label\n ,0\n,1\n", "`x` has no value in row 0 (counted from 0): give it one"),
            ("x,label\n1,0\n1,\n", "`label` has no value in row 1"),
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
