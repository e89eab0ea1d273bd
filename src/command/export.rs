//! `cograd export`: results in other formats.

use cograd_analysis::Format;

use crate::arguments::{Export, ExportFormat};
use crate::output::{Output, shell};

pub fn run(arguments: &Export, output: &Output) -> anyhow::Result<()> {
    let analysis = arguments.results.directory()?;
    let out = arguments.out.clone().unwrap_or_else(|| arguments.results.made("export"));
    let mut formats: Vec<Format> = arguments.format.iter().map(|format| format.known()).collect();
    formats.dedup();
    let written = cograd_analysis::export(&analysis, &formats, &arguments.table, &out)?;
    output.wrote(written.iter().map(|path| path.as_path()));
    let next = match arguments.format.last() {
        Some(ExportFormat::Tensorboard) => format!("tensorboard --logdir {}", shell(&out)),
        Some(ExportFormat::Tex) => "\\input the files into a document with \\usepackage{booktabs}".to_string(),
        Some(ExportFormat::VegaLite) => "open the files in any editor or viewer of Vega-Lite".to_string(),
        _ => format!("cograd audit {}", shell(&arguments.results.study)),
    };
    output.line(format_args!("Next: {next}"));
    Ok(())
}

impl ExportFormat {
    fn known(self) -> Format {
        match self {
            ExportFormat::Csv => Format::Csv,
            ExportFormat::Json => Format::Json,
            ExportFormat::Tex => Format::Tex,
            ExportFormat::VegaLite => Format::VegaLite,
            ExportFormat::Tensorboard => Format::TensorBoard,
        }
    }
}
