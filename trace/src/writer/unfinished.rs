//! What a study that is being recorded holds so far, as a study that can be read.
//!
//! Of an unfinished run that is what it had recorded at its last checkpoint.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use arrow::array::UInt32Array;

use super::{RunWriter, map_all};
use crate::checkpoint::{self, CHECKPOINT, Checkpoint};
use crate::examples::read_examples;
use crate::manifest::{EXAMPLES, MANIFEST, METRICS, path_in_run};
use crate::metrics::read_metrics;
use crate::{Run, TraceError, list_runs};

/// Attempts at a run that is being written: each but the first follows a newer checkpoint.
const ATTEMPTS: usize = 10;

/// What [`copy_so_far`] found in a study.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoFar {
    /// Names of the finished runs.
    pub finished: Vec<String>,
    /// Ids of the others, and how far each has come; `None`: nothing of it can be read before its first checkpoint.
    pub unfinished: Vec<(String, Option<Progress>)>,
}

/// How far an unfinished run has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Last step of which anything was recorded before the last checkpoint.
    pub step: u64,
    /// Steps of the whole run.
    pub steps: u64,
}

/// Makes a study in the directory `to`, which must be empty, of what `study` holds so far; its unfinished runs are finished ones of
/// fewer steps there. The copy is for reading while the recording goes on, and its numbers are no results of the study.
///
/// Files are linked to: nothing in `study` is changed, and whoever records it need not stop. A run of a writer that takes no
/// checkpoints with tables ([`RunWriter::checkpoint_with`]) is not in the copy.
///
/// # Errors
/// `study` is none, a checkpoint is damaged, a file that it names is not there, or a file cannot be written.
pub fn copy_so_far(study: &Path, to: &Path) -> Result<SoFar, TraceError> {
    let (finished, unfinished) = list_runs(study)?;
    let experiment = study.join("study.toml");
    if experiment.exists() {
        link(&experiment, &to.join("study.toml"))?;
    }
    for name in &finished {
        let run = Run::open(&study.join("runs").join(name))?;
        for file in run.manifest().files.keys().map(String::as_str).chain([MANIFEST]) {
            link(&path_in_run(run.directory(), file), &path_in_run(&to.join("runs").join(name), file))?;
        }
    }
    let copied = unfinished.into_iter().map(|run| {
        let progress = copy_unfinished(study, &run, to)?;
        Ok((run, progress))
    });
    Ok(SoFar { finished, unfinished: copied.collect::<Result<_, TraceError>>()? })
}

/// The file of each run that says how far it is, and when it was written: what [`copy_so_far`] copies is the same until one of these
/// changes.
///
/// # Errors
/// `study` is none, or cannot be read.
pub fn last_written(study: &Path) -> Result<Vec<(PathBuf, Option<SystemTime>)>, TraceError> {
    let (finished, unfinished) = list_runs(study)?;
    let runs = study.join("runs");
    let finished = finished.iter().map(|name| runs.join(name).join(MANIFEST));
    let unfinished = unfinished.iter().map(|run| partial(study, run).join(CHECKPOINT));
    let written = |path: &PathBuf| fs::metadata(path).and_then(|file| file.modified()).ok();
    Ok(finished.chain(unfinished).map(|path| (path.clone(), written(&path))).collect())
}

fn partial(study: &Path, run: &str) -> PathBuf {
    study.join("runs").join(format!(".{run}.partial"))
}

fn copy_unfinished(study: &Path, run: &str, to: &Path) -> Result<Option<Progress>, TraceError> {
    let partial = partial(study, run);
    let mut attempt = 1;
    loop {
        let Some(checkpoint) = checkpoint::read(&partial)? else { return Ok(None) };
        let hash = checkpoint.hash.clone();
        let written = copy(&partial, checkpoint, to);
        // A file may be gone because another checkpoint was taken meanwhile.
        let is_last = || matches!(checkpoint::read(&partial), Ok(Some(last)) if last.hash == hash);
        if written.is_ok() || attempt == ATTEMPTS || is_last() {
            return written;
        }
        attempt += 1;
    }
}

fn copy(partial: &Path, checkpoint: Checkpoint, to: &Path) -> Result<Option<Progress>, TraceError> {
    let Checkpoint { place, tables, .. } = checkpoint;
    if tables[0].is_empty() {
        return Ok(None);
    }
    let (run, steps) = (place.manifest.run.clone(), place.manifest.steps);
    let runs = to.join("runs");
    let mut writer = RunWriter {
        partial: runs.join(format!(".{run}.partial")),
        finished: runs.join(&run),
        description: place.description,
        manifest: place.manifest,
        example_ids: UInt32Array::from(Vec::<u32>::new()),
        population_ids: None,
        layers: 0,
        gradient_norms: map_all(&place.gradient_norms, f64::from_bits),
        part: None,
        checkpointed_journal: None,
    };
    if writer.partial.exists() {
        fs::remove_dir_all(&writer.partial).map_err(TraceError::io("remove", &writer.partial))?;
    }
    writer.create_directories()?;
    for name in writer.manifest.files.keys() {
        link(&path_in_run(partial, name), &path_in_run(&writer.partial, name))?;
    }
    let [examples, metrics] = [(EXAMPLES, &tables[0]), (METRICS, &tables[1])].map(|(name, table)| {
        let (path, mut file) = writer.new_file(name)?;
        file.write_all(table).map_err(TraceError::io("write", &path))?;
        Ok::<_, TraceError>((path, file))
    });
    let ((examples, examples_file), (metrics, metrics_file)) = (examples?, metrics?);
    writer.example_ids = UInt32Array::from(read_examples(&examples)?.sampled_ids());
    writer.enter(EXAMPLES, writer.manifest.train_examples, &examples, examples_file)?;
    let measured = read_metrics(&metrics)?;
    writer.enter(METRICS, measured.len(), &metrics, metrics_file)?;
    if let Some(journal) = &place.journal {
        let (name, entry) = writer.part_of(&partial.join(&journal.name), journal.bytes)?.close()?;
        writer.manifest.files.insert(name, entry);
    }
    let recorded = writer.manifest.recorded_steps.iter().chain(&writer.manifest.population_steps).copied();
    let last = recorded.chain(measured.iter().map(|metric| metric.step)).max().unwrap_or(0);
    let step = u64::try_from(last).unwrap_or(0);
    writer.manifest.steps = step.max(writer.manifest.skipped_steps.last().map_or(0, |skipped| skipped.step as u64));
    writer.complete()?;
    Ok(Some(Progress { step, steps }))
}

/// Makes the complete file `from` known as `to`.
fn link(from: &Path, to: &Path) -> Result<(), TraceError> {
    let parent = to.parent().unwrap_or(to);
    fs::create_dir_all(parent).map_err(TraceError::io("create", parent))?;
    let real = fs::canonicalize(from).map_err(TraceError::io("find", from))?;
    linked(&real, to).map_err(TraceError::io("link to", from))
}

#[cfg(unix)]
fn linked(from: &Path, to: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(from, to)
}

#[cfg(not(unix))]
fn linked(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to).or_else(|_| fs::copy(from, to).map(|_| ()))
}
