//! Figures and an HTML page from the tables that analysis wrote.
//!
//! Everything drawn here is read from a study's `analysis` directory (its Parquet tables and `summary.json`); no trace
//! is opened and no statistic is computed. [`report`] writes the paper's Figures 1 to 4, three figures of our own and
//! one self-contained page; Figure 4 and the comparison of update rules where a study has several.
#![warn(missing_docs)]

mod axes;
mod canvas;
mod curves;
mod error;
mod figure;
mod numbers;
mod page;
mod results;
mod summary;
mod tables;
mod write;

pub use error::ReportError;

use std::path::{Path, PathBuf};

use results::Results;

/// Draws every figure and the page of a study's results and returns the files written, `index.html` last.
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

    write::create_directory(out)?;
    let mut written = Vec::new();
    for figure in &figures {
        written.push(write::atomically(&out.join(figure.file), figure.svg.as_bytes())?);
    }
    written.push(write::atomically(&out.join("index.html"), page.as_bytes())?);
    Ok(written)
}
