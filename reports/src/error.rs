use cograd_files::{FileError, OutputError};
use cograd_results::ResultsError;

/// Why a report could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The results are missing, altered or not readable.
    #[error(transparent)]
    Results(#[from] ResultsError),
    /// A file of the report could not be read, written or removed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The directory of the report is not a report's, or is being written.
    #[error(transparent)]
    Output(#[from] OutputError),
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
}
