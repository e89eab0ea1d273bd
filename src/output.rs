//! What a person reads: the closing lines of a command on standard output, its error on standard error.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;

use anyhow::Context;

/// Where commands print; `--quiet` silences all but results asked for and errors.
pub struct Output {
    pub quiet: bool,
    /// The first line that standard output did not take.
    failure: RefCell<Option<io::Error>>,
}

impl Output {
    pub fn new(quiet: bool) -> Self {
        Self { quiet, failure: RefCell::default() }
    }

    /// A line that `--quiet` silences.
    pub fn line(&self, line: impl Display) {
        if !self.quiet {
            self.result(line);
        }
    }

    /// A line that the user asked for, printed even when quiet.
    pub fn result(&self, line: impl Display) {
        if let Err(error) = writeln!(io::stdout(), "{}", printable(&line.to_string())) {
            self.failure.borrow_mut().get_or_insert(error);
        }
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
            warn(line);
        }
    }

    /// The error and those of its causes that it does not name itself, outermost first.
    pub fn error(&self, error: &anyhow::Error) {
        let text = error.to_string();
        warn(format_args!("error: {text}"));
        let causes = error.chain().skip(1).map(ToString::to_string);
        causes.filter(|cause| !text.contains(cause)).for_each(|cause| warn(format_args!("  because: {cause}")));
    }

    /// Whether standard output took all that was printed.
    ///
    /// # Errors
    /// It did not. A reader that closed the pipe has seen enough: that is no error.
    pub fn finish(&self) -> anyhow::Result<()> {
        let written = self.failure.take().map_or_else(|| io::stdout().flush(), Err);
        seen(written).context("cannot write to standard output")
    }
}

/// What was written, where a pipe that its reader closed is no failure.
pub fn seen(written: io::Result<()>) -> io::Result<()> {
    written.or_else(|error| if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
}

/// A line on standard error, which may be closed: what it says is not worth a panic.
pub fn warn(line: impl Display) {
    let _ = writeln!(io::stderr(), "{}", printable(&line.to_string()));
}

/// A text as a terminal may have it: escapes and other control characters, which names in files may hold, are spelt out.
pub fn printable(text: &str) -> Cow<'_, str> {
    // The last two are marks that turn the direction of what follows.
    let acts = |letter: char| {
        let control = letter.is_control() && !matches!(letter, '\n' | '\t');
        control || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let spelt = |letter: char| if acts(letter) { letter.escape_default().to_string() } else { letter.to_string() };
    Cow::Owned(text.chars().map(spelt).collect())
}

/// A path as a shell takes it for one argument.
pub fn shell(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |letter: char| letter.is_alphanumeric() || "/._-+=:,@%".contains(letter);
    match text {
        text if text.starts_with('-') => shell(&Path::new(".").join(text)),
        text if !text.is_empty() && text.chars().all(plain) => text,
        text => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

/// `1 run`, `2 runs`.
pub fn number(count: usize, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
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
    // Not by a width of the format: that is 65 535 at most.
    let padded = |(cell, width): (&String, &usize)| {
        let room = width - cell.chars().count();
        format!("{cell}{}", " ".repeat(room))
    };
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&widths).map(padded).collect();
        cells.join("  ").trim_end().replace('\n', "\\n")
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_a_terminal_is_spelt_out() {
        assert_eq!(printable("a\u{1b}[31m\u{7}\u{9b}2J\u{202e}ü\n\t"), "a\\u{1b}[31m\\u{7}\\u{9b}2J\\u{202e}ü\n\t");
        assert_eq!(table(&[vec!["a\nb".into(), "c".into()]]), ["a\\nb  c"]);
    }

    #[test]
    fn a_cell_may_be_wider_than_a_format_allows() {
        let rows = [vec!["x".repeat(70_000), "y".into()], vec!["x".into(), "y".into()]];
        assert_eq!(table(&rows)[1].len(), 70_003);
    }

    #[test]
    fn paths_are_quoted_for_a_shell_where_they_need_it() {
        let shown =
            ["studies/demo", "studies/label noise", "it's", "-x", "studies/ünï", ""].map(|path| shell(Path::new(path)));
        assert_eq!(shown, ["studies/demo", "'studies/label noise'", "'it'\\''s'", "./-x", "studies/ünï", "''"]);
    }
}
