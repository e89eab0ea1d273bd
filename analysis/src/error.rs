//! What can go wrong with an analysis.

use std::path::PathBuf;

use cograd_trace::TraceError;
use polars::prelude::PolarsError;

use crate::Span;

/// An error of an analysis.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnalysisError {
    /// The study cannot be opened, or has no finished run.
    #[error(transparent)]
    Study(TraceError),
    /// The trace of a run cannot be read.
    #[error("cannot analyse run {run}")]
    Run {
        /// Run id.
        run: String,
        /// What is wrong with its trace.
        source: TraceError,
    },
    /// The gradients of a run are of other examples than its examples file says.
    #[error(
        "run {run}: examples.parquet marks {marked} examples as sampled, but the gradients of step {step} are of others \
         ({recorded} rows); record the run again"
    )]
    Sample {
        /// Run id.
        run: String,
        /// Step whose gradients differ.
        step: i64,
        /// Examples marked as sampled.
        marked: usize,
        /// Examples with gradients.
        recorded: usize,
    },
    /// A seed that the results have no room for.
    #[error("run {run}: its seed {seed} is larger than {}, the largest that the results can hold", i64::MAX)]
    Seed {
        /// Run id.
        run: String,
        /// Seed of the run.
        seed: u64,
    },
    /// More null worlds than can be counted.
    #[error("{worlds} null worlds are too many; ask for at most {largest}")]
    TooManyWorlds {
        /// Number asked for.
        worlds: usize,
        /// Largest number.
        largest: usize,
    },
    /// A layer that a run has not.
    #[error("run {run} has no layer {layer}: its layers are {}", list(known))]
    UnknownLayer {
        /// Run id.
        run: String,
        /// Layer asked for.
        layer: usize,
        /// Its layers.
        known: Vec<usize>,
    },
    /// None of the examples asked for is sampled.
    #[error("run {run}: none of its {sampled} sampled examples is in {examples}")]
    NoExample {
        /// Run id.
        run: String,
        /// Which examples were asked for.
        examples: String,
        /// Number of sampled examples.
        sampled: usize,
    },
    /// None of the steps asked for is recorded.
    #[error("run {run}: none of its recorded steps, {first} to {last}, is in {steps}")]
    NoStep {
        /// Run id.
        run: String,
        /// Which steps were asked for.
        steps: Span,
        /// First recorded step.
        first: i64,
        /// Last recorded step.
        last: i64,
    },
    /// A file that names examples cannot be read.
    #[error("cannot read {}", path.display())]
    Input {
        /// Path of the file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A file that names examples does not fit.
    #[error("cannot use {}: {message}", path.display())]
    ExampleFile {
        /// Path of the file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// The operating system refused to write results.
    #[error("cannot {action} {}", path.display())]
    Output {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A results table could not be encoded or written.
    #[error("cannot write the table {}", path.display())]
    Table {
        /// Path of the table.
        path: PathBuf,
        /// Why it failed.
        source: PolarsError,
    },
    /// There are no results where some were looked for.
    #[error("{} holds no results: run `cograd analyze` on the study first", path.display())]
    NotAnalysed {
        /// The directory looked into.
        path: PathBuf,
    },
    /// A results table could not be read.
    #[error("{} is not a readable table of results: run `cograd analyze` again", path.display())]
    Results {
        /// Path of the table.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A table could not be written in another format.
    #[error("cannot write {}", path.display())]
    Export {
        /// Path of the file.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A name that nothing has.
    #[error("there is no {kind} `{name}`; there are {known}")]
    Unknown {
        /// What is named.
        kind: &'static str,
        /// The name.
        name: String,
        /// The names there are.
        known: String,
    },
    /// A single study cannot be compared.
    #[error("a comparison needs at least two studies")]
    OneStudy,
    /// A study named twice.
    #[error("{} is named twice; a study cannot be compared with itself", path.display())]
    StudyTwice {
        /// The study.
        path: PathBuf,
    },
    /// Studies without a curve in common.
    #[error("no two of the studies have any of these curves in common")]
    NothingInCommon,
    /// A file could not be written.
    #[error(transparent)]
    Write(TraceError),
    /// `summary.json` could not be written.
    #[error("cannot write the summary")]
    Summary(#[source] TraceError),
}

impl AnalysisError {
    pub(crate) fn unknown(kind: &'static str, name: &str, known: impl IntoIterator<Item = String>) -> AnalysisError {
        let known: Vec<String> = known.into_iter().collect();
        AnalysisError::Unknown { kind, name: name.to_string(), known: known.join(", ") }
    }
}

fn list(numbers: &[usize]) -> String {
    numbers.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
}
