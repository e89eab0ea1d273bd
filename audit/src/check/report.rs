//! The report: its files are those of its manifest, which is sealed and of these results.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use cograd_trace::{check_seal, sha256_of_file};
use serde::Deserialize;

use crate::check::files::{self, Listed};
use crate::claim::Claim;

const MANIFEST: &str = "manifest.json";
const SUBJECT: &str = "report";

#[derive(Deserialize)]
struct Manifest {
    analysis_sha256: String,
    files: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    bytes: u64,
    sha256: String,
}

/// Checks the report in `directory`, which should be drawn from the results in `analysis`.
pub(crate) fn check(directory: &Path, analysis: &Path) -> Vec<Claim> {
    let (sealed, drawn) = ("the report's seal is that of its text", "the report is drawn from these results");
    if !directory.is_dir() {
        return vec![Claim::unchecked(drawn, SUBJECT, "not reported")];
    }
    let text = match fs::read(directory.join(MANIFEST)) {
        Ok(text) => text,
        Err(error) => {
            let why = format!("{MANIFEST} cannot be read ({error}): the report is not whole");
            return vec![Claim::fail(sealed, SUBJECT, why)];
        }
    };
    let mut claims = vec![match check_seal(&text) {
        Ok(()) => Claim::pass(sealed, SUBJECT, "sealed"),
        Err(error) => Claim::fail(sealed, SUBJECT, error.to_string()),
    }];
    let manifest: Manifest = match serde_json::from_slice(&text) {
        Ok(manifest) => manifest,
        Err(error) => {
            claims.push(Claim::fail(drawn, SUBJECT, format!("{MANIFEST}: {error}")));
            return claims;
        }
    };
    let of_file =
        |(name, entry): (&String, &Entry)| (name.clone(), Listed { bytes: entry.bytes, sha256: entry.sha256.clone() });
    let listed = manifest.files.iter().map(of_file).collect();
    claims.push(files::listed(directory, &listed, SUBJECT));
    claims.push(files::nothing_else(directory, |name| name == MANIFEST || listed.contains_key(name), SUBJECT));
    claims.push(match sha256_of_file(&analysis.join("summary.json")) {
        Ok(found) if found == manifest.analysis_sha256 => Claim::pass(drawn, SUBJECT, "of this summary"),
        Ok(_) => Claim::fail(drawn, SUBJECT, "it is of another summary.json; report again"),
        Err(error) => Claim::fail(drawn, SUBJECT, format!("its results are not there: {error}")),
    });
    claims
}
