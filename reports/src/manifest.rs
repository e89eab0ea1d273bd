//! `manifest.json` of a report: the hashes of its files, and of the results that they show.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cograd_files::{FileError, sealed, sha256, write_atomically};
use serde::Serialize;

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

/// Writes the `files`, each a name and a content, into `directory`, and then their manifest; returns the paths.
pub fn write(
    analysis_sha256: &str,
    directory: &Path,
    files: &[(String, Vec<u8>)],
) -> Result<Vec<PathBuf>, ReportError> {
    let mut written = Vec::new();
    for (name, content) in files {
        written.push(directory.join(name));
        write_atomically(&directory.join(name), content)?;
    }
    let entry = |content: &[u8]| Entry { bytes: content.len() as u64, sha256: sha256(content) };
    let manifest = Manifest {
        cograd: env!("CARGO_PKG_VERSION"),
        analysis_sha256: analysis_sha256.to_owned(),
        files: files.iter().map(|(name, content)| (name.clone(), entry(content))).collect(),
        seal: "",
    };
    let path = directory.join(NAME);
    let text = sealed(&manifest).map_err(|error| FileError::io("write", &path)(error.into()))?;
    write_atomically(&path, &text)?;
    written.push(path);
    Ok(written)
}
