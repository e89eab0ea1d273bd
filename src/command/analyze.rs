//! `cograd analyze`: every statistic of a recorded study.

use std::path::Path;

use anyhow::Context;
use cograd_analysis::Options;
use cograd_analysis::statistic::STATISTICS;

use crate::arguments::Analyze;
use crate::output::Output;
use crate::progress::Analysis;

pub fn run(arguments: &Analyze, output: &Output) -> anyhow::Result<()> {
    if arguments.statistics.as_ref().is_some_and(|names| names.iter().any(|name| name == "list")) {
        STATISTICS.iter().for_each(|statistic| output.line(format_args!("{:20} {}", statistic.name, statistic.about)));
        return Ok(());
    }
    let report = analyze(arguments, output)?;
    output.wrote(report.files.iter().map(|path| path.as_path()));
    let study = arguments.study.as_deref().unwrap_or(Path::new("")).display();
    match &arguments.out {
        None => output.line(format_args!("Next: cograd report {study}")),
        Some(out) => {
            let (results, report) = (out.display(), out.with_file_name(format!("{}-report", file_name(out))));
            output.line(format_args!("Next: cograd report {study} --analysis {results} --out {}", report.display()));
        }
    }
    Ok(())
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
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
