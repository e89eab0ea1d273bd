//! `shard.json`: which shard of which analysis it is, what it was read from, and what it holds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cograd_files::{FileEntry, FileError, check_file, check_seal, sealed, sha256_of_file, write_atomically};
use cograd_results::summary;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Shard;
use crate::sample::Key;
use crate::study::{Plan, VERSION, study_summary};
use crate::{AnalysisError, ExampleSelection, GroupBy};

const SHARD: &str = "shard.json";

/// What all shards of one analysis have in common.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Origin {
    /// Version of the program.
    cograd: String,
    /// SHA-256 of study.toml, if there is one.
    experiment_sha256: Option<String>,
    /// SHA-256 of the manifest of every run, which holds those of its files.
    manifests: BTreeMap<String, String>,
    /// What was asked for; a file by the hash of its content.
    options: summary::Options,
}

impl Origin {
    /// Of the analysis that is planned.
    ///
    /// # Errors
    /// A manifest, or a file that the options name, cannot be read.
    pub(crate) fn new(plan: &Plan<'_>) -> Result<Origin, AnalysisError> {
        let mut options = plan.options.summary();
        if let Some(GroupBy::File(path)) = &plan.options.group_by {
            options.group_by = Some(content(path)?);
        }
        if let Some(ExampleSelection::File(path)) = &plan.options.examples {
            options.examples = Some(content(path)?);
        }
        let manifest = |run: &cograd_trace::Run| {
            let hash = sha256_of_file(&run.directory().join("manifest.json"));
            Ok((run.manifest().run.clone(), hash.map_err(|source| AnalysisError::in_run(run, source.into()))?))
        };
        Ok(Origin {
            cograd: VERSION.to_string(),
            experiment_sha256: study_summary(&plan.study).experiment_sha256,
            manifests: plan.study.runs().iter().map(manifest).collect::<Result<_, AnalysisError>>()?,
            options,
        })
    }

    /// In what it differs from the analysis that shards are wanted for, if in anything.
    pub(super) fn difference(&self, wanted: &Origin) -> Option<String> {
        if self.cograd != wanted.cograd {
            return Some(format!("cograd {} made it, and this is {}: make it again", self.cograd, wanted.cograd));
        }
        if self.experiment_sha256 != wanted.experiment_sha256 || self.manifests.keys().ne(wanted.manifests.keys()) {
            return Some("it is of another study, or of this one with other runs: make it again".to_string());
        }
        if let Some((run, _)) = self.manifests.iter().find(|(run, hash)| wanted.manifests.get(*run) != Some(hash)) {
            return Some(format!("it is of another study, or of this one with another run {run}: make it again"));
        }
        let fields = |options| serde_json::to_value(options).unwrap_or_default();
        let (own, wanted) = (fields(&self.options), fields(&wanted.options));
        let differs = |(name, value): &(&String, &Value)| wanted.get(name) != Some(*value);
        let (name, value) = own.as_object()?.iter().find(differs)?;
        let text = |value: &Value| if value.is_null() { "the default".to_string() } else { value.to_string() };
        Some(format!(
            "it was made with {} = {}, but this analysis has {}: give both the same options, or make it again",
            name.replace('_', "-"),
            text(value),
            wanted.get(name).map_or_else(|| text(&Value::Null), text)
        ))
    }
}

/// The content of a file in place of its path.
fn content(path: &Path) -> Result<String, AnalysisError> {
    let input = |source| AnalysisError::Input { path: path.to_path_buf(), source };
    Ok(format!("a file of SHA-256 {}", cograd_files::sha256(&cograd_files::read_regular(path).map_err(input)?)))
}

/// What a shard has of one run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RunRecord {
    /// Run id.
    pub(super) run: String,
    /// The files that were read and verified, with their SHA-256.
    pub(super) read: BTreeMap<String, String>,
    /// What the values of the gradients' steps are of; `None` if it has no such step.
    pub(super) sample: Option<Vec<Key>>,
    /// Likewise of the population record.
    pub(super) population: Option<Vec<Key>>,
}

/// The content of `shard.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ShardManifest {
    /// Which shard it is.
    pub(super) shard: Shard,
    /// Of which analysis.
    pub(super) origin: Origin,
    /// The runs that it has steps of.
    pub(super) runs: Vec<RunRecord>,
    /// Its files, by name.
    pub(super) files: BTreeMap<String, FileEntry>,
    /// SHA-256 of this file with an empty seal; empty until it is written.
    seal: String,
}

impl ShardManifest {
    /// Of a shard that holds nothing yet.
    pub(super) fn new(shard: Shard, origin: Origin) -> ShardManifest {
        ShardManifest { shard, origin, runs: Vec::new(), files: BTreeMap::new(), seal: String::new() }
    }

    /// Reads the manifest in `directory`, and verifies every file that it lists.
    ///
    /// # Errors
    /// There is none, or it or a file is not as it was written.
    pub(super) fn open(directory: &Path) -> Result<ShardManifest, AnalysisError> {
        let error = |message| AnalysisError::Shard { path: directory.to_path_buf(), message };
        let path = directory.join(SHARD);
        let text = cograd_files::read_regular(&path);
        let text = text.map_err(|source| error(format!("its {SHARD} cannot be read ({source}): make it again")))?;
        check_seal(&text).map_err(|source| error(format!("{SHARD} is damaged ({source}): make it again")))?;
        let manifest: ShardManifest = serde_json::from_slice(&text)
            .map_err(|source| error(format!("{SHARD} is not of this version ({source}): make it again")))?;
        let check = |(name, entry): (&String, &FileEntry)| check_file(&directory.join(name), entry);
        manifest.files.iter().try_for_each(check).map_err(|source| error(format!("{source}: make it again")))?;
        Ok(manifest)
    }

    /// Writes it, sealed, into `directory`; returns the paths of the shard's files, its own last.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn write(&self, directory: &Path) -> Result<Vec<PathBuf>, AnalysisError> {
        let path = directory.join(SHARD);
        let written = sealed(self).map_err(|error| FileError::io("write", &path)(error.into()));
        let written = written.and_then(|text| write_atomically(&path, &text));
        written.map_err(cograd_files::OutputError::File)?;
        Ok(self.paths(directory))
    }

    /// The paths of its files in `directory`, that of the manifest last.
    pub(super) fn paths(&self, directory: &Path) -> Vec<PathBuf> {
        let names = self.files.keys().map(String::as_str).chain([SHARD]);
        names.map(|name| directory.join(name)).collect()
    }
}
