//! A run recorded again from study.toml, and compared byte by byte.
//!
//! Another machine rounds otherwise. Then values differ from the first recorded step on, many of them, by little at first, and nothing
//! later is the same again; what is drawn or counted does not differ. Anything else is no rounding.

use std::collections::BTreeMap;
use std::path::Path;

use cograd_recorder::{Experiment, Observer, Options, RecordError, record_with};
use cograd_trace::{ExampleColumn, FORMAT_VERSION, Run, TraceError};

use crate::check::seeds::is_ours;
use crate::claim::{Claim, is_refusal};

const CLAIM: &str = "recorded again, the run is the same to the byte";
/// The first difference that rounding in f32 makes, in units of the largest value of its step.
const ROUNDING: f64 = 1e-4;
/// Rounding changes at least this part of the values of a step.
const MANY: f64 = 0.01;

struct Silent;
impl Observer for Silent {}

/// Records the run in `directory` again; `experiment` is that of study.toml, its data where they are now.
pub(crate) fn check(directory: &Path, experiment: &Result<Experiment, String>, subject: &str) -> Claim {
    let unchecked = |why: String| Claim::unchecked(CLAIM, subject, why);
    let recorded = match Run::open(directory) {
        Ok(run) => run,
        Err(_) => return unchecked("the trace is not as its format says: see the other claims".to_string()),
    };
    let manifest = recorded.manifest();
    let version = format!("cograd-recorder {}", env!("CARGO_PKG_VERSION"));
    if !is_ours(manifest) {
        return unchecked(format!("`{}` wrote it, and only that can record it again", manifest.writer));
    }
    if manifest.writer != version {
        return unchecked(format!("`{}` wrote it, this is `{version}`: replay with that one", manifest.writer));
    }
    if manifest.format_version != FORMAT_VERSION {
        let found = manifest.format_version;
        let why = "replay with the recorder that wrote it, or record again";
        return unchecked(format!("it is of trace format {found}, and this recorder writes {FORMAT_VERSION}: {why}"));
    }
    let experiment = match experiment {
        Ok(experiment) => experiment,
        Err(why) => return unchecked(why.clone()),
    };
    let scratch = match tempfile::tempdir() {
        Ok(scratch) => scratch,
        Err(error) => return unchecked(format!("there is no temporary directory: {error}")),
    };
    let (conditions, run) = (&manifest.conditions, &manifest.run);
    if conditions.number("noise").is_none() || conditions.seed().is_none() {
        return Claim::fail(CLAIM, subject, "it has no seed or no label noise, which every run of this recorder has");
    }
    let only = match format!("run={run}").parse() {
        Ok(selection) => vec![selection],
        Err(why) => return Claim::fail(CLAIM, subject, format!("its conditions are of no run: {why}")),
    };
    match record_with(experiment, scratch.path(), &Options { only, stop: None }, &Silent) {
        Ok(_) => {}
        Err(error @ (RecordError::Data(_) | RecordError::Initial { .. })) => {
            return unchecked(format!("what it is made from cannot be read: {error}"));
        }
        Err(error) if is_refusal(&error) => return unchecked(format!("it cannot be recorded here: {error}")),
        Err(error) => return Claim::fail(CLAIM, subject, format!("study.toml does not make it: {error}")),
    }
    let again = match Run::open(&scratch.path().join("runs").join(run)) {
        Ok(again) => again,
        Err(_) => return Claim::fail(CLAIM, subject, "study.toml makes no run of this name"),
    };
    let files = manifest.files.keys().chain(again.manifest().files.keys());
    let different: Vec<&String> = files.filter(|name| !is_same(&recorded, &again, name)).collect();
    if different.is_empty() && recorded.manifest() == again.manifest() {
        return Claim::pass(CLAIM, subject, format!("{} files", manifest.files.len()));
    }
    match told_apart(&recorded, &again) {
        Ok(Ok(why)) => unchecked(why),
        Ok(Err(why)) => Claim::fail(CLAIM, subject, why),
        Err(error) => Claim::unread(CLAIM, subject, &error, format!("it cannot be compared: {error}")),
    }
}

fn is_same(recorded: &Run, again: &Run, name: &str) -> bool {
    let read = |run: &Run| cograd_files::read_regular(&run.directory().join(name)).ok();
    read(recorded) == read(again)
}

/// What is odd if rounding explains all differences; what contradicts if it does not.
fn told_apart(recorded: &Run, again: &Run) -> Result<Result<String, String>, TraceError> {
    let both = [recorded, again];
    let plain = |run: &Run| {
        let mut manifest = run.manifest().clone();
        manifest.files.clear();
        manifest.seal = String::new();
        manifest
    };
    if plain(recorded) != plain(again) {
        return Ok(Err("the manifest says something else".to_string()));
    }
    for (column, of_run) in
        ["label", "original_label"].map(|column| (column, both.map(|run| run.example_column(column))))
    {
        let [found, made] = of_run;
        if found? != made? {
            return Ok(Err(format!("`{column}` of the examples is another")));
        }
    }
    let drawn =
        |run: &Run| -> Result<_, TraceError> { Ok((run.examples()?.sampled_ids(), run.coordinates()?, run.inputs()?)) };
    if drawn(recorded)? != drawn(again)? {
        return Ok(Err("examples, coordinates or inputs are others than the seed and the data make".to_string()));
    }
    let mut oddities = Vec::new();
    for (name, series) in SERIES {
        let (found, made) = (series(recorded)?, series(again)?);
        match differences(&found, &made) {
            Ok(None) => {}
            Ok(Some(why)) => oddities.push(format!("{name} {why}")),
            Err(why) => return Ok(Err(format!("{name} {why}"))),
        }
    }
    // What is made of the numbers alone cannot differ where they do not.
    Ok(match oddities.is_empty() {
        true => Err("files differ, whose numbers are the same".to_string()),
        false => Ok(format!("{}, as another machine's rounding makes it: replay on that one", oddities.join("; "))),
    })
}

/// Numbers of a run by step.
type Series = BTreeMap<i64, Vec<f64>>;

/// How the numbers of a run are read.
type Reader = fn(&Run) -> Result<Series, TraceError>;

/// What is compared, and how it is read.
const SERIES: [(&str, Reader); 5] = [
    ("weights", |run| {
        let values = |step| -> Result<_, TraceError> {
            let tensors = run.weights(step)?;
            Ok((step, tensors.iter().flat_map(|tensor| &tensor.values).map(|value| f64::from(*value)).collect()))
        };
        run.snapshots().into_iter().map(values).collect()
    }),
    ("gradients", |run| {
        let values = |step: &[f32]| step.iter().map(|value| f64::from(*value)).collect();
        Ok(run.map_steps(|of_step| (of_step.step, values(of_step.values)))?.into_iter().collect())
    }),
    ("population", |run| {
        Ok(run.map_population(|of_step| (of_step.step, of_step.contributions.to_vec()))?.into_iter().collect())
    }),
    ("metrics", |run| {
        let mut series = Series::new();
        run.metrics()?.into_iter().for_each(|metric| series.entry(metric.step).or_default().push(metric.value));
        Ok(series)
    }),
    ("learned steps", |run| {
        let Some(ExampleColumn::Integers(steps)) = run.example_column("learned_step")? else {
            return Ok(Series::new());
        };
        let mut series = Series::new();
        for (example, step) in steps.into_iter().enumerate() {
            series.entry(step.unwrap_or(i64::MAX)).or_default().push(example as f64);
        }
        Ok(series)
    }),
];

/// `None` if both are the same; how they differ, if rounding does it; why it cannot, if not.
fn differences(found: &Series, made: &Series) -> Result<Option<String>, String> {
    let is_same = |step: &i64| made.get(step).is_some_and(|made| same_bits(&found[step], made));
    let Some(&first) = found.keys().find(|step| !is_same(step)) else {
        return if found.len() == made.len() { Ok(None) } else { Err("lack steps".to_string()) };
    };
    let Some(of_first) = made.get(&first).filter(|of_first| of_first.len() == found[&first].len()) else {
        return Err(format!("of step {first} are of others"));
    };
    let largest = of_first.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    let pairs = || found[&first].iter().zip(of_first);
    let by = pairs().map(|(found, made)| (found - made).abs()).fold(0.0, f64::max) / largest;
    let changed = pairs().filter(|(found, made)| found.to_bits() != made.to_bits()).count();
    let there = pairs().filter(|(found, made)| **found != 0.0 || **made != 0.0).count();
    let what =
        format!("differ from step {first} on, there in {changed} of {there} numbers, by {by:.1e} of the largest");
    let has_equal_after = found.keys().any(|step| *step > first && is_same(step));
    match by <= ROUNDING && changed as f64 >= MANY * there as f64 && !has_equal_after {
        true => Ok(Some(what)),
        false => Err(format!("{what}{}: no rounding does that", if has_equal_after { ", and later not" } else { "" })),
    }
}

fn same_bits(left: &[f64], right: &[f64]) -> bool {
    left.len() == right.len() && left.iter().zip(right).all(|(left, right)| left.to_bits() == right.to_bits())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_differs_everywhere_by_little_and_from_then_on() {
        let series = |by: f64, from: i64, to: i64, values: usize| -> Series {
            let value = |step: i64, place: usize| {
                let is_other = (from..to).contains(&step) && place < values;
                1.0 + place as f64 + if is_other { by * 10_f64.powi(step as i32) } else { 0.0 }
            };
            (0..5).map(|step| (step, (0..200).map(|place| value(step, place)).collect())).collect()
        };
        let made = series(0.0, 0, 0, 0);
        assert_eq!(differences(&made, &made), Ok(None));
        assert!(differences(&series(1e-6, 1, 9, 100), &made).unwrap().unwrap().contains("from step 1"));
        // One step alone, few values, or too much at once.
        for forged in [series(1e-6, 1, 2, 100), series(1e-6, 1, 9, 1), series(1.0, 1, 9, 100)] {
            assert!(differences(&forged, &made).is_err());
        }
    }
}
