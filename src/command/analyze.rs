//! `cograd analyze`: every statistic of a recorded study.

use cograd_analysis::Options;

use crate::arguments::Analyze;
use crate::output::Output;
use crate::progress::Analysis;

pub fn run(arguments: &Analyze, output: &Output) -> anyhow::Result<()> {
    let report = analyze(arguments, output)?;
    output.wrote(report.files.iter().map(|path| path.as_path()));
    let study = arguments.study.display();
    match &arguments.out {
        None => output.line(format_args!("Next: cograd report {study}")),
        Some(out) => output.line(format_args!("Next: cograd report {study} --analysis {}", out.display())),
    }
    Ok(())
}

/// Analyses with progress shown; the demo shares it.
pub fn analyze(arguments: &Analyze, output: &Output) -> anyhow::Result<cograd_analysis::Report> {
    let options = Options {
        null_worlds: arguments.null_worlds as usize,
        seed: arguments.seed,
        bootstrap: arguments.bootstrap as usize,
        group_by: arguments.group_by.as_str().into(),
        steps: arguments.steps,
        layers: arguments.layers.clone(),
        examples: arguments.examples.clone(),
        ..Options::default()
    };
    let progress = Analysis::new(output);
    let report = cograd_analysis::analyze(&arguments.study, arguments.out.as_deref(), &options, &progress);
    progress.clear();
    Ok(report?)
}
