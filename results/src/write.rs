//! Writing results: under temporary names until everything is there.

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

/// The tables of a directory of results while they are written.
///
/// Nothing appears under its name before [`ResultsWriter::publish`]; dropped without it, nothing is left.
#[derive(Debug)]
pub struct ResultsWriter {
    directory: PathBuf,
    tables: BTreeMap<String, Table>,
}

/// A table that is being written, or is complete under its temporary name.
#[derive(Debug)]
struct Table {
    path: PathBuf,
    temporary: PathBuf,
    rows: u64,
    writer: Option<ArrowWriter<HashedFile>>,
    entry: Option<FileEntry>,
    published: bool,
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

    /// Completes every table, still under its temporary name; returns what each holds, by its file name.
    ///
    /// # Errors
    /// One cannot be written.
    pub fn complete(&mut self) -> Result<BTreeMap<String, FileEntry>, ResultsError> {
        let complete = |(name, table): (&String, &mut Table)| Ok((format!("{name}.parquet"), table.complete()?));
        self.tables.iter_mut().map(complete).collect()
    }

    /// Gives every table its name, removes tables of earlier results that there are no more, then writes the sealed summary;
    /// returns the paths, the summary's last.
    ///
    /// # Errors
    /// A file cannot be replaced or written.
    pub fn publish(mut self, summary: &Summary) -> Result<Vec<PathBuf>, ResultsError> {
        let path = self.directory.join(SUMMARY);
        let text = sealed(summary).map_err(|error| ResultsError::Write(FileError::io("write", &path)(error.into())))?;
        // From here to the end the directory mixes two analyses, so it must not have a summary.
        let earlier = crate::Results::open(&self.directory).ok();
        remove(&path)?;
        for name in earlier.iter().flat_map(|results| results.summary().files.keys()) {
            if !summary.files.contains_key(name) && !name.contains('/') {
                remove(&self.directory.join(name))?;
            }
        }
        let mut files = self.tables.values_mut().map(Table::publish).collect::<Result<Vec<PathBuf>, ResultsError>>()?;
        write_atomically(&path, &text).map_err(ResultsError::Write)?;
        files.push(path);
        Ok(files)
    }
}

fn remove(path: &Path) -> Result<(), ResultsError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(ResultsError::Write(FileError::io("replace", path)(error)))
        }
        _ => Ok(()),
    }
}

impl Table {
    fn create(directory: &Path, name: &str, schema: SchemaRef) -> Result<Table, ResultsError> {
        let (path, temporary) =
            (directory.join(format!("{name}.parquet")), directory.join(format!(".{name}.parquet.partial")));
        let encode = |source| ResultsError::Encode { path: path.clone(), source };
        let file = HashedFile::create(&temporary).map_err(ResultsError::Write)?;
        let writer = ArrowWriter::try_new(file, schema, Some(properties().map_err(encode)?)).map_err(encode)?;
        Ok(Table { path, temporary, rows: 0, writer: Some(writer), entry: None, published: false })
    }

    fn append(&mut self, rows: &RecordBatch) -> Result<(), ResultsError> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        self.rows += rows.num_rows() as u64;
        writer.write(rows).map_err(|source| ResultsError::Encode { path: self.path.clone(), source })
    }

    fn complete(&mut self) -> Result<FileEntry, ResultsError> {
        if let Some(mut writer) = self.writer.take() {
            writer.finish().map_err(|source| ResultsError::Encode { path: self.path.clone(), source })?;
            let entry = writer.inner_mut().close(&self.temporary, self.rows).map_err(ResultsError::Write)?;
            self.entry = Some(entry);
        }
        Ok(self.entry.clone().unwrap_or(FileEntry { rows: 0, bytes: 0, sha256: String::new() }))
    }

    fn publish(&mut self) -> Result<PathBuf, ResultsError> {
        fs::rename(&self.temporary, &self.path)
            .map_err(|error| ResultsError::Write(FileError::io("replace", &self.path)(error)))?;
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

fn properties() -> Result<WriterProperties, ParquetError> {
    Ok(WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_max_row_group_row_count(Some(ROW_GROUP))
        .build())
}
