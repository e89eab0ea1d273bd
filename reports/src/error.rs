use std::path::PathBuf;

use cograd_trace::TraceError;
use polars::error::PolarsError;

/// Why a report could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A results file does not exist.
    #[error("{} is missing: run `cograd analyze` on the study first", path.display())]
    MissingFile {
        /// The file looked for.
        path: PathBuf,
    },
    /// A results file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A results table is no readable Parquet file.
    #[error("{} is not a readable Parquet table: run `cograd analyze` again", path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// Why.
        source: PolarsError,
    },
    /// A results table lacks a column.
    #[error("{}: column `{column}` is missing: run `cograd analyze` again", path.display())]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// The column looked for.
        column: &'static str,
    },
    /// A column holds another type than documented.
    #[error("{}: column `{column}` has type {found}, not {expected}: run `cograd analyze` again", path.display())]
    ColumnType {
        /// The file.
        path: PathBuf,
        /// The column.
        column: &'static str,
        /// The type it has.
        found: String,
        /// The type it should have.
        expected: &'static str,
    },
    /// A value that may not be missing is.
    #[error("{}: column `{column}` has no value in row {row}: run `cograd analyze` again", path.display())]
    MissingValue {
        /// The file.
        path: PathBuf,
        /// The column.
        column: &'static str,
        /// The row, counted from 0.
        row: usize,
    },
    /// A table has rows of a run that `summary.json` does not list.
    #[error("{}: run `{run}` is not in summary.json, so the results are of two analyses: run `cograd analyze` again", path.display())]
    UnknownRun {
        /// The file.
        path: PathBuf,
        /// The run.
        run: String,
    },
    /// `summary.json` is not what analysis writes.
    #[error("{} is not a summary of results: run `cograd analyze` again", path.display())]
    Summary {
        /// The file.
        path: PathBuf,
        /// Which field, line and column.
        source: serde_json::Error,
    },
    /// A figure could not be drawn.
    #[error("cannot draw a figure: {reason}")]
    Draw {
        /// What the drawing backend said.
        reason: String,
    },
    /// The page could not be rendered.
    #[error("cannot render index.html")]
    Page {
        /// What the template engine said.
        source: minijinja::Error,
    },
    /// The directory of the report could not be made.
    #[error("cannot write {}: check that there is space and permission", path.display())]
    CreateDirectory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of an earlier report could not be removed.
    #[error("cannot remove {}, a file of an earlier report", path.display())]
    Remove {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// `manifest.json` could not be made.
    #[error("cannot write {}", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A file of the report could not be written.
    #[error(transparent)]
    Write(TraceError),
    /// A file could not be hashed.
    #[error(transparent)]
    Hash(TraceError),
}
