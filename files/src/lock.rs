//! Locks between processes, perhaps on different machines that share a directory.
//!
//! A lock is the operating system's lock on a file: it ends with the process that holds it, however that ends, so that
//! there is no stale lock to break. What is written in the file only serves the message.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::{FileError, OutputError};

/// A lock held by this process until it is dropped.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    file: File,
}

/// An attempt to take a lock.
#[derive(Debug)]
pub enum Attempt {
    /// It is this process's now.
    Taken(Lock),
    /// Another process has it: which one, for people.
    HeldBy(String),
}

impl Lock {
    /// Takes the lock on the file `path` if nobody has it.
    ///
    /// # Errors
    /// The file cannot be opened or written, or the file system has no locks.
    pub fn attempt(path: &Path) -> Result<Attempt, OutputError> {
        let mut lock = Lock::open(path)?;
        match lock.file.try_lock() {
            // The file may have been retired by its holder since it was opened: then it locks nothing any more.
            Ok(()) if !lock.is_in_place() => Lock::attempt(path),
            Ok(()) => lock.sign().map(Attempt::Taken),
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // An unreadable name is no reason to fail.
                let _ = lock.file.read_to_string(&mut holder);
                let holder = if holder.is_empty() { "another process" } else { holder.trim() };
                Ok(Attempt::HeldBy(holder.to_string()))
            }
            Err(TryLockError::Error(source)) => Err(lock.impossible(source)),
        }
    }

    /// Takes the lock on the file `path`, waiting for it.
    ///
    /// # Errors
    /// As [`Lock::attempt`].
    pub fn wait(path: &Path) -> Result<Lock, OutputError> {
        let lock = Lock::open(path)?;
        lock.file.lock().map_err(|source| lock.impossible(source))?;
        lock.sign()
    }

    fn open(path: &Path) -> Result<Lock, OutputError> {
        // A link in place of the file would be followed, and what it points to be cut.
        if path.is_symlink() {
            std::fs::remove_file(path).map_err(FileError::io("replace the link", path))?;
        }
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = file.map_err(FileError::io("open", path))?;
        Ok(Lock { path: path.to_path_buf(), file })
    }

    /// Whether the file that is locked is the one of the name.
    #[cfg(unix)]
    fn is_in_place(&self) -> bool {
        use std::os::unix::fs::MetadataExt;
        let named = std::fs::symlink_metadata(&self.path);
        named.is_ok_and(|named| {
            self.file.metadata().is_ok_and(|file| (file.dev(), file.ino()) == (named.dev(), named.ino()))
        })
    }

    /// Elsewhere a file that is open cannot be removed.
    #[cfg(not(unix))]
    fn is_in_place(&self) -> bool {
        true
    }

    /// Writes who holds it.
    fn sign(mut self) -> Result<Lock, OutputError> {
        let holder = format!("process {} on {}\n", std::process::id(), host());
        let written = self.file.rewind().and_then(|()| self.file.set_len(0)).and_then(|()| {
            // No room for a name, and yet a lock.
            self.file.write_all(holder.as_bytes()).or_else(|error| match error.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Ok(()),
                _ => Err(error),
            })
        });
        written.map_err(FileError::io("write", &self.path))?;
        Ok(self)
    }

    fn impossible(&self, source: std::io::Error) -> OutputError {
        OutputError::NoLocks { path: self.path.clone(), source }
    }

    /// Gives the lock back and removes its file, since what it protected is done and will not be begun again: whoever
    /// waits with the old file open finds it done.
    pub fn retire(self) {
        retire(&self.path);
    }
}

/// Removes the file of a lock that nobody needs any more, if an interrupted process left it.
pub fn retire(path: &Path) {
    // A file too many does no harm.
    let _ = std::fs::remove_file(path);
}

/// The machine's name.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = name.or_else(|| std::env::var("HOSTNAME").ok()).or_else(|| std::env::var("COMPUTERNAME").ok());
    name.map(|name| name.trim().to_string()).filter(|name| !name.is_empty()).unwrap_or_else(|| "this machine".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_exclusive_names_its_holder_and_ends_with_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".run.lock");
        let Attempt::Taken(held) = Lock::attempt(&path).unwrap() else { panic!("held by nobody") };
        let Attempt::HeldBy(holder) = Lock::attempt(&path).unwrap() else { panic!("taken twice") };
        assert!(holder.starts_with(&format!("process {} on ", std::process::id())), "{holder}");
        drop(held);
        assert!(matches!(Lock::attempt(&path).unwrap(), Attempt::Taken(_)));
    }

    #[test]
    fn a_lock_file_left_behind_locks_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".run.lock");
        std::fs::write(&path, "process 999999999 on elsewhere, a long name that must not shine through\n").unwrap();
        let Attempt::Taken(lock) = Lock::attempt(&path).unwrap() else { panic!("held by nobody") };
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 1);
        lock.retire();
        assert!(!path.exists());
    }
}
