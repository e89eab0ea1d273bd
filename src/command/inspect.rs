//! `cograd inspect`: what a study holds.

use anyhow::Context;
use cograd_trace::{Manifest, Run, Study};

use crate::arguments::Inspect;
use crate::output::{Output, bytes, table};

pub fn run(arguments: &Inspect, output: &Output) -> anyhow::Result<()> {
    let study = Study::open(&arguments.study)?;
    if arguments.verify {
        study.runs().iter().try_for_each(|run| run.verify().with_context(|| run.manifest().run.clone()))?;
    }
    output.result(format_args!("{}: {} finished runs\n", study.directory().display(), study.runs().len()));
    table(&runs(&study)).iter().for_each(|line| output.result(line));
    for unfinished in study.unfinished() {
        output.result(format_args!("{unfinished}: not finished"));
    }
    if let Some(run) = study.runs().first() {
        output.result(format_args!("\nFiles of {}\n", run.manifest().run));
        table(&files(run)?).iter().for_each(|line| output.result(line));
    }
    if arguments.verify {
        output.result("\nEvery file is what its manifest says (size and SHA-256).");
    }
    output.line(format_args!("\nNext: cograd analyze {}", study.directory().display()));
    Ok(())
}

fn header(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| name.to_string()).collect()
}

fn runs(study: &Study) -> Vec<Vec<String>> {
    let mut rows = vec![header(&["run", "network", "updates", "recorded", "examples", "weights", "size"])];
    rows.extend(study.runs().iter().map(|run| run_row(run.manifest())));
    rows
}

fn run_row(manifest: &Manifest) -> Vec<String> {
    let network: Vec<String> = manifest.network.iter().map(usize::to_string).collect();
    vec![
        manifest.run.clone(),
        network.join("-"),
        manifest.steps.to_string(),
        recorded(&manifest.recorded_steps),
        format!("{} of {}", manifest.sampled_examples, manifest.train_examples),
        manifest.coordinates.to_string(),
        bytes(manifest.files.values().map(|file| file.bytes).sum()),
    ]
}

/// Number and range of the steps whose gradients were recorded.
fn recorded(steps: &[i64]) -> String {
    match (steps.first(), steps.last()) {
        (Some(first), Some(last)) => format!("{} steps, {first} to {last}", steps.len()),
        _ => "none".to_string(),
    }
}

fn files(run: &Run) -> anyhow::Result<Vec<Vec<String>>> {
    let mut rows = vec![header(&["file", "rows", "size", "columns"])];
    for (name, entry) in &run.manifest().files {
        let columns = match name.ends_with(".parquet") {
            true => {
                run.columns(name)?.iter().map(|(name, kind)| format!("{name} {kind}")).collect::<Vec<_>>().join(", ")
            }
            false => String::new(),
        };
        rows.push(vec![name.clone(), entry.rows.to_string(), bytes(entry.bytes), columns]);
    }
    Ok(rows)
}
