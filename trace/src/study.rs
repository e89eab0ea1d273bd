//! A study: the directory of runs of one experiment.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::manifest::MANIFEST;
use crate::{Run, TraceError};

/// A study on disk.
#[derive(Clone, Debug)]
pub struct Study {
    directory: PathBuf,
    runs: Vec<Run>,
    unfinished: Vec<String>,
    experiment_toml: Option<String>,
}

impl Study {
    /// Opens a study and all its finished runs.
    ///
    /// # Errors
    /// The directory has neither `study.toml` nor `runs`; no run is finished; a manifest is not valid; two runs have the
    /// same conditions and seed, or the same name.
    pub fn open(directory: &Path) -> Result<Study, TraceError> {
        let (finished, unfinished) = list_runs(directory)?;
        let (toml, runs) = (directory.join("study.toml"), directory.join("runs"));
        let experiment_toml = match cograd_files::read_regular_text(&toml) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(TraceError::io("read", &toml)(error)),
        };
        if finished.is_empty() {
            return Err(TraceError::NoFinishedRun { path: directory.to_path_buf(), unfinished });
        }
        // Two directories with one id could not be told apart in any result.
        if let Some(name) = finished.iter().find(|name| finished.contains(&format!("run={name}"))) {
            let message = format!("has both {name} and run={name}, one run twice; remove one");
            return Err(TraceError::contents(&runs, message));
        }
        let mut runs = finished.iter().map(|name| open_run(&runs, name)).collect::<Result<Vec<_>, _>>()?;
        let conditions = |run: &Run| run.manifest().conditions.clone();
        runs.sort_by(|left, right| conditions(left).compare(&conditions(right)));
        if let Some([left, right]) = runs.array_windows().find(|[left, right]| conditions(left) == conditions(right)) {
            return Err(TraceError::SameConditions {
                path: directory.to_path_buf(),
                runs: [left, right].map(|run| run.manifest().run.clone()),
                conditions: conditions(left).to_string(),
            });
        }
        Ok(Study { directory: directory.to_path_buf(), runs, unfinished, experiment_toml })
    }

    /// The study's directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The finished runs, ordered by their conditions, name by name, and then by seed; at least one.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Ids of the runs that were begun and not finished.
    pub fn unfinished(&self) -> Vec<String> {
        self.unfinished.clone()
    }

    /// The resolved experiment, the text of `study.toml`, if there is one.
    pub fn experiment_toml(&self) -> Option<&str> {
        self.experiment_toml.as_deref()
    }
}

/// Names of the directories of the finished runs of a study, and ids of those that were begun and not finished, both sorted.
///
/// # Errors
/// The directory has neither `study.toml` nor `runs`, or cannot be read.
pub fn list_runs(study: &Path) -> Result<(Vec<String>, Vec<String>), TraceError> {
    let (mut finished, mut unfinished, runs) = (Vec::new(), Vec::new(), study.join("runs"));
    match (study.join("study.toml").is_file(), runs.is_dir()) {
        (false, false) if !study.exists() => return Err(TraceError::NoSuchStudy { path: study.to_path_buf() }),
        (false, false) => return Err(TraceError::NotAStudy { path: study.to_path_buf() }),
        (true, false) => return Ok((finished, unfinished)),
        (_, true) => {}
    }
    for entry in fs::read_dir(&runs).map_err(TraceError::io("list", &runs))? {
        let path = entry.map_err(TraceError::io("list", &runs))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            return Err(TraceError::contents(&path, "its name is not UTF-8; rename it".to_string()));
        };
        if let Some(partial) = name.strip_prefix('.') {
            unfinished.extend(partial.strip_suffix(".partial").map(str::to_string));
            continue;
        }
        // Only a manifest that is not there says that a run is unfinished; one that cannot be read is an error.
        match fs::metadata(path.join(MANIFEST)) {
            Ok(_) => finished.push(name.to_string()),
            Err(error) if error.kind() == ErrorKind::NotFound && path.is_dir() => unfinished.push(name.to_string()),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(error) => return Err(TraceError::io("read", &path.join(MANIFEST))(error)),
        }
    }
    finished.sort();
    unfinished.sort();
    Ok((finished, unfinished))
}

fn open_run(runs: &Path, name: &str) -> Result<Run, TraceError> {
    let run = Run::open(&runs.join(name))?;
    // `open` sees to it that `RUN` and `run=RUN` are not both there.
    if run.manifest().run != name.strip_prefix("run=").unwrap_or(name) {
        let message = format!(
            "run is `{}`, but must be the name of the directory, `{name}`, with or without `run=` before it",
            run.manifest().run
        );
        return Err(TraceError::Manifest { path: run.directory().join(MANIFEST), message });
    }
    Ok(run)
}
