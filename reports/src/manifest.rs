//! `manifest.json` of a report: the hashes of its files, and of the analysis that they show.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use cograd_trace::{sealed, sha256_of_file, write_atomically};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::ReportError;

const NAME: &str = "manifest.json";

#[derive(Serialize)]
struct Manifest {
    /// Version of the program that reported.
    cograd: &'static str,
    /// Of the `summary.json` that was read, which has the hashes of the tables; of a comparison, of its `comparison.json`.
    analysis_sha256: String,
    /// The other files of the report, by name.
    files: BTreeMap<String, FileEntry>,
    /// SHA-256 of this file with an empty seal.
    seal: &'static str,
}

/// What is read of an earlier one.
#[derive(Default, Deserialize)]
struct Earlier {
    files: BTreeMap<String, IgnoredAny>,
}

#[derive(Serialize)]
struct FileEntry {
    bytes: u64,
    sha256: String,
}

/// Writes the manifest of the files `written` into `out`, drawn from what `source` sums up; returns its path.
pub fn write(source: &Path, out: &Path, written: &[PathBuf]) -> Result<PathBuf, ReportError> {
    let path = out.join(NAME);
    let manifest = Manifest {
        cograd: env!("CARGO_PKG_VERSION"),
        analysis_sha256: sha256_of_file(source).map_err(ReportError::Hash)?,
        files: written.iter().map(|path| entry(path)).collect::<Result<_, _>>()?,
        seal: "",
    };
    let text = sealed(&manifest).map_err(|source| ReportError::Manifest { path: path.clone(), source })?;
    write_atomically(&path, &text).map_err(ReportError::Write)?;
    Ok(path)
}

/// Removes the manifest of an earlier report in `out` and those of its files that this one has none of: until the new
/// manifest is written, nothing there says that the files belong together.
pub fn clear(out: &Path, keep: &[&str]) -> Result<(), ReportError> {
    let path = out.join(NAME);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(source) if source.kind() == ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(ReportError::Read { path, source }),
    };
    // A manifest that cannot be read has no files to remove.
    let earlier: Earlier = serde_json::from_slice(&text).unwrap_or_default();
    let is_name = |name: &&String| Path::new(name).file_name().is_some_and(|file| file == name.as_str());
    let stale = earlier.files.keys().filter(is_name).filter(|name| !keep.contains(&name.as_str()));
    for path in [path].into_iter().chain(stale.map(|name| out.join(name))) {
        match fs::remove_file(&path) {
            Err(source) if source.kind() != ErrorKind::NotFound => return Err(ReportError::Remove { path, source }),
            _ => {}
        }
    }
    Ok(())
}

fn entry(path: &Path) -> Result<(String, FileEntry), ReportError> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let bytes = fs::metadata(path).map_err(|source| ReportError::Read { path: path.to_owned(), source })?.len();
    Ok((name, FileEntry { bytes, sha256: sha256_of_file(path).map_err(ReportError::Hash)? }))
}
