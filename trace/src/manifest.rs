//! `manifest.json`: what a run is and what its files must be.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::version_2::{self, Earlier};
use crate::{Conditions, Task, TraceError};
use cograd_files::{FileEntry, SealError, check_seal, seal_of, sealed, unmarked, write_atomically};

/// Names of the files of a run, relative to its directory.
pub(crate) const MANIFEST: &str = "manifest.json";
pub(crate) const EXAMPLES: &str = "examples.parquet";
pub(crate) const COORDINATES: &str = "coordinates.parquet";
pub(crate) const METRICS: &str = "metrics.parquet";
pub(crate) const INPUTS: &str = "inputs.safetensors";
pub(crate) const PARAMETERS: &str = "parameters.parquet";
pub(crate) const GRADIENTS: &str = "gradients";
pub(crate) const POPULATION: &str = "population";
pub(crate) const GRADIENT_NORMS: &str = "population/gradient-norms.parquet";
pub(crate) const WEIGHTS: &str = "weights";

/// The version of the trace format this crate writes; it reads those from 1 on.
pub const FORMAT_VERSION: u32 = 3;

/// The manifest of a finished run, the last file that its writer writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the trace format.
    pub format_version: u32,
    /// Run id, also the name of the run's directory.
    pub run: String,
    /// What the run was made under.
    #[serde(default)]
    pub conditions: Conditions,
    /// What was trained.
    #[serde(default)]
    pub task: Task,
    /// Number of training examples, m.
    pub train_examples: usize,
    /// Number of sampled examples, n.
    pub sampled_examples: usize,
    /// Number of sampled coordinates, d.
    pub coordinates: usize,
    /// Number of updates made, T.
    pub steps: u64,
    /// Steps whose gradients were recorded, ascending.
    pub recorded_steps: Vec<i64>,
    /// Steps at which the population was recorded, ascending.
    #[serde(default)]
    pub population_steps: Vec<i64>,
    /// Number of examples in the population: m, unless it is a subset of them.
    #[serde(default)]
    pub population_examples: usize,
    /// Steps that were due and have no rows, ascending.
    #[serde(default)]
    pub skipped_steps: Vec<SkippedStep>,
    /// Always finished: an unfinished run has no manifest.
    #[serde(default)]
    pub status: Status,
    /// Program that wrote the run, and its version.
    #[serde(default)]
    pub writer: String,
    /// Every other file of the run, by its path relative to the run directory, `/` between its parts.
    pub files: BTreeMap<String, FileEntry>,
    /// SHA-256 of the manifest's own text with nothing here ([`crate::check_seal`]); empty in version 1.
    #[serde(default)]
    pub seal: String,
}

impl Manifest {
    /// Reads and checks the manifest of the run in `directory`, and what else one of an earlier version says.
    pub(crate) fn read(directory: &Path) -> Result<(Manifest, Option<Earlier>), TraceError> {
        let path = directory.join(MANIFEST);
        let text = match cograd_files::read_regular(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(TraceError::NotARun { path: directory.to_path_buf() });
            }
            Err(error) => return Err(TraceError::io("read", &path)(error)),
        };
        let text = unmarked(&text);
        let syntax = |source| TraceError::ManifestSyntax { path: path.clone(), source };
        // The version first: another version may have other fields.
        let Version { format_version } = serde_json::from_slice(text).map_err(syntax)?;
        if !(1..=u64::from(FORMAT_VERSION)).contains(&format_version) {
            return Err(TraceError::FormatVersion { path, found: format_version });
        }
        match check_seal(text) {
            Ok(()) => {}
            // The first version has none.
            Err(SealError::Missing) if format_version == 1 => {}
            Err(error) => return Err(TraceError::Altered { path, message: error.to_string() }),
        }
        let (mut manifest, earlier) = match format_version {
            1 | 2 => version_2::read_manifest(text).map(|(manifest, earlier)| (manifest, Some(earlier))),
            _ => serde_json::from_slice::<Manifest>(text).map(|manifest| (manifest, None)),
        }
        .map_err(syntax)?;
        if manifest.population_examples == 0 {
            manifest.population_examples = manifest.train_examples;
        }
        let checked =
            earlier.as_ref().map_or(Ok(()), |earlier| earlier.check(&manifest)).and_then(|()| manifest.check());
        checked.map_err(|message| TraceError::Manifest { path: path.clone(), message })?;
        Ok((manifest, earlier))
    }

    /// Seals the manifest and writes it into `directory`, atomically.
    pub(crate) fn write(&mut self, directory: &Path) -> Result<(), TraceError> {
        let path = directory.join(MANIFEST);
        let syntax = |source| TraceError::ManifestSyntax { path: path.clone(), source };
        let text = sealed(self).map_err(syntax)?;
        self.seal = seal_of(&text).map_err(syntax)?;
        Ok(write_atomically(&path, &text)?)
    }

    /// The part files of gradients or of the population of the run in `run`, worker by worker, in the order of their rows.
    pub(crate) fn part_files(&self, directory: &'static str, run: &Path) -> Vec<PartFile<'_>> {
        let parts = self.files.iter().filter_map(|(name, entry)| {
            let worker = worker_of(name, directory)?;
            Some(PartFile { worker, name, path: path_in_run(run, name), entry })
        });
        parts.collect()
    }

    /// What is wrong with the manifest, if anything: sizes, steps and paths that cannot be.
    pub(crate) fn check(&self) -> Result<(), String> {
        check_run_id(&self.run).map_err(|message| format!("run: {message}"))?;
        self.conditions.check().map_err(|message| format!("conditions: {message}"))?;
        self.task.check().map_err(|message| format!("task: {message}"))?;
        check_sizes(self.train_examples, self.sampled_examples, self.coordinates)?;
        check_steps("recorded_steps", &self.recorded_steps, self.steps)?;
        check_steps("population_steps", &self.population_steps, self.steps)?;
        self.check_skipped()?;
        let (population, train) = (self.population_examples, self.train_examples);
        if population == 0 || population > train {
            return Err(format!(
                "population_examples is {population}, but must lie between 1 and train_examples ({train})"
            ));
        }
        self.files.iter().try_for_each(|(path, entry)| check_entry(path, entry))?;
        let (every, with_population) = ("every run needs it", "population_steps need it");
        let parameters = (self.format_version >= 3).then_some((PARAMETERS, every));
        let norms = (!self.population_steps.is_empty()).then_some((GRADIENT_NORMS, with_population));
        for (required, why) in [(EXAMPLES, every), (COORDINATES, every)].into_iter().chain(parameters).chain(norms) {
            if !self.files.contains_key(required) {
                return Err(format!("files: {required} is not listed, but {why}"));
            }
        }
        self.check_rows(GRADIENTS, "recorded", self.recorded_steps.len(), self.sampled_examples)?;
        self.check_rows(POPULATION, "population", self.population_steps.len(), population)
    }

    fn check_skipped(&self) -> Result<(), String> {
        let skipped: Vec<i64> = self.skipped_steps.iter().map(|skipped| skipped.step).collect();
        check_steps("skipped_steps", &skipped, self.steps)?;
        let there = |step: &&i64| {
            [&self.recorded_steps, &self.population_steps].iter().any(|steps| steps.binary_search(step).is_ok())
        };
        match skipped.iter().find(there) {
            Some(step) => Err(format!("skipped_steps: {step} is among the steps that have rows, too")),
            None => Ok(()),
        }
    }

    fn check_rows(&self, files: &'static str, what: &str, steps: usize, examples: usize) -> Result<(), String> {
        let parts = || self.files.iter().filter_map(|(path, entry)| Some((worker_of(path, files)?, entry)));
        let listed: u128 = parts().map(|(_, entry)| u128::from(entry.rows)).sum();
        let expected = steps as u128 * examples as u128;
        if listed != expected {
            return Err(format!(
                "files: {files}/**/part-*.parquet have {listed} rows together, but {steps} {what} steps of {examples} examples are {expected}"
            ));
        }
        if parts().any(|(worker, _)| worker.is_empty()) && parts().any(|(worker, _)| !worker.is_empty()) {
            return Err(format!("files: {files} has part files both in itself and in directories of workers"));
        }
        Ok(())
    }
}

/// Checks that the steps of a field ascend and are among the run's.
fn check_steps(field: &str, steps: &[i64], last: u64) -> Result<(), String> {
    if let Some(pair) = steps.windows(2).find(|pair| pair[0] >= pair[1]) {
        return Err(format!("{field} must ascend, but {} is followed by {}", pair[0], pair[1]));
    }
    let in_run = |step: &&i64| u64::try_from(**step).is_ok_and(|step| step <= last);
    match steps.iter().find(|step| !in_run(step)) {
        Some(step) => Err(format!("{field}: {step} lies outside the run's steps 0 to {last}")),
        None => Ok(()),
    }
}

/// The one field that every version has.
#[derive(Deserialize)]
struct Version {
    format_version: u64,
}

/// Checks that a run id can name a directory, and nothing outside `runs`.
pub(crate) fn check_run_id(run: &str) -> Result<(), String> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "._-+".contains(letter);
    if run.is_empty() || run.len() > 200 || run.starts_with('.') || !run.chars().all(plain) {
        return Err(format!("`{run}` must be 1 to 200 letters, digits, `.`, `_`, `-` or `+`, the first no `.`"));
    }
    Ok(())
}

/// Checks the sizes m, n and d of a run.
pub(crate) fn check_sizes(train: usize, sampled: usize, coordinates: usize) -> Result<(), String> {
    if sampled == 0 || sampled > train {
        return Err(format!("sampled_examples is {sampled}, but must lie between 1 and train_examples ({train})"));
    }
    if u32::try_from(train).is_err() {
        return Err(format!("train_examples is {train}, but ids of examples are unsigned 32-bit"));
    }
    if coordinates == 0 || i32::try_from(coordinates).is_err() {
        return Err(format!("coordinates is {coordinates}, but must lie between 1 and {}", i32::MAX));
    }
    Ok(())
}

fn check_entry(path: &str, entry: &FileEntry) -> Result<(), String> {
    let plain = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains(['\\', ':', '\0']);
    if !path.split('/').all(plain) {
        return Err(format!("files: `{path}` must be a path inside the run directory, with `/` between its parts"));
    }
    let digit = |digit: u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit);
    if entry.sha256.len() != 64 || !entry.sha256.bytes().all(digit) {
        return Err(format!("files: sha256 of `{path}` must be 64 lower-case hexadecimal digits"));
    }
    for directory in [GRADIENTS, POPULATION] {
        let inside = path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'));
        if inside && path != GRADIENT_NORMS && worker_of(path, directory).is_none() {
            return Err(format!(
                "files: `{path}` must be named {directory}/part-*.parquet or {directory}/WORKER/part-*.parquet"
            ));
        }
    }
    Ok(())
}

/// The worker that wrote the part file at this path of the manifest, if it is one of this directory; empty if there are no
/// directories of workers.
fn worker_of<'a>(path: &'a str, directory: &str) -> Option<&'a str> {
    let path = path.strip_prefix(directory)?.strip_prefix('/')?;
    let (worker, file) = path.split_once('/').unwrap_or(("", path));
    let number = file.strip_prefix("part-")?.strip_suffix(".parquet")?;
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "._-+=".contains(letter);
    (!number.contains('/') && worker.len() <= 200 && worker.chars().all(plain)).then_some(worker)
}

/// Where the file `name` (a path of the manifest, `/` between its parts) of the run in `directory` is.
pub(crate) fn path_in_run(directory: &Path, name: &str) -> PathBuf {
    name.split('/').fold(directory.to_path_buf(), |path, part| path.join(part))
}

/// A step that was due to be recorded and has no rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedStep {
    /// The step.
    pub step: i64,
    /// Why it was left out.
    pub reason: String,
}

/// A part file of gradients or of the population.
pub(crate) struct PartFile<'a> {
    /// Name of the directory it lies in; empty if that is `gradients` or `population` itself.
    pub worker: &'a str,
    /// As the manifest lists it.
    pub name: &'a str,
    pub path: PathBuf,
    pub entry: &'a FileEntry,
}

/// State of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Every file is complete.
    #[default]
    Finished,
}
