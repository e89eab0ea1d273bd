//! `cograd inspect`: what a study holds.

use std::collections::BTreeSet;

use anyhow::Context;
use cograd_trace::{FileEntry, Parameter, Run, Study};

use crate::arguments::Inspect;
use crate::output::{Output, bytes, number, shell, table};

/// Letters of a cell that are shown.
const WIDEST: usize = 100;

/// Rows shown of the parameters and of the skipped steps.
const MOST: usize = 40;

pub fn run(arguments: &Inspect, output: &Output) -> anyhow::Result<()> {
    let study = Study::open(&arguments.study)?;
    if arguments.verify {
        study.runs().iter().try_for_each(|run| run.verify().with_context(|| run.manifest().run.clone()))?;
    }
    if arguments.json {
        let runs: Vec<_> = study.runs().iter().map(Run::manifest).collect();
        output.result(serde_json::to_string_pretty(&serde_json::json!({
            "study": study.directory(),
            "runs": runs,
            "unfinished": study.unfinished(),
            "verified": arguments.verify,
        }))?);
        return Ok(());
    }
    let show = |title: &str, rows: Vec<Vec<String>>| {
        output.result(format_args!("\n{title}"));
        let rows: Vec<Vec<String>> = rows.into_iter().map(|row| row.into_iter().map(shortened).collect()).collect();
        table(&rows).iter().for_each(|line| output.result(line));
    };
    output.result(format_args!("{}: {}", study.directory().display(), number(study.runs().len(), "finished run")));
    show("Runs", runs(&study));
    for unfinished in study.unfinished() {
        output.result(format_args!("{unfinished}: not finished"));
    }
    for run in study.runs().iter().filter(|run| !run.manifest().skipped_steps.is_empty()) {
        show(&format!("Skipped steps of {}", run.manifest().run), skipped(run));
    }
    if let Some(run) = study.runs().first() {
        show(&format!("Parameters of {}", run.manifest().run), parameters(run)?);
        show("Columns of its examples", columns(run)?);
        show("Its files", files(run)?);
    }
    if arguments.verify {
        output.result("\nEvery file is what its manifest says (size and SHA-256).");
    }
    output.line(format_args!("\nNext: cograd analyze {}", shell(study.directory())));
    Ok(())
}

/// A cell no wider than people read.
fn shortened(cell: String) -> String {
    match cell.char_indices().nth(WIDEST) {
        Some(_) => cell.chars().take(WIDEST - 1).chain(['…']).collect(),
        None => cell,
    }
}

fn header<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    names.into_iter().map(str::to_string).collect()
}

/// Keeps the header and the first rows, and says how many there are more.
fn first_of(mut rows: Vec<Vec<String>>) -> Vec<Vec<String>> {
    let more = rows.len().saturating_sub(MOST + 1);
    if more > 0 {
        rows.truncate(MOST + 1);
        rows.push(vec![format!("and {more} more")]);
    }
    rows
}

/// The runs with their conditions, each a column.
fn runs(study: &Study) -> Vec<Vec<String>> {
    let all = || study.runs().iter().map(Run::manifest);
    let names: BTreeSet<&str> = all().flat_map(|manifest| manifest.conditions.iter().map(|(name, _)| name)).collect();
    let others = ["seed", "network", "updates", "recorded", "skipped", "examples", "coordinates", "population", "size"];
    let mut rows = vec![header(["run"].into_iter().chain(names.iter().copied()).chain(others))];
    for manifest in all() {
        let conditions = &manifest.conditions;
        let mut row = vec![manifest.run.clone()];
        row.extend(names.iter().map(|name| conditions.get(name).map(ToString::to_string).unwrap_or_default()));
        row.extend([
            conditions.seed().map(|seed| seed.to_string()).unwrap_or_default(),
            manifest.task.network.clone().unwrap_or_default(),
            manifest.steps.to_string(),
            recorded(&manifest.recorded_steps),
            manifest.skipped_steps.len().to_string(),
            format!("{} of {}", manifest.sampled_examples, manifest.train_examples),
            manifest.coordinates.to_string(),
            recorded(&manifest.population_steps),
            bytes(manifest.files.values().map(|file| file.bytes).sum()),
        ]);
        rows.push(row);
    }
    rows
}

/// Number and range of the steps at which gradients, or the population, were recorded.
fn recorded(steps: &[i64]) -> String {
    match (steps.first(), steps.last()) {
        (Some(first), Some(last)) => format!("{} steps, {first} to {last}", steps.len()),
        _ => "none".to_string(),
    }
}

fn skipped(run: &Run) -> Vec<Vec<String>> {
    let rows =
        run.manifest().skipped_steps.iter().map(|skipped| vec![skipped.step.to_string(), skipped.reason.clone()]);
    first_of([header(["step", "reason"])].into_iter().chain(rows).collect())
}

/// The parameters of a run, and how many of the recorded coordinates are of each.
fn parameters(run: &Run) -> anyhow::Result<Vec<Vec<String>>> {
    let parameters = run.parameters()?;
    let mut recorded = vec![0_usize; parameters.len()];
    for coordinate in run.coordinates()? {
        recorded[coordinate.parameter as usize] += 1;
    }
    let row = |(Parameter { name, shape, layer, kind }, recorded): (Parameter, usize)| {
        let shape: Vec<String> = shape.iter().map(u64::to_string).collect();
        vec![name, shape.join(" × "), layer, kind.unwrap_or_default(), recorded.to_string()]
    };
    let rows = parameters.into_iter().zip(recorded).map(row);
    Ok(first_of([header(["parameter", "shape", "layer", "kind", "coordinates"])].into_iter().chain(rows).collect()))
}

fn columns(run: &Run) -> anyhow::Result<Vec<Vec<String>>> {
    let rows = run.example_columns()?.into_iter().map(|(name, kind)| vec![name, kind]);
    Ok([header(["column", "type"])].into_iter().chain(rows).collect())
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
    let mut rows = vec![header(["file", "rows", "size", "columns"])];
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
