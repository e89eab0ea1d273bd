//! Writing results into a directory that nobody reads yet.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use cograd_files::{FileEntry, FileError, HashedFile, sealed, write_atomically};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use crate::{ResultsError, SUMMARY, Summary};

/// Rows of a row group at most: bounds the memory of writer and reader.
const ROW_GROUP: usize = 1 << 17;

/// The tables of a directory of results while they are written. The directory is new or empty; see
/// [`OutputDirectory`](cograd_files::OutputDirectory) for how results replace earlier ones.
#[derive(Debug)]
pub struct ResultsWriter {
    directory: PathBuf,
    tables: BTreeMap<String, Table>,
}

/// A table that is being written, or is complete.
#[derive(Debug)]
struct Table {
    path: PathBuf,
    rows: u64,
    writer: Option<ArrowWriter<HashedFile>>,
    entry: Option<FileEntry>,
}

impl ResultsWriter {
    /// Makes the directory.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn create(directory: &Path) -> Result<ResultsWriter, ResultsError> {
        fs::create_dir_all(directory)
            .map_err(|error| ResultsError::Write(FileError::io("create the directory", directory)(error)))?;
        Ok(ResultsWriter { directory: directory.to_path_buf(), tables: BTreeMap::new() })
    }

    /// Adds rows to the table `name`, which begins with its first ones.
    ///
    /// # Errors
    /// The rows have other columns than the first ones, or cannot be written.
    pub fn append(&mut self, name: &str, rows: &RecordBatch) -> Result<(), ResultsError> {
        if !self.tables.contains_key(name) {
            self.tables.insert(name.to_string(), Table::create(&self.directory, name, rows.schema())?);
        }
        self.tables.get_mut(name).map_or(Ok(()), |table| table.append(rows))
    }

    /// Completes every table; returns what each holds, by its file name.
    ///
    /// # Errors
    /// One cannot be written.
    pub fn complete(&mut self) -> Result<BTreeMap<String, FileEntry>, ResultsError> {
        let complete = |(name, table): (&String, &mut Table)| Ok((format!("{name}.parquet"), table.complete()?));
        self.tables.iter_mut().map(complete).collect()
    }

    /// Writes the sealed summary; returns the paths, the summary's last.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn publish(self, summary: &Summary) -> Result<Vec<PathBuf>, ResultsError> {
        let path = self.directory.join(SUMMARY);
        let text = sealed(summary).map_err(|error| ResultsError::Write(FileError::io("write", &path)(error.into())))?;
        write_atomically(&path, &text).map_err(ResultsError::Write)?;
        Ok(self.tables.into_values().map(|table| table.path).chain([path]).collect())
    }
}

impl Table {
    fn create(directory: &Path, name: &str, schema: SchemaRef) -> Result<Table, ResultsError> {
        let path = directory.join(format!("{name}.parquet"));
        let encode = |source| ResultsError::Encode { path: path.clone(), source };
        let file = HashedFile::create(&path).map_err(ResultsError::Write)?;
        let writer = ArrowWriter::try_new(file, schema, Some(properties().map_err(encode)?)).map_err(encode)?;
        Ok(Table { path, rows: 0, writer: Some(writer), entry: None })
    }

    fn append(&mut self, rows: &RecordBatch) -> Result<(), ResultsError> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        self.rows += rows.num_rows() as u64;
        writer.write(rows).map_err(|source| ResultsError::Encode { path: self.path.clone(), source })
    }

    fn complete(&mut self) -> Result<FileEntry, ResultsError> {
        if let Some(mut writer) = self.writer.take() {
            writer.finish().map_err(|source| ResultsError::Encode { path: self.path.clone(), source })?;
            let entry = writer.inner_mut().close(&self.path, self.rows).map_err(ResultsError::Write)?;
            self.entry = Some(entry);
        }
        Ok(self.entry.clone().unwrap_or(FileEntry { rows: 0, bytes: 0, sha256: String::new() }))
    }
}

fn properties() -> Result<WriterProperties, ParquetError> {
    Ok(WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_max_row_group_row_count(Some(ROW_GROUP))
        .build())
}
