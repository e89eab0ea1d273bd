//! `cograd export`: results as CSV or JSON.

use cograd_analysis::Format;

use crate::arguments::{Export, ExportFormat};
use crate::output::Output;

pub fn run(arguments: &Export, output: &Output) -> anyhow::Result<()> {
    let analysis = arguments.results.directory()?;
    let out = arguments.out.clone().unwrap_or_else(|| arguments.results.made("export"));
    let mut formats: Vec<Format> = arguments.format.iter().map(|format| format.known()).collect();
    formats.dedup();
    let written = cograd_analysis::export(&analysis, &formats, &arguments.table, &out)?;
    output.wrote(written.iter().map(|path| path.as_path()));
    Ok(())
}

impl ExportFormat {
    fn known(self) -> Format {
        match self {
            ExportFormat::Csv => Format::Csv,
            ExportFormat::Json => Format::Json,
        }
    }
}
