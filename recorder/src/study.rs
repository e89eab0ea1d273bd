//! A study: the grid of runs of one experiment, recorded wherever it was interrupted.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use cograd_trace::{Conditions, Manifest, Run, TraceError, write_atomically};

use crate::architecture;
use crate::data::{self, DataError, Dataset};
use crate::error::RecordError;
use crate::experiment::{DataSettings, Experiment, Grid, Rule, Setting, number_label, run_id};
use crate::initial;
use crate::lanes::for_each_run;
use crate::selection::{Selection, select};
use crate::training::{Trained, train};
use cograd_files::{Attempt, Lock, retire};

/// One run of the grid.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    /// Run id, for example `sgd_noise-0.25_seed-1`.
    pub id: String,
    /// The experiment with its settings.
    pub experiment: Arc<Experiment>,
    /// Its place in the grid, but for rule, noise and seed.
    pub settings: Arc<[Setting]>,
    pub rule: Rule,
    pub noise: f64,
    pub seed: u64,
}

impl Plan {
    fn new(variant: &(Arc<Experiment>, Arc<[Setting]>), rule: Rule, noise: f64, seed: u64) -> Plan {
        let (experiment, settings) = variant.clone();
        let labels: String = settings.iter().map(|setting| format!("_{}", setting.label())).collect();
        Plan {
            id: run_id(&format!("{}_noise-{}{labels}", rule.label(), number_label(noise)), seed),
            experiment,
            settings,
            rule,
            noise,
            seed,
        }
    }

    /// What the run is made under.
    pub fn conditions(&self) -> Conditions {
        let conditions = self.rule.conditions(Conditions::new(Some(self.seed)).with("noise", self.noise));
        let conditions = self.experiment.data.conditions(self.experiment.training.conditions(conditions));
        let conditions = self.experiment.sample.conditions(conditions);
        let conditions = match &self.experiment.network.initial {
            Some(reference) => conditions.with("initial", reference.as_str()),
            None => conditions,
        };
        self.settings.iter().fold(conditions, |conditions, setting| setting.conditions(conditions))
    }
}

/// The runs of an experiment, rule by rule, within it noise by noise, within that by the other settings, and within those seed by
/// seed.
fn plans(experiment: &Experiment) -> Result<Vec<Plan>, RecordError> {
    let Grid { rules, noise, seeds, .. } = &experiment.grid;
    let variants = experiment.variants()?;
    let variants: Vec<_> = variants.into_iter().map(|(of, settings)| (Arc::new(of), settings.into())).collect();
    let mut plans = Vec::with_capacity(rules.len() * noise.len() * variants.len() * seeds.len());
    for &rule in rules {
        for &noise in noise {
            for variant in &variants {
                plans.extend(seeds.iter().map(|&seed| Plan::new(variant, rule, noise, seed)));
            }
        }
    }
    Ok(plans)
}

impl Experiment {
    /// The experiment of one run, with its settings in place of those that the grid sweeps; `None` if it has no such run.
    pub fn of_run(&self, run: &str) -> Option<Experiment> {
        let plan = plans(self).ok()?.into_iter().find(|plan| plan.id == run)?;
        Some(plan.experiment.as_ref().clone())
    }
}

/// The data sets of these runs, each once.
fn load(plans: &[Plan]) -> Result<Vec<(DataSettings, Dataset)>, RecordError> {
    let mut loaded: Vec<(DataSettings, Dataset)> = Vec::new();
    for settings in plans.iter().map(|plan| plan.experiment.data.files()) {
        if !loaded.iter().any(|(others, _)| *others == settings) {
            let data = data::load(&settings)?;
            loaded.push((settings, data));
        }
    }
    Ok(loaded)
}

/// Hears how a recording goes on. Several runs may be under way at once, on several threads.
pub trait Observer: Sync {
    /// `runs` runs of at most `steps` updates each are selected; some of them may be there already.
    fn study_started(&self, runs: usize, steps: u64) {
        let _ = (runs, steps);
    }
    /// Something about the data that is no error, and that a person should know.
    fn note(&self, text: &str) {
        let _ = text;
    }
    /// A run begins or goes on. Not called for a run that is already there.
    fn run_started(&self, start: &RunStart<'_>) {
        let _ = start;
    }
    /// The run has made `step` updates.
    fn step(&self, run: &str, step: u64) {
        let _ = (run, step);
    }
    /// Another process, described by `holder`, is recording this run: it is left to it.
    fn run_held(&self, run: &str, holder: &str) {
        let _ = (run, holder);
    }
    /// The run is finished, now or already before.
    fn run_finished(&self, outcome: &RunOutcome) {
        let _ = outcome;
    }
}

/// How a run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunStart<'a> {
    /// Run id.
    pub run: &'a str,
    /// Its place among the selected runs, from 0.
    pub index: usize,
    /// Number of selected runs.
    pub runs: usize,
    /// Updates that it makes in all.
    pub steps: u64,
    /// Updates made already when it was interrupted; 0 if it begins.
    pub from: u64,
    /// Steps at which anything is recorded, ascending: they take longer than the others.
    pub recorded: &'a [u64],
    /// Why it begins although an interrupted attempt was there.
    pub discarded: Option<&'a str>,
}

/// A run that is finished.
#[derive(Clone, Debug, PartialEq)]
pub struct RunOutcome {
    /// Run id.
    pub run: String,
    /// Bytes of its files, its manifest not counted.
    pub bytes: u64,
    /// Seconds it took, since it was last continued; 0 if it was already there.
    pub seconds: f64,
    /// Number of steps whose gradients were recorded.
    pub recorded_steps: usize,
    /// Whether it was finished before and left as it is.
    pub already_there: bool,
}

/// What to record of an experiment, and until when.
#[derive(Clone, Debug, Default)]
pub struct Options<'a> {
    /// Runs to record: those that any of these selects; all if there is none.
    pub only: Vec<Selection>,
    /// When this becomes true, every run under way finishes its step, is saved in a checkpoint and stops.
    pub stop: Option<&'a AtomicBool>,
}

/// Records every run of `experiment` that is not yet finished in the directory `study`, and returns all of them.
///
/// # Errors
/// As [`record_with`].
pub fn record(experiment: &Experiment, study: &Path, observer: &dyn Observer) -> Result<Vec<RunOutcome>, RecordError> {
    record_with(experiment, study, &Options::default(), observer)
}

/// Records the selected runs of `experiment` that are not yet finished in the directory `study`, each from where it was
/// interrupted, and returns those that are finished then; runs that another process is recording are left to it.
///
/// Runs go on the threads of the current rayon pool's number, side by side or one after the other; the files are the
/// same bytes whichever it is. The resolved experiment becomes `study.toml`.
///
/// # Errors
/// The data cannot be used or do not fit the experiment, a selection selects nothing, `study` holds something else,
/// training diverges, a file cannot be written, or the recording was asked to stop. The first error stops every run.
/// Finished runs stay; the others continue from their last checkpoint when recorded again.
pub fn record_with(
    experiment: &Experiment,
    study: &Path,
    options: &Options<'_>,
    observer: &dyn Observer,
) -> Result<Vec<RunOutcome>, RecordError> {
    let plans = select(plans(experiment)?, &options.only)?;
    let (runs, failed) = (plans.len(), AtomicBool::new(false));
    let recording = Recording { data: load(&plans)?, study, observer, runs, asked_to_stop: options.stop, failed };
    for plan in &plans {
        plan.experiment.check_against(recording.data(plan)?)?;
        // Before a directory is claimed for settings that cannot be.
        if let Some(reference) = plan.experiment.network.initial.as_ref().filter(|_| !study.join("study.toml").exists())
        {
            let network = architecture::network(&plan.experiment.network.kind, recording.data(plan)?, plan.seed)?;
            initial::weights(reference, &network.parameters(), plan.seed)?;
        }
    }
    claim(study, experiment)?;
    let notes = recording.data.iter().filter_map(|(settings, data)| data::note(settings, data));
    notes.for_each(|note| observer.note(&note));

    let steps = plans.iter().map(|plan| plan.experiment.training.steps).max();
    observer.study_started(plans.len(), steps.unwrap_or_default());
    let (mut ends, mut left) = (Vec::new(), Vec::new());
    for (index, plan) in plans.iter().enumerate() {
        match recording.already_there(plan)? {
            Some(outcome) => ends.push((index, End::Finished(outcome))),
            None => left.push(index),
        }
    }
    let recorded = for_each_run(left.len(), |place| {
        recording.record(left[place], &plans[left[place]]).map(|end| (left[place], end))
    })?;
    for end in recorded {
        ends.push(end?);
    }
    ends.sort_by_key(|(index, _)| *index);
    conclude(study, ends.into_iter().map(|(_, end)| end), left.len())
}

/// A study being recorded.
pub(crate) struct Recording<'a> {
    data: Vec<(DataSettings, Dataset)>,
    pub study: &'a Path,
    pub observer: &'a dyn Observer,
    /// Number of selected runs.
    pub runs: usize,
    asked_to_stop: Option<&'a AtomicBool>,
    /// Whether a run has ended in an error.
    failed: AtomicBool,
}

/// What became of a run.
enum End {
    Finished(RunOutcome),
    /// It stopped before this step, and can go on there.
    Stopped(String, u64),
    /// Another process is recording it.
    Held(String, String),
    NotBegun,
}

impl Recording<'_> {
    /// The data set of a run.
    pub fn data(&self, plan: &Plan) -> Result<&Dataset, RecordError> {
        let files = plan.experiment.data.files();
        let data = self.data.iter().find(|(settings, _)| *settings == files);
        data.map(|(_, data)| data).ok_or_else(|| DataError::NoDirectory.into())
    }

    /// Whether every run should stop after its step.
    pub fn should_stop(&self) -> bool {
        self.failed.load(Ordering::Relaxed) || self.asked_to_stop.is_some_and(|stop| stop.load(Ordering::Relaxed))
    }

    /// The outcome of a run that is finished.
    fn already_there(&self, plan: &Plan) -> Result<Option<RunOutcome>, RecordError> {
        let Some(manifest) = finished(self.study, &plan.id)? else { return Ok(None) };
        retire(&self.lock_path(plan));
        let outcome = outcome(&manifest, 0.0, true);
        self.observer.run_finished(&outcome);
        Ok(Some(outcome))
    }

    fn lock_path(&self, plan: &Plan) -> PathBuf {
        self.study.join("runs").join(format!(".{}.lock", plan.id))
    }

    fn record(&self, index: usize, plan: &Plan) -> Result<End, RecordError> {
        if self.should_stop() {
            return Ok(End::NotBegun);
        }
        let end = self.record_locked(index, plan).map_err(|error| error.of_run(&plan.id));
        if end.is_err() {
            self.failed.store(true, Ordering::Relaxed);
        }
        end
    }

    fn record_locked(&self, index: usize, plan: &Plan) -> Result<End, RecordError> {
        let (started, runs) = (Instant::now(), self.study.join("runs"));
        fs::create_dir_all(&runs).map_err(RecordError::io("create the directory", &runs))?;
        let lock = match Lock::attempt(&self.lock_path(plan))? {
            Attempt::Taken(lock) => lock,
            Attempt::HeldBy(holder) => {
                self.observer.run_held(&plan.id, &holder);
                return Ok(End::Held(plan.id.clone(), holder));
            }
        };
        // Another process may have finished it since it was found missing.
        if let Some(outcome) = self.already_there(plan)? {
            return Ok(End::Finished(outcome));
        }
        match train(self, index, plan)? {
            Trained::Stopped { step } => Ok(End::Stopped(plan.id.clone(), step)),
            Trained::Finished(manifest) => {
                lock.retire();
                let outcome = outcome(&manifest, started.elapsed().as_secs_f64(), false);
                self.observer.run_finished(&outcome);
                Ok(End::Finished(outcome))
            }
        }
    }
}

/// What is returned of a recording without errors in which `left` runs were not finished before.
fn conclude(study: &Path, ends: impl Iterator<Item = End>, left: usize) -> Result<Vec<RunOutcome>, RecordError> {
    let (mut outcomes, mut stopped, mut held, mut not_begun) = (Vec::new(), Vec::new(), Vec::new(), false);
    for end in ends {
        match end {
            End::Finished(outcome) => outcomes.push(outcome),
            End::Stopped(run, step) => stopped.push((run, step)),
            End::Held(run, holder) => held.push(format!("{run} (by {holder})")),
            End::NotBegun => not_begun = true,
        }
    }
    if not_begun || !stopped.is_empty() {
        return Err(RecordError::Stopped { runs: stopped });
    }
    if left > 0 && held.len() == left {
        return Err(RecordError::Locked { study: study.into(), runs: held.join(", ") });
    }
    Ok(outcomes)
}

/// Makes `study` the directory of this experiment, unless it holds anything else.
fn claim(study: &Path, experiment: &Experiment) -> Result<(), RecordError> {
    let (file, lock) = (study.join("study.toml"), study.join(".study.lock"));
    if let Some(theirs) = read_if_there(&file)? {
        retire(&lock);
        return ensure_same(study, experiment, &theirs);
    }
    fs::create_dir_all(study).map_err(RecordError::io("create the directory", study))?;
    // Another process may have claimed it since.
    if holds_anything(study).map_err(RecordError::io("list", study))? && !file.exists() {
        return Err(RecordError::NotAStudy { study: study.into() });
    }
    let lock = Lock::wait(&lock)?;
    match read_if_there(&file)? {
        Some(theirs) => ensure_same(study, experiment, &theirs)?,
        None => {
            remove_temporaries(study).map_err(RecordError::io("clear", study))?;
            write_atomically(&file, experiment.to_toml()?.as_bytes()).map_err(TraceError::from)?;
        }
    }
    lock.retire();
    Ok(())
}

fn read_if_there(file: &Path) -> Result<Option<String>, RecordError> {
    match cograd_files::read_regular_text(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(RecordError::io("read", file)(error)),
    }
}

/// Checks that `theirs`, a study's settings, are those of this experiment but for its checkpoints, which change no result.
fn ensure_same(study: &Path, experiment: &Experiment, theirs: &str) -> Result<(), RecordError> {
    let (ours, mut text) = (experiment.to_toml()?, theirs.to_string());
    if let Ok(mut theirs) = Experiment::parse(theirs, "study.toml") {
        theirs.checkpoint = experiment.checkpoint.clone();
        if theirs == *experiment {
            return Ok(());
        }
        text = theirs.to_toml()?;
    }
    let mut lines = (ours.lines(), text.lines());
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

/// Removes what a claim that was killed left.
fn remove_temporaries(study: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(study)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(".study.toml.") && name.ends_with(".tmp") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Whether a directory holds anything but hidden files, such as the temporary file of an interrupted start, and an empty
/// `runs`, such as a link to another disk.
fn holds_anything(directory: &Path) -> std::io::Result<bool> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let is_empty_runs = || {
            let mut content = fs::read_dir(entry.path()).into_iter().flatten();
            entry.file_name() == "runs" && entry.path().is_dir() && content.next().is_none()
        };
        if !entry.file_name().to_string_lossy().starts_with('.') && !is_empty_runs() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The manifest of a run that is already there.
fn finished(study: &Path, id: &str) -> Result<Option<Manifest>, RecordError> {
    let names = [id.to_string(), format!("run={id}")];
    let mut directories = names.iter().map(|name| study.join("runs").join(name));
    let Some(directory) = directories.find(|directory| directory.exists()) else { return Ok(None) };
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

#[cfg(test)]
mod tests {
    use super::*;

    struct Silent;
    impl Observer for Silent {}

    const LEAST: &str = "name = \"x\"\n[data]\nsource = \"digits\"\n[network]\nhidden = [8]\n[training]\nsteps = 10\n\
                         [grid]\nnoise = [NOISE]\n";

    /// Of a grid with these noise levels and lines.
    fn ids(noise: &str, lines: &str) -> Vec<String> {
        let experiment = Experiment::parse(&(LEAST.replace("NOISE", noise) + lines), "x.toml").unwrap();
        let ids: Vec<String> = plans(&experiment).unwrap().into_iter().map(|plan| plan.id).collect();
        assert!(ids.iter().all(|id| experiment.of_run(id).is_some()));
        ids
    }

    #[test]
    fn names_that_fit_have_all_digits_and_numbers_that_cannot_fit_an_exponent() {
        let tiny = format!("sgd_noise-{}1_seed-1", "0.".to_string() + &"0".repeat(180));
        assert_eq!(
            ids("0, 0.5, 1e-10, 1e-181, 1e-300", "")[1..],
            ["sgd_noise-0.5_seed-1", "sgd_noise-0.0000000001_seed-1", &tiny, "sgd_noise-1e-300_seed-1"]
        );
        assert_eq!(tiny.len(), 200);
        let rules = "rules = [{ name = \"norm-clipped\", norm = 1e300, noise = 1e-250 }]\n";
        assert_eq!(ids("0", rules), ["norm-clipped-1e300-noise-1e-250_noise-0_seed-1"]);
        assert_eq!(ids("0", "\"training.learning_rate\" = [1e-301]\n"), ["sgd_noise-0_learning_rate-1e-301_seed-1"]);
    }

    #[test]
    fn noise_of_the_rule_is_named_where_it_is_why_training_diverged() {
        let study = tempfile::tempdir().unwrap();
        let lines = "rules = [{ name = \"norm-clipped\", norm = 1, noise = 1e30 }]\n[sample]\nexamples = 5\nweights_per_layer = 5\n";
        let experiment = Experiment::parse(&(LEAST.replace("NOISE", "0") + lines), "x.toml").unwrap();
        let message = record(&experiment, study.path(), &Silent).unwrap_err().to_string();
        assert!(message.contains("lower training.learning_rate, or the noise or the norm of the rule"), "{message}");
    }

    #[test]
    fn names_that_are_too_long_are_cut_and_stay_unique() {
        let wide = |last: usize| format!("[{}{last}]", "1000, ".repeat(60));
        let lines = format!("seeds = [1, {}]\n\"network.hidden\" = [{}, {}, [5]]\n", i64::MAX, wide(1), wide(2));
        let found = ids("0", &lines);
        assert_eq!(found[4..], ["sgd_noise-0_hidden-5_seed-1", "sgd_noise-0_hidden-5_seed-9223372036854775807"]);
        let unique: std::collections::BTreeSet<&String> = found.iter().collect();
        assert_eq!(unique.len(), 6);
        for id in &found[..4] {
            assert!(id.len() <= 200 && id.starts_with("sgd_noise-0_hidden-1000x1000x"), "{id}");
        }
        assert_eq!(found, ids("0", &lines));
    }
}
