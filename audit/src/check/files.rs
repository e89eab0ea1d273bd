//! Every file that a manifest lists is there, with the size and the SHA-256 that it says; and nothing else is.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use cograd_trace::sha256_of_file;
use rayon::prelude::*;

use crate::claim::Claim;
use crate::tally::Tally;

/// What a list says of a file.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub bytes: u64,
    pub sha256: String,
}

/// Compares the files of `directory` with what is listed of them, by path relative to it with `/` between the parts.
pub(crate) fn listed(directory: &Path, files: &BTreeMap<String, Listed>, subject: &str) -> Claim {
    let compare = |(name, listed): (&String, &Listed)| {
        problem(&directory.join(name), listed).map(|what| format!("{name} {what}"))
    };
    let problems: Vec<Option<String>> = files.par_iter().map(compare).collect();
    let mut tally = Tally::default();
    for problem in problems {
        tally.check(problem.is_none(), || problem.unwrap_or_default());
    }
    tally.into_claim("every file has the size and SHA-256 listed of it", subject)
}

fn problem(path: &Path, listed: &Listed) -> Option<String> {
    let bytes = match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => metadata.len(),
        Ok(_) => return Some("is no file".to_string()),
        Err(error) => return Some(format!("cannot be read: {error}")),
    };
    if bytes != listed.bytes {
        return Some(format!("has {bytes} bytes, listed are {}", listed.bytes));
    }
    match sha256_of_file(path) {
        Ok(found) if found == listed.sha256 => None,
        Ok(_) => Some("was altered: it has another SHA-256".to_string()),
        Err(error) => Some(error.to_string()),
    }
}

/// Checks that `directory` holds no file but those that `known` says yes to, by path relative to it.
pub(crate) fn nothing_else(directory: &Path, known: impl Fn(&str) -> bool, subject: &str) -> Claim {
    let claim = "every file there belongs to it";
    let mut found = Vec::new();
    if let Err(error) = collect(directory, "", &mut found) {
        return Claim::fail(claim, subject, format!("the directory cannot be listed: {error}"));
    }
    found.sort();
    let mut tally = Tally::default();
    for name in &found {
        tally.check(known(name), || format!("{name} belongs to nothing"));
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
        fs::write(directory.path().join("a/c/d"), "").unwrap();
        assert!(nothing_else(directory.path(), known, "s").why.contains("a/c/d belongs to nothing"));
    }
}
