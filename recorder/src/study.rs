//! A study: the grid of runs of one experiment, recorded one after the other.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Instant;

use cograd_trace::{Manifest, Run, write_atomically};

use crate::data;
use crate::error::RecordError;
use crate::experiment::{Experiment, Grid, Rule};
use crate::training::train;

/// One run of the grid.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    /// Run id, for example `sgd_noise-0.25_seed-1`.
    pub id: String,
    pub rule: Rule,
    pub noise: f64,
    pub seed: u64,
}

/// The runs of an experiment, rule by rule, within it noise by noise, and within that seed by seed.
fn plans(experiment: &Experiment) -> Vec<Plan> {
    let Grid { rules, noise, seeds } = &experiment.grid;
    let mut plans = Vec::with_capacity(rules.len() * noise.len() * seeds.len());
    for &rule in rules {
        for &noise in noise {
            for &seed in seeds {
                plans.push(Plan { id: format!("{}_noise-{noise}_seed-{seed}", rule.label()), rule, noise, seed });
            }
        }
    }
    plans
}

/// Hears how a recording goes on.
pub trait Observer: Sync {
    /// Run `index` (from 0) of `runs` begins; it makes `steps` updates. Not called for a run that is already there.
    fn run_started(&self, run: &str, index: usize, runs: usize, steps: u64) {
        let _ = (run, index, runs, steps);
    }
    /// The run has made `step` updates.
    fn step(&self, step: u64) {
        let _ = step;
    }
    /// The run is finished, now or already before.
    fn run_finished(&self, outcome: &RunOutcome) {
        let _ = outcome;
    }
}

/// A run that is finished.
#[derive(Clone, Debug, PartialEq)]
pub struct RunOutcome {
    /// Run id.
    pub run: String,
    /// Bytes of its files, its manifest not counted.
    pub bytes: u64,
    /// Seconds it took; 0 if it was already there.
    pub seconds: f64,
    /// Number of steps whose gradients were recorded.
    pub recorded_steps: usize,
    /// Whether it was finished before and left as it is.
    pub already_there: bool,
}

/// Records every run of `experiment` that is not yet finished in the directory `study`, and returns all of them.
///
/// Runs go one after the other, each on all threads of the current rayon pool; the files are the same bytes whatever
/// their number. The resolved experiment becomes `study.toml`.
///
/// # Errors
/// The data cannot be used or do not fit the experiment, `study` holds something else, training diverges, or a file
/// cannot be written. Runs finished by then stay; the unfinished one has no manifest and is no run.
pub fn record(experiment: &Experiment, study: &Path, observer: &dyn Observer) -> Result<Vec<RunOutcome>, RecordError> {
    let data = data::load(&experiment.data)?;
    experiment.check_against(&data)?;
    claim(study, experiment)?;

    let plans = plans(experiment);
    let mut outcomes = Vec::with_capacity(plans.len());
    for (index, plan) in plans.iter().enumerate() {
        let started = Instant::now();
        let outcome = match finished(study, &plan.id)? {
            Some(manifest) => outcome(&manifest, 0.0, true),
            None => {
                observer.run_started(&plan.id, index, plans.len(), experiment.training.steps);
                let manifest = train(experiment, &data, plan, study, observer)?;
                outcome(&manifest, started.elapsed().as_secs_f64(), false)
            }
        };
        observer.run_finished(&outcome);
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

/// Makes `study` the directory of this experiment, unless it holds anything else.
fn claim(study: &Path, experiment: &Experiment) -> Result<(), RecordError> {
    let ours = experiment.to_toml()?;
    let file = study.join("study.toml");
    match fs::read_to_string(&file) {
        Ok(theirs) => return ensure_same(study, experiment, &ours, &theirs),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(source) => return Err(RecordError::Io { action: "read", path: file, source }),
    }
    fs::create_dir_all(study).map_err(|source| RecordError::Io {
        action: "create the directory",
        path: study.into(),
        source,
    })?;
    if holds_anything(study).map_err(|source| RecordError::Io { action: "list", path: study.into(), source })? {
        return Err(RecordError::NotAStudy { study: study.into() });
    }
    Ok(write_atomically(&file, ours.as_bytes())?)
}

fn ensure_same(study: &Path, experiment: &Experiment, ours: &str, theirs: &str) -> Result<(), RecordError> {
    let same = Experiment::parse(theirs, "study.toml").is_ok_and(|theirs| theirs == *experiment);
    if same {
        return Ok(());
    }
    let mut lines = (ours.lines(), theirs.lines());
    loop {
        match (lines.0.next(), lines.1.next()) {
            (Some(ours), Some(theirs)) if ours == theirs => {}
            (ours, theirs) => {
                let text = |line: Option<&str>| line.unwrap_or("nothing more").to_string();
                return Err(RecordError::AnotherStudy { study: study.into(), theirs: text(theirs), ours: text(ours) });
            }
        }
    }
}

/// Whether a directory holds anything but hidden files, such as the temporary file of an interrupted start.
fn holds_anything(directory: &Path) -> std::io::Result<bool> {
    for entry in fs::read_dir(directory)? {
        if !entry?.file_name().to_string_lossy().starts_with('.') {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The manifest of a run that is already there.
fn finished(study: &Path, id: &str) -> Result<Option<Manifest>, RecordError> {
    let directory = study.join("runs").join(id);
    if !directory.exists() {
        return Ok(None);
    }
    match Run::open(&directory) {
        Ok(run) => Ok(Some(run.manifest().clone())),
        Err(problem) => Err(RecordError::BrokenRun { directory, problem: Box::new(problem) }),
    }
}

fn outcome(manifest: &Manifest, seconds: f64, already_there: bool) -> RunOutcome {
    RunOutcome {
        run: manifest.run.clone(),
        bytes: manifest.files.values().map(|file| file.bytes).sum(),
        seconds,
        recorded_steps: manifest.recorded_steps.len(),
        already_there,
    }
}
