//! Files that appear whole or not at all, and their hashes.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::{FileEntry, TraceError};

/// Bytes read at once when hashing.
const BLOCK: usize = 256 * 1024;

/// Writes `bytes` to `path` so that the file is there whole or not at all, even after a power cut.
///
/// A temporary file in the same directory is synced and renamed, then the directory is synced.
///
/// # Errors
/// The temporary file cannot be written, or not renamed; it is removed then.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), TraceError> {
    let name = path.file_name().ok_or_else(|| {
        TraceError::io("write", path)(io::Error::new(io::ErrorKind::InvalidInput, "the path has no file name"))
    })?;
    let directory = parent(path);
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{}.tmp", std::process::id()));
    let temporary = directory.join(temporary);
    let written = write_and_sync(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // The first error is the one to report.
        let _ = fs::remove_file(&temporary);
    }
    written.map_err(TraceError::io("write", path))?;
    sync_directory(&directory)
}

fn write_and_sync(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// Makes renames and new files in `directory` last.
pub(crate) fn sync_directory(directory: &Path) -> Result<(), TraceError> {
    // Only Unix can open a directory to sync it.
    if cfg!(unix) {
        File::open(directory).and_then(|opened| opened.sync_all()).map_err(TraceError::io("sync", directory))?;
    }
    Ok(())
}

/// SHA-256 of a file as 64 lower-case hexadecimal digits.
///
/// # Errors
/// The file cannot be read.
pub fn sha256_of_file(path: &Path) -> Result<String, TraceError> {
    let mut file = File::open(path).map_err(TraceError::io("open", path))?;
    let mut hasher = Sha256::new();
    let mut block = vec![0; BLOCK];
    loop {
        match file.read(&mut block).map_err(TraceError::io("read", path))? {
            0 => return Ok(hexadecimal(hasher)),
            read => hasher.update(&block[..read]),
        }
    }
}

/// SHA-256 of some bytes as 64 lower-case hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hexadecimal(Sha256::new_with_prefix(bytes))
}

fn hexadecimal(hasher: Sha256) -> String {
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Checks that the file at `path` is the one that `entry` describes.
pub(crate) fn check_file(path: &Path, entry: &FileEntry) -> Result<(), TraceError> {
    let altered = |message| TraceError::Altered { path: path.to_path_buf(), message };
    let bytes = match fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(TraceError::MissingFile { path: path.to_path_buf() });
        }
        Err(error) => return Err(TraceError::io("read", path)(error)),
    };
    if bytes != entry.bytes {
        return Err(altered(format!("it has {bytes} bytes where the manifest says {}", entry.bytes)));
    }
    if sha256_of_file(path)? != entry.sha256 {
        return Err(altered("its SHA-256 is not the manifest's".to_string()));
    }
    Ok(())
}

/// A new file that counts and hashes what is written to it, so that nothing is read back for the manifest.
#[derive(Debug)]
pub(crate) struct HashedFile {
    file: File,
    hasher: Sha256,
    bytes: u64,
}

impl HashedFile {
    pub(crate) fn create(path: &Path) -> Result<HashedFile, TraceError> {
        let file = File::create(path).map_err(TraceError::io("create", path))?;
        Ok(HashedFile { file, hasher: Sha256::new(), bytes: 0 })
    }

    /// Syncs the file and returns its manifest entry.
    pub(crate) fn close(&mut self, path: &Path, rows: u64) -> Result<FileEntry, TraceError> {
        self.file.sync_all().map_err(TraceError::io("write", path))?;
        Ok(FileEntry { rows, bytes: self.bytes, sha256: hexadecimal(std::mem::take(&mut self.hasher)) })
    }
}

impl Write for HashedFile {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.file.write(buffer)?;
        self.hasher.update(&buffer[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing_atomically_replaces_the_file_and_leaves_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("study.toml");
        write_atomically(&path, b"one").unwrap();
        write_atomically(&path, b"abc").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"abc");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_of_file(&path).unwrap(), expected);
    }

    #[test]
    fn writing_into_a_missing_directory_names_the_path() {
        let directory = tempfile::tempdir().unwrap();
        let error = write_atomically(&directory.path().join("no/such.json"), b"").unwrap_err();
        assert!(error.to_string().contains("no/such.json"), "{error}");
    }

    #[test]
    fn a_hashed_file_has_the_hash_of_what_is_on_disk() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("part");
        let mut file = HashedFile::create(&path).unwrap();
        file.write_all(&[7; 100_000]).unwrap();
        let entry = file.close(&path, 3).unwrap();
        assert_eq!(entry, FileEntry { rows: 3, bytes: 100_000, sha256: sha256_of_file(&path).unwrap() });
        check_file(&path, &entry).unwrap();
    }
}
