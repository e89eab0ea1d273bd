//! `manifest.json` of a report: the hashes of its files, and of the results that they show.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use cograd_files::{FileError, sealed, sha256, sha256_of_file, write_atomically};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::ReportError;

const NAME: &str = "manifest.json";

#[derive(Serialize)]
struct Manifest {
    /// Version of the program that reported.
    cograd: &'static str,
    /// Of the `summary.json` that was read, which has the hashes of the tables.
    analysis_sha256: String,
    /// The other files of the report, by name.
    files: BTreeMap<String, Entry>,
    /// SHA-256 of this file with an empty seal.
    seal: &'static str,
}

#[derive(Serialize)]
struct Entry {
    bytes: u64,
    sha256: String,
}

/// What is read of an earlier one.
#[derive(Default, Deserialize)]
struct Earlier {
    files: BTreeMap<String, IgnoredAny>,
}

/// Writes the `files`, each a name and a content, and then their manifest; returns the paths.
pub fn write(summary: &Path, out: &Path, files: &[(&str, &str)]) -> Result<Vec<PathBuf>, ReportError> {
    fs::create_dir_all(out).map_err(FileError::io("create the directory", out))?;
    clear(out, files)?;
    let mut written = Vec::new();
    for (name, text) in files {
        written.push(out.join(name));
        write_atomically(&out.join(name), text.as_bytes())?;
    }
    let entry = |text: &str| Entry { bytes: text.len() as u64, sha256: sha256(text.as_bytes()) };
    let manifest = Manifest {
        cograd: env!("CARGO_PKG_VERSION"),
        analysis_sha256: sha256_of_file(summary)?,
        files: files.iter().map(|(name, text)| ((*name).to_owned(), entry(text))).collect(),
        seal: "",
    };
    let path = out.join(NAME);
    let text = sealed(&manifest).map_err(|error| FileError::io("write", &path)(error.into()))?;
    write_atomically(&path, &text)?;
    written.push(path);
    Ok(written)
}

/// Removes the manifest of an earlier report in `out` and those of its files that this one has none of: until the new
/// manifest is written, nothing there says that the files belong together.
fn clear(out: &Path, keep: &[(&str, &str)]) -> Result<(), FileError> {
    let path = out.join(NAME);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(FileError::io("read", &path)(error)),
    };
    // A manifest that cannot be read has no files to remove.
    let earlier: Earlier = serde_json::from_slice(&text).unwrap_or_default();
    let is_name = |name: &&String| Path::new(name).file_name().is_some_and(|file| file == name.as_str());
    let kept = |name: &&String| keep.iter().any(|(kept, _)| kept == name);
    let stale = earlier.files.keys().filter(is_name).filter(|name| !kept(name));
    for path in [path].into_iter().chain(stale.map(|name| out.join(name))) {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(FileError::io("remove", &path)(error)),
            _ => {}
        }
    }
    Ok(())
}
