//! The claims of one run's trace, and what the results are recomputed from.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use cograd_trace::{Manifest, Run, check_seal};

use crate::check::files::{self, Listed};
use crate::check::{examples, experiment, metrics, population, seeds};
use crate::claim::{Claim, Verdict};
use crate::options::{Options, Selection};
use crate::tally::Tally;
use crate::trace::{SampleStep, Trace, WholeStep};

const READABLE: &str = "the trace is as its format says";

/// A run whose trace was read.
pub(crate) struct Checked {
    pub trace: Trace,
    pub sample: Vec<SampleStep>,
    pub whole: Vec<WholeStep>,
}

/// Checks the run in `directory`; `None` if it cannot be read or was altered, so that nothing can be made of it.
pub(crate) fn check(
    directory: &Path,
    experiment: Option<&str>,
    options: Option<&Options>,
    selection: &Selection,
    claims: &mut Vec<Claim>,
) -> Option<Checked> {
    let name = directory.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    claims.push(seal(directory, &name));
    let run = match Run::open(directory) {
        Ok(run) if run.manifest().run == name => run,
        Ok(run) => {
            let why = format!("the manifest says that the run is `{}`", run.manifest().run);
            claims.push(Claim::fail(READABLE, &name, why));
            return None;
        }
        Err(error) => {
            claims.push(Claim::fail(READABLE, &name, whole_message(&error)));
            return None;
        }
    };
    let manifest = run.manifest().clone();
    let listed = listed(&manifest);
    let whole = files::listed(directory, &listed, &name);
    let altered = whole.verdict == Verdict::Fail;
    claims.push(whole);
    let known = |file: &str| file == "manifest.json" || listed.contains_key(file);
    claims.push(files::nothing_else(directory, known, &name));
    if altered {
        claims.push(Claim::unchecked(READABLE, &name, "files of it were altered"));
        return None;
    }
    let read = Trace::read(&run).and_then(|trace| {
        let setting =
            options.map(|options| trace.setting(options, selection, trace.grouping(options, selection).ok().as_ref()));
        let (sample, whole) = (trace.sample_steps(selection, setting.as_ref())?, trace.whole_steps(selection)?);
        Ok(Checked { trace, sample, whole })
    });
    match read {
        Ok(mut checked) => {
            claims.push(Claim::pass(READABLE, &name, contents(&checked)));
            claims.extend(of_trace(&mut checked, experiment, selection, &name));
            Some(checked)
        }
        Err(error) => {
            claims.push(Claim::fail(READABLE, &name, whole_message(&error)));
            None
        }
    }
}

fn seal(directory: &Path, subject: &str) -> Claim {
    let claim = "the manifest's seal is that of its text";
    let text = match fs::read(directory.join("manifest.json")) {
        Ok(text) => text,
        Err(error) => return Claim::fail(claim, subject, format!("it cannot be read: {error}")),
    };
    let version = serde_json::from_slice::<serde_json::Value>(&text).ok();
    let version = version.and_then(|manifest| manifest.get("format_version")?.as_u64());
    match check_seal(&text) {
        Ok(()) => Claim::pass(claim, subject, "sealed"),
        Err(_) if version == Some(1) => Claim::unchecked(claim, subject, "version 1 of the format has no seal"),
        Err(error) => Claim::fail(claim, subject, error.to_string()),
    }
}

fn listed(manifest: &Manifest) -> BTreeMap<String, Listed> {
    let files = manifest.files.iter();
    files.map(|(name, file)| (name.clone(), Listed { bytes: file.bytes, sha256: file.sha256.clone() })).collect()
}

fn contents(checked: &Checked) -> String {
    let manifest = checked.trace.manifest();
    format!(
        "m = {}, n = {}, d = {}; {} steps of the sample, {} of the population, {} snapshots",
        manifest.train_examples,
        manifest.sampled_examples,
        manifest.coordinates,
        checked.sample.len(),
        checked.whole.len(),
        checked.trace.run.snapshots().len(),
    )
}

/// An error with what it is because of.
fn whole_message(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        message = format!("{message}: {cause}");
        source = cause.source();
    }
    message
}

fn of_trace(checked: &mut Checked, toml: Option<&str>, selection: &Selection, name: &str) -> Vec<Claim> {
    let trace = &checked.trace;
    let manifest = trace.manifest();
    let initial = trace.run.weights(0).ok();
    let mut claims = examples::check(manifest, &trace.examples, name);
    claims.extend(seeds::check(manifest, &trace.examples, &trace.coordinates, initial.as_deref(), name));
    claims.extend(metrics::check(manifest, &trace.examples, &trace.metrics, name));
    let of_experiment = "the run is of the experiment in study.toml";
    claims.push(match toml {
        None => Claim::unchecked(of_experiment, name, "the study has no study.toml"),
        Some(_) if !seeds::is_ours(manifest) => {
            let why = format!("written by `{}`, which may read it otherwise", manifest.writer);
            Claim::unchecked(of_experiment, name, why)
        }
        Some(toml) => {
            experiment::check(toml, manifest, &trace.metrics, &trace.run.snapshots()).into_claim(of_experiment, name)
        }
    });
    claims.extend(of_snapshots(checked, name));
    claims.extend(of_population(checked, selection, name));
    claims
}

/// Why nothing can be recomputed from snapshots, if so.
fn without_snapshots(trace: &Trace) -> Option<&'static str> {
    if trace.inputs.is_none() {
        Some("the run has no inputs.parquet")
    } else if trace.networks().is_empty() {
        Some("there is no snapshot of the manifest's network")
    } else {
        None
    }
}

fn of_snapshots(checked: &mut Checked, name: &str) -> Vec<Claim> {
    let learned = "learned steps agree with the snapshots";
    let gradients = "recorded gradients are those of the snapshots";
    if let Some(why) = without_snapshots(&checked.trace) {
        return vec![Claim::unchecked(learned, name, why), Claim::unchecked(gradients, name, why)];
    }
    let mut tally = Tally::default();
    let mut steps = Vec::new();
    for step in &mut checked.sample {
        if let Some(recomputed) = step.recomputed.take() {
            steps.push(step.step);
            tally.add(recomputed);
        }
    }
    tally.note(at_steps(&steps, checked.sample.len()));
    vec![checked.trace.learned_steps().into_claim(learned, name), tally.into_claim(gradients, name)]
}

fn at_steps(steps: &[i64], of: usize) -> String {
    let steps: Vec<String> = steps.iter().map(i64::to_string).collect();
    format!("at {} of {of} steps ({})", steps.len(), steps.join(", "))
}

fn of_population(checked: &mut Checked, selection: &Selection, name: &str) -> Vec<Claim> {
    let sums = "the population's contributions add up to ‖g‖²";
    let recomputed = "the population's self terms are those of the snapshots";
    let bounds = "the sample's self terms are parts of the population's";
    if checked.whole.is_empty() {
        let why = "the population was not recorded";
        return [sums, recomputed, bounds].iter().map(|claim| Claim::unchecked(claim, name, why)).collect();
    }
    let mut consistent = Tally::default();
    let (mut of_snapshots, mut steps) = (Tally::default(), Vec::new());
    for step in &mut checked.whole {
        consistent.add(std::mem::take(&mut step.consistent));
        if let Some(tally) = step.recomputed.take() {
            steps.push(step.step);
            of_snapshots.add(tally);
        }
    }
    of_snapshots.note(at_steps(&steps, checked.whole.len()));
    let recomputed = match without_snapshots(&checked.trace) {
        Some(why) => Claim::unchecked(recomputed, name, why),
        None => of_snapshots.into_claim(recomputed, name),
    };
    vec![consistent.into_claim(sums, name), recomputed, sample_bounds(checked, selection).into_claim(bounds, name)]
}

fn sample_bounds(checked: &Checked, selection: &Selection) -> Tally {
    let mut tally = Tally::default();
    let sampled = &checked.trace.sampled;
    let selected: Vec<usize> = (0..sampled.len()).filter(|&place| selection.has_example(sampled[place])).collect();
    for whole in &checked.whole {
        let Some(sample) = checked.sample.iter().find(|sample| sample.step == whole.step) else { continue };
        for (row, &place) in selected.iter().enumerate() {
            for (layer, &of_whole) in whole.sampled_self_terms[place].iter().enumerate() {
                let of_sample = sample.layers.get(layer).map_or(0.0, |terms| terms.self_terms[row]);
                let at = || format!("example {}, layer {layer}, step {}", sampled[place], whole.step);
                population::check_sample(of_sample, of_whole, at, &mut tally);
            }
        }
    }
    tally
}
