//! `cograd report`: figures and one page from the results of the analysis.

use std::path::PathBuf;

use crate::arguments::Report;
use crate::output::Output;

pub fn run(arguments: &Report, output: &Output) -> anyhow::Result<()> {
    let written = report(arguments)?;
    output.wrote(written.iter().map(|path| path.as_path()));
    if let Some(page) = written.iter().find(|path| path.extension().is_some_and(|extension| extension == "html")) {
        output.line(format_args!("Next: open {} in a browser", page.display()));
    }
    Ok(())
}

/// Writes the report; the demo shares it.
pub fn report(arguments: &Report) -> anyhow::Result<Vec<PathBuf>> {
    let analysis = arguments.analysis.clone().unwrap_or_else(|| arguments.study.join("analysis"));
    let out = arguments.out.clone().unwrap_or_else(|| arguments.study.join("report"));
    Ok(cograd_reports::report(&analysis, &out)?)
}
