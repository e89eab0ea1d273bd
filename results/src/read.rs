//! Reading results: nothing is parsed before it is verified.

use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchReader};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Float64Type, Int64Type, SchemaRef, UInt64Type};
use arrow::error::ArrowError;
use cograd_files::{check_file, check_seal, sha256_of_sealed, unmarked};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use crate::{Kind, ResultsError, Summary};

/// Name of the summary, written last: a directory that has one has all tables.
pub const SUMMARY: &str = "summary.json";

/// Rows decoded at once.
const BATCH: usize = 1 << 14;

/// The directory of the results of a study, or the directory itself if it is one of results.
pub fn results_in(directory: &Path) -> PathBuf {
    let inside = directory.join("analysis");
    let is_results = |directory: &Path| directory.join(SUMMARY).is_file();
    if is_results(directory) && !is_results(&inside) { directory.to_path_buf() } else { inside }
}

/// A directory of results whose summary is verified.
#[derive(Clone, Debug)]
pub struct Results {
    directory: PathBuf,
    summary: Summary,
    summary_sha256: String,
}

/// How often results are read again that were replaced while they were read.
const ATTEMPTS: usize = 5;

impl Results {
    /// What `read` makes of the results in `directory`, all of one analysis: if they are replaced meanwhile, they are read again.
    /// Every table is verified before, those that `read` has no need of included.
    ///
    /// # Errors
    /// As [`Results::open`], a table that is missing or altered, and those of `read`.
    pub fn read_whole<T, E: From<ResultsError>>(
        directory: &Path,
        mut read: impl FnMut(&Results) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut attempts = 1;
        loop {
            let results = Results::open(directory)?;
            let found = results.verify().map_err(E::from).and_then(|()| read(&results));
            let is_replaced = || Results::open(directory).is_ok_and(|now| now.summary_sha256 != results.summary_sha256);
            if found.is_ok() || attempts == ATTEMPTS || !is_replaced() {
                return found;
            }
            attempts += 1;
        }
    }

    /// Opens the results in `directory`: verifies the seal of the summary, then reads it.
    ///
    /// # Errors
    /// There is no summary; it was altered, or written by another version of the program.
    pub fn open(directory: &Path) -> Result<Results, ResultsError> {
        let path = directory.join(SUMMARY);
        let text = match cograd_files::read_regular(&path) {
            Ok(text) => text,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                return Err(ResultsError::NotAnalysed { path: directory.to_path_buf() });
            }
            Err(error) => {
                return Err(ResultsError::File { source: cograd_files::FileError::io("read", &path)(error) });
            }
        };
        let wrong = |message: String| ResultsError::Summary { path: path.clone(), message };
        check_seal(&text).map_err(|error| wrong(error.to_string()))?;
        let summary: Summary = serde_json::from_slice(unmarked(&text))
            .map_err(|error| wrong(format!("it is of another version of the program ({error})")))?;
        let is_name = |name: &&String| Path::new(name).file_name().is_some_and(|file| file == name.as_str());
        if let Some(name) = summary.files.keys().find(|name| !is_name(name)) {
            return Err(wrong(format!("it lists a file outside of its directory: {name}")));
        }
        Ok(Results { directory: directory.to_path_buf(), summary, summary_sha256: sha256_of_sealed(&text) })
    }

    /// An error unless every file is as the summary lists it.
    fn verify(&self) -> Result<(), ResultsError> {
        let mut files = self.summary.files.iter();
        files
            .try_for_each(|(name, entry)| check_file(&self.directory.join(name), entry))
            .map_err(|source| ResultsError::File { source })
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The summary.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// SHA-256 of the summary's file.
    pub fn summary_sha256(&self) -> &str {
        &self.summary_sha256
    }

    /// Names of the tables there are, those of which nothing is defined included, sorted.
    pub fn tables(&self) -> impl Iterator<Item = &str> {
        self.summary.files.keys().filter_map(|file| file.strip_suffix(".parquet"))
    }

    /// Streams the table `name`, whose size and hash are verified first; `None` if there is none.
    ///
    /// # Errors
    /// It is missing, altered, or not readable.
    pub fn batches(&self, name: &str) -> Result<Option<Batches>, ResultsError> {
        let Some(entry) = self.summary.files.get(&format!("{name}.parquet")) else { return Ok(None) };
        let path = self.path(name);
        check_file(&path, entry).map_err(|source| ResultsError::File { source })?;
        let file = cograd_files::open_regular(&path).map_err(|error| self.unreadable(name, &error.to_string()))?;
        let open = || {
            cograd_files::check_parquet_schema(&file)?;
            let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
            Ok(builder.with_batch_size(BATCH).build()?)
        };
        let reader = guarded(open).map_err(|error| self.unreadable(name, &error.to_string()))?;
        Ok(Some(Batches { reader, is_broken: false }))
    }

    /// The whole table `name`; `None` if there is none.
    ///
    /// # Errors
    /// As [`Results::batches`].
    pub fn rows(&self, name: &str) -> Result<Option<Rows>, ResultsError> {
        let Some(reader) = self.batches(name)? else { return Ok(None) };
        let schema = reader.schema();
        let batches: Result<Vec<RecordBatch>, _> = reader.collect();
        let whole = batches.and_then(|batches| concat_batches(&schema, &batches));
        let whole = whole.map_err(|error| self.unreadable(name, &error.to_string()))?;
        Rows::new(whole).map(Some).map_err(|message| self.unreadable(name, &message))
    }

    /// Hands on the table `name` in parts of some thousand rows, so that memory does not grow with its length.
    ///
    /// # Errors
    /// As [`Results::batches`].
    pub fn each_part(&self, name: &str, mut take: impl FnMut(&Rows)) -> Result<(), ResultsError> {
        for batch in self.batches(name)?.into_iter().flatten() {
            let batch = batch.map_err(|error| self.unreadable(name, &error.to_string()))?;
            take(&Rows::new(batch).map_err(|message| self.unreadable(name, &message))?);
        }
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.parquet"))
    }

    fn unreadable(&self, name: &str, message: &str) -> ResultsError {
        ResultsError::Table { path: self.path(name), message: message.to_string() }
    }
}

/// Runs a decoder on bytes whose hash anybody can make right: should it panic on them, that is an error.
fn guarded<T>(decode: impl FnOnce() -> Result<T, ArrowError>) -> Result<T, ArrowError> {
    catch_unwind(AssertUnwindSafe(decode))
        .unwrap_or_else(|_| Err(ArrowError::ParquetError("the decoder gave up on it; it is damaged".to_string())))
}

/// A table in parts of some thousand rows.
pub struct Batches {
    reader: ParquetRecordBatchReader,
    is_broken: bool,
}

impl Batches {
    /// Names and types of the columns as the file has them.
    pub fn schema(&self) -> SchemaRef {
        RecordBatchReader::schema(&self.reader)
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_broken {
            return None;
        }
        let next = guarded(|| self.reader.next().transpose()).transpose();
        self.is_broken = matches!(next, Some(Err(_)));
        next
    }
}

/// The rows of a table. A column that is not there has no values.
#[derive(Clone, Debug)]
pub struct Rows {
    batch: RecordBatch,
}

impl Rows {
    /// Of a batch, whose columns are widened to the types of the results.
    fn new(batch: RecordBatch) -> Result<Rows, String> {
        let widened = |column: &ArrayRef| match wide(column.data_type()) {
            Some(kind) => cast(column, &kind).map_err(|error| error.to_string()),
            None => Ok(column.clone()),
        };
        let columns: Vec<(&String, ArrayRef)> = batch
            .schema_ref()
            .fields()
            .iter()
            .zip(batch.columns())
            .map(|(field, column)| Ok((field.name(), widened(column)?)))
            .collect::<Result<_, String>>()?;
        let widened =
            RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)));
        widened.map(|batch| Rows { batch }).map_err(|error| error.to_string())
    }

    /// Their number.
    pub fn len(&self) -> usize {
        self.batch.num_rows()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Names of the columns, in order.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.batch.schema_ref().fields().iter().map(|field| field.name().as_str())
    }

    /// The type of a column; `None` if there is no such column, or its values are of no use.
    pub fn kind(&self, column: &str) -> Option<Kind> {
        match self.batch.column_by_name(column)?.data_type() {
            DataType::Utf8 => Some(Kind::Text),
            DataType::Int64 => Some(Kind::Integer),
            DataType::UInt64 => Some(Kind::Count),
            DataType::Float64 => Some(Kind::Number),
            DataType::Boolean => Some(Kind::Boolean),
            _ => None,
        }
    }

    /// The text in a column; `None` if it is null.
    pub fn text(&self, column: &str, row: usize) -> Option<&str> {
        let texts = self.batch.column_by_name(column)?.as_string_opt::<i32>()?;
        texts.is_valid(row).then(|| texts.value(row))
    }

    /// The real number in a column, of whatever type of numbers; `None` if it is null.
    pub fn number(&self, column: &str, row: usize) -> Option<f64> {
        let column = self.batch.column_by_name(column)?;
        if let Some(numbers) = column.as_primitive_opt::<Float64Type>() {
            return numbers.is_valid(row).then(|| numbers.value(row));
        }
        self.integer_of(column, row).map(|value| value as f64)
    }

    /// The whole number in a column; `None` if it is null, or not within i64.
    pub fn integer(&self, column: &str, row: usize) -> Option<i64> {
        self.integer_of(self.batch.column_by_name(column)?, row).and_then(|value| i64::try_from(value).ok())
    }

    /// The whole number from 0 on in a column; `None` if it is null or negative.
    pub fn count(&self, column: &str, row: usize) -> Option<u64> {
        self.integer_of(self.batch.column_by_name(column)?, row).and_then(|value| u64::try_from(value).ok())
    }

    /// The truth in a column; `None` if it is null.
    pub fn boolean(&self, column: &str, row: usize) -> Option<bool> {
        let booleans = self.batch.column_by_name(column)?.as_boolean_opt()?;
        booleans.is_valid(row).then(|| booleans.value(row))
    }

    fn integer_of(&self, column: &ArrayRef, row: usize) -> Option<i128> {
        if let Some(integers) = column.as_primitive_opt::<Int64Type>() {
            return integers.is_valid(row).then(|| i128::from(integers.value(row)));
        }
        let counts = column.as_primitive_opt::<UInt64Type>()?;
        counts.is_valid(row).then(|| i128::from(counts.value(row)))
    }
}

/// The type of the results that a type is widened to; `None`: it is one, or of no use.
fn wide(kind: &DataType) -> Option<DataType> {
    match kind {
        DataType::Int8 | DataType::Int16 | DataType::Int32 => Some(DataType::Int64),
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => Some(DataType::UInt64),
        DataType::Float16 | DataType::Float32 => Some(DataType::Float64),
        DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..) => Some(DataType::Utf8),
        _ => None,
    }
}
