//! `cograd analyze`: every statistic of a recorded study.

use anyhow::Context;
use cograd_analysis::Options;
use cograd_analysis::statistic::STATISTICS;

use crate::arguments::{Analyze, Results};
use crate::output::{Output, shell};
use crate::progress::Analysis;

pub fn run(arguments: &Analyze, output: &Output) -> anyhow::Result<()> {
    if arguments.statistics.as_ref().is_some_and(|names| names.iter().any(|name| name == "list")) {
        STATISTICS.iter().for_each(|statistic| output.line(format_args!("{:20} {}", statistic.name, statistic.about)));
        return Ok(());
    }
    let report = analyze(arguments, output)?;
    output.wrote(report.files.iter().map(|path| path.as_path()));
    let study = arguments.study.clone().unwrap_or_default();
    let results = Results { study, analysis: arguments.out.clone() };
    let elsewhere = match &results.analysis {
        Some(out) => format!(" --analysis {} --out {}", shell(out), shell(&results.made("report"))),
        None => String::new(),
    };
    output.line(format_args!("Next: cograd report {}{elsewhere}", shell(&results.study)));
    Ok(())
}

/// Analyses with progress shown; the demo shares it.
pub fn analyze(arguments: &Analyze, output: &Output) -> anyhow::Result<cograd_analysis::Report> {
    let options = Options {
        null_worlds: arguments.null_worlds as usize,
        seed: arguments.seed,
        halves: arguments.halves as usize,
        group_by: arguments.group_by.as_deref().map(Into::into),
        statistics: arguments.statistics.clone(),
        steps: arguments.steps,
        layers: arguments.layers.clone(),
        examples: arguments.examples.clone(),
        ..Options::default()
    };
    let progress = Analysis::new(output);
    let study = arguments.study.as_deref().context("name the directory of a study")?;
    let report = cograd_analysis::analyze(study, arguments.out.as_deref(), &options, &progress);
    progress.clear();
    Ok(report?)
}
