//! `manifest.json`: what a run is and what its files must be.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::TraceError;
use crate::files::write_atomically;

/// Names of the files of a run, relative to its directory.
pub(crate) const MANIFEST: &str = "manifest.json";
pub(crate) const EXAMPLES: &str = "examples.parquet";
pub(crate) const COORDINATES: &str = "coordinates.parquet";
pub(crate) const METRICS: &str = "metrics.parquet";
pub(crate) const GRADIENTS: &str = "gradients";
pub(crate) const WEIGHTS: &str = "weights";

/// The version of the trace format this crate reads and writes.
pub const FORMAT_VERSION: u32 = 1;

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
    /// Always finished: an unfinished run has no manifest.
    #[serde(default)]
    pub status: Status,
    /// Program that wrote the run, and its version.
    #[serde(default)]
    pub writer: String,
    /// Every other file of the run, by its path relative to the run directory, `/` between its parts.
    pub files: BTreeMap<String, FileEntry>,
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
        if format_version != u64::from(FORMAT_VERSION) {
            return Err(TraceError::FormatVersion { path, found: format_version });
        }
        let manifest: Manifest = serde_json::from_slice(&text).map_err(syntax)?;
        manifest.check().map_err(|message| TraceError::Manifest { path: path.clone(), message })?;
        Ok(manifest)
    }

    /// Writes the manifest into `directory`, atomically.
    pub(crate) fn write(&self, directory: &Path) -> Result<(), TraceError> {
        let path = directory.join(MANIFEST);
        let mut text = serde_json::to_vec_pretty(self)
            .map_err(|source| TraceError::ManifestSyntax { path: path.clone(), source })?;
        text.push(b'\n');
        write_atomically(&path, &text)
    }

    /// Paths of the gradient files relative to the run, in the order of their rows.
    pub(crate) fn gradient_files(&self) -> impl Iterator<Item = (&str, &FileEntry)> {
        self.files.iter().filter(|(path, _)| is_gradient_file(path)).map(|(path, entry)| (path.as_str(), entry))
    }

    /// What is wrong with the manifest, if anything: sizes, steps and paths that cannot be.
    pub(crate) fn check(&self) -> Result<(), String> {
        check_run_id(&self.run).map_err(|message| format!("run: {message}"))?;
        if !(0.0..=1.0).contains(&self.noise) {
            return Err(format!("noise is {}, but must lie in [0, 1]", self.noise));
        }
        check_sizes(self.train_examples, self.sampled_examples, self.coordinates)?;
        check_network(&self.network)?;
        self.check_steps()?;
        self.files.iter().try_for_each(|(path, entry)| check_entry(path, entry))?;
        for required in [EXAMPLES, COORDINATES] {
            if !self.files.contains_key(required) {
                return Err(format!("files: {required} is not listed, but every run needs it"));
            }
        }
        self.check_gradient_rows()
    }

    fn check_steps(&self) -> Result<(), String> {
        if let Some(pair) = self.recorded_steps.windows(2).find(|pair| pair[0] >= pair[1]) {
            return Err(format!("recorded_steps must ascend, but {} is followed by {}", pair[0], pair[1]));
        }
        let in_run = |step: &&i64| u64::try_from(**step).is_ok_and(|step| step <= self.steps);
        match self.recorded_steps.iter().find(|step| !in_run(step)) {
            Some(step) => Err(format!("recorded_steps: {step} lies outside the run's steps 0 to {}", self.steps)),
            None => Ok(()),
        }
    }

    fn check_gradient_rows(&self) -> Result<(), String> {
        let listed: u128 = self.gradient_files().map(|(_, entry)| u128::from(entry.rows)).sum();
        let expected = self.recorded_steps.len() as u128 * self.sampled_examples as u128;
        if listed != expected {
            return Err(format!(
                "files: gradients/part-*.parquet have {listed} rows together, but {} recorded steps of {} examples are {expected}",
                self.recorded_steps.len(),
                self.sampled_examples
            ));
        }
        Ok(())
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
    if path.starts_with("gradients/") && !is_gradient_file(path) {
        return Err(format!("files: `{path}` must be named gradients/part-*.parquet"));
    }
    Ok(())
}

fn is_gradient_file(path: &str) -> bool {
    path.strip_prefix("gradients/part-")
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
