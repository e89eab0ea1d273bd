//! The raw values of the part file that is being written.
//!
//! A Parquet file is readable only when its footer is there, so that an unfinished one cannot be continued. The journal
//! beside it can: it is appended to, cut to a known length, and written into a new Parquet file, which is then the same
//! bytes. It never outgrows one part file.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::TraceError;
use crate::checkpoint::JournalPosition;

/// Values converted to bytes at a time.
const BLOCK: usize = 16 * 1024;

/// Bytes before the values of a record: the step and the CRC-32 of the values.
const HEADER: u64 = 12;

/// An open journal: records of a step, a checksum and the step's gradients, all little-endian.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl Journal {
    /// A new, empty journal.
    pub fn create(path: &Path) -> Result<Journal, TraceError> {
        if path.is_symlink() {
            std::fs::remove_file(path).map_err(TraceError::io("remove the link", path))?;
        }
        let file = File::create(path).map_err(TraceError::io("create", path))?;
        Ok(Journal { path: path.to_path_buf(), file, bytes: 0 })
    }

    /// The first `bytes` bytes of a journal, to be appended to; `None` if it is shorter or not there.
    pub fn reopen(path: &Path, bytes: u64) -> Result<Option<Journal>, TraceError> {
        if path.is_symlink() {
            return Ok(None);
        }
        let mut file = match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(TraceError::io("open", path)(error)),
        };
        let found = file.metadata().map_err(TraceError::io("read", path))?.len();
        if found < bytes {
            return Ok(None);
        }
        file.set_len(bytes).map_err(TraceError::io("cut", path))?;
        file.seek(SeekFrom::Start(bytes)).map_err(TraceError::io("read", path))?;
        Ok(Some(Journal { path: path.to_path_buf(), file, bytes }))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends the gradients of a step.
    pub fn append(&mut self, step: i64, values: &[f32]) -> Result<(), TraceError> {
        let mut checksum = crc32fast::Hasher::new();
        let mut block = Vec::with_capacity(4 * BLOCK);
        // The checksum comes first, so that values are converted twice: cheaper than a copy of them all.
        for values in values.chunks(BLOCK) {
            to_bytes(values, &mut block);
            checksum.update(&block);
        }
        let mut write = |bytes: &[u8]| self.file.write_all(bytes).map_err(TraceError::io("write", &self.path));
        write(&step.to_le_bytes())?;
        write(&checksum.finalize().to_le_bytes())?;
        for values in values.chunks(BLOCK) {
            to_bytes(values, &mut block);
            write(&block)?;
        }
        self.bytes += HEADER + size_of_val(values) as u64;
        Ok(())
    }

    /// Makes everything appended last; returns the place to go on from.
    pub fn sync(&self) -> Result<JournalPosition, TraceError> {
        self.file.sync_data().map_err(TraceError::io("sync", &self.path))?;
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(JournalPosition { name, bytes: self.bytes })
    }
}

/// Calls `take` with every step in the first `bytes` bytes of a journal and its `count` values, oldest first.
///
/// # Errors
/// `Checkpoint` if a record is damaged; what `take` returns.
pub(crate) fn replay(
    path: &Path,
    bytes: u64,
    count: usize,
    mut take: impl FnMut(i64, &[f32]) -> Result<(), TraceError>,
) -> Result<(), TraceError> {
    let records = bytes / (HEADER + 4 * count as u64);
    let file = cograd_files::open_regular(path).map_err(TraceError::io("open", path))?;
    let mut file = BufReader::with_capacity(4 * BLOCK, file);
    let (mut header, mut bytes, mut values) = ([0; HEADER as usize], vec![0; 4 * BLOCK.min(count)], Vec::new());
    for _ in 0..records {
        let mut read = |bytes: &mut [u8]| file.read_exact(bytes).map_err(TraceError::io("read", path));
        read(&mut header)?;
        let mut checksum = crc32fast::Hasher::new();
        values.clear();
        while values.len() < count {
            let bytes = &mut bytes[..4 * BLOCK.min(count - values.len())];
            read(bytes)?;
            checksum.update(bytes);
            values.extend(bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)));
        }
        let [step @ .., a, b, c, d] = header;
        if checksum.finalize() != u32::from_le_bytes([a, b, c, d]) {
            return Err(TraceError::checkpoint(path, "its values have not the checksum noted with them"));
        }
        take(i64::from_le_bytes(step), &values)?;
    }
    Ok(())
}

fn to_bytes(values: &[f32], bytes: &mut Vec<u8>) {
    bytes.resize(4 * values.len(), 0);
    for (bytes, value) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(values) {
        *bytes = value.to_le_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replayed(journal: &Journal, count: usize) -> Result<Vec<(i64, Vec<f32>)>, TraceError> {
        let mut records = Vec::new();
        replay(&journal.path, journal.bytes, count, |step, values| {
            records.push((step, values.to_vec()));
            Ok(())
        })?;
        Ok(records)
    }

    fn values(step: i64) -> Vec<f32> {
        (0..BLOCK + 5).map(|place| place as f32 - step as f32).collect()
    }

    #[test]
    fn a_journal_that_was_cut_goes_on_as_if_nothing_had_followed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        let mut journal = Journal::create(&path).unwrap();
        journal.append(3, &values(3)).unwrap();
        let bytes = journal.sync().unwrap().bytes;
        journal.append(4, &values(4)).unwrap();
        drop(journal);

        assert!(Journal::reopen(&path, 10 * bytes).unwrap().is_none());
        let mut journal = Journal::reopen(&path, bytes).unwrap().unwrap();
        journal.append(7, &values(7)).unwrap();
        let place = journal.sync().unwrap();
        assert_eq!(replayed(&journal, BLOCK + 5).unwrap(), [(3, values(3)), (7, values(7))]);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), place.bytes);
    }

    #[test]
    fn a_damaged_journal_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        let mut journal = Journal::create(&path).unwrap();
        journal.append(3, &values(3)).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[1000] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let error = replayed(&journal, BLOCK + 5).unwrap_err();
        assert!(matches!(error, TraceError::Checkpoint { .. }), "{error}");
    }
}
