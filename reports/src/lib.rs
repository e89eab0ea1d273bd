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
mod font;
mod format;
mod manifest;
mod numbers;
mod numbers_of_runs;
mod page;
mod predictions;
mod setting;
mod study;

pub use error::ReportError;
pub use format::Format;

use std::path::{Path, PathBuf};

use cograd_files::OutputDirectory;
use cograd_results::Results;

use comparison::Comparison;
use figure::{Figure, Size};
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
    let (study, sha256) = read(analysis)?;
    let figures = figure::told_apart(figure::draw_all(&study)?);
    let written = write(&sha256, output.path(), &figures, &page::of_study(&study, &figures)?)?;
    Ok(output.publish(&written)?)
}

/// Which figures of a study to draw, and how: for a paper.
#[derive(Clone, Debug)]
pub struct FigureOptions {
    /// Names of figures, as their files are called; empty: all.
    pub figures: Vec<String>,
    /// A file each.
    pub formats: Vec<Format>,
    /// In points; panels that do not fit side by side stand one below the other. None: as suits each figure.
    pub width: Option<f64>,
    /// Of the text, in points.
    pub font_size: f64,
}

impl Default for FigureOptions {
    fn default() -> FigureOptions {
        FigureOptions { figures: Vec::new(), formats: vec![Format::Svg], width: None, font_size: canvas::BODY }
    }
}

/// Draws figures of a study's results without a page, and returns the files written: a file for each format, the numbers drawn as
/// CSV, and `manifest.json`, which has their hashes and is written last.
///
/// # Errors
/// As [`report`]; a figure that the results have not.
pub fn draw_figures(analysis: &Path, out: &Path, options: &FigureOptions) -> Result<Vec<PathBuf>, ReportError> {
    let output = OutputDirectory::claim(out, "figures")?;
    let (study, sha256) = read(analysis)?;
    let figures = figure::told_apart(figure::draw_all(&study)?);
    let pictures = || figures.iter().flat_map(|figure| figure.pictures.iter().map(move |picture| (figure, picture)));
    let is = |name: &str, (figure, picture): (&Figure, &figure::Picture)| figure.name == name || picture.name == name;
    if let Some(name) = options.figures.iter().find(|name| !pictures().any(|picture| is(name, picture))) {
        let known = figures.iter().map(|figure| figure.name.clone()).collect();
        return Err(ReportError::UnknownFigure { name: name.clone(), known });
    }
    let size = Size { width: options.width, font: options.font_size };
    let mut files = Vec::new();
    let wanted = |picture| options.figures.is_empty() || options.figures.iter().any(|name| is(name, picture));
    for (figure, picture) in pictures().filter(|&picture| wanted(picture)) {
        let drawing = picture.panels.draw(&figure.title, &picture.heading, size)?;
        for format in &options.formats {
            files.push((format!("{}.{}", picture.name, format.ending()), format.write(&drawing)?));
        }
        files.push((format!("{}.csv", picture.name), picture.csv().into_bytes()));
    }
    let written = manifest::write(&sha256, output.path(), &files)?;
    Ok(output.publish(&written)?)
}

/// A study, and the hash of the summary that it is read from.
fn read(analysis: &Path) -> Result<(Study, String), ReportError> {
    Results::read_whole(analysis, |results| Ok((Study::read(results)?, results.summary_sha256().to_owned())))
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
    let size = Size { width: None, font: canvas::BODY };
    let mut files = Vec::new();
    for figure in figures {
        for picture in &figure.pictures {
            let drawing = picture.panels.draw(&figure.title, &picture.heading, size)?;
            files.push((format!("{}.svg", picture.name), Format::Svg.write(&drawing)?));
            files.push((format!("{}.csv", picture.name), picture.csv().into_bytes()));
        }
    }
    files.push(("index.html".to_owned(), page.as_bytes().to_vec()));
    manifest::write(sha256, directory, &files)
}
