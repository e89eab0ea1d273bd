//! From a recorded trace to tidy tables of coherence statistics.
//!
//! Gradients are read once, streaming, and become *contributions* ([`statistic::contribution`]): n numbers a step, of
//! which everything else is a function. [`analyze`] does a whole study: for every run the statistics, their null
//! worlds and p-values; over the runs the paper's predictions with a verdict each; and writes them as Parquet tables
//! and `summary.json`, whose columns `docs/results.md` lists. The definitions are in `docs/statistics.md`.
//!
//! Statistics compute on slices and small structures and never touch a file; `results` writes and never computes.
#![warn(missing_docs)]

pub mod coherence;
mod compare;
pub mod curve;
mod error;
mod estimate;
mod example_file;
mod export;
mod groups;
mod options;
pub mod over_seeds;
pub mod prediction;
mod results;
pub mod rule;
mod run;
mod selection;
pub mod statistic;
mod summary;

use std::path::{Path, PathBuf};

use cograd_trace::Study;

pub use compare::{CompareOptions, Comparison, compare};
pub use error::AnalysisError;
pub use estimate::{Estimate, Estimator, GroupStatistic, GroupTest, NullCurve, NullPoint, World};
pub use export::{Format, export};
pub use groups::Groups;
pub use options::{ExampleSelection, GroupBy, NoObserver, Observer, Options, Span};
pub use run::RunAnalysis;
pub use summary::{
    Coverage, Final, MatchedRule, OptionsSummary, OverfitSummary, PopulationSummary, RunSummary, Simultaneous,
    StudySummary, Summary, TableSummary,
};

use results::Tables;

/// What an analysis wrote.
#[derive(Clone, Debug)]
pub struct Report {
    /// Directory of the results.
    pub directory: PathBuf,
    /// The files written, `summary.json` last.
    pub files: Vec<PathBuf>,
    /// The content of `summary.json`.
    pub summary: Summary,
}

/// Analyses every finished run of `study` and writes the results to `out`, by default `STUDY/analysis`.
///
/// Results are a pure function of the trace and the options, whatever the number of threads of the current rayon pool.
/// Nothing appears in `out` before every run is done; earlier results there are replaced.
///
/// # Errors
/// If the study cannot be read or has no finished run, if a file of a run is altered, truncated or malformed, or if the
/// results cannot be written.
pub fn analyze(
    study: &Path,
    out: Option<&Path>,
    options: &Options,
    observer: &dyn Observer,
) -> Result<Report, AnalysisError> {
    options.check()?;
    let study = Study::open(study).map_err(AnalysisError::Study)?;
    let directory = out.map_or_else(|| study.directory().join("analysis"), Path::to_path_buf);
    let mut tables = Tables::create(&directory)?;
    let mut runs = Vec::with_capacity(study.runs().len());
    for (index, run) in study.runs().iter().enumerate() {
        let manifest = run.manifest();
        let population = if options.examples.is_none() { run.population_steps().len() } else { 0 };
        let steps = manifest.recorded_steps.len() + population;
        observer.run_started(&manifest.run, index, study.runs().len(), steps);
        let analysis = RunAnalysis::of(run, options, observer)?;
        tables.append(&analysis)?;
        runs.push(summary::RunFacts::of(run, &analysis, options)?);
        observer.run_finished();
    }
    let summary = Summary::of(&study, options, runs, tables.complete()?);
    let files = tables.publish(&summary)?;
    Ok(Report { directory, files, summary })
}
