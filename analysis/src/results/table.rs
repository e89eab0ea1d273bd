//! One Parquet table that grows run by run and appears under its name only when it is complete.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use cograd_trace::sha256_of_file;
use polars::prelude::{BatchedWriter, DataFrame, ParquetCompression, ParquetWriter, PolarsResult};

use super::output;
use crate::{AnalysisError, TableSummary};

/// Rows of a row group at most: bounds the memory of writer and reader.
const ROW_GROUP: usize = 1 << 17;

pub(super) struct Table {
    path: PathBuf,
    temporary: PathBuf,
    file: File,
    /// Made with the first rows, whose schema it takes.
    writer: Option<BatchedWriter<File>>,
    rows: u64,
    published: bool,
}

impl Table {
    pub(super) fn create(directory: &Path, name: &str) -> Result<Table, AnalysisError> {
        let (path, temporary) = (directory.join(name), directory.join(format!(".{name}.partial")));
        let file = File::create(&temporary).map_err(output("write", &temporary))?;
        Ok(Table { path, temporary, file, writer: None, rows: 0, published: false })
    }

    /// The name it will have.
    pub(super) fn name(&self) -> &str {
        self.path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// Where it is until it has that name.
    pub(super) fn temporary(&self) -> PathBuf {
        self.temporary.clone()
    }

    pub(super) fn append(&mut self, rows: PolarsResult<DataFrame>) -> Result<(), AnalysisError> {
        let written = rows.and_then(|rows| self.write(&rows));
        written.map_err(|source| AnalysisError::Table { path: self.path.clone(), source })
    }

    fn write(&mut self, rows: &DataFrame) -> PolarsResult<()> {
        if self.writer.is_none() {
            let writer = ParquetWriter::new(self.file.try_clone()?).with_compression(ParquetCompression::Zstd(None));
            self.writer = Some(writer.batched(rows.schema())?);
        }
        let Some(writer) = &mut self.writer else { return Ok(()) };
        self.rows += rows.height() as u64;
        (0..rows.height())
            .step_by(ROW_GROUP)
            .try_for_each(|first| writer.write_batch(&rows.slice(first as i64, ROW_GROUP)))
    }

    /// Writes the footer and makes the file durable; returns what it holds.
    pub(super) fn complete(&mut self) -> Result<TableSummary, AnalysisError> {
        if let Some(writer) = self.writer.take() {
            writer.finish().map_err(|source| AnalysisError::Table { path: self.path.clone(), source })?;
        }
        self.file.sync_all().map_err(output("write", &self.temporary))?;
        let bytes = self.file.metadata().map_err(output("read", &self.temporary))?.len();
        let sha256 = sha256_of_file(&self.temporary).map_err(AnalysisError::Summary)?;
        Ok(TableSummary { rows: self.rows, bytes, sha256 })
    }

    /// Gives the completed file its name and returns it.
    pub(super) fn publish(mut self) -> Result<PathBuf, AnalysisError> {
        fs::rename(&self.temporary, &self.path).map_err(output("replace", &self.path))?;
        self.published = true;
        Ok(self.path.clone())
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        if !self.published {
            // Nothing to be done if this fails too: a temporary name is never read.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}
