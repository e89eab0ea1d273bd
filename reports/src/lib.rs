//! Figures and an HTML page from the tables that analysis wrote.
//!
//! Everything drawn here is read from a study's `analysis` directory (its Parquet tables and `summary.json`); no trace
//! is opened and no statistic is computed. [`report`] writes the paper's Figures 1 to 4, three figures of our own and
//! one self-contained page; Figure 4 and the comparison of update rules where a study has several.
#![warn(missing_docs)]

mod axes;
mod canvas;
mod comparison;
mod comparison_page;
mod curves;
mod error;
mod figure;
mod manifest;
mod numbers;
mod page;
mod results;
mod summary;
mod tables;

pub use error::ReportError;

use std::fs;
use std::path::{Path, PathBuf};

use cograd_trace::write_atomically;

use comparison::Comparison;
use results::Results;

/// Draws every figure and the page of a study's results and returns the files written: the figures, `index.html`, and
/// `manifest.json`, which has their hashes and is written last.
///
/// `analysis` is the directory that analysis wrote; `out` is created where it does not exist. Each file appears
/// whole or not at all, and the same results give the same bytes.
///
/// # Errors
/// A results file that is missing, unreadable or lacks a column (each named), or an `out` that cannot be written.
pub fn report(analysis: &Path, out: &Path) -> Result<Vec<PathBuf>, ReportError> {
    let results = Results::read(analysis)?;
    let figures = figure::draw_all(&results)?;
    let page = page::render(&results, &figures)?;

    let files = figures.iter().map(|figure| (figure.file, figure.svg.as_str())).chain([("index.html", page.as_str())]);
    write_report(out, &analysis.join("summary.json"), files)
}

/// Draws every figure and the page of a comparison of studies, beside its tables in `directory`, and returns the files
/// written: the figures, `index.html`, and `manifest.json` last.
///
/// # Errors
/// A table of the comparison that is missing, unreadable or lacks a column, or a file that cannot be written.
pub fn report_comparison(directory: &Path) -> Result<Vec<PathBuf>, ReportError> {
    let comparison = Comparison::read(directory)?;
    let figures = figure::comparison::draw_all(&comparison)?;
    let page = comparison_page::render(&comparison, &figures)?;
    let files = figures.iter().map(|figure| (figure.file.as_str(), figure.svg.as_str()));
    write_report(directory, &directory.join("comparison.json"), files.chain([("index.html", page.as_str())]))
}

/// Writes files by name, and last the manifest with their hashes and that of what they were drawn from.
fn write_report<'a>(
    out: &Path,
    source: &Path,
    files: impl Iterator<Item = (&'a str, &'a str)> + Clone,
) -> Result<Vec<PathBuf>, ReportError> {
    fs::create_dir_all(out).map_err(|source| ReportError::CreateDirectory { path: out.to_owned(), source })?;
    manifest::clear(out, &files.clone().map(|(name, _)| name).collect::<Vec<_>>())?;
    let mut written = Vec::new();
    for (name, text) in files {
        let path = out.join(name);
        write_atomically(&path, text.as_bytes()).map_err(ReportError::Write)?;
        written.push(path);
    }
    written.push(manifest::write(source, out, &written)?);
    Ok(written)
}
