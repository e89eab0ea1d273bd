//! `cograd inspect`: what a study holds.

use anyhow::Context;
use cograd_trace::{FileEntry, Manifest, Run, Study};

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
    let mut rows =
        vec![header(&["run", "network", "updates", "recorded", "examples", "weights", "population", "size"])];
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
        recorded(&manifest.population_steps),
        bytes(manifest.files.values().map(|file| file.bytes).sum()),
    ]
}

/// Number and range of the steps at which gradients, or the whole training set, were recorded.
fn recorded(steps: &[i64]) -> String {
    match (steps.first(), steps.last()) {
        (Some(first), Some(last)) => format!("{} steps, {first} to {last}", steps.len()),
        _ => "none".to_string(),
    }
}

/// The files of a run, those of one directory and kind in one row.
fn files(run: &Run) -> anyhow::Result<Vec<Vec<String>>> {
    let mut kinds: Vec<(String, Vec<(&String, &FileEntry)>)> = Vec::new();
    for file in &run.manifest().files {
        let kind = kind(file.0);
        match kinds.last_mut().filter(|(last, _)| *last == kind) {
            Some((_, files)) => files.push(file),
            None => kinds.push((kind, vec![file])),
        }
    }
    let mut rows = vec![header(&["file", "rows", "size", "columns"])];
    for (kind, files) in kinds {
        let (first, rows_together) = (files[0].0, files.iter().map(|(_, entry)| entry.rows).sum::<u64>());
        let columns = match first.ends_with(".parquet") {
            true => {
                run.columns(first)?.iter().map(|(name, kind)| format!("{name} {kind}")).collect::<Vec<_>>().join(", ")
            }
            false => String::new(),
        };
        let name = if files.len() == 1 { first.clone() } else { format!("{kind} ({} files)", files.len()) };
        let size = bytes(files.iter().map(|(_, entry)| entry.bytes).sum());
        rows.push(vec![name, rows_together.to_string(), size, columns]);
    }
    Ok(rows)
}

/// The path of a file with its number as a star: `population/part-*.parquet`.
fn kind(path: &str) -> String {
    match (path.rfind('-'), path.rfind('.')) {
        (Some(dash), Some(dot)) if dash < dot && path[dash + 1..dot].bytes().all(|digit| digit.is_ascii_digit()) => {
            format!("{}*{}", &path[..=dash], &path[dot..])
        }
        _ => path.to_string(),
    }
}
