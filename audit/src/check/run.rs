//! The claims of one run's trace, and what the results are recomputed from.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use cograd_recorder::data::Dataset;
use cograd_recorder::{Experiment, NetworkKind};
use cograd_trace::{Manifest, Run, TraceError};

use crate::check::files::{self, Listed};
use crate::check::{data, examples, experiment, gradients, layered, metrics, population, seeds};
use crate::claim::{Claim, Verdict};
use crate::compare::{Batch, OfRun};
use crate::options::Selection;
use crate::plain::groups::Grouping;
use crate::recompute::Recomputed;
use crate::results::Results;
use crate::tally::Tally;
use crate::trace::{SampleStep, Trace, WholeStep};

const READABLE: &str = "the trace is as its format says";

/// The inner products of more examples take too much memory.
const MOST_EXAMPLES: usize = 10_000;

fn too_many() -> String {
    format!(
        "recomputing needs n² numbers a step: analyse at most {MOST_EXAMPLES} of the sampled examples, with --examples"
    )
}

/// A run whose trace was read.
struct Checked {
    trace: Rc<Trace>,
    sample: Sampled,
    population: Population,
}

/// What is kept of the steps of the sample.
#[derive(Default)]
struct Sampled {
    steps: usize,
    /// Gradients against the snapshots, and at which steps.
    recomputed: Tally,
    recomputed_steps: Vec<i64>,
    /// Self terms against those of the population.
    bounds: Tally,
}

/// Results that a run is compared with, and what its examples are grouped by; the reason if it cannot be.
type OfResults<'a> = Result<(&'a Results, &'a str), String>;

/// Checks the run in `directory`, and compares it with the results if there are any; `None` if there are none, or the run cannot be read
/// or was altered, so that nothing can be made of it. `data` has the experiment and the data set to hold it against.
pub(crate) fn check<'a>(
    directory: &Path,
    experiment: Option<&str>,
    results: Option<OfResults<'a>>,
    selection: &Selection,
    data: Option<&Result<(Experiment, Dataset), String>>,
    claims: &mut Vec<Claim>,
) -> Option<Result<OfRun<'a>, String>> {
    let name = directory.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let sealed = seal(directory, &name);
    let has_other_line_ends = sealed.verdict == Verdict::Note;
    claims.push(sealed);
    let run = match Run::open(directory) {
        // The directory may be named as other programs find a column in it.
        Ok(run) if name == run.manifest().run || name.strip_prefix("run=") == Some(&run.manifest().run) => run,
        Ok(run) => {
            let why = format!("the manifest says that the run is `{}`", run.manifest().run);
            claims.push(Claim::fail(READABLE, &name, why));
            return None;
        }
        Err(_) if has_other_line_ends => {
            let why = "the line ends of manifest.json were changed: copy the run again without changing files";
            claims.push(Claim::unchecked(READABLE, &name, why));
            return None;
        }
        Err(error) => {
            claims.push(Claim::unread(READABLE, &name, &error, whole_message(&error)));
            return None;
        }
    };
    let manifest = run.manifest().clone();
    let listed = listed(&manifest);
    let whole = files::listed(directory, &listed, &name);
    let as_listed = whole.verdict;
    claims.push(whole);
    let known = |file: &str| file == "manifest.json" || listed.contains_key(file);
    claims.push(files::nothing_else(directory, known, &name));
    if matches!(as_listed, Verdict::Fail | Verdict::NotCheckable) {
        let why = if as_listed == Verdict::Fail { "were altered: copy it again" } else { "cannot be read" };
        claims.push(Claim::unchecked(READABLE, &name, format!("files of it {why}")));
        return None;
    }
    match read(&run, results, selection) {
        Ok((checked, compared)) => {
            claims.push(Claim::pass(READABLE, &name, contents(&checked)));
            claims.extend(of_trace(&checked, experiment, &name));
            claims.extend(data.into_iter().flat_map(|data| of_data(&checked.trace, experiment, data, &name)));
            compared
        }
        Err(error) if is_too_large(&error) && !seeds::is_ours(&manifest) => {
            let why = format!(
                "{}: neither analysis nor audit can hold it: write such labels as texts",
                whole_message(&error)
            );
            claims.push(Claim::unchecked(READABLE, &name, why));
            None
        }
        Err(error) => {
            claims.push(Claim::unread(READABLE, &name, &error, whole_message(&error)));
            None
        }
    }
}

/// Whether a column of the examples has a whole number of 2⁶³ or more, as the format allows of labels.
fn is_too_large(error: &TraceError) -> bool {
    let TraceError::Row { path, message, .. } = error else { return false };
    path.ends_with("examples.parquet") && message.contains("64-bit signed integer")
}

/// Reads all of a run, and compares it with the results while it is read.
fn read<'a>(
    run: &Run,
    results: Option<OfResults<'a>>,
    selection: &Selection,
) -> Result<(Checked, Option<Result<OfRun<'a>, String>>), TraceError> {
    let trace = Rc::new(Trace::read(run)?);
    let mut whole = trace.whole_steps(selection)?;
    let mut population = Population::default();
    whole.iter_mut().for_each(|step| population.add(step));
    let self_terms: Vec<(i64, Vec<Option<Vec<f64>>>)> =
        whole.iter_mut().map(|step| (step.step, std::mem::take(&mut step.sampled_self_terms))).collect();
    let mut compared = results.map(|results| {
        let (results, by) = results?;
        let options = &results.summary.options;
        let (grouping, setting) = match trace.selected(selection).len() > MOST_EXAMPLES {
            true => (Err(too_many()), None),
            false => {
                let grouping = trace.grouping(by, selection);
                let unknown = Grouping { names: vec!["unknown".to_string()], of: vec![0; trace.examples.count] };
                let setting = trace.setting(options, selection, grouping.as_ref().unwrap_or(&unknown));
                (grouping, Some(setting))
            }
        };
        let run = Recomputed::new(&trace, grouping, setting, whole, options, selection)?;
        Ok(OfRun::new(results, run))
    });
    let mut sample = Sampled::default();
    let batches = match &compared {
        Some(Ok(compared)) => compared.batches(),
        _ => Batch::without_tables(&trace),
    };
    for batch in batches {
        let setting = compared.as_ref().and_then(|compared| compared.as_ref().ok()?.run.setting.as_ref());
        let places = batch.steps.places(&run.manifest().recorded_steps);
        let mut steps = trace.sample_steps(places, selection, setting)?;
        for step in &mut steps {
            let of_whole = self_terms.binary_search_by_key(&step.step, |(step, _)| *step).ok();
            sample.add(&trace, step, of_whole.map(|place| &self_terms[place].1[..]), selection);
        }
        if let Some(Ok(compared)) = &mut compared {
            compared.add(batch, steps);
        }
    }
    Ok((Checked { trace, sample, population }, compared))
}

impl Sampled {
    /// Adds a step, of which the population's self terms of the sampled examples are given, if there are any.
    fn add(
        &mut self,
        trace: &Trace,
        step: &mut SampleStep,
        of_whole: Option<&[Option<Vec<f64>>]>,
        selection: &Selection,
    ) {
        self.steps += 1;
        if let Some(recomputed) = step.recomputed.take() {
            self.recomputed_steps.push(step.step);
            self.recomputed.add(recomputed);
        }
        let Some(of_whole) = of_whole else { return };
        let sampled = trace.examples.sampled.iter().zip(of_whole);
        let selected = sampled.filter(|(example, _)| selection.has_example(**example));
        for (row, (example, of_example)) in selected.enumerate() {
            for (layer, &of_whole) in of_example.iter().flatten().enumerate() {
                let of_sample = step.layers.get(layer).map_or(0.0, |terms| terms.self_terms[row]);
                let at = || format!("example {example}, {}, step {}", trace.layers[layer].name, step.step);
                let values = trace.layers[layer].places.len();
                let lost = if step.is_half { gradients::half_squares(values, of_sample) } else { 0.0 };
                population::check_sample(of_sample, of_whole, lost, at, &mut self.bounds);
            }
        }
    }
}

/// What is kept of the steps of the population.
#[derive(Default)]
struct Population {
    steps: usize,
    consistent: Tally,
    recomputed: Tally,
    recomputed_steps: Vec<i64>,
    /// Whether it has self terms of a sampled example.
    has_self_terms: bool,
}

impl Population {
    fn add(&mut self, step: &mut WholeStep) {
        self.steps += 1;
        self.consistent.add(std::mem::take(&mut step.consistent));
        if let Some(recomputed) = step.recomputed.take() {
            self.recomputed_steps.push(step.step);
            self.recomputed.add(recomputed);
        }
        self.has_self_terms |= step.sampled_self_terms.iter().any(Option::is_some);
    }
}

fn seal(directory: &Path, subject: &str) -> Claim {
    let claim = "the manifest's seal is that of its text";
    let text = match cograd_files::read_regular(&directory.join("manifest.json")) {
        Ok(text) => text,
        Err(error) => return Claim::unread(claim, subject, &error, format!("it cannot be read: {error}")),
    };
    let version = serde_json::from_slice::<serde_json::Value>(cograd_files::unmarked(&text)).ok();
    let version = version.and_then(|manifest| manifest.get("format_version")?.as_u64());
    match files::seal(claim, subject, &text) {
        sealed if sealed.verdict == Verdict::Fail && version == Some(1) => {
            Claim::unchecked(claim, subject, "version 1 of the format has no seal; later ones have")
        }
        sealed => sealed,
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
        checked.sample.steps,
        checked.population.steps,
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

fn of_trace(checked: &Checked, toml: Option<&str>, name: &str) -> Vec<Claim> {
    let trace = &checked.trace;
    let manifest = trace.manifest();
    let mut claims = examples::check(manifest, &trace.examples, name);
    let is_ours = seeds::is_ours(manifest);
    let has_curves = metrics::are_known(manifest) && (is_ours || !trace.metrics.is_empty());
    if has_curves {
        claims.extend(metrics::check(manifest, &trace.examples, &trace.metrics, name));
    }
    let of_experiment = "the run is of the experiment in study.toml";
    let is_recomputed = is_ours || without_snapshots(trace).is_none();
    if is_ours {
        claims.extend(seeds::check(trace, name));
        claims.push(match toml {
            None => Claim::unchecked(of_experiment, name, "the study has no study.toml: put it back"),
            Some(toml) => experiment::check(toml, trace, &trace.run.snapshots()).into_claim(of_experiment, name),
        });
    } else {
        let mut unknown = vec!["noisy labels", "sample", "initial weights", "study.toml"];
        unknown.extend((!has_curves).then_some("learning curves"));
        unknown.extend((!is_recomputed).then_some("gradients and self terms at snapshots"));
        let why = format!(
            "written by another program, `{}`, and only that one can make again its {}",
            manifest.writer,
            unknown.join(", ")
        );
        claims.push(Claim::unchecked("the run is what its seed, experiment and snapshots make", name, why));
    }
    // Of a network of other layers the experiment says what the trace does not: heads, groups.
    let kind = toml.filter(|_| is_ours && checked.trace.widths.is_none()).and_then(|toml| kind(toml, name));
    let is_layered = kind.is_some();
    match kind {
        Some(kind) => claims.extend(layered::check(&checked.trace, &kind, name)),
        None if is_recomputed => claims.extend(of_snapshots(checked, name)),
        None => {}
    }
    claims.extend(of_population(checked, is_recomputed && !is_layered, name));
    claims
}

/// The kind of the network of a run of this experiment.
fn kind(toml: &str, run: &str) -> Option<NetworkKind> {
    let experiment = Experiment::parse(toml, "study.toml").ok()?;
    Some(experiment.of_run(run)?.network.kind).filter(|kind| !matches!(kind, NetworkKind::Mlp { .. }))
}

fn of_data(trace: &Trace, toml: Option<&str>, data: &Result<(Experiment, Dataset), String>, name: &str) -> Vec<Claim> {
    let claim = "the trace is of the data set";
    match data {
        _ if !seeds::is_ours(trace.manifest()) => {
            let why = "another program wrote it, which alone knows how it read the data set";
            vec![Claim::unchecked(claim, name, why)]
        }
        Err(why) => vec![Claim::unchecked(claim, name, why)],
        Ok((experiment, data)) => {
            let kind = toml.filter(|_| trace.widths.is_none()).and_then(|toml| kind(toml, name));
            data::check(trace, kind.as_ref(), experiment, data, name)
        }
    }
}

/// Why nothing can be recomputed from snapshots, if so.
fn without_snapshots(trace: &Trace) -> Option<&'static str> {
    if trace.widths.is_none() {
        Some(
            "its network or loss is not one that the audit knows: it knows fully connected networks, `mlp`, with the plain cross-entropy of labels that are numbers of outputs from 0 on, in f32 or f64",
        )
    } else if trace.inputs.is_none() {
        Some("the run has no inputs.parquet, which holds those of the sampled examples")
    } else if trace.networks().is_empty() {
        Some("there is no snapshot of the network's weights")
    } else {
        None
    }
}

fn of_snapshots(checked: &Checked, name: &str) -> Vec<Claim> {
    let learned = "learned steps agree with the snapshots";
    let gradients = "recorded gradients are those of the snapshots";
    if let Some(why) = without_snapshots(&checked.trace) {
        return vec![Claim::unchecked(learned, name, why), Claim::unchecked(gradients, name, why)];
    }
    let Sampled { steps, recomputed, recomputed_steps, .. } = &checked.sample;
    let of_gradients = match checked.trace.preconditioned() {
        Some(why) => Claim::unchecked(gradients, name, why),
        None => recomputed.clone().noting(at_steps(recomputed_steps, *steps)).into_claim(gradients, name),
    };
    vec![checked.trace.learned_steps().into_claim(learned, name), of_gradients]
}

fn at_steps(steps: &[i64], of: usize) -> String {
    let steps: Vec<String> = steps.iter().map(i64::to_string).collect();
    format!("at {} of {of} steps ({})", steps.len(), steps.join(", "))
}

fn of_population(checked: &Checked, is_recomputed: bool, name: &str) -> Vec<Claim> {
    let sums = "the population's contributions add up to ‖g‖²";
    let of_snapshots = "the population's self terms are those of the snapshots";
    let bounds = "the sample's self terms are parts of the population's";
    let Population { steps, consistent, recomputed, recomputed_steps, has_self_terms } = &checked.population;
    if *steps == 0 {
        return Vec::new();
    }
    let mut claims = vec![consistent.clone().into_claim(sums, name)];
    if is_recomputed {
        claims.push(match without_snapshots(&checked.trace) {
            Some(why) => Claim::unchecked(of_snapshots, name, why),
            None => recomputed.clone().noting(at_steps(recomputed_steps, *steps)).into_claim(of_snapshots, name),
        });
    }
    // Self terms need not be recorded.
    if *has_self_terms {
        claims.push(checked.sample.bounds.clone().into_claim(bounds, name));
    }
    claims
}
