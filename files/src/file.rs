//! Writing, hashing and checking single files.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Bytes read at once when hashing.
const BLOCK: usize = 256 * 1024;

/// What a list says of one of its files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Rows of a Parquet file; 0 for any other.
    #[serde(default)]
    pub rows: u64,
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256 of the content, 64 lower-case hexadecimal digits.
    pub sha256: String,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// It is listed, but not there.
    #[error("{} is missing, though it is listed", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// It is not the one that is listed.
    #[error("{} was altered or truncated after it was written: {message}", path.display())]
    Altered {
        /// The file.
        path: PathBuf,
        /// How it differs.
        message: String,
    },
}

impl FileError {
    /// Turns an I/O error into one that names the path.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
        move |source| FileError::Io { action, path: path.to_path_buf(), source }
    }
}

/// Writes `bytes` to `path` so that the file is there whole or not at all, even after a power cut.
///
/// A temporary file in the same directory is synced and renamed, then the directory is synced.
///
/// # Errors
/// The temporary file cannot be written, or not renamed; it is removed then.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let name = path.file_name().ok_or_else(|| {
        FileError::io("write", path)(io::Error::new(io::ErrorKind::InvalidInput, "the path has no file name"))
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
    written.map_err(FileError::io("write", path))?;
    sync_directory(&directory)
}

fn write_and_sync(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// A file that was not there before: what a killed writer left under the name is removed, and a link is not followed. Anything else
/// that has the name, a device perhaps, stays, and is opened.
fn create_new(path: &Path) -> io::Result<File> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() || found.is_symlink() => fs::remove_file(path)?,
        Ok(_) => return File::options().write(true).open(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    File::create_new(path)
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// Makes renames and new files in `directory` last.
///
/// # Errors
/// The directory cannot be opened or synced.
pub fn sync_directory(directory: &Path) -> Result<(), FileError> {
    // Only Unix can open a directory to sync it.
    if cfg!(unix) {
        File::open(directory).and_then(|opened| opened.sync_all()).map_err(FileError::io("sync", directory))?;
    }
    Ok(())
}

/// SHA-256 of a file as 64 lower-case hexadecimal digits.
///
/// # Errors
/// The file cannot be read.
pub fn sha256_of_file(path: &Path) -> Result<String, FileError> {
    let mut file = open_regular(path).map_err(FileError::io("open", path))?;
    let mut hasher = Sha256::new();
    let mut block = vec![0; BLOCK];
    loop {
        match file.read(&mut block) {
            Ok(0) => return Ok(hexadecimal(hasher)),
            Ok(read) => hasher.update(&block[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(FileError::io("read", path)(error)),
        }
    }
}

/// SHA-256 of some bytes as 64 lower-case hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    hexadecimal(Sha256::new_with_prefix(bytes))
}

fn hexadecimal(hasher: Sha256) -> String {
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Checks that the file at `path` has the size and hash of `entry`.
///
/// # Errors
/// It is missing, cannot be read, or is another.
pub fn check_file(path: &Path, entry: &FileEntry) -> Result<(), FileError> {
    let altered = |message| FileError::Altered { path: path.to_path_buf(), message };
    let bytes = match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => metadata.len(),
        // A pipe would be waited for.
        Ok(_) => return Err(altered("it is not a regular file".to_string())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(FileError::Missing { path: path.to_path_buf() });
        }
        Err(error) => return Err(FileError::io("read", path)(error)),
    };
    if bytes != entry.bytes {
        return Err(altered(format!("it has {bytes} bytes where {} are listed", entry.bytes)));
    }
    if sha256_of_file(path)? != entry.sha256 {
        return Err(altered("its SHA-256 is not the one that is listed".to_string()));
    }
    Ok(())
}

/// Opens a file for reading, unless it is a pipe, which would be waited for, a directory or a device.
///
/// # Errors
/// There is no regular file, or the operating system refuses.
pub fn open_regular(path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    File::open(path)
}

/// The bytes of a regular file.
///
/// # Errors
/// As [`open_regular`].
pub fn read_regular(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The text of a regular file.
///
/// # Errors
/// As [`open_regular`]; the text is no UTF-8.
pub fn read_regular_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read_regular(path)?).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// A new file that counts and hashes what is written to it, so that nothing is read back for the list.
#[derive(Debug)]
pub struct HashedFile {
    file: File,
    hasher: Sha256,
    bytes: u64,
}

impl HashedFile {
    /// Creates the file.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn create(path: &Path) -> Result<HashedFile, FileError> {
        let file = create_new(path).map_err(FileError::io("create", path))?;
        Ok(HashedFile { file, hasher: Sha256::new(), bytes: 0 })
    }

    /// Syncs the file, of so many `rows`, and returns what a list says of it; `path` is for messages.
    ///
    /// # Errors
    /// It cannot be synced.
    pub fn close(&mut self, path: &Path, rows: u64) -> Result<FileEntry, FileError> {
        self.file.sync_all().map_err(FileError::io("write", path))?;
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
