//! The analysis of a whole study: run by run, then over the runs, then on disk.

use std::path::{Path, PathBuf};

use cograd_files::OutputDirectory;
use cograd_results::summary::{self, Summary};
use cograd_results::{ResultsWriter, Scope, Table, table as definition};
use cograd_trace::{Run, Study};
use polars::prelude::*;

use crate::conditions::Conditions;
use crate::run::RunAnalysis;
use crate::statistic::{self, Statistic};
use crate::{AnalysisError, GroupBy, Observer, Options, frame, groups, table};

/// Tables of runs that there are whatever is computed.
const ALWAYS: [&str; 3] = ["runs", "groups", "curves"];

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
/// Results are a pure function of the trace and the options, whatever the number of threads of the current rayon pool and of
/// polars'. Nothing appears in `out` before every run is done; then earlier results there are replaced, in one swap
/// of directories.
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
    let statistics = statistic::chosen(options.statistics.as_deref())?;
    let study = Study::open(study).map_err(AnalysisError::Study)?;
    let conditions = Conditions::of(study.runs())?;
    let group_by = match &options.group_by {
        Some(group_by) => group_by.clone(),
        None => groups::usual(study.runs())?,
    };
    let directory = out.map_or_else(|| study.directory().join("analysis"), Path::to_path_buf);
    let output = OutputDirectory::claim(&directory, "analyze")?;
    let mut over_runs =
        OverRuns::new(&conditions, ResultsWriter::create(output.path()).map_err(AnalysisError::Results)?);
    over_runs.begin(&statistics)?;
    for (index, run) in study.runs().iter().enumerate() {
        let population = if options.examples.is_none() { run.population_steps().len() } else { 0 };
        let reads = statistics.iter().any(|statistic| statistic.compute.needs_gradients());
        let steps = if reads { run.manifest().recorded_steps.len() + population } else { 0 };
        observer.run_started(&run.manifest().run, index, study.runs().len(), steps);
        over_runs.add(index, run, RunAnalysis::of(run, &group_by, &statistics, options, observer)?)?;
        observer.run_finished();
    }
    over_runs.finish(&group_by)?;
    let groups = std::mem::take(&mut over_runs.groups);
    let mut writer = over_runs.writer;
    let files = writer.complete().map_err(AnalysisError::Results)?;
    let summary = Summary {
        cograd: env!("CARGO_PKG_VERSION").to_string(),
        study: study_summary(&study),
        options: options.summary(),
        conditions: conditions.summary(),
        runs: study.runs().iter().map(run_summary).collect(),
        grouping: summary::Grouping { by: group_by.to_string(), groups },
        statistics: statistics.iter().map(|statistic| statistic_summary(statistic)).collect(),
        compared: Vec::new(),
        files,
        seal: String::new(),
    };
    let files = output.publish(&writer.publish(&summary).map_err(AnalysisError::Results)?)?;
    Ok(Report { directory, files, summary })
}

/// The tables while run after run is added to them.
struct OverRuns<'a> {
    conditions: &'a Conditions,
    writer: ResultsWriter,
    /// What is kept of the runs for the tables over all of them.
    curves: Vec<(u64, DataFrame)>,
    overfit: Vec<LazyFrame>,
    facts: Vec<LazyFrame>,
    groups: Vec<String>,
}

impl<'a> OverRuns<'a> {
    fn new(conditions: &'a Conditions, writer: ResultsWriter) -> OverRuns<'a> {
        OverRuns { conditions, writer, curves: Vec::new(), overfit: Vec::new(), facts: Vec::new(), groups: Vec::new() }
    }

    /// Begins every table that the statistics are in, so that one without rows is there too.
    fn begin(&mut self, statistics: &[&'static Statistic]) -> Result<(), AnalysisError> {
        let of_statistics = statistics.iter().flat_map(|statistic| statistic.tables).copied();
        let names: Vec<&str> = ALWAYS.into_iter().chain(of_statistics).collect();
        names.into_iter().try_for_each(|name| match definition(name) {
            Some(table) => self.write(table, &DataFrame::default()),
            None => Ok(()),
        })
    }

    fn add(&mut self, index: usize, run: &Run, analysis: RunAnalysis) -> Result<(), AnalysisError> {
        let RunAnalysis { tables, facts, groups } = analysis;
        let identity = self.conditions.of_run(index, run);
        for (name, rows) in tables {
            let rows = rows.lazy().with_columns(identity.clone()).collect().map_err(AnalysisError::frame)?;
            if let Some(table) = definition(name) {
                self.write(table, &rows)?;
            }
            let noise = Conditions::of_predictions(run)[0].clone();
            match name {
                "curves" => self.curves.push((self.conditions.places[index], rows)),
                "overfit" => self.overfit.push(rows.lazy().with_column(noise)),
                _ => {}
            }
        }
        let row = facts.clone().lazy().with_columns(identity).collect().map_err(AnalysisError::frame)?;
        self.write(&cograd_results::tables::RUNS, &row)?;
        self.facts.push(facts.lazy().with_columns(Conditions::of_predictions(run)));
        for group in groups {
            if !self.groups.contains(&group) {
                self.groups.push(group);
            }
        }
        Ok(())
    }

    /// The tables over all runs.
    fn finish(&mut self, group_by: &GroupBy) -> Result<(), AnalysisError> {
        let names = self.conditions.names();
        let curves = std::mem::take(&mut self.curves);
        let over_seeds = || table::over_seeds::table(curves, &names)?.collect();
        self.write(&cograd_results::tables::OVER_SEEDS, &over_seeds().map_err(AnalysisError::frame)?)?;
        let overfit = std::mem::take(&mut self.overfit);
        if !overfit.is_empty() {
            let matched = || table::matched::table(frame::stacked(overfit)?, &names)?.collect();
            let matched = matched().map_err(AnalysisError::frame)?;
            if matched.height() > 0 {
                self.write(&cograd_results::tables::MATCHED, &matched)?;
            }
        }
        let facts = std::mem::take(&mut self.facts);
        let predictions = || {
            let args = UnionArgs { parallel: false, ..UnionArgs::default() };
            table::predictions::table(concat_lf_diagonal(facts, args)?, self.conditions.others(), &group_by.to_string())
        };
        match predictions().map_err(AnalysisError::frame)? {
            Some(predictions) => self.write(&cograd_results::tables::PREDICTIONS, &predictions),
            None => Ok(()),
        }
    }

    fn write(&mut self, table: &Table, rows: &DataFrame) -> Result<(), AnalysisError> {
        let identity = match table.scope {
            Scope::Run => self.conditions.of_runs(),
            Scope::Condition => self.conditions.columns().to_vec(),
            Scope::Study => Vec::new(),
        };
        let batch = frame::batch(rows, &identity, table).map_err(AnalysisError::frame)?;
        self.writer.append(table.name, &batch).map_err(AnalysisError::Results)
    }
}

fn study_summary(study: &Study) -> summary::Study {
    let experiment = study.experiment_toml();
    let named = experiment.and_then(|text| Some(text.parse::<toml::Table>().ok()?.get("name")?.as_str()?.to_string()));
    summary::Study {
        name: named.unwrap_or_else(|| directory_name(study.directory())),
        experiment_sha256: experiment.map(|text| cograd_files::sha256(text.as_bytes())),
    }
}

fn directory_name(directory: &Path) -> String {
    let absolute = std::path::absolute(directory).unwrap_or_else(|_| directory.to_path_buf());
    absolute.file_name().map_or_else(|| "study".to_string(), |name| name.to_string_lossy().into_owned())
}

fn run_summary(run: &Run) -> summary::Run {
    let conditions = &run.manifest().conditions;
    let value = |(name, value): (&str, &cograd_trace::Condition)| {
        (name.to_string(), serde_json::to_value(value).unwrap_or_default())
    };
    summary::Run {
        run: run.manifest().run.clone(),
        conditions: conditions.iter().map(value).collect(),
        seed: conditions.seed(),
    }
}

fn statistic_summary(statistic: &Statistic) -> summary::Statistic {
    summary::Statistic {
        name: statistic.name.to_string(),
        about: statistic.about.to_string(),
        unit: statistic.unit.to_string(),
        tables: statistic.tables.iter().map(|table| table.to_string()).collect(),
    }
}
