//! Results tables as CSV or JSON, for programs that read no Parquet.
//!
//! A table becomes a file of its name: CSV with a header row, or a JSON array of one object a row. A missing value is an empty
//! field in CSV, where no text is empty, and `null` in JSON; numbers are the shortest that read back as the same f64.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::json::writer::{JsonArray, WriterBuilder};
use cograd_files::{FileError, OutputDirectory, OutputError};
use cograd_results::Results;

use crate::AnalysisError;

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

/// Writes tables of the results in `analysis` to `out` in every format asked for; returns the files. `tables` are names without
/// ending; empty for all. An earlier export in `out` is replaced, in one swap of directories.
///
/// Batches stream through: memory does not grow with a table.
///
/// # Errors
/// No results, an unknown table (the message lists the known ones), a table that cannot be read, an `out` that holds something else
/// or cannot be written.
pub fn export(
    analysis: &Path,
    formats: &[Format],
    tables: &[String],
    out: &Path,
) -> Result<Vec<PathBuf>, AnalysisError> {
    Results::read_whole(analysis, |results| {
        let known: Vec<String> = results.tables().map(str::to_string).collect();
        if let Some(unknown) = tables.iter().find(|table| !known.contains(table)) {
            return Err(AnalysisError::unknown("table", unknown, known));
        }
        let output = OutputDirectory::claim(out, "export")?;
        let mut files = Vec::new();
        for table in known.iter().filter(|table| tables.is_empty() || tables.contains(table)) {
            for &format in formats {
                let path = output.path().join(format!("{table}.{}", format.extension()));
                write(results, table, &path, format)?;
                files.push(path);
            }
        }
        Ok(output.publish(&files)?)
    })
}

fn write(results: &Results, table: &str, path: &Path, format: Format) -> Result<(), AnalysisError> {
    let unwritable = |source: Failure| AnalysisError::Export { path: path.to_path_buf(), source };
    let Some(batches) = results.batches(table)? else { return Ok(()) };
    let schema = batches.schema();
    let file = File::create(path).map_err(|error| OutputError::from(FileError::io("write", path)(error)))?;
    let mut writer = Writer::new(BufWriter::new(file), format);
    // A table without rows has its header too.
    writer.batch(&RecordBatch::new_empty(schema)).map_err(unwritable)?;
    for batch in batches {
        writer.batch(&batch.map_err(|error| unwritable(error.into()))?).map_err(unwritable)?;
    }
    writer.finish().map_err(unwritable)
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
