//! What can go wrong with a trace, said so that a person knows which file and what to do.

use std::path::{Path, PathBuf};

use cograd_files::FileError;
use parquet::errors::ParquetError;

/// An error of reading or writing a trace.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// The operating system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// There is no such directory.
    #[error("{} does not exist; name the directory given to `--out` when recording", path.display())]
    NoSuchStudy {
        /// The directory.
        path: PathBuf,
    },
    /// The directory is no study.
    #[error("{} is not a study: it has neither study.toml nor a directory runs; name the directory given to `--out` when recording", path.display())]
    NotAStudy {
        /// The directory.
        path: PathBuf,
    },
    /// The study has no run that can be analysed.
    #[error("{} has no finished run{}; record it (again) to the end first", path.display(), unfinished_list(unfinished))]
    NoFinishedRun {
        /// The study.
        path: PathBuf,
        /// Runs that were begun.
        unfinished: Vec<String>,
    },
    /// Two runs cannot be told apart.
    #[error(
        "{}: the runs {} and {} have the same conditions and seed ({conditions}); say in the manifest's conditions what they differ in, or remove one",
        path.display(), runs[0], runs[1]
    )]
    SameConditions {
        /// The study.
        path: PathBuf,
        /// The runs.
        runs: [String; 2],
        /// Their conditions.
        conditions: String,
    },
    /// The directory is no finished run.
    #[error("{} is not a finished run: it has no manifest.json; record the run again", path.display())]
    NotARun {
        /// The directory.
        path: PathBuf,
    },
    /// The run is already there.
    #[error("{} is already there; remove it to record the run again", path.display())]
    RunExists {
        /// The run's directory.
        path: PathBuf,
    },
    /// The manifest is not JSON, or a field is missing or of another type.
    #[error("{} is not a valid manifest; docs/trace-format.md has its fields", path.display())]
    ManifestSyntax {
        /// The manifest.
        path: PathBuf,
        /// Line and column.
        source: serde_json::Error,
    },
    /// The manifest says something impossible.
    #[error("{}: {message}", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// Which field, and what is wrong with it.
        message: String,
    },
    /// The trace is of another format version.
    #[error("{} has format_version {found}; this program reads versions 1 to {} only: use the program that wrote it, or record again", path.display(), crate::FORMAT_VERSION)]
    FormatVersion {
        /// The manifest.
        path: PathBuf,
        /// Its version.
        found: u64,
    },
    /// A file that the manifest lists is not there.
    #[error("{} is missing, though the manifest lists it; restore it from a copy or record the run again", path.display())]
    MissingFile {
        /// The file.
        path: PathBuf,
    },
    /// A file is not the one that was written.
    #[error("{} was altered or truncated after it was written: {message}; restore it from a copy or record the run again", path.display())]
    Altered {
        /// The file.
        path: PathBuf,
        /// How it differs.
        message: String,
    },
    /// A file is not readable Parquet.
    #[error("{} cannot be read as Parquet: {message}", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What the Parquet reader says.
        message: String,
    },
    /// A column is missing or has another type.
    #[error("{}: column `{column}` should be {expected}, but {found}", path.display())]
    Column {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// Type that the format asks for.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A row holds something impossible, a null for example.
    #[error("{}: row {row}, column `{column}`: {message}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The row, counted from 0 in this file.
        row: usize,
        /// The column.
        column: String,
        /// What is wrong with it.
        message: String,
    },
    /// A file contradicts another of the run, or the manifest.
    #[error("{}: {message}", path.display())]
    Contents {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A gradient is NaN or infinite.
    #[error(
        "{}: the gradient of example {example_id} at step {step} is {value} at coordinate {coordinate}; the run diverged or its recording is faulty: lower the learning rate, or leave out the rows of such steps and list them as skipped_steps",
        path.display()
    )]
    NonFinite {
        /// The file, or the run while it is being written.
        path: PathBuf,
        /// The step.
        step: i64,
        /// The example.
        example_id: u32,
        /// The coordinate.
        coordinate: usize,
        /// NaN or an infinity.
        value: f32,
    },
    /// A contribution or self term is NaN or infinite.
    #[error(
        "{}: `{column}` of example {example_id} at step {step} is {value}; the run diverged or its recording is faulty: lower the learning rate, or leave out the rows of such steps and list them as skipped_steps",
        path.display()
    )]
    NonFinitePopulation {
        /// The file, or the run while it is being written.
        path: PathBuf,
        /// The column.
        column: String,
        /// The step.
        step: i64,
        /// The example.
        example_id: u32,
        /// NaN or an infinity.
        value: f64,
    },
    /// The run has no snapshot at this step.
    #[error("{} has no weights of step {step}; it has those of {}", path.display(), step_list(available))]
    NoSnapshot {
        /// The run's directory.
        path: PathBuf,
        /// The step asked for.
        step: i64,
        /// Steps that have one.
        available: Vec<i64>,
    },
    /// An unfinished run cannot be continued.
    #[error("{} cannot be continued from: {message}", path.display())]
    Checkpoint {
        /// The checkpoint, or the file that it needs.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// What was to be written is impossible: an error of the calling program.
    #[error("cannot write run {run}: {message}")]
    Input {
        /// The run.
        run: String,
        /// What is wrong.
        message: String,
    },
}

/// What is wrong with a file that the manifest lists, or that is written for it.
impl From<FileError> for TraceError {
    fn from(error: FileError) -> TraceError {
        match error {
            FileError::Io { action, path, source } => TraceError::Io { action, path, source },
            FileError::Missing { path } => TraceError::MissingFile { path },
            FileError::Altered { path, message } => TraceError::Altered { path, message },
        }
    }
}

impl TraceError {
    /// Turns an I/O error into one that names the path.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> TraceError {
        move |source| TraceError::Io { action, path: path.to_path_buf(), source }
    }

    /// Turns an error of the Parquet crate into one that names the path; full disks come wrapped in it.
    pub(crate) fn parquet(action: &'static str, path: &Path) -> impl FnOnce(ParquetError) -> TraceError {
        move |error| {
            let path = path.to_path_buf();
            match error {
                ParquetError::External(inner) => match inner.downcast::<std::io::Error>() {
                    Ok(source) => TraceError::Io { action, path, source: *source },
                    Err(inner) => TraceError::Parquet { path, message: inner.to_string() },
                },
                other => TraceError::Parquet { path, message: other.to_string() },
            }
        }
    }

    pub(crate) fn checkpoint(path: &Path, message: impl Into<String>) -> TraceError {
        TraceError::Checkpoint { path: path.to_path_buf(), message: message.into() }
    }

    /// Whether there was no room left to write.
    pub fn is_disk_full(&self) -> bool {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        matches!(self, TraceError::Io { source, .. } if matches!(source.kind(), StorageFull | QuotaExceeded))
    }

    pub(crate) fn contents(path: &Path, message: impl Into<String>) -> TraceError {
        TraceError::Contents { path: path.to_path_buf(), message: message.into() }
    }
}

fn unfinished_list(unfinished: &[String]) -> String {
    match unfinished {
        [] => String::new(),
        some => format!(" (begun, not finished: {})", some.join(", ")),
    }
}

fn step_list(steps: &[i64]) -> String {
    if steps.is_empty() {
        return "no step".to_string();
    }
    let steps: Vec<String> = steps.iter().map(i64::to_string).collect();
    format!("step {}", steps.join(", "))
}
