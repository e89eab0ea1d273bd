//! The claims of one run's trace, and what the results are recomputed from.

use std::collections::BTreeMap;
use std::path::Path;

use cograd_recorder::data::Dataset;
use cograd_recorder::{Experiment, NetworkKind};
use cograd_results::summary::Options;
use cograd_trace::{Manifest, Run};

use crate::check::files::{self, Listed};
use crate::check::{data, examples, experiment, layered, metrics, population, seeds};
use crate::claim::{Claim, Verdict};
use crate::options::Selection;
use crate::plain::groups::Grouping;
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
pub(crate) struct Checked {
    pub trace: Trace,
    /// The groups of the analysis; the reason if they cannot be told from the study alone.
    pub grouping: Result<Grouping, String>,
    pub sample: Vec<SampleStep>,
    pub whole: Vec<WholeStep>,
}

/// Checks the run in `directory`; `None` if it cannot be read or was altered, so that nothing can be made of it. `analysis`
/// has the options of the analysis and what examples are grouped by, `data` the experiment and the data set to hold it against.
pub(crate) fn check(
    directory: &Path,
    experiment: Option<&str>,
    analysis: Option<(&Options, &str)>,
    selection: &Selection,
    data: Option<&Result<(Experiment, Dataset), String>>,
    claims: &mut Vec<Claim>,
) -> Option<Checked> {
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
    let read = Trace::read(&run).and_then(|trace| {
        let (grouping, setting) = match analysis {
            None => (Err("not analysed: analyse it first".to_string()), None),
            Some(_) if trace.selected(selection).len() > MOST_EXAMPLES => (Err(too_many()), None),
            Some((options, by)) => {
                let grouping = trace.grouping(by, selection);
                let unknown = Grouping { names: vec!["unknown".to_string()], of: vec![0; trace.examples.count] };
                let setting = trace.setting(options, selection, grouping.as_ref().unwrap_or(&unknown));
                (grouping, Some(setting))
            }
        };
        let (sample, whole) = (trace.sample_steps(selection, setting.as_ref())?, trace.whole_steps(selection)?);
        Ok(Checked { trace, grouping, sample, whole })
    });
    match read {
        Ok(mut checked) => {
            claims.push(Claim::pass(READABLE, &name, contents(&checked)));
            claims.extend(of_trace(&mut checked, experiment, selection, &name));
            claims.extend(data.into_iter().flat_map(|data| of_data(&checked.trace, data, &name)));
            Some(checked)
        }
        Err(error) => {
            claims.push(Claim::unread(READABLE, &name, &error, whole_message(&error)));
            None
        }
    }
}

fn seal(directory: &Path, subject: &str) -> Claim {
    let claim = "the manifest's seal is that of its text";
    let text = match cograd_files::read_regular(&directory.join("manifest.json")) {
        Ok(text) => text,
        Err(error) => return Claim::unread(claim, subject, &error, format!("it cannot be read: {error}")),
    };
    let version = serde_json::from_slice::<serde_json::Value>(&text).ok();
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
    claims.extend(of_population(checked, is_recomputed && !is_layered, selection, name));
    claims
}

/// The kind of the network of a run of this experiment.
fn kind(toml: &str, run: &str) -> Option<NetworkKind> {
    let experiment = Experiment::parse(toml, "study.toml").ok()?;
    Some(experiment.of_run(run)?.network.kind).filter(|kind| !matches!(kind, NetworkKind::Mlp { .. }))
}

fn of_data(trace: &Trace, data: &Result<(Experiment, Dataset), String>, name: &str) -> Vec<Claim> {
    let claim = "the trace is of the data set";
    match data {
        _ if !seeds::is_ours(trace.manifest()) => {
            let why = "another program wrote it, which alone knows how it read the data set";
            vec![Claim::unchecked(claim, name, why)]
        }
        Err(why) => vec![Claim::unchecked(claim, name, why)],
        Ok((experiment, data)) => data::check(trace, experiment, data, name),
    }
}

/// Why nothing can be recomputed from snapshots, if so.
fn without_snapshots(trace: &Trace) -> Option<&'static str> {
    if trace.widths.is_none() {
        Some("its network is not one that the audit knows: it knows fully connected ones, `mlp`")
    } else if trace.inputs.is_none() {
        Some("the run has no inputs.parquet, which holds those of the sampled examples")
    } else if trace.networks().is_empty() {
        Some("there is no snapshot of the network's weights")
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
    let of_gradients = match checked.trace.preconditioned() {
        Some(why) => Claim::unchecked(gradients, name, why),
        None => tally.into_claim(gradients, name),
    };
    vec![checked.trace.learned_steps().into_claim(learned, name), of_gradients]
}

fn at_steps(steps: &[i64], of: usize) -> String {
    let steps: Vec<String> = steps.iter().map(i64::to_string).collect();
    format!("at {} of {of} steps ({})", steps.len(), steps.join(", "))
}

fn of_population(checked: &mut Checked, is_recomputed: bool, selection: &Selection, name: &str) -> Vec<Claim> {
    let sums = "the population's contributions add up to ‖g‖²";
    let recomputed = "the population's self terms are those of the snapshots";
    let bounds = "the sample's self terms are parts of the population's";
    if checked.whole.is_empty() {
        return Vec::new();
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
    let mut claims = vec![consistent.into_claim(sums, name)];
    if is_recomputed {
        claims.push(match without_snapshots(&checked.trace) {
            Some(why) => Claim::unchecked(recomputed, name, why),
            None => of_snapshots.into_claim(recomputed, name),
        });
    }
    // Self terms need not be recorded.
    if checked.whole.iter().any(|step| step.sampled_self_terms.iter().any(Option::is_some)) {
        claims.push(sample_bounds(checked, selection).into_claim(bounds, name));
    }
    claims
}

fn sample_bounds(checked: &Checked, selection: &Selection) -> Tally {
    let mut tally = Tally::default();
    let sampled = &checked.trace.examples.sampled;
    let selected: Vec<usize> = (0..sampled.len()).filter(|&place| selection.has_example(sampled[place])).collect();
    for whole in &checked.whole {
        let Some(sample) = checked.sample.iter().find(|sample| sample.step == whole.step) else { continue };
        for (row, &place) in selected.iter().enumerate() {
            let of_example = whole.sampled_self_terms[place].iter().flatten();
            for (layer, &of_whole) in of_example.enumerate() {
                let of_sample = sample.layers.get(layer).map_or(0.0, |terms| terms.self_terms[row]);
                let name = &checked.trace.layers[layer].name;
                let at = || format!("example {}, {name}, step {}", sampled[place], whole.step);
                population::check_sample(of_sample, of_whole, at, &mut tally);
            }
        }
    }
    tally
}
