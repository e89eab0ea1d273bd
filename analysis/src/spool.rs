//! Words of 64 bits that are written one after the other and read from anywhere: in memory while they are few, in a file from there on.
//!
//! The file has no name, and is gone when the process ends, however it ends.

use std::cell::RefCell;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use cograd_files::{FileError, OutputError};
use tempfile::SpooledTempFile;

use crate::AnalysisError;

/// Bytes that are kept in memory.
const IN_MEMORY: usize = 64 << 20;
/// Bytes of a word.
const BYTES: usize = size_of::<u64>();

/// The words so far.
#[derive(Debug)]
pub(crate) struct Spool {
    /// Where the file is.
    directory: PathBuf,
    count: usize,
    words: RefCell<SpooledTempFile>,
}

impl Spool {
    /// Without a word; what does not fit into memory is kept in `directory`.
    pub(crate) fn new(directory: &Path) -> Spool {
        Spool::with(directory, IN_MEMORY)
    }

    pub(crate) fn with(directory: &Path, in_memory: usize) -> Spool {
        let words = RefCell::new(tempfile::spooled_tempfile_in(in_memory, directory));
        Spool { directory: directory.to_path_buf(), count: 0, words }
    }

    /// Adds words; returns the place of the first.
    ///
    /// # Errors
    /// They cannot be written.
    pub(crate) fn append(&mut self, words: impl Iterator<Item = u64>) -> Result<usize, AnalysisError> {
        let (first, bytes) = (self.count, words.flat_map(u64::to_ne_bytes).collect::<Vec<u8>>());
        let written = self.words.get_mut().seek(SeekFrom::Start((first * BYTES) as u64));
        let written = written.and_then(|_| self.words.get_mut().write_all(&bytes));
        written.map_err(|source| self.error("keep what was found so far in", source))?;
        self.count += bytes.len() / BYTES;
        Ok(first)
    }

    /// So many words from a place on.
    ///
    /// # Errors
    /// They cannot be read.
    pub(crate) fn read(&self, first: usize, count: usize) -> Result<Vec<u64>, AnalysisError> {
        let mut bytes = vec![0; count * BYTES];
        let mut words = self.words.borrow_mut();
        let read = words.seek(SeekFrom::Start((first * BYTES) as u64)).and_then(|_| words.read_exact(&mut bytes));
        read.map_err(|source| self.error("read what was kept in", source))?;
        Ok(bytes.as_chunks::<BYTES>().0.iter().map(|bytes| u64::from_ne_bytes(*bytes)).collect())
    }

    pub(crate) fn error(&self, action: &'static str, source: io::Error) -> AnalysisError {
        AnalysisError::Output(OutputError::File(FileError::io(action, &self.directory)(source)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_from_anywhere_between_writing_and_no_name_is_left() {
        let directory = tempfile::tempdir().unwrap();
        for in_memory in [0, 1 << 20] {
            let mut spool = Spool::with(directory.path(), in_memory);
            assert_eq!(spool.append(0..5).unwrap(), 0);
            assert_eq!(spool.read(1, 3).unwrap(), [1, 2, 3]);
            assert_eq!(spool.append([u64::MAX].into_iter()).unwrap(), 5);
            assert_eq!(spool.read(4, 2).unwrap(), [4, u64::MAX]);
            assert!(spool.read(5, 2).is_err());
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_named() {
        let mut spool = Spool::with(Path::new("no/such/directory"), 0);
        let error = spool.append(0..1).unwrap_err().to_string();
        assert!(error.contains("no/such/directory"), "{error}");
    }
}
