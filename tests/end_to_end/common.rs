//! Drives the real binary in a temporary directory.
#![allow(dead_code, reason = "every test file uses its own part")]

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use tempfile::TempDir;

/// An experiment of seconds on the embedded digits: two noise levels, one seed.
pub const TINY: &str = r#"
name = "tiny"
[data]
source = "digits"
[network]
hidden = [16]
[training]
learning_rate = 0.1
batch = 100
steps = 60
[grid]
noise = [0.0, 0.5]
seeds = [1]
[sample]
examples = 60
weights_per_layer = 40
[schedule.gradients]
every_step_until = 30
per_decade = 10
[schedule.population]
every_step_until = 12
per_decade = 10
"#;

/// A directory that lives as long as its test.
pub struct Workplace {
    directory: TempDir,
}

impl Workplace {
    pub fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a temporary directory") }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file and returns its path.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("a file in the temporary directory");
        path
    }

    /// `cograd` with this directory as its working directory.
    pub fn cograd<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::cargo_bin("cograd").expect("the binary is built with the tests");
        command.current_dir(self.directory.path()).args(arguments);
        command
    }

    /// Records [`TINY`] as the study `tiny` and returns its directory.
    pub fn record_tiny(&self) -> PathBuf {
        self.write("tiny.toml", TINY);
        self.cograd(["record", "tiny.toml", "--out", "tiny", "--quiet"]).assert().success();
        self.path("tiny")
    }
}

/// The directory of the first run of a study, by name.
pub fn run_directory(study: &Path, run: &str) -> PathBuf {
    study.join("runs").join(run)
}

/// Every file below a directory with its bytes, by relative path.
pub fn files_below(directory: &Path) -> std::collections::BTreeMap<PathBuf, Vec<u8>> {
    let mut files = std::collections::BTreeMap::new();
    let mut pending = vec![directory.to_path_buf()];
    while let Some(next) = pending.pop() {
        for entry in std::fs::read_dir(&next).expect("a readable directory") {
            let path = entry.expect("a readable entry").path();
            if path.is_dir() {
                pending.push(path);
            } else {
                let relative = path.strip_prefix(directory).expect("below the directory").to_path_buf();
                files.insert(relative, std::fs::read(&path).expect("a readable file"));
            }
        }
    }
    files
}
