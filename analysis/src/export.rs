//! Results tables as CSV or JSON, for programs that read no Parquet.
//!
//! A table becomes a file of its name: CSV with a header row, or a JSON array of one object a row. A missing value is an empty
//! field in CSV, where no text is empty, and `null` in JSON; numbers are the shortest that read back as the same f64.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use arrow::array::{RecordBatch, RecordBatchReader};
use arrow::json::writer::{JsonArray, WriterBuilder};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::AnalysisError;
use crate::results::output;

/// Rows in memory at once.
const BATCH: usize = 1 << 14;

/// A text format of tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values, with a header row.
    Csv,
    /// An array of objects.
    Json,
}

impl Format {
    fn extension(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::Json => "json",
        }
    }
}

/// Writes tables of the results in `analysis` to `out`, which is created where it does not exist, in every format asked for;
/// returns the files. `tables` are names without ending; empty for all.
///
/// Batches stream through: memory does not grow with a table. Every file appears whole or not at all.
///
/// # Errors
/// No results, an unknown table (the message lists the known ones), a table that cannot be read, a file that cannot be written.
pub fn export(
    analysis: &Path,
    formats: &[Format],
    tables: &[String],
    out: &Path,
) -> Result<Vec<PathBuf>, AnalysisError> {
    let known = tables_of(analysis)?;
    if let Some(unknown) = tables.iter().find(|table| !known.contains(table)) {
        return Err(AnalysisError::unknown("table", unknown, known));
    }
    let wanted: Vec<&String> = known.iter().filter(|table| tables.is_empty() || tables.contains(table)).collect();
    fs::create_dir_all(out).map_err(output("create the directory", out))?;
    let mut files = Vec::new();
    for table in wanted {
        for &format in formats {
            let path = out.join(format!("{table}.{}", format.extension()));
            write(&analysis.join(format!("{table}.parquet")), &path, format)?;
            files.push(path);
        }
    }
    Ok(files)
}

/// Names of the tables of a directory of results, sorted.
fn tables_of(analysis: &Path) -> Result<Vec<String>, AnalysisError> {
    if !analysis.join("summary.json").is_file() {
        return Err(AnalysisError::NotAnalysed { path: analysis.to_path_buf() });
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(analysis).map_err(output("list", analysis))? {
        let path = entry.map_err(output("list", analysis))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        // A name with a dot in front is that of a file not finished.
        names.extend(name.strip_suffix(".parquet").filter(|name| !name.starts_with('.')).map(str::to_string));
    }
    names.sort();
    Ok(names)
}

/// Under a temporary name until it is whole.
fn write(table: &Path, path: &Path, format: Format) -> Result<(), AnalysisError> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let temporary = path.with_file_name(format!(".{name}.partial"));
    let written = convert(table, &temporary, path, format);
    if written.is_err() {
        // The first error is the one to report.
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn convert(table: &Path, temporary: &Path, path: &Path, format: Format) -> Result<(), AnalysisError> {
    let unreadable = |source: Failure| AnalysisError::Results { path: table.to_path_buf(), source };
    let unwritable = |source: Failure| AnalysisError::Export { path: path.to_path_buf(), source };
    let file = File::open(table).map_err(|error| unreadable(error.into()))?;
    let reader =
        ParquetRecordBatchReaderBuilder::try_new(file).and_then(|builder| builder.with_batch_size(BATCH).build());
    let batches = reader.map_err(|error| unreadable(error.into()))?;
    let schema = batches.schema();
    let file = File::create(temporary).map_err(output("write", temporary))?;
    let mut writer = Writer::new(BufWriter::new(file), format);
    // A table without rows has its header too.
    writer.batch(&RecordBatch::new_empty(schema)).map_err(unwritable)?;
    for batch in batches {
        writer.batch(&batch.map_err(|error| unreadable(error.into()))?).map_err(unwritable)?;
    }
    writer.finish().map_err(unwritable)?;
    fs::rename(temporary, path).map_err(output("replace", path))
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

enum Writer {
    Csv(Box<arrow::csv::Writer<BufWriter<File>>>),
    Json(arrow::json::Writer<BufWriter<File>, JsonArray>),
}

impl Writer {
    fn new(file: BufWriter<File>, format: Format) -> Writer {
        match format {
            Format::Csv => Writer::Csv(Box::new(arrow::csv::Writer::new(file))),
            // A missing value is said to be missing, not left out.
            Format::Json => Writer::Json(WriterBuilder::new().with_explicit_nulls(true).build(file)),
        }
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        match self {
            Writer::Csv(writer) => Ok(writer.write(batch)?),
            Writer::Json(writer) => Ok(writer.write(batch)?),
        }
    }

    /// Everything on disk.
    fn finish(self) -> Result<(), Failure> {
        let file = match self {
            Writer::Csv(writer) => writer.into_inner(),
            Writer::Json(mut writer) => {
                writer.finish()?;
                let mut file = writer.into_inner();
                file.write_all(b"\n")?;
                file
            }
        };
        Ok(file.into_inner()?.sync_all()?)
    }
}
