//! `cograd compare`: several studies laid over each other, curve by curve.

use cograd_analysis::CompareOptions;
use cograd_files::OutputDirectory;

use crate::arguments::Compare;
use crate::output::{Output, shell};

pub fn run(arguments: &Compare, output: &Output) -> anyhow::Result<()> {
    let options = CompareOptions { curves: arguments.curve.clone(), estimators: arguments.estimator.clone() };
    let directory = OutputDirectory::claim(&arguments.out, "compare")?;
    let comparison = cograd_analysis::compare(&arguments.studies, &options, directory.path())?;
    let drawn = cograd_reports::report_comparison(directory.path())?;
    let written = directory.publish(&[comparison.files, drawn].concat())?;
    output.wrote(written.iter().map(|path| path.as_path()));
    if comparison.seeds < 2 {
        output.line("No condition has two seeds in two studies, so no difference was tested.");
    }
    output.line(format_args!("Next: open {} in a browser", shell(&arguments.out.join("index.html"))));
    Ok(())
}
