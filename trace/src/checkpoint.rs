//! `checkpoint`: how far an unfinished run has come, in one file that is there whole or not at all.
//!
//! A line that names the file's version and hash, a line of JSON with the writer's place, two tables as they would be if the run
//! ended here, and then bytes that only the recording program understands.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::manifest::path_in_run;
use crate::{Manifest, TraceError};
use cograd_files::{FileError, check_file, read_regular, sha256, write_atomically};

/// Name of the file in the directory of the unfinished run.
pub(crate) const CHECKPOINT: &str = "checkpoint";

/// How every checkpoint begins; another number is another layout.
const MAGIC: &str = "cograd-checkpoint-3 ";

/// Where a writer is in its run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Hash of everything known before the first step: a checkpoint continues the run of this description only.
    pub description: String,
    /// The manifest so far: recorded steps, and the files that are complete.
    pub manifest: Manifest,
    /// Of each population step, the norm of every layer's gradient, as the bits of an f64.
    pub gradient_norms: Vec<Vec<u64>>,
    /// Bytes of what `examples.parquet` and `metrics.parquet` would be if the run ended here; 0 of both in earlier versions.
    #[serde(default)]
    pub tables: [usize; 2],
    /// The journal of the part file being written, if there is one.
    pub journal: Option<JournalPosition>,
}

/// How much of which journal belongs to a checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct JournalPosition {
    pub name: String,
    pub bytes: u64,
}

/// What a checkpoint holds.
pub(crate) struct Checkpoint {
    pub place: Position,
    /// `examples.parquet` and `metrics.parquet` as they would be if the run ended here.
    pub tables: [Vec<u8>; 2],
    /// The program's bytes.
    pub state: Vec<u8>,
    /// SHA-256 of all of it.
    pub hash: String,
}

/// Writes the checkpoint of the unfinished run in `directory`, in place of the last one. `rest` is the tables and the state.
pub(crate) fn write(directory: &Path, place: &Position, rest: &[u8]) -> Result<(), TraceError> {
    let path = directory.join(CHECKPOINT);
    let place = serde_json::to_vec(place).map_err(|error| TraceError::checkpoint(&path, error.to_string()))?;
    let content = [&place, &b"\n"[..], rest].concat();
    let header = format!("{MAGIC}{}\n", sha256(&content));
    Ok(write_atomically(&path, &[header.as_bytes(), &content].concat())?)
}

/// Reads the checkpoint of the unfinished run in `directory`.
///
/// # Errors
/// `Checkpoint` if it is damaged or of another version.
pub(crate) fn read(directory: &Path) -> Result<Option<Checkpoint>, TraceError> {
    let path = directory.join(CHECKPOINT);
    let bytes = match read_regular(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(TraceError::io("read", &path)(error)),
    };
    let damaged = |message: &str| TraceError::checkpoint(&path, message);
    let (header, content) = split_line(&bytes).ok_or_else(|| damaged("it has no first line"))?;
    let hash = header.strip_prefix(MAGIC.as_bytes()).ok_or_else(|| damaged("it is of another version"))?;
    let found = sha256(content);
    if found.as_bytes() != hash {
        return Err(damaged("its SHA-256 is not the one in its first line"));
    }
    let (place, rest) = split_line(content).ok_or_else(|| damaged("it has no second line"))?;
    let place: Position = serde_json::from_slice(place).map_err(|error| damaged(&error.to_string()))?;
    // Names are joined to the run's directory: none leads out of it.
    let is_inside = |name: &str| name.split('/').all(|part| !matches!(part, "" | "." | ".."));
    let journal = place.journal.iter().map(|journal| &journal.name);
    match place.manifest.files.keys().chain(journal).find(|name| !is_inside(name)) {
        Some(name) => Err(damaged(&format!("it names a file outside of the run: {name}"))),
        None => match split(rest, place.tables) {
            Some((tables, state)) => Ok(Some(Checkpoint { place, tables, state, hash: found })),
            None => Err(damaged("it is shorter than it says")),
        },
    }
}

/// The tables and the state.
fn split(rest: &[u8], [examples, metrics]: [usize; 2]) -> Option<([Vec<u8>; 2], Vec<u8>)> {
    let (examples, rest) = rest.split_at_checked(examples)?;
    let (metrics, state) = rest.split_at_checked(metrics)?;
    Some(([examples.to_vec(), metrics.to_vec()], state.to_vec()))
}

fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

/// Checks that the files which the checkpoint counts as complete are there as they were written, and removes all that came after
/// it.
///
/// # Errors
/// `Checkpoint` if a file is missing, has another size or SHA-256, or is reached through a link, which clearing would remove; a file
/// cannot be removed.
pub(crate) fn restore_files(directory: &Path, place: &Position) -> Result<(), TraceError> {
    for (name, entry) in &place.manifest.files {
        let path = path_in_run(directory, name);
        let first = directory.join(name.split('/').next().unwrap_or_default());
        if first.is_symlink() {
            return Err(TraceError::checkpoint(
                &first,
                "it is a link, which an unfinished run is not continued through",
            ));
        }
        match check_file(&path, entry) {
            Err(error @ FileError::Io { .. }) => return Err(error.into()),
            Err(_) => return Err(TraceError::checkpoint(&path, "it is missing, or not as it was written")),
            Ok(()) => {}
        }
    }
    let journal = place.journal.as_ref().map(|journal| journal.name.as_str());
    let kept = place.manifest.files.keys().map(String::as_str).chain([CHECKPOINT]).chain(journal);
    remove_all_but(directory, "", &kept.collect())
}

/// Removes every file below `directory`, itself `prefix` in the run, whose name in the run is not among `kept`.
pub(crate) fn remove_all_but(directory: &Path, prefix: &str, kept: &BTreeSet<&str>) -> Result<(), TraceError> {
    for entry in fs::read_dir(directory).map_err(TraceError::io("list", directory))? {
        let entry = entry.map_err(TraceError::io("list", directory))?;
        let path = entry.path();
        // Of the entry itself: a link is removed, and what it leads to is not.
        let is_directory = entry.file_type().map_err(TraceError::io("read", &path))?.is_dir();
        let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let name = format!("{prefix}{name}");
        if is_directory {
            remove_all_but(&path, &format!("{name}/"), kept)?;
        } else if !kept.contains(name.as_str()) {
            fs::remove_file(&path).map_err(TraceError::io("remove", &path))?;
        }
    }
    Ok(())
}
