//! What can go wrong with an analysis.

use std::path::PathBuf;

use cograd_trace::{Run, TraceError};
use polars::prelude::PolarsError;

use crate::{Format, Span};

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
        source: Box<TraceError>,
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
    /// More null worlds than can be counted.
    #[error("{worlds} null worlds are too many; ask for at most {largest}")]
    TooManyWorlds {
        /// Number asked for.
        worlds: usize,
        /// Largest number.
        largest: usize,
    },
    /// More sampled examples than can be compared in pairs.
    #[error(
        "run {run}: statistics of pairs need n² numbers a step and layer, and it has n = {examples} sampled examples: choose at most \
         {largest} of them with --examples 0..{largest}, or other statistics, as with --statistics shares,cumulative"
    )]
    TooManyExamples {
        /// Run id.
        run: String,
        /// Number of sampled examples.
        examples: usize,
        /// Largest number.
        largest: usize,
    },
    /// A pattern that no layer of a run fits.
    #[error("run {run} has no layer `{pattern}`: its layers are {known}")]
    UnknownLayer {
        /// Run id.
        run: String,
        /// Layers asked for.
        pattern: String,
        /// Its layers.
        known: String,
    },
    /// A run whose examples cannot be grouped as asked.
    #[error("run {run}: {message}")]
    Grouping {
        /// Run id.
        run: String,
        /// Why.
        message: String,
    },
    /// A condition that is called as a column of the results.
    #[error(
        "the runs have a condition `{name}`, which is the name of a column of the results: record it under another name"
    )]
    ConditionName {
        /// The condition.
        name: String,
    },
    /// A table could not be computed.
    #[error("a table could not be computed")]
    Frame(#[source] Box<PolarsError>),
    /// Results could not be read or written.
    #[error(transparent)]
    Results(#[from] cograd_results::ResultsError),
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
    /// An output directory is not the command's own, is being written, or cannot be written.
    #[error(transparent)]
    Output(#[from] cograd_files::OutputError),
    /// A directory is no shard, a damaged one, or one of something else.
    #[error("cannot use {} as a shard: {message}", path.display())]
    Shard {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// Shards that do not make up an analysis together.
    #[error("{message}")]
    Shards {
        /// What is wrong with them.
        message: String,
    },
    /// A table could not be written in another format.
    #[error("cannot write {}", path.display())]
    Export {
        /// Path of the file.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Tables of which a format makes nothing.
    #[error("nothing here can be exported as {format:?}: it is made of {made_of}")]
    NothingToExport {
        /// The format.
        format: Format,
        /// Which tables it is made of.
        made_of: &'static str,
    },
    /// A name that nothing has.
    #[error("there is no {kind} `{name}`{}; there are {known}", nearest.as_ref().map(|it| format!(" (did you mean `{it}`?)")).unwrap_or_default())]
    Unknown {
        /// What is named.
        kind: &'static str,
        /// The name.
        name: String,
        /// The name that it is nearest to, if any is near.
        nearest: Option<String>,
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
}

/// Below this likeness, from 0 to 1, two names have too little in common for a suggestion.
const SIMILAR: f64 = 0.75;

impl AnalysisError {
    /// An error of polars, which is large.
    pub(crate) fn frame(error: PolarsError) -> AnalysisError {
        AnalysisError::Frame(Box::new(error))
    }

    /// The error `source` of reading the trace of `run`.
    pub(crate) fn in_run(run: &Run, source: TraceError) -> AnalysisError {
        AnalysisError::Run { run: run.manifest().run.clone(), source: Box::new(source) }
    }

    pub(crate) fn unknown(kind: &'static str, name: &str, known: impl IntoIterator<Item = String>) -> AnalysisError {
        let known: Vec<String> = known.into_iter().collect();
        let likeness =
            |known: &String| strsim::jaro_winkler(name, known).max(strsim::normalized_damerau_levenshtein(name, known));
        let near = known.iter().filter(|known| likeness(known) >= SIMILAR);
        let nearest = near.max_by(|one, other| likeness(one).total_cmp(&likeness(other))).cloned();
        AnalysisError::Unknown { kind, name: name.to_string(), nearest, known: known.join(", ") }
    }
}
