//! What can be wrong with results.

use std::path::PathBuf;

use cograd_files::FileError;
use parquet::errors::ParquetError;

/// An error of reading or writing results.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResultsError {
    /// There are no results where some were looked for.
    #[error("{} holds no results: run `cograd analyze` on the study first", path.display())]
    NotAnalysed {
        /// The directory looked into.
        path: PathBuf,
    },
    /// A file is missing, altered, or refused by the operating system.
    #[error("{source}; run `cograd analyze` again")]
    File {
        /// Which, and why.
        source: FileError,
    },
    /// A file could not be written.
    #[error(transparent)]
    Write(FileError),
    /// The summary is not the one that was written, or not one that this program reads.
    #[error("{}: {message}; run `cograd analyze` again", path.display())]
    Summary {
        /// The summary.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A table cannot be read.
    #[error("{} is not a readable table of results: {message}; run `cograd analyze` again", path.display())]
    Table {
        /// The table.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// A table could not be encoded.
    #[error("cannot write the table {}", path.display())]
    Encode {
        /// The table.
        path: PathBuf,
        /// Why.
        source: ParquetError,
    },
}
