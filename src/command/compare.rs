//! `cograd compare`: several studies laid over each other, curve by curve.

use cograd_analysis::CompareOptions;

use crate::arguments::Compare;
use crate::output::Output;

pub fn run(arguments: &Compare, output: &Output) -> anyhow::Result<()> {
    let options = CompareOptions { curves: arguments.curve.clone(), estimators: arguments.estimator.clone() };
    let comparison = cograd_analysis::compare(&arguments.studies, &options, &arguments.out)?;
    let drawn = cograd_reports::report_comparison(&arguments.out)?;
    output.wrote(comparison.files.iter().chain(&drawn).map(|path| path.as_path()));
    if comparison.seeds < 2 {
        output.line("No condition has two seeds in two studies, so no difference was tested.");
    }
    output.line(format_args!("Next: open {} in a browser", arguments.out.join("index.html").display()));
    Ok(())
}
