//! `cograd report`: figures and one page from the results of the analysis.

use std::path::PathBuf;

use crate::arguments::Report;
use crate::output::{Output, shell};

pub fn run(arguments: &Report, output: &Output) -> anyhow::Result<()> {
    let written = report(arguments)?;
    output.wrote(written.iter().map(|path| path.as_path()));
    if let Some(page) = written.iter().find(|path| path.extension().is_some_and(|extension| extension == "html")) {
        output.line(format_args!("Next: open {} in a browser", shell(page)));
    }
    Ok(())
}

/// Writes the report; the demo shares it.
pub fn report(arguments: &Report) -> anyhow::Result<Vec<PathBuf>> {
    let out = arguments.out.clone().unwrap_or_else(|| arguments.results.made("report"));
    Ok(cograd_reports::report(&arguments.results.directory()?, &out)?)
}
