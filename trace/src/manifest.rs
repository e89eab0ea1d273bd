//! `manifest.json`: what a run is and what its files must be.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::TraceError;
use crate::files::write_atomically;
use crate::seal::{SealError, check_seal, seal_of, sealed};

/// Names of the files of a run, relative to its directory.
pub(crate) const MANIFEST: &str = "manifest.json";
pub(crate) const EXAMPLES: &str = "examples.parquet";
pub(crate) const COORDINATES: &str = "coordinates.parquet";
pub(crate) const METRICS: &str = "metrics.parquet";
pub(crate) const INPUTS: &str = "inputs.parquet";
pub(crate) const GRADIENTS: &str = "gradients";
pub(crate) const POPULATION: &str = "population";
pub(crate) const GRADIENT_NORMS: &str = "population/gradient-norms.parquet";
pub(crate) const WEIGHTS: &str = "weights";

/// The version of the trace format this crate writes; it reads those from 1 on.
pub const FORMAT_VERSION: u32 = 2;

/// The manifest of a finished run, the last file that its writer writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the trace format.
    pub format_version: u32,
    /// Run id, also the name of the run's directory.
    pub run: String,
    /// Update rule, for example `sgd`.
    pub rule: String,
    /// Label noise ε in [0, 1] [S 1].
    pub noise: f64,
    /// Seed of the run.
    pub seed: u64,
    /// Widths of a fully connected network, input first; empty for any other network.
    #[serde(default)]
    pub network: Vec<usize>,
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
    /// Steps at which the whole training set was recorded, ascending.
    #[serde(default)]
    pub population_steps: Vec<i64>,
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
    /// Reads and checks the manifest of the run in `directory`.
    pub(crate) fn read(directory: &Path) -> Result<Manifest, TraceError> {
        let path = directory.join(MANIFEST);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(TraceError::NotARun { path: directory.to_path_buf() });
            }
            Err(error) => return Err(TraceError::io("read", &path)(error)),
        };
        let syntax = |source| TraceError::ManifestSyntax { path: path.clone(), source };
        // The version first: another version may have other fields.
        let Version { format_version } = serde_json::from_slice(&text).map_err(syntax)?;
        if !(1..=u64::from(FORMAT_VERSION)).contains(&format_version) {
            return Err(TraceError::FormatVersion { path, found: format_version });
        }
        match check_seal(&text) {
            Ok(()) => {}
            // The first version has none.
            Err(SealError::Missing) if format_version == 1 => {}
            Err(error) => return Err(TraceError::Altered { path, message: error.to_string() }),
        }
        let manifest: Manifest = serde_json::from_slice(&text).map_err(syntax)?;
        manifest.check().map_err(|message| TraceError::Manifest { path: path.clone(), message })?;
        Ok(manifest)
    }

    /// Seals the manifest and writes it into `directory`, atomically.
    pub(crate) fn write(&mut self, directory: &Path) -> Result<(), TraceError> {
        let path = directory.join(MANIFEST);
        let syntax = |source| TraceError::ManifestSyntax { path: path.clone(), source };
        let text = sealed(self).map_err(syntax)?;
        self.seal = seal_of(&text).map_err(syntax)?;
        write_atomically(&path, &text)
    }

    /// Paths of the gradient files relative to the run, in the order of their rows.
    pub(crate) fn gradient_files(&self) -> impl Iterator<Item = (&str, &FileEntry)> {
        self.part_files(GRADIENTS)
    }

    /// Paths of the part files of the population relative to the run, in the order of their rows.
    pub(crate) fn population_files(&self) -> impl Iterator<Item = (&str, &FileEntry)> {
        self.part_files(POPULATION)
    }

    fn part_files(&self, directory: &'static str) -> impl Iterator<Item = (&str, &FileEntry)> {
        let files = self.files.iter().map(|(path, entry)| (path.as_str(), entry));
        files.filter(move |(path, _)| is_part_file(path, directory))
    }

    /// What is wrong with the manifest, if anything: sizes, steps and paths that cannot be.
    pub(crate) fn check(&self) -> Result<(), String> {
        check_run_id(&self.run).map_err(|message| format!("run: {message}"))?;
        if !(0.0..=1.0).contains(&self.noise) {
            return Err(format!("noise is {}, but must lie in [0, 1]", self.noise));
        }
        check_sizes(self.train_examples, self.sampled_examples, self.coordinates)?;
        check_network(&self.network)?;
        check_steps("recorded_steps", &self.recorded_steps, self.steps)?;
        check_steps("population_steps", &self.population_steps, self.steps)?;
        self.files.iter().try_for_each(|(path, entry)| check_entry(path, entry))?;
        let (every, population) = ("every run needs it", "population_steps need it");
        let norms = (!self.population_steps.is_empty()).then_some((GRADIENT_NORMS, population));
        for (required, why) in [(EXAMPLES, every), (COORDINATES, every)].into_iter().chain(norms) {
            if !self.files.contains_key(required) {
                return Err(format!("files: {required} is not listed, but {why}"));
            }
        }
        if self.network.is_empty() && self.files.contains_key(INPUTS) {
            return Err(format!("files: {INPUTS} is listed, but network does not say how wide an input is"));
        }
        self.check_rows(GRADIENTS, "recorded", self.recorded_steps.len(), self.sampled_examples)?;
        self.check_rows(POPULATION, "population", self.population_steps.len(), self.train_examples)
    }

    fn check_rows(&self, files: &'static str, what: &str, steps: usize, examples: usize) -> Result<(), String> {
        let listed: u128 = self.part_files(files).map(|(_, entry)| u128::from(entry.rows)).sum();
        let expected = steps as u128 * examples as u128;
        if listed != expected {
            return Err(format!(
                "files: {files}/part-*.parquet have {listed} rows together, but {steps} {what} steps of {examples} examples are {expected}"
            ));
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

/// Checks the widths of a network; none at all is a network that is not fully connected.
pub(crate) fn check_network(network: &[usize]) -> Result<(), String> {
    if network.len() == 1 || network.contains(&0) {
        return Err(format!("network is {network:?}, but must be two widths or more, none of them 0"));
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
        if inside && path != GRADIENT_NORMS && !is_part_file(path, directory) {
            return Err(format!("files: `{path}` must be named {directory}/part-*.parquet"));
        }
    }
    Ok(())
}

fn is_part_file(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory)
        .and_then(|rest| rest.strip_prefix("/part-"))
        .and_then(|rest| rest.strip_suffix(".parquet"))
        .is_some_and(|number| !number.contains('/'))
}

/// Where the file `name` (a path of the manifest, `/` between its parts) of the run in `directory` is.
pub(crate) fn path_in_run(directory: &Path, name: &str) -> PathBuf {
    name.split('/').fold(directory.to_path_buf(), |path, part| path.join(part))
}

/// What one file of a run must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Rows of a Parquet file; 0 for a weight snapshot.
    #[serde(default)]
    pub rows: u64,
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256 of the content, 64 lower-case hexadecimal digits.
    pub sha256: String,
}

/// State of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Every file is complete.
    #[default]
    Finished,
}
