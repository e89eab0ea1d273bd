//! What a person reads: the closing lines of a command on standard output, its error on standard error.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;

/// Where commands print; `--quiet` silences all but results asked for and errors.
pub struct Output {
    pub quiet: bool,
}

impl Output {
    pub fn new(quiet: bool) -> Self {
        Self { quiet }
    }

    /// A line that `--quiet` silences.
    pub fn line(&self, line: impl Display) {
        if !self.quiet {
            self.result(line);
        }
    }

    /// A line that the user asked for, printed even when quiet.
    pub fn result(&self, line: impl Display) {
        // A reader that closed the pipe has seen enough: that is no error of ours.
        let _ = writeln!(io::stdout(), "{line}");
    }

    /// What a command wrote, a file a line, with sizes.
    pub fn wrote<'a>(&self, paths: impl IntoIterator<Item = &'a Path>) {
        self.line("Wrote");
        for path in paths {
            let size = std::fs::metadata(path).map(|file| bytes(file.len())).unwrap_or_default();
            self.line(format_args!("  {}  {size}", path.display()));
        }
    }

    /// A line on standard error that `--quiet` silences.
    pub fn notice(&self, line: impl Display) {
        if !self.quiet {
            let _ = writeln!(io::stderr(), "{line}");
        }
    }

    /// The error and its causes, once, outermost first.
    pub fn error(&self, error: &anyhow::Error) {
        let mut stderr = io::stderr().lock();
        let _ = writeln!(stderr, "error: {error}");
        for cause in error.chain().skip(1) {
            let _ = writeln!(stderr, "  because: {cause}");
        }
    }
}

/// A size in the unit that a person would choose: `bytes(1_500_000)` is `1.5 MB`.
pub fn bytes(count: u64) -> String {
    indicatif::DecimalBytes(count).to_string()
}

/// Columns padded to their widest cell, the first row being the header; numbers are aligned by the caller's choice.
pub fn table(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_string()
    };
    rows.iter().map(line).collect()
}
