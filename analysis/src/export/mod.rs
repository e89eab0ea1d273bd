//! Results in other formats: a file here for each.

mod names;
mod tensorboard;
mod tex;
mod text;
mod vega_lite;

use std::path::{Path, PathBuf};

use cograd_files::OutputDirectory;
use cograd_results::Results;

use crate::AnalysisError;

/// A format of results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values, with a header row; of every table.
    Csv,
    /// An array of objects; of every table.
    Json,
    /// LaTeX with booktabs; of tables with rows that are of no single step.
    Tex,
    /// Charts of Vega-Lite with their data; of tables of curves.
    VegaLite,
    /// Event files of TensorBoard, a directory a run; of the table `curves`.
    TensorBoard,
}

impl Format {
    /// Writes what the format makes of a table; none if it makes nothing of it.
    fn write(self, results: &Results, table: &str, directory: &Path) -> Result<Vec<PathBuf>, AnalysisError> {
        let ending = match self {
            Format::Csv => "csv",
            Format::Json => "json",
            Format::Tex => return Ok(tex::write(results, table, directory)?.into_iter().collect()),
            Format::VegaLite => {
                let definition = vega_lite::curves(table);
                return definition
                    .map(|definition| vega_lite::write(results, definition, directory))
                    .into_iter()
                    .collect();
            }
            Format::TensorBoard if table == tensorboard::TABLE => return tensorboard::write(results, directory),
            Format::TensorBoard => return Ok(Vec::new()),
        };
        let path = directory.join(format!("{table}.{ending}"));
        text::write(results, table, &path, self)?;
        Ok(vec![path])
    }

    /// What it is made of, for messages.
    fn made_of(self) -> &'static str {
        match self {
            Format::Csv | Format::Json => "any table",
            Format::Tex => {
                "tables with rows that are of no single step, such as tests, predictions and comparison_tests"
            }
            Format::VegaLite => "tables of curves, such as shares, metrics and over_seeds",
            Format::TensorBoard => "the table curves",
        }
    }
}

/// Writes tables of the results in `analysis` to `out` in every format asked for; returns the files. `tables` are names without
/// ending; empty for all. A table is left out in a format that makes nothing of it. An earlier export in `out` is replaced, in one
/// swap of directories.
///
/// # Errors
/// No results, an unknown table (the message lists the known ones), tables of which a format makes nothing, a table that cannot be
/// read, an `out` that holds something else or cannot be written.
pub fn export(
    analysis: &Path,
    formats: &[Format],
    tables: &[String],
    out: &Path,
) -> Result<Vec<PathBuf>, AnalysisError> {
    Results::read_whole(analysis, |results| {
        let known: Vec<String> = results.tables().map(str::to_string).collect();
        if let Some(unknown) = tables.iter().find(|table| !known.contains(table)) {
            return Err(AnalysisError::unknown("table", unknown, known));
        }
        let output = OutputDirectory::claim(out, "export")?;
        let mut files = Vec::new();
        for &format in formats {
            let before = files.len();
            for table in known.iter().filter(|table| tables.is_empty() || tables.contains(table)) {
                files.extend(format.write(results, table, output.path())?);
            }
            if files.len() == before {
                return Err(AnalysisError::NothingToExport { format, made_of: format.made_of() });
            }
        }
        Ok(output.publish(&files)?)
    })
}
