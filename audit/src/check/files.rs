//! Every file that a manifest lists is there, with the size and the SHA-256 that it says; and nothing else is that a reader would
//! take for a part of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use cograd_files::{FileError, sha256_of_file};
use cograd_trace::check_seal;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::claim::{Claim, is_refusal};
use crate::tally::Tally;

/// What a list says of a file.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub bytes: u64,
    pub sha256: String,
}

/// Compares the files of `directory` with what is listed of them, by path relative to it with `/` between the parts.
pub(crate) fn listed(directory: &Path, files: &BTreeMap<String, Listed>, subject: &str) -> Claim {
    let claim = "every file has the size and SHA-256 listed of it";
    let compare = |(name, listed): (&String, &Listed)| {
        let path = directory.join(name);
        let mut tally = Tally::default();
        match problem(&path, listed) {
            Err(error) if is_refusal(&error) => return Err(format!("{name} cannot be read: {error}")),
            Err(error) => tally.check(false, || format!("{name} cannot be read: {error}")),
            Ok(Some(_)) if is_text(name) && is_same_text(&path, &listed.sha256) => {
                tally.odd(|| format!("{name} has {OTHER_ENDS}"));
            }
            Ok(problem) => tally.check(problem.is_none(), || format!("{name} {}", problem.unwrap_or_default())),
        }
        Ok(tally)
    };
    let compared: Vec<Result<Tally, String>> = files.par_iter().map(compare).collect();
    let (mut tally, mut unreadable) = (Tally::default(), Vec::new());
    for of_file in compared {
        match of_file {
            Ok(of_file) => tally.add(of_file),
            Err(why) => unreadable.push(why),
        }
    }
    match unreadable.is_empty() || tally.failed() > 0 {
        true if files.is_empty() => Claim::pass(claim, subject, "none is listed"),
        true => tally.into_claim(claim, subject),
        false => Claim::unchecked(claim, subject, format!("{}: make it readable", unreadable.join("; "))),
    }
}

fn problem(path: &Path, listed: &Listed) -> Result<Option<String>, FileError> {
    let metadata = fs::metadata(path).map_err(FileError::io("read", path))?;
    if !metadata.is_file() {
        return Ok(Some("is no file".to_string()));
    }
    if metadata.len() != listed.bytes {
        return Ok(Some(format!("has {} bytes, listed are {}", metadata.len(), listed.bytes)));
    }
    let is_same = sha256_of_file(path)? == listed.sha256;
    Ok((!is_same).then(|| "was altered: it has another SHA-256".to_string()))
}

fn is_text(name: &str) -> bool {
    [".svg", ".html", ".json", ".toml", ".csv"].iter().any(|end| name.ends_with(end))
}

/// What a copied text may have that was not there.
pub(crate) const OTHER_ENDS: &str = "other line ends or a byte order mark";

/// Whether the file has this SHA-256 but for its line ends and a byte order mark, which some programs change when they copy.
pub(crate) fn is_same_text(path: &Path, sha256: &str) -> bool {
    const MARK: char = '\u{feff}';
    let Ok(text) = cograd_files::read_regular_text(path) else { return false };
    let unix = text.strip_prefix(MARK).unwrap_or(&text).replace("\r\n", "\n");
    // A last line without an end may have been given the half of one.
    let unix = unix.strip_suffix('\r').unwrap_or(&unix);
    let texts = [unix.to_string(), unix.replace('\n', "\r\n")];
    texts
        .iter()
        .any(|text| [text.clone(), format!("{MARK}{text}")].iter().any(|text| hex(&Sha256::digest(text)) == sha256))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The claim that the seal of a JSON text is right, which it may be but for its line ends and a byte order mark.
pub(crate) fn seal(claim: &str, subject: &str, text: &[u8]) -> Claim {
    match check_seal(text) {
        Ok(()) if cograd_files::unmarked(text).len() < text.len() || text.ends_with(b"\r\n") => {
            Claim::note(claim, subject, format!("it has {OTHER_ENDS}"))
        }
        Ok(()) => Claim::pass(claim, subject, "sealed"),
        Err(error) => Claim::fail(claim, subject, error.to_string()),
    }
}

/// Checks that `directory` holds no file but those that `known` says yes to, by path relative to it. What no reader takes for a
/// part of it is odd only: what file managers and killed writers leave, and notes.
pub(crate) fn nothing_else(directory: &Path, known: impl Fn(&str) -> bool, subject: &str) -> Claim {
    let claim = "every file there belongs to it";
    let mut found = Vec::new();
    if let Err(error) = collect(directory, "", &mut found) {
        return Claim::unread(claim, subject, &error, format!("the directory cannot be listed: {error}"));
    }
    found.sort();
    let mut tally = Tally::default();
    // The marker says which command wrote the directory, and holds no claim.
    for name in found.iter().filter(|name| *name != cograd_files::MARKER) {
        let is_hidden = name.split('/').any(|part| part.starts_with('.'));
        let is_data = [".parquet", ".safetensors"].iter().any(|end| name.ends_with(end)) && !is_hidden;
        match known(name) || is_data {
            true => tally.check(known(name), || format!("{name} belongs to nothing")),
            false => tally.odd(|| format!("{name} belongs to nothing")),
        }
    }
    tally.into_claim(claim, subject)
}

/// Relative paths of everything below `directory` that is no directory.
fn collect(directory: &Path, prefix: &str, found: &mut Vec<String>) -> std::io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        // Not followed if it is a link: that is no file of a study.
        match entry.file_type()?.is_dir() {
            true => collect(&entry.path(), &format!("{name}/"), found)?,
            false => found.push(name),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claim::Verdict;

    #[test]
    fn a_text_is_the_same_with_other_line_ends_and_with_a_byte_order_mark() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("text");
        let is_same = |written: &str, found: &str| {
            fs::write(&path, found).unwrap();
            is_same_text(&path, &cograd_files::sha256(written.as_bytes()))
        };
        for text in ["a\nb\n", "a\nb"] {
            // The last is what `sed 's/$/\r/'` makes.
            for found in
                [text.replace('\n', "\r\n"), format!("\u{feff}{text}"), format!("{}\r", text.replace('\n', "\r\n"))]
            {
                assert!(is_same(text, &found) && is_same(&text.replace('\n', "\r\n"), &found), "{found:?}");
                assert!(is_same(&format!("\u{feff}{text}"), &found), "{found:?}");
                assert!(!is_same(text, &found.replace('b', "c")), "{found:?}");
            }
        }
    }

    #[test]
    fn altered_missing_and_unknown_files_are_told() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("a")).unwrap();
        fs::write(directory.path().join("a/b"), "abc").unwrap();
        let sha256 = sha256_of_file(&directory.path().join("a/b")).unwrap();
        let mut files = BTreeMap::from([("a/b".to_string(), Listed { bytes: 3, sha256 })]);
        let known = |name: &str| name == "a/b";
        assert_eq!(listed(directory.path(), &files, "s").verdict, Verdict::Pass);
        assert_eq!(nothing_else(directory.path(), known, "s").verdict, Verdict::Pass);

        fs::write(directory.path().join("a/b"), "abd").unwrap();
        assert!(listed(directory.path(), &files, "s").why.contains("a/b was altered"));
        fs::write(directory.path().join("a/b"), "ab").unwrap();
        assert!(listed(directory.path(), &files, "s").why.contains("2 bytes"));
        files.insert("c".to_string(), files["a/b"].clone());
        assert!(listed(directory.path(), &files, "s").why.contains("c cannot be read"));
        fs::create_dir(directory.path().join("a/c")).unwrap();
        assert_eq!(nothing_else(directory.path(), known, "s").verdict, Verdict::Pass);
        for (name, verdict) in
            [("a/c/.d.parquet", Verdict::Note), ("a/c/notes", Verdict::Note), ("a/c/d.parquet", Verdict::Fail)]
        {
            fs::write(directory.path().join(name), "").unwrap();
            let claim = nothing_else(directory.path(), known, "s");
            assert!(claim.verdict == verdict && claim.why.contains(&format!("{name} belongs to nothing")), "{claim:?}");
        }
    }
}
