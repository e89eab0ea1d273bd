//! `cograd analyze`: every statistic of a recorded study.

use std::path::Path;

use anyhow::Context;
use cograd_analysis::statistic::STATISTICS;
use cograd_analysis::{Options, Shard};
use serde_json::json;

use crate::arguments::{Analyze, Results};
use crate::output::{Output, shell};
use crate::progress::Analysis;

pub fn run(arguments: &Analyze, output: &Output) -> anyhow::Result<()> {
    if arguments.statistics.as_ref().is_some_and(|names| names.iter().any(|name| name == "list")) {
        STATISTICS.iter().for_each(|statistic| output.line(format_args!("{:20} {}", statistic.name, statistic.about)));
        return Ok(());
    }
    if let Some(shard) = arguments.shard {
        return analyze_shard(arguments, shard, output);
    }
    let report = analyze(arguments, output)?;
    if arguments.json {
        let written = json!({ "results": report.directory, "files": report.files, "summary": report.summary });
        output.result(serde_json::to_string_pretty(&written)?);
        return Ok(());
    }
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

fn analyze_shard(arguments: &Analyze, shard: Shard, output: &Output) -> anyhow::Result<()> {
    let (study, progress) = (study(arguments)?, Analysis::new(output));
    let out = arguments.out.as_deref().context("name the directory of the shard with --out")?;
    let report = cograd_analysis::analyze_shard(study, shard, out, &options(arguments), &progress);
    progress.clear();
    let report = report?;
    if arguments.json {
        let shard = json!({ "shard": shard.to_string(), "directory": report.directory, "files": report.files });
        output.result(serde_json::to_string_pretty(&shard)?);
        return Ok(());
    }
    match report.was_there {
        true => output.line(format_args!("{} holds shard {shard} already", report.directory.display())),
        false => output.wrote(report.files.iter().map(|path| path.as_path())),
    }
    let next = format!("cograd analyze {} --from PART PART …", shell(study));
    output.line(format_args!("Next: {next}, with the same options, once all {} shards are there", shard.count()));
    Ok(())
}

/// Analyses with progress shown; the demo shares it.
pub fn analyze(arguments: &Analyze, output: &Output) -> anyhow::Result<cograd_analysis::Report> {
    let (study, out, progress) = (study(arguments)?, arguments.out.as_deref(), Analysis::new(output));
    let options = options(arguments);
    let report = match arguments.from.is_empty() {
        true => cograd_analysis::analyze(study, out, &options, &progress),
        false => cograd_analysis::analyze_from(study, &arguments.from, out, &options, &progress),
    };
    progress.clear();
    Ok(report?)
}

fn study(arguments: &Analyze) -> anyhow::Result<&Path> {
    arguments.study.as_deref().context("name the directory of a study")
}

fn options(arguments: &Analyze) -> Options {
    Options {
        null_worlds: arguments.null_worlds as usize,
        seed: arguments.seed,
        halves: arguments.halves as usize,
        group_by: arguments.group_by.as_deref().map(Into::into),
        statistics: arguments.statistics.clone(),
        steps: arguments.steps,
        layers: arguments.layers.clone(),
        examples: arguments.examples.clone(),
        ..Options::default()
    }
}
