//! The report: its files are those of its manifest, which is sealed and of these results; and drawn again from the results,
//! they are the same to the byte.

use std::collections::BTreeMap;
use std::path::Path;

use cograd_trace::sha256_of_file;
use serde::Deserialize;

use crate::check::files::{self, Listed, OTHER_ENDS};
use crate::claim::{Claim, Verdict};
use crate::tally::Tally;

const MANIFEST: &str = "manifest.json";
const SUBJECT: &str = "report";

#[derive(Deserialize)]
struct Manifest {
    cograd: String,
    analysis_sha256: String,
    files: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    bytes: u64,
    sha256: String,
}

/// Checks the report in `directory`, which should be drawn from the results in `analysis`; `holds` says whether these hold.
pub(crate) fn check(directory: &Path, analysis: &Path, holds: bool) -> Vec<Claim> {
    let (sealed, drawn) = ("the report's seal is that of its text", "the report is drawn from these results");
    if !directory.is_dir() {
        return vec![Claim::unchecked(drawn, SUBJECT, "not reported: draw it with `cograd report`")];
    }
    let text = match cograd_files::read_regular(&directory.join(MANIFEST)) {
        Ok(text) => text,
        Err(error) => {
            let why = format!("{MANIFEST} cannot be read ({error}): the report is not whole");
            return vec![Claim::unread(sealed, SUBJECT, &error, why)];
        }
    };
    let mut claims = vec![files::seal(sealed, SUBJECT, &text)];
    let manifest: Manifest = match serde_json::from_slice(cograd_files::unmarked(&text)) {
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
    let summary = analysis.join("summary.json");
    claims.push(match sha256_of_file(&summary) {
        Ok(found) if found == manifest.analysis_sha256 => Claim::pass(drawn, SUBJECT, "of this summary"),
        Ok(_) if files::is_same_text(&summary, &manifest.analysis_sha256) => {
            Claim::note(drawn, SUBJECT, "of this summary, but for its line ends")
        }
        Ok(_) => Claim::fail(drawn, SUBJECT, "it is of another summary.json; report again"),
        Err(error) => Claim::unread(drawn, SUBJECT, &error, format!("its results are not there: {error}")),
    });
    // A note says that files lie beside, or that line ends differ: then nothing can be drawn from the summary.
    let is_whole = claims.iter().all(|claim| matches!(claim.verdict, Verdict::Pass | Verdict::Note));
    let is_exact = claims.last().is_some_and(|claim| claim.verdict == Verdict::Pass);
    claims.push(match is_whole && is_exact && holds {
        true => drawn_again(directory, analysis, &manifest),
        false => Claim::unchecked(
            DRAWN_AGAIN,
            SUBJECT,
            "it, or what it is drawn from, is not as it was: see the other claims",
        ),
    });
    claims
}

const DRAWN_AGAIN: &str = "drawn again, the figures and the page are the same";

/// Draws the report into a temporary directory and compares.
fn drawn_again(directory: &Path, analysis: &Path, manifest: &Manifest) -> Claim {
    let version = env!("CARGO_PKG_VERSION");
    if manifest.cograd != version {
        let why = format!("it was drawn by version {}, this is {version}: report again", manifest.cograd);
        return Claim::unchecked(DRAWN_AGAIN, SUBJECT, why);
    }
    let scratch = match tempfile::tempdir() {
        Ok(scratch) => scratch,
        Err(error) => return Claim::unchecked(DRAWN_AGAIN, SUBJECT, format!("no temporary directory: {error}")),
    };
    // Not the directory itself: what a writer leaves beside goes with it.
    let drawn = scratch.path().join("report");
    let written = match cograd_reports::report(analysis, &drawn) {
        Ok(written) => written,
        Err(error) => return Claim::unread(DRAWN_AGAIN, SUBJECT, &error, format!("it cannot be drawn: {error}")),
    };
    let mut tally = Tally::default();
    // Not the manifest, whose text is free and whose content was checked.
    for path in written.iter().filter(|path| !path.ends_with(MANIFEST)) {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let found = directory.join(&name);
        let is_same = cograd_files::read_regular(path).ok() == cograd_files::read_regular(&found).ok();
        match sha256_of_file(path).is_ok_and(|drawn| !is_same && files::is_same_text(&found, &drawn)) {
            true => tally.odd(|| format!("{name} has {OTHER_ENDS}")),
            false => tally.check(is_same, || format!("{name} is not what is drawn")),
        }
    }
    for name in manifest.files.keys() {
        tally.check(drawn.join(name).is_file(), || format!("{name} is not drawn"));
    }
    tally.into_claim(DRAWN_AGAIN, SUBJECT)
}
