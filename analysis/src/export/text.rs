//! Tables as CSV or JSON, for programs that read no Parquet.
//!
//! A table becomes a file of its name: CSV with a header row, or a JSON array of one object a row. A missing value is an empty
//! field in CSV, where no text is empty, and `null` in JSON, as an infinite one is,
//! which JSON has no word for; numbers are the shortest that read back as the same f64.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::json::writer::{JsonArray, WriterBuilder};
use cograd_files::{FileError, OutputError};
use cograd_results::Results;

use super::Format;
use crate::AnalysisError;

/// Writes a table. Batches stream through: memory does not grow with it.
pub(super) fn write(results: &Results, table: &str, path: &Path, format: Format) -> Result<(), AnalysisError> {
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
            // A missing value is said to be missing, not left out.
            Format::Json => Writer::Json(WriterBuilder::new().with_explicit_nulls(true).build(file)),
            _ => Writer::Csv(Box::new(arrow::csv::Writer::new(file))),
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
