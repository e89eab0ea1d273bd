//! study.toml against the runs: the experiment it describes is the one that the manifests say was recorded.
//!
//! Only of runs that cograd recorded, which follow the experiment to the letter.

use std::collections::BTreeSet;

use cograd_trace::{Manifest, Metric};
use toml::{Table, Value};

use crate::tally::Tally;

/// A schedule of the experiment: every step up to a bound, then so many a decade.
#[derive(Clone, Copy, Debug)]
struct Schedule {
    every_step_until: u64,
    per_decade: u64,
}

/// Compares one run with the experiment; `snapshots` are the steps that it has weights of.
pub(crate) fn check(text: &str, manifest: &Manifest, metrics: &[Metric], snapshots: &[i64]) -> Tally {
    let mut tally = Tally::default();
    let experiment = match text.parse::<Table>() {
        Ok(experiment) => experiment,
        Err(error) => {
            tally.check(false, || format!("it is no TOML: {}", error.message()));
            return tally;
        }
    };
    let number = |path: &[&str]| lookup(&experiment, path).and_then(Value::as_integer);
    let list = |path: &[&str]| lookup(&experiment, path).and_then(Value::as_array).cloned().unwrap_or_default();
    let has_noise = list(&["grid", "noise"]).iter().any(|level| float(level) == Some(manifest.noise));
    tally.check(has_noise, || format!("noise {} is not of its grid", manifest.noise));
    let has_seed = list(&["grid", "seeds"]).iter().any(|seed| seed.as_integer() == i64::try_from(manifest.seed).ok());
    tally.check(has_seed, || format!("seed {} is not of its grid", manifest.seed));
    let rules: Vec<String> = list(&["grid", "rules"]).iter().filter_map(label).collect();
    tally.check(rules.contains(&manifest.rule), || format!("rule {} is not of its grid", manifest.rule));
    let id = format!("{}_noise-{}_seed-{}", manifest.rule, manifest.noise, manifest.seed);
    tally.check(manifest.run == id, || format!("the run's id is not {id}"));

    let steps = number(&["training", "steps"]);
    tally.check(steps == i64::try_from(manifest.steps).ok(), || format!("steps are {steps:?}, not {}", manifest.steps));
    let hidden: Vec<i64> = list(&["network", "hidden"]).iter().filter_map(Value::as_integer).collect();
    let found: Vec<i64> = manifest.network.iter().map(|&width| width as i64).collect();
    let inner = found.get(1..found.len().saturating_sub(1)).unwrap_or_default();
    tally.check(hidden == inner, || format!("the hidden layers are {hidden:?}, not {inner:?}"));
    let examples = number(&["sample", "examples"]);
    tally.check(examples == Some(manifest.sampled_examples as i64), || format!("sample.examples is {examples:?}"));
    let per_layer = number(&["sample", "weights_per_layer"]).unwrap_or(0);
    let coordinates = per_layer * (found.len() as i64 - 1);
    tally.check(coordinates == manifest.coordinates as i64, || format!("sample.weights_per_layer is {per_layer}"));
    schedules(&experiment, manifest, metrics, snapshots, &mut tally);
    tally
}

fn lookup<'a>(table: &'a Table, path: &[&str]) -> Option<&'a Value> {
    let (last, tables) = path.split_last()?;
    let mut table = table;
    for name in tables {
        table = table.get(*name)?.as_table()?;
    }
    table.get(*last)
}

fn float(value: &Value) -> Option<f64> {
    value.as_float().or_else(|| value.as_integer().map(|integer| integer as f64))
}

/// The label of a rule: its name, and its settings where it has any.
fn label(rule: &Value) -> Option<String> {
    let name = rule.get("name")?.as_str()?;
    let setting = |key: &str| rule.get(key).and_then(float);
    Some(match name {
        "winsorized" => format!("winsorized-{}", setting("percent")?),
        "median-of-means" => format!("median-of-means-{}", setting("groups").unwrap_or(3.0)),
        "norm-clipped" => match setting("noise").filter(|noise| *noise != 0.0) {
            None => format!("norm-clipped-{}", setting("norm")?),
            Some(noise) => format!("norm-clipped-{}-noise-{noise}", setting("norm")?),
        },
        other => other.to_string(),
    })
}

/// Recorded, evaluated and kept steps are those of the schedules.
fn schedules(experiment: &Table, manifest: &Manifest, metrics: &[Metric], snapshots: &[i64], tally: &mut Tally) {
    let schedule = |name: &str| {
        let number = |key: &str| lookup(experiment, &["schedule", name, key]).and_then(Value::as_integer);
        let (until, per_decade) = (number("every_step_until")?, number("per_decade")?);
        Some(Schedule { every_step_until: u64::try_from(until).ok()?, per_decade: u64::try_from(per_decade).ok()? })
    };
    let last = manifest.steps;
    let updates =
        |name: &str| schedule(name).map_or(BTreeSet::new(), |schedule| schedule.steps(last.saturating_sub(1)));
    let gradients = updates("gradients");
    let mut compare = |name: &str, expected: &BTreeSet<u64>, found: BTreeSet<i64>| {
        let expected: BTreeSet<i64> = expected.iter().map(|&step| step as i64).collect();
        tally.check(expected == found, || format!("the steps of {name} are not those of its schedule"));
    };
    compare("gradients", &gradients, manifest.recorded_steps.iter().copied().collect());
    compare("population", &updates("population"), manifest.population_steps.iter().copied().collect());
    let mut evaluations = schedule("evaluations").map_or(BTreeSet::new(), |schedule| schedule.steps(last));
    evaluations.insert(last);
    compare("evaluations", &evaluations, metrics.iter().map(|metric| metric.step).collect());
    // A snapshot waits for the next step whose gradients are recorded.
    let due = schedule("snapshots").map_or(BTreeSet::new(), |schedule| schedule.steps(last));
    let mut kept: BTreeSet<u64> = due.iter().filter_map(|&step| gradients.range(step..).next().copied()).collect();
    kept.insert(last);
    compare("snapshots", &kept, snapshots.iter().copied().collect());
}

impl Schedule {
    /// Every step up to the bound, and round(10^(k/per_decade)), k = 0, 1, …, up to `last`.
    fn steps(self, last: u64) -> BTreeSet<u64> {
        let mut steps: BTreeSet<u64> = (0..=self.every_step_until.min(last)).collect();
        if self.per_decade > 0 {
            let spaced = (0..).map(|k| 10_f64.powf(f64::from(k) / self.per_decade as f64).round() as u64);
            let later = spaced.take_while(|&step| step <= last).filter(|&step| step > self.every_step_until);
            steps.extend(later);
        }
        steps
    }
}
