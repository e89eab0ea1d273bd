//! The audit of a study: from nothing but its directory, every claim that it makes is checked.
//!
//! Files are compared with the hashes listed of them, and the lists with their seals; the trace is held against what
//! must be true of any; and every published number is computed again from the raw trace by a second, deliberately plain
//! implementation, which shares no numerical code with the analysis. `docs/audit.md` lists the checks, their tolerances
//! and what cannot be checked.
#![warn(missing_docs)]

mod check;
mod claim;
mod coherence;
mod compare;
mod evidence;
mod examples;
mod options;
mod plain;
mod recompute;
mod record;
mod results;
mod sheet;
mod sheets;
mod table;
mod tally;
mod trace;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

pub use claim::{Audit, Claim, Verdict};

use claim::is_refusal;
use cograd_recorder::Experiment;
use cograd_recorder::data::Dataset;
use cograd_results::summary::Options;
use cograd_trace::{ExampleColumn, Run};
use evidence::Evidence;
use options::Selection;
use results::Results;
use sheets::Study;

/// What keeps an audit from beginning.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// The directory is no study.
    #[error("{} is not a study: it has no directory runs; name the directory given to `--out` when recording", path.display())]
    NotAStudy {
        /// The directory.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot read {}", path.display())]
    Io {
        /// The directory of the runs, or the manifest of one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is nothing to audit.
    #[error("{} has no finished run; record it to the end first", path.display())]
    NoFinishedRun {
        /// The study.
        path: PathBuf,
    },
}

/// An experiment with its data set.
type Loaded = Result<(Experiment, Dataset), String>;

/// Whether two experiments read the same data files.
fn is_of_same_files(one: &Experiment, other: &Experiment) -> bool {
    let files =
        |of: &Experiment| (of.data.source, of.data.directory.clone(), of.data.classes, of.data.noise_file.clone());
    files(one) == files(other)
}

/// What a study is held against beside itself.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Directory of the data set; of the embedded digits any.
    pub data: Option<PathBuf>,
    /// Whether every run is recorded again.
    pub replay: bool,
}

impl Sources {
    /// The experiment of study.toml with the data where they are now.
    fn experiment(&self, text: Option<&str>) -> Result<Experiment, String> {
        let text = text.ok_or("the study has no study.toml: put it back")?;
        let mut experiment = Experiment::parse(text, "study.toml").map_err(|error| error.to_string())?;
        if let Some(directory) = self.data.as_ref().filter(|_| experiment.data.directory.is_some()) {
            experiment.data.directory = Some(directory.clone());
        }
        Ok(experiment)
    }

    /// The experiment of one run with its data set, if it is asked for; `loaded` is that of the run before.
    fn data(&self, experiment: &Result<Experiment, String>, run: &str, loaded: &mut Option<Loaded>) {
        if self.data.is_none() {
            return;
        }
        let of_run = experiment.as_ref().map_err(String::clone);
        let of_run = of_run.and_then(|all| match all.grid.settings.is_empty() {
            true => Ok(all.clone()),
            false => all.of_run(run).ok_or("study.toml makes no run of this name".to_string()),
        });
        *loaded = Some(of_run.and_then(|experiment| match loaded.take() {
            Some(Ok((before, data))) if is_of_same_files(&before, &experiment) => Ok((experiment, data)),
            _ => match cograd_recorder::data::load(&experiment.data) {
                Ok(data) => Ok((experiment, data)),
                Err(error) => Err(error.to_string()),
            },
        }));
    }
}

/// Checks the study in a directory, its results in `analysis` and its report in `report`, by nothing but what is there.
///
/// Works on the current rayon pool; reads files only, and one run at a time.
///
/// # Errors
/// The directory is no study with a finished run. Whatever else is wrong is a claim that fails.
pub fn audit(study: &Path, analysis: &Path, report: &Path) -> Result<Audit, AuditError> {
    audit_with(study, analysis, report, &Sources::default())
}

/// As [`audit`], and holds the study against its data set, and against itself recorded again in a temporary directory.
///
/// # Errors
/// As [`audit`].
pub fn audit_with(study: &Path, analysis: &Path, report: &Path, sources: &Sources) -> Result<Audit, AuditError> {
    let runs = study.join("runs");
    if !runs.is_dir() {
        return Err(AuditError::NotAStudy { path: study.to_path_buf() });
    }
    let names = finished(&runs)?;
    if names.is_empty() {
        return Err(AuditError::NoFinishedRun { path: study.to_path_buf() });
    }
    let experiment = cograd_files::read_regular_text(&study.join("study.toml")).ok();
    let made_by = sources.experiment(experiment.as_deref());
    let mut data = None;
    let mut claims = vec![check::directories::of_study(study)];
    claims.extend(check::directories::of_runs(&runs, &names));
    let results = Results::open(analysis, &mut claims);
    let options = results.as_ref().map(|results| &results.summary.options);
    let selection = options.map_or(Ok(Selection::default()), Selection::new);
    let by = options.map_or(Ok(String::new()), |options| grouped_by(options, &runs, &names));
    let mut evidence = Vec::new();
    for name in &names {
        let (directory, whole) = (runs.join(name), Selection::default());
        let selected = selection.as_ref().unwrap_or(&whole);
        let toml = experiment.as_deref();
        sources.data(&made_by, name.strip_prefix("run=").unwrap_or(name), &mut data);
        let of_results = results.as_ref().map(|results| match (&selection, &by) {
            (Err(why), _) | (_, Err(why)) => Err(why.clone()),
            (Ok(_), Ok(by)) => Ok((results, by.as_str())),
        });
        let checked = check::run::check(&directory, toml, of_results, selected, data.as_ref(), &mut claims);
        claims.extend(sources.replay.then(|| check::replay::check(&directory, &made_by, name)));
        match checked {
            Some(Ok(compared)) => evidence.push(compared.finish(&mut claims)),
            Some(Err(why)) => claims.push(Claim::unchecked("the tables are recomputed", name, why)),
            None => {}
        }
    }
    if let Some(results) = &results {
        let mut runs: Vec<&Evidence> = evidence.iter().collect();
        runs.sort_by(|a, b| a.conditions.compare(&b.conditions));
        let is_whole = runs.len() == names.len();
        if is_whole {
            claims.extend(check::summary::check(&results.summary, study, &by, &runs));
        }
        let whole = if is_whole {
            Ok(runs)
        } else {
            Err("not every run could be recomputed: see the other claims".to_string())
        };
        let conditions = &results.summary.conditions;
        // The directory of a run may be named as other programs find a column in it.
        let names = names.iter().map(|name| name.strip_prefix("run=").unwrap_or(name)).collect();
        results.compare_study(&Study { runs: whole, names, conditions }, &mut claims);
    }
    let holds = claims.iter().all(|claim| claim.verdict != Verdict::Fail);
    claims.extend(check::report::check(report, analysis, holds));
    Ok(Audit { format: 1, study: study.display().to_string(), claims })
}

/// What the examples of the runs must be grouped by; the reason if that cannot be told.
fn grouped_by(options: &Options, runs: &Path, names: &[String]) -> Result<String, String> {
    if let Some(by) = &options.group_by {
        return Ok(by.clone());
    }
    let runs: Vec<Run> = names
        .iter()
        .map(|name| Run::open(&runs.join(name)).map_err(|error| error.to_string()))
        .collect::<Result<_, String>>()?;
    let column = |run: &Run, name: &str| -> Result<Option<ExampleColumn>, String> {
        run.example_column(name).map_err(|error| error.to_string())
    };
    let columns: Vec<_> = runs.iter().map(|run| move |name: &str| column(run, name)).collect();
    let columns: Vec<plain::groups::Columns<'_>> = columns.iter().map(|of| of as plain::groups::Columns<'_>).collect();
    plain::groups::chosen(&columns).map(str::to_string)
}

/// Names of the directories in `runs` that have a manifest, sorted. One whose manifest cannot be looked for is an error, since it is not
/// known to be unfinished.
fn finished(runs: &Path) -> Result<Vec<String>, AuditError> {
    let refused = |path: &Path| {
        let path = path.to_path_buf();
        move |source| AuditError::Io { path, source }
    };
    let mut names = Vec::new();
    for entry in fs::read_dir(runs).map_err(refused(runs))? {
        let entry = entry.map_err(refused(runs))?;
        let (name, manifest) = (entry.file_name().to_string_lossy().into_owned(), entry.path().join("manifest.json"));
        if name.starts_with('.') {
            continue;
        }
        match fs::metadata(&manifest) {
            Ok(found) if found.is_file() => names.push(name),
            Err(error) if is_refusal(&error) && error.kind() != ErrorKind::NotADirectory => {
                return Err(refused(&manifest)(error));
            }
            _ => {}
        }
    }
    names.sort();
    Ok(names)
}
