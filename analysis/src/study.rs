//! The analysis of a whole study: run by run, then over the runs, then on disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cograd_files::{FileEntry, OutputDirectory};
use cograd_results::summary::{self, Summary};
use cograd_results::{ResultsWriter, Scope, Table, table as definition};
use cograd_trace::{Run, Study};
use polars::prelude::*;

use crate::conditions::Conditions;
use crate::run::{Analysis, Reads, RunAnalysis, RunPart};
use crate::shard::{Origin, Shards};
use crate::statistic::{self, Statistic};
use crate::table::over_seeds::OverSeeds;
use crate::{AnalysisError, GroupBy, Observer, Options, frame, groups, table};

/// Version of the program.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Tables of runs that there are whatever is computed.
const ALWAYS: [&str; 4] = ["runs", "groups", "curves", "over_seeds"];
/// Rows of a table that are written at once, at most.
const ROWS: usize = 1 << 16;

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
    Plan::new(study, options)?.write(out, observer, None)
}

/// The same from the `shards` that [`analyze_shard`](crate::analyze_shard) wrote: gradients and population record are not read again.
///
/// # Errors
/// As [`analyze`]; a shard is damaged, or is of another study, other options or another version of the program; one is missing,
/// or there twice.
pub fn analyze_from(
    study: &Path,
    shards: &[PathBuf],
    out: Option<&Path>,
    options: &Options,
    observer: &dyn Observer,
) -> Result<Report, AnalysisError> {
    let plan = Plan::new(study, options)?;
    let shards = Shards::open(shards, &Origin::new(&plan)?)?;
    plan.write(out, observer, Some(&shards))
}

/// A study, and what is asked of it.
pub(crate) struct Plan<'a> {
    pub(crate) study: Study,
    pub(crate) options: &'a Options,
    pub(crate) statistics: Vec<&'static Statistic>,
    conditions: Conditions,
    group_by: GroupBy,
}

impl<'a> Plan<'a> {
    /// Opens the study.
    ///
    /// # Errors
    /// It cannot be opened, or cannot be asked this.
    pub(crate) fn new(study: &Path, options: &'a Options) -> Result<Plan<'a>, AnalysisError> {
        options.check()?;
        let statistics = statistic::chosen(options.statistics.as_deref())?;
        let study = Study::open(study).map_err(AnalysisError::Study)?;
        let conditions = Conditions::new(study.runs())?;
        let group_by = match &options.group_by {
            Some(group_by) => group_by.clone(),
            None => groups::usual(study.runs())?,
        };
        Ok(Plan { study, options, statistics, conditions, group_by })
    }

    /// What is made of one run by `work`, while the files that are `chosen` by their names are verified. What does not fit into memory
    /// is kept in `directory` meanwhile.
    ///
    /// # Errors
    /// A file is altered or truncated; else that of the work.
    pub(crate) fn verified<T: Send>(
        &self,
        run: &Run,
        directory: &Path,
        chosen: impl Fn(&str) -> bool + Send,
        work: impl FnOnce(Analysis<'_>) -> Result<T, AnalysisError> + Send,
    ) -> Result<T, AnalysisError> {
        let verify = || run.verify_files(chosen).map_err(|source| AnalysisError::in_run(run, source));
        let analysis = || Analysis::new(run, &self.group_by, &self.statistics, self.options, directory);
        let (verified, made) = rayon::join(verify, || work(analysis()?));
        verified?;
        made
    }

    /// Writes the results, from the trace or, with `shards`, from what they hold of it.
    fn write(
        &self,
        out: Option<&Path>,
        observer: &dyn Observer,
        shards: Option<&Shards>,
    ) -> Result<Report, AnalysisError> {
        let Plan { study, conditions, statistics, group_by, .. } = self;
        let directory = out.map_or_else(|| study.directory().join("analysis"), Path::to_path_buf);
        let output = OutputDirectory::claim(&directory, "analyze")?;
        let writer = ResultsWriter::create(output.path()).map_err(AnalysisError::Results)?;
        let mut over_runs = OverRuns::new(conditions, writer, output.path());
        over_runs.begin(statistics)?;
        for (index, run) in study.runs().iter().enumerate() {
            let steps = if shards.is_some() { 0 } else { self.steps(run) };
            observer.run_started(&run.manifest().run, index, study.runs().len(), steps);
            let made = self.verified(
                run,
                output.path(),
                |file| !shards.is_some_and(|shards| shards.verified(run, file)),
                |analysis| {
                    let found = match shards {
                        None => analysis.read(&RunPart::WHOLE, observer)?,
                        Some(shards) => shards.found(index, &analysis)?,
                    };
                    analysis.tables(&found, &mut |table, rows| over_runs.add_rows(index, run, table, rows))
                },
            );
            over_runs.end_run(index, run, made?)?;
            observer.run_finished();
        }
        over_runs.finish(group_by)?;
        let groups = std::mem::take(&mut over_runs.groups);
        let mut writer = over_runs.writer;
        let files = writer.complete().map_err(AnalysisError::Results)?;
        let summary = self.summary(groups, files);
        let files = output.publish(&writer.publish(&summary).map_err(AnalysisError::Results)?)?;
        Ok(Report { directory, files, summary })
    }

    /// How many steps are read of a run.
    fn steps(&self, run: &Run) -> usize {
        let Reads { gradients, population } = Reads::new(run, &self.statistics, self.options);
        let of_population = if population { run.population_steps().len() } else { 0 };
        if gradients { run.manifest().recorded_steps.len() + of_population } else { 0 }
    }

    fn summary(&self, groups: Vec<String>, files: BTreeMap<String, FileEntry>) -> Summary {
        Summary {
            cograd: VERSION.to_string(),
            study: study_summary(&self.study),
            options: self.options.summary(),
            conditions: self.conditions.summary(),
            runs: self.study.runs().iter().map(run_summary).collect(),
            grouping: summary::Grouping { by: self.group_by.to_string(), groups },
            statistics: self.statistics.iter().map(|statistic| statistic_summary(statistic)).collect(),
            compared: Vec::new(),
            files,
            seal: String::new(),
        }
    }
}

/// The tables while run after run is added to them.
struct OverRuns<'a> {
    conditions: &'a Conditions,
    writer: ResultsWriter,
    over_seeds: OverSeeds,
    /// What is kept of the runs for the tables over all of them.
    overfit: Vec<LazyFrame>,
    facts: Vec<LazyFrame>,
    groups: Vec<String>,
}

impl<'a> OverRuns<'a> {
    fn new(conditions: &'a Conditions, writer: ResultsWriter, directory: &Path) -> OverRuns<'a> {
        let over_seeds = OverSeeds::new(&conditions.places, directory);
        OverRuns { conditions, writer, over_seeds, overfit: Vec::new(), facts: Vec::new(), groups: Vec::new() }
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

    /// Adds rows of a table of a run, in parts, and the curves that they are.
    fn add_rows(
        &mut self,
        index: usize,
        run: &Run,
        table: &'static Table,
        rows: DataFrame,
    ) -> Result<(), AnalysisError> {
        let (identity, place) = (self.conditions.of_run(index, run), self.conditions.places[index]);
        let of_run = |rows: LazyFrame| rows.with_columns(identity.clone()).collect().map_err(AnalysisError::frame);
        let parts = || (0..rows.height().max(1)).step_by(ROWS).map(|first| rows.slice(first as i64, ROWS));
        for part in parts() {
            self.write(table, &of_run(part.lazy())?)?;
        }
        let names = self.conditions.names();
        for curve in table.curves {
            for part in parts() {
                let curves = of_run(table::curves::of_curve(table, curve, &part))?;
                self.write(&cograd_results::tables::CURVES, &curves)?;
                if let Some(rows) = self.over_seeds.add(place, curves, &names)? {
                    self.write(&cograd_results::tables::OVER_SEEDS, &rows)?;
                }
            }
        }
        if table.name == cograd_results::tables::OVERFIT.name {
            let noise = Conditions::of_predictions(run)[0].clone();
            self.overfit.push(of_run(rows.lazy().with_column(noise))?.lazy());
        }
        Ok(())
    }

    /// Adds what else was found of a run, all of whose rows were added.
    fn end_run(&mut self, index: usize, run: &Run, analysis: RunAnalysis) -> Result<(), AnalysisError> {
        let RunAnalysis { facts, groups } = analysis;
        let identity = self.conditions.of_run(index, run);
        for held in self.over_seeds.end_run(self.conditions.places[index]) {
            for curves in held.parts() {
                let rows = self.over_seeds.rows(&held, curves)?;
                self.write(&cograd_results::tables::OVER_SEEDS, &rows)?;
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

pub(crate) fn study_summary(study: &Study) -> summary::Study {
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
