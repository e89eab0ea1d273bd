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
    /// There is no figure of that name.
    #[error("there is no figure {name}; the results have: {}", known.join(", "))]
    UnknownFigure {
        /// The name asked for.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// The page could not be rendered.
    #[error("cannot render index.html")]
    Page {
        /// What the template engine said.
        source: minijinja::Error,
    },
}

impl ReportError {
    pub(crate) fn drawing(error: impl std::fmt::Display) -> ReportError {
        ReportError::Draw { reason: error.to_string() }
    }
}
