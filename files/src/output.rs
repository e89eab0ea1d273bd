//! Output directories: written beside, then put in place in one swap, so that a reader sees the old ones whole or the new ones whole.
//!
//! A directory that a command has written holds a [`MARKER`] with the command's name and the paths of the files that it wrote. A
//! command replaces only a directory that it wrote itself: any other is refused before a byte is written. What somebody else put into
//! it, notes perhaps, is kept; a file of somebody else where the command would write one is never replaced. A lock beside the directory keeps a second writer out. What a killed writer leaves lies beside under a
//! name of its own, and the next writer removes it.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::{Attempt, FileError, Lock, check_seal, read_regular, read_regular_text, sync_directory, write_atomically};

/// Name of the file that says which command wrote a directory.
pub const MARKER: &str = ".cograd-output";
/// Names of foreign files that a message lists.
const LISTED: usize = 3;

/// Why a directory cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// A file cannot be written, made or removed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file system cannot lock files.
    #[error(
        "cannot lock {}: the file system must support file locks: on a network mount, enable them, or write to a local disk",
        path.display()
    )]
    NoLocks {
        /// The lock's file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Another process writes there.
    #[error("{} is being written by {holder}: wait until it is done, or choose another directory", path.display())]
    Held {
        /// The output directory.
        path: PathBuf,
        /// Who has it, for people.
        holder: String,
    },
    /// An output directory holds what the command did not write.
    #[error(
        "{} holds {found}, which `cograd {command}` did not write and would have replaced: choose a new or empty directory",
        path.display()
    )]
    Foreign {
        /// The output directory.
        path: PathBuf,
        /// The command that was to write.
        command: &'static str,
        /// Names of what is there.
        found: String,
    },
    /// An output directory among the runs of a study would be taken for one.
    #[error(
        "{} is among the runs of a study, and would be taken for one: choose another directory", path.display()
    )]
    AmongRuns {
        /// The output directory.
        path: PathBuf,
    },
}

/// The directory of a study that holds its runs, and files that show that it does: an experiment beside it, a trace in it.
const RUNS: &str = "runs";
const EXPERIMENT: &str = "study.toml";
const COORDINATES: &str = "coordinates.parquet";

/// An output directory while it is written. Dropped without [`OutputDirectory::publish`], nothing of it is left.
#[derive(Debug)]
pub struct OutputDirectory {
    place: PathBuf,
    beside: PathBuf,
    command: &'static str,
    lock: Option<Lock>,
}

impl OutputDirectory {
    /// Takes the directory `path` for `command`: it is new, empty, or written by the same command. Links to a directory are followed.
    ///
    /// # Errors
    /// It holds anything else, another process is writing it, or the directory beside cannot be made.
    pub fn claim(path: &Path, command: &'static str) -> Result<OutputDirectory, OutputError> {
        check(path, command)?;
        let (parent, name) = split(path)?;
        fs::create_dir_all(&parent).map_err(FileError::io("create the directory", &parent))?;
        let lock_path = parent.join(hidden(&name, ".lock"));
        let lock = match Lock::attempt(&lock_path)? {
            Attempt::Taken(lock) => lock,
            Attempt::HeldBy(holder) => return Err(OutputError::Held { path: path.to_path_buf(), holder }),
        };
        sweep(&parent, &name)?;
        // Another process may have written it since.
        check(path, command)?;
        let beside = parent.join(hidden(&name, &format!(".{}.new", std::process::id())));
        fs::create_dir(&beside).map_err(FileError::io("create the directory", &beside))?;
        Ok(OutputDirectory { place: parent.join(name), beside, command, lock: Some(lock) })
    }

    /// Where to write: beside the directory, until it is published.
    pub fn path(&self) -> &Path {
        &self.beside
    }

    /// Puts what was written in place, then removes what was there. Returns the paths that these `files` have now.
    ///
    /// # Errors
    /// Somebody else put a file where one of these is to be, or the directories cannot be exchanged; then the earlier one is as it was.
    pub fn publish(mut self, files: &[PathBuf]) -> Result<Vec<PathBuf>, OutputError> {
        let mut written = Vec::new();
        list(&self.beside, Path::new(""), &mut written)?;
        let written: Vec<String> = written.iter().map(|path| path.to_string_lossy().into_owned()).collect();
        let marker = [vec![format!("cograd {}", self.command)], written].concat().join("\n") + "\n";
        if self.place.exists() {
            let own = Own::of(&self.place);
            keep_foreign(&self.place, &self.beside, Path::new(""), &own, self.command)?;
        }
        write_atomically(&self.beside.join(MARKER), marker.as_bytes())?;
        let replaced = swap(&self.beside, &self.place).map_err(FileError::io("replace", &self.place))?;
        if let Some(parent) = self.place.parent() {
            sync_directory(parent)?;
        }
        if let Some(replaced) = replaced {
            remove(&replaced)?;
        }
        if let Some(lock) = self.lock.take() {
            lock.retire();
        }
        let moved = |file: &PathBuf| file.strip_prefix(&self.beside).map_or(file.clone(), |name| self.place.join(name));
        Ok(files.iter().map(moved).collect())
    }
}

impl Drop for OutputDirectory {
    fn drop(&mut self) {
        if let Some(lock) = self.lock.take() {
            // The next writer removes what cannot be removed now.
            let _ = remove(&self.beside);
            lock.retire();
        }
    }
}

/// Whether `command` may replace what is at `path`.
fn check(path: &Path, command: &'static str) -> Result<(), OutputError> {
    if !path.exists() && !path.is_symlink() {
        return check_place(path);
    }
    let mut found = entries(path)?;
    let marker = read_regular_text(&path.join(MARKER)).unwrap_or_default();
    let is_own = marker.lines().next() == Some(&format!("cograd {command}"));
    if found.is_empty() || is_own || is_of_an_earlier_version(path, command) {
        return check_place(path);
    }
    let more = found.len().saturating_sub(LISTED);
    found.truncate(LISTED);
    let names: Vec<_> = found.iter().map(|name| name.to_string_lossy()).collect();
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    Err(OutputError::Foreign { path: path.to_path_buf(), command, found: names.join(", ") + &rest })
}

/// Whether an output directory may be at `path`.
fn check_place(path: &Path) -> Result<(), OutputError> {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    match absolute.ancestors().skip(1).any(is_of_runs) {
        true => Err(OutputError::AmongRuns { path: path.to_path_buf() }),
        false => Ok(()),
    }
}

/// Whether a directory is that of a study's runs.
fn is_of_runs(directory: &Path) -> bool {
    let holds_trace = || entries(directory).is_ok_and(|names| names.iter().any(|name| is_trace(&directory.join(name))));
    directory.file_name().is_some_and(|name| name == RUNS)
        && (directory.with_file_name(EXPERIMENT).is_file() || holds_trace())
}

fn is_trace(directory: &Path) -> bool {
    directory.join(COORDINATES).is_file()
}

/// Names of what is in a directory, sorted.
fn entries(path: &Path) -> Result<Vec<OsString>, FileError> {
    let names = fs::read_dir(path).and_then(|entries| entries.map(|entry| Ok(entry?.file_name())).collect());
    let mut names: Vec<OsString> = names.map_err(FileError::io("list the directory", path))?;
    names.sort();
    Ok(names)
}

/// Adds the paths, relative to `root`, of every file below `inside` of it. Links are files.
fn list(root: &Path, inside: &Path, found: &mut Vec<PathBuf>) -> Result<(), FileError> {
    for name in entries(&root.join(inside))? {
        let path = inside.join(name);
        match is_directory(&root.join(&path)) {
            true => list(root, &path, found)?,
            false => found.push(path),
        }
    }
    Ok(())
}

fn is_directory(path: &Path) -> bool {
    path.is_dir() && !path.is_symlink()
}

/// What a command itself wrote into a directory.
enum Own {
    /// The paths that the marker lists; a directory that an earlier version listed is its own with all that is in it.
    Listed(Vec<PathBuf>),
    /// Of a version without a marker.
    Unlisted,
}

impl Own {
    fn of(directory: &Path) -> Own {
        match read_regular_text(&directory.join(MARKER)) {
            Ok(marker) => {
                Own::Listed(marker.lines().skip(1).map(PathBuf::from).chain([PathBuf::from(MARKER)]).collect())
            }
            Err(_) => Own::Unlisted,
        }
    }

    fn has(&self, path: &Path) -> bool {
        match self {
            Own::Listed(paths) => paths.iter().any(|own| own == path),
            Own::Unlisted => {
                let end = path.extension().unwrap_or_default();
                path.components().count() == 1 && ["parquet", "svg", "html", "json"].iter().any(|own| end == *own)
            }
        }
    }
}

/// Links, or copies, what is in `old` and is not the command's `own` into `new`.
fn keep_foreign(old: &Path, new: &Path, inside: &Path, own: &Own, command: &'static str) -> Result<(), OutputError> {
    for name in entries(&old.join(inside))? {
        let path = inside.join(name);
        let (from, to) = (old.join(&path), new.join(&path));
        if own.has(&path) {
            continue;
        }
        if is_directory(&from) && (is_directory(&to) || !to.exists()) {
            if entries(&from)?.is_empty() {
                fs::create_dir_all(&to).map_err(FileError::io("create the directory", &to))?;
            }
            keep_foreign(old, new, &path, own, command)?;
            continue;
        }
        if to.exists() || to.is_symlink() {
            let found = path.to_string_lossy().into_owned();
            return Err(OutputError::Foreign { path: old.to_path_buf(), command, found });
        }
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent).map_err(FileError::io("create the directory", parent))?;
        }
        fs::hard_link(&from, &to)
            .or_else(|_| fs::copy(&from, &to).map(|_| ()))
            .map_err(FileError::io("keep", &from))?;
    }
    Ok(())
}

/// Versions before 0.2 left no marker, but a sealed list of their files, as they do today.
fn is_of_an_earlier_version(path: &Path, command: &str) -> bool {
    let (list, field) = match command {
        "analyze" | "compare" => ("summary.json", "\n  \"cograd\":"),
        "report" => ("manifest.json", "\n  \"analysis_sha256\":"),
        _ => return false,
    };
    let text = read_regular(&path.join(list)).unwrap_or_default();
    check_seal(&text).is_ok() && String::from_utf8_lossy(&text).contains(field)
}

/// The real parent directory and the name in it.
fn split(path: &Path) -> Result<(PathBuf, OsString), FileError> {
    let unnamed =
        || FileError::io("write", path)(io::Error::new(io::ErrorKind::InvalidInput, "it has no name to write beside"));
    let path = match fs::canonicalize(path) {
        Ok(real) => real,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            path.to_path_buf()
        }
        Err(error) => return Err(FileError::io("find", path)(error)),
    };
    let name = path.file_name().ok_or_else(unnamed)?.to_os_string();
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((parent.to_path_buf(), name))
}

/// `.NAME` and an ending.
fn hidden(name: &OsStr, ending: &str) -> OsString {
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(ending);
    hidden
}

/// Removes what killed writers left beside, and puts back the directory that one had moved aside. Whoever calls has the lock.
fn sweep(parent: &Path, name: &OsStr) -> Result<(), FileError> {
    let begin = hidden(name, ".").to_string_lossy().into_owned();
    for entry in fs::read_dir(parent).map_err(FileError::io("list the directory", parent))? {
        let entry = entry.map_err(FileError::io("list the directory", parent))?;
        let text = entry.file_name().to_string_lossy().into_owned();
        let number = text.strip_prefix(&begin).and_then(|rest| rest.strip_suffix(".new").or(rest.strip_suffix(".old")));
        if number.is_none_or(|number| number.is_empty() || !number.bytes().all(|digit| digit.is_ascii_digit())) {
            continue;
        }
        let (left, place) = (entry.path(), parent.join(name));
        match text.ends_with(".old") && !place.exists() && !left.is_symlink() {
            true => fs::rename(&left, &place).map_err(FileError::io("restore", &place))?,
            false => remove(&left)?,
        }
    }
    Ok(())
}

/// Removes a directory with all that is in it, or a link, without following any.
fn remove(path: &Path) -> Result<(), FileError> {
    let removed = match path.is_dir() && !path.is_symlink() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FileError::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Gives the directory `new` the name `place`; returns where that of before is now.
fn swap(new: &Path, place: &Path) -> io::Result<Option<PathBuf>> {
    if !place.exists() {
        return fs::rename(new, place).map(|()| None);
    }
    if exchange(new, place).is_ok() {
        return Ok(Some(new.to_path_buf()));
    }
    // Where directories cannot be exchanged there is a moment without one.
    let name = place.file_name().unwrap_or_default();
    let old = place.with_file_name(hidden(name, &format!(".{}.old", std::process::id())));
    fs::rename(place, &old)?;
    match fs::rename(new, place) {
        Ok(()) => Ok(Some(old)),
        Err(error) => fs::rename(&old, place).and(Err(error)),
    }
}

#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn exchange(new: &Path, place: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, new, CWD, place, RenameFlags::EXCHANGE)?)
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn exchange(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, files: &[(&str, &str)]) -> Result<Vec<PathBuf>, OutputError> {
        let output = OutputDirectory::claim(path, "report")?;
        let paths = files.iter().map(|(name, text)| {
            let path = output.path().join(name);
            fs::write(&path, text).unwrap();
            path
        });
        let paths: Vec<PathBuf> = paths.collect();
        output.publish(&paths)
    }

    fn names(path: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_directory_of_the_same_command_is_replaced_whole_and_nothing_is_left_beside() {
        let root = tempfile::tempdir().unwrap();
        let place = root.path().join("a/report");
        assert_eq!(write(&place, &[("x", "1"), ("y", "1")]).unwrap(), [place.join("x"), place.join("y")]);
        // Notes that somebody put there are kept.
        fs::create_dir(place.join("mine")).unwrap();
        fs::write(place.join("mine/a.svg"), "").unwrap();
        write(&place, &[("x", "2")]).unwrap();
        assert!(place.join("mine/a.svg").exists());
        fs::remove_dir_all(place.join("mine")).unwrap();
        // Where the command wants to write later, they are not replaced.
        fs::write(place.join("y"), "mine").unwrap();
        assert!(write(&place, &[("y", "2")]).unwrap_err().to_string().contains("holds y, which"));
        assert_eq!(fs::read_to_string(place.join("y")).unwrap(), "mine");
        fs::remove_file(place.join("y")).unwrap();
        assert_eq!(
            (names(&place), fs::read_to_string(place.join("x")).unwrap()),
            (vec![MARKER.into(), "x".into()], "2".into())
        );
        assert_eq!(names(&root.path().join("a")), ["report"]);
        // Given up, the one of before stays.
        drop(OutputDirectory::claim(&place, "report").unwrap());
        assert_eq!((names(&place).len(), names(&root.path().join("a"))), (2, vec!["report".into()]));
    }

    #[test]
    fn anything_else_is_refused_before_a_byte_is_written() {
        let root = tempfile::tempdir().unwrap();
        let place = root.path().join("runs");
        fs::create_dir(&place).unwrap();
        OutputDirectory::claim(&place, "report").unwrap();
        fs::write(place.join("manifest.json"), "{}").unwrap();
        let message = write(&place, &[]).unwrap_err().to_string();
        assert!(message.contains("holds manifest.json") && message.contains("cograd report"), "{message}");
        fs::write(place.join(MARKER), "cograd export\n").unwrap();
        assert!(write(&place, &[]).is_err());
        assert_eq!((names(&place).len(), names(root.path())), (2, vec!["runs".into()]));
        assert!(matches!(write(&root.path().join("runs/manifest.json"), &[]), Err(OutputError::File(_))));
        // Among the runs of a study it would be taken for one.
        assert!(OutputDirectory::claim(&root.path().join("runs/new"), "report").is_ok());
        fs::create_dir(place.join("a")).unwrap();
        fs::write(place.join("a").join(COORDINATES), "").unwrap();
        assert!(matches!(write(&root.path().join("runs/new/x"), &[]), Err(OutputError::AmongRuns { .. })));
    }

    #[test]
    fn a_second_writer_is_told_of_the_first_and_leftovers_are_swept() {
        let root = tempfile::tempdir().unwrap();
        let place = root.path().join("report");
        let first = OutputDirectory::claim(&place, "report").unwrap();
        let message = OutputDirectory::claim(&place, "report").unwrap_err().to_string();
        assert!(message.contains(&format!("process {}", std::process::id())), "{message}");
        drop(first);
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("kept"), "").unwrap();
        fs::create_dir(root.path().join(".report.123.new")).unwrap();
        fs::write(root.path().join(".report.123.new/part"), "").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(outside.path(), root.path().join(".report.7.old")).unwrap();
        fs::write(root.path().join(".report.notes.old"), "").unwrap();
        write(&place, &[("x", "1")]).unwrap();
        assert_eq!(names(root.path()), [".report.notes.old", "report"]);
        assert_eq!(names(outside.path()), ["kept"]);
    }

    #[test]
    fn what_a_killed_writer_had_moved_aside_is_put_back() {
        let root = tempfile::tempdir().unwrap();
        let place = root.path().join("report");
        write(&place, &[("x", "1")]).unwrap();
        fs::rename(&place, root.path().join(".report.9.old")).unwrap();
        drop(OutputDirectory::claim(&place, "report").unwrap());
        assert_eq!(
            (names(root.path()), fs::read_to_string(place.join("x")).unwrap()),
            (vec!["report".into()], "1".into())
        );
    }

    #[test]
    #[cfg(unix)]
    fn a_link_to_a_directory_on_another_disk_stays_a_link() {
        let (root, disk) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(disk.path().join("real")).unwrap();
        std::os::unix::fs::symlink(disk.path().join("real"), root.path().join("report")).unwrap();
        write(&root.path().join("report"), &[("x", "1")]).unwrap();
        write(&root.path().join("report"), &[("x", "2")]).unwrap();
        assert!(root.path().join("report").is_symlink());
        assert_eq!(fs::read_to_string(disk.path().join("real/x")).unwrap(), "2");
    }

    #[test]
    fn results_of_versions_without_a_marker_are_their_own() {
        let root = tempfile::tempdir().unwrap();
        #[derive(serde::Serialize)]
        struct Summary {
            cograd: &'static str,
            seal: &'static str,
        }
        fs::write(root.path().join("summary.json"), crate::sealed(&Summary { cograd: "0.1.0", seal: "" }).unwrap())
            .unwrap();
        assert!(check(root.path(), "analyze").is_ok() && check(root.path(), "report").is_err());
    }
}
