//! Figures and an HTML page from the results of an analysis.
//!
//! Everything drawn here is read from a directory of results, which verifies itself before it is parsed; no trace is opened
//! and no statistic is computed. [`report`] draws a study: the paper's Figures 1 to 4, of whatever conditions and groups there
//! are, figures of our own, one for every statistic that the results have, and a self-contained page. [`report_comparison`]
//! draws a comparison of studies.
#![warn(missing_docs)]

mod axes;
mod canvas;
mod comparison;
mod curve_names;
mod curves;
mod error;
mod figure;
mod manifest;
mod numbers;
mod numbers_of_runs;
mod page;
mod predictions;
mod setting;
mod study;

pub use error::ReportError;

use std::path::{Path, PathBuf};

use cograd_files::OutputDirectory;
use cograd_results::Results;

use comparison::Comparison;
use figure::Figure;
use study::Study;

/// Draws every figure and the page of a study's results and returns the files written: the figures, `index.html`, and
/// `manifest.json`, which has their hashes and is written last.
///
/// `analysis` is the directory that analysis wrote; `out` is new, empty or an earlier report, which is replaced in one swap of
/// directories. The same results give the same bytes.
///
/// # Errors
/// Results that are missing, altered or unreadable, or an `out` that holds something else or cannot be written.
pub fn report(analysis: &Path, out: &Path) -> Result<Vec<PathBuf>, ReportError> {
    let output = OutputDirectory::claim(out, "report")?;
    let (study, sha256) = Results::read_whole(analysis, |results| -> Result<_, ReportError> {
        Ok((Study::read(results)?, results.summary_sha256().to_owned()))
    })?;
    let figures = figure::told_apart(figure::draw_all(&study)?);
    let written = write(&sha256, output.path(), &figures, &page::of_study(&study, &figures)?)?;
    Ok(output.publish(&written)?)
}

/// Draws every figure and the page of a comparison of studies, beside its tables in `directory`, which nobody reads yet, and returns the
/// files written: the figures, `index.html`, and `manifest.json` last.
///
/// # Errors
/// Tables of the comparison that are missing, altered or unreadable, or a file that cannot be written.
pub fn report_comparison(directory: &Path) -> Result<Vec<PathBuf>, ReportError> {
    let results = Results::open(directory)?;
    let comparison = Comparison::read(&results)?;
    let figures = figure::told_apart(figure::comparison::draw_all(&comparison)?);
    write(results.summary_sha256(), directory, &figures, &page::of_comparison(&comparison, &figures)?)
}

/// Each value once, in the order of first appearance.
fn distinct<T: PartialEq>(values: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut distinct = Vec::new();
    for value in values {
        if !distinct.contains(&value) {
            distinct.push(value);
        }
    }
    distinct
}

fn write(sha256: &str, directory: &Path, figures: &[Figure], page: &str) -> Result<Vec<PathBuf>, ReportError> {
    let drawings = figures.iter().flat_map(|figure| &figure.drawings);
    let mut files: Vec<(&str, &str)> = drawings.map(|(name, svg)| (name.as_str(), svg.as_str())).collect();
    files.push(("index.html", page));
    manifest::write(sha256, directory, &files)
}
