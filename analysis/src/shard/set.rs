//! The shards of one analysis together: each of them once, and every step in them.

use std::path::{Path, PathBuf};

use cograd_trace::Run;

use super::Shard;
use super::manifest::{Origin, RunRecord, ShardManifest};
use super::steps::{self, Shape};
use crate::AnalysisError;
use crate::run::{Analysis, Found, Steps};
use crate::sample::Key;

/// Shards that are missing, of which a message names no more.
const LISTED: usize = 8;

/// All shards of an analysis, in their order.
pub(crate) struct Shards {
    shards: Vec<(PathBuf, ShardManifest)>,
}

impl Shards {
    /// Opens the shards in these directories, which must be those of the analysis of this origin.
    ///
    /// # Errors
    /// One is damaged, or of another analysis; one is missing, or there twice.
    pub(crate) fn open(directories: &[PathBuf], origin: &Origin) -> Result<Shards, AnalysisError> {
        let mut shards = Vec::new();
        for directory in directories {
            let manifest = ShardManifest::open(directory)?;
            if let Some(message) = manifest.origin.difference(origin) {
                return Err(AnalysisError::Shard { path: directory.clone(), message });
            }
            shards.push((directory.clone(), manifest));
        }
        shards.sort_by_key(|(_, manifest)| manifest.shard.number());
        check(&shards).map_err(|message| AnalysisError::Shards { message })?;
        Ok(Shards { shards })
    }

    /// Whether a shard read and verified this file of the run.
    pub(crate) fn verified(&self, run: &Run, file: &str) -> bool {
        let Some(entry) = run.manifest().files.get(file) else { return false };
        self.records(run).any(|(_, record)| record.read.get(file) == Some(&entry.sha256))
    }

    /// What they hold of the run at place `index` of the study.
    ///
    /// # Errors
    /// Their steps are not those of the run, or not of its sizes.
    pub(crate) fn found(&self, index: usize, analysis: &Analysis<'_>) -> Result<Found, AnalysisError> {
        let together = |kind, shape: Shape, due: Vec<i64>, keys: fn(&RunRecord) -> Option<&Vec<Key>>| {
            let mut together = Steps::new(shape.examples, analysis.directory());
            for (directory, record) in self.records(analysis.run()) {
                let Some(keys) = keys(record) else { continue };
                let path = directory.join(steps::file_name(kind, index));
                steps::read(&path, &shape, keys, &mut together)?;
            }
            match together.steps() == due {
                true => Ok(together),
                false => Err(AnalysisError::Shards {
                    message: format!(
                        "the shards do not hold every step of run {} once: make them again",
                        analysis.run().manifest().run
                    ),
                }),
            }
        };
        let ([sample, population], [of_sample, of_population]) = (analysis.shapes()?, analysis.steps());
        analysis.found(
            || together(steps::SAMPLE, sample, of_sample, |record| record.sample.as_ref()),
            || together(steps::POPULATION, population, of_population, |record| record.population.as_ref()),
        )
    }

    /// What each shard has of a run, and where.
    fn records(&self, run: &Run) -> impl Iterator<Item = (&Path, &RunRecord)> {
        let id = &run.manifest().run;
        self.shards.iter().filter_map(move |(directory, manifest)| {
            Some((directory.as_path(), manifest.runs.iter().find(|record| record.run == *id)?))
        })
    }
}

/// What is wrong with shards that are in order, if anything: they are of several divisions, one is there twice, or some are missing.
fn check(shards: &[(PathBuf, ShardManifest)]) -> Result<(), String> {
    let Some((first, of_first)) = shards.first() else { return Err("no shard is named".to_string()) };
    let count = of_first.shard.count();
    if let Some((other, of_other)) = shards.iter().find(|(_, manifest)| manifest.shard.count() != count) {
        let (first, other) = (first.display(), other.display());
        return Err(format!(
            "{first} is shard {}, but {other} is shard {}: name the shards of one division",
            of_first.shard, of_other.shard
        ));
    }
    for [(first, of_first), (second, of_second)] in shards.array_windows() {
        if of_first.shard == of_second.shard {
            let (first, second) = (first.display(), second.display());
            return Err(format!("shard {} is there twice, {first} and {second}: name one of them", of_first.shard));
        }
    }
    let is_there = |number: &u32| shards.binary_search_by_key(number, |(_, manifest)| manifest.shard.number()).is_ok();
    let mut missing = (1..=count).filter(|number| !is_there(number)).filter_map(|number| Shard::new(number, count));
    let names: Vec<String> = missing.by_ref().take(LISTED).map(|shard| shard.to_string()).collect();
    let more = missing.count();
    let all = if more > 0 { format!("{} and {more} more", names.join(", ")) } else { names.join(", ") };
    match names.len() {
        0 => Ok(()),
        1 => Err(format!("shard {all} is missing: make it with --shard {all}, and name it with the others")),
        _ => Err(format!("shards {all} are missing: make them with --shard, and name them with the others")),
    }
}
