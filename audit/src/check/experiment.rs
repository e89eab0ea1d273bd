//! study.toml against the runs: the experiment it describes is the one that the manifests say was recorded.
//!
//! Only of runs that cograd recorded, which follow the experiment to the letter.

use std::collections::{BTreeMap, BTreeSet};

use cograd_trace::{Condition, Conditions, Manifest, Metric, Parameter};
use toml::{Table, Value};

use crate::check::seeds::is_bias;
use crate::tally::{Tally, listed, told};
use crate::trace::Trace;

/// A schedule of the experiment: every step up to a bound, then so many a decade.
#[derive(Clone, Copy, Debug)]
struct Schedule {
    every_step_until: u64,
    per_decade: u64,
}

/// Compares one run with the experiment; `snapshots` are the steps that it has weights of.
pub(crate) fn check(text: &str, trace: &Trace, snapshots: &[i64]) -> Tally {
    let manifest = trace.manifest();
    let mut tally = Tally::default();
    let experiment = match text.parse::<Table>() {
        Ok(experiment) => experiment,
        Err(error) => {
            tally.check(false, || format!("it is no TOML: {}", error.message()));
            return tally;
        }
    };
    let swept = swept(&experiment, &manifest.conditions, &mut tally);
    let experiment = with_settings(&experiment, &swept);
    conditions(&experiment, manifest, &swept, &mut tally);
    let mut compare = |path: &[&str], found: i128| {
        let written = lookup(&experiment, path).and_then(Value::as_integer).map(i128::from);
        tally.check(written == Some(found), || format!("{} makes {}, not {found}", path.join("."), told(written)));
    };
    let widths = trace.widths.as_deref().unwrap_or_default();
    compare(&["training", "steps"], manifest.steps.into());
    compare(&["sample", "examples"], manifest.sampled_examples as i128);
    let most = lookup(&experiment, &["sample", "weights_per_layer"]).and_then(Value::as_integer).unwrap_or(-1);
    let of_parameter = |parameter: &Parameter| i128::from(parameter.size()).min(most.into());
    let sampled: i128 = trace.parameters.iter().filter(|parameter| !is_bias(parameter)).map(of_parameter).sum();
    tally.check(trace.size.is_none() || sampled == manifest.coordinates as i128, || {
        format!("sample.weights_per_layer makes {sampled} coordinates, not {}", manifest.coordinates)
    });
    let kind = lookup(&experiment, &["network", "kind"]).and_then(Value::as_str).unwrap_or("mlp");
    let found = manifest.task.network.as_deref();
    tally.check(found.is_none_or(|found| found == kind), || format!("the network is {}, not {kind}", told(found)));
    if kind != "mlp" {
        schedules(&experiment, manifest, &trace.metrics, snapshots, &mut tally);
        return tally;
    }
    let hidden = lookup(&experiment, &["network", "hidden"]).and_then(Value::as_array).cloned().unwrap_or_default();
    let hidden: Vec<i64> = hidden.iter().filter_map(Value::as_integer).collect();
    let found: Vec<i64> = widths.iter().map(|&width| width as i64).collect();
    let inner = found.get(1..found.len().saturating_sub(1)).unwrap_or_default();
    tally.check(hidden == inner, || format!("the hidden layers are {}, not {}", listed(&hidden), listed(inner)));
    schedules(&experiment, manifest, &trace.metrics, snapshots, &mut tally);
    tally
}

/// A setting that the grid sweeps: its key, what it is called as a condition, and its value in the run.
struct Swept {
    key: String,
    name: String,
    value: Value,
}

/// Of every setting that the grid sweeps the value that the conditions are of.
fn swept(experiment: &Table, conditions: &Conditions, tally: &mut Tally) -> Vec<Swept> {
    let grid = experiment.get("grid").and_then(Value::as_table).into_iter().flatten();
    let mut swept = Vec::new();
    for (key, values) in grid.filter(|(key, _)| key.contains('.')) {
        let last = key.rsplit('.').next().unwrap_or_default();
        let is_shared = ["noise", "examples", "every_step_until", "per_decade"].contains(&last);
        let name = if is_shared { key } else { last };
        let is_of_run = |value: &&Value| conditions.get(name).is_some_and(|found| is_swept(conditions, found, value));
        let value = values.as_array().into_iter().flatten().filter(is_of_run);
        // Of two optimizers that both could be, the one of which more is written.
        let value = value.max_by_key(|value| value.as_table().map_or(0, Table::len)).cloned();
        tally.check(value.is_some(), || format!("{name} {} is not of its grid", told(conditions.get(name))));
        swept.extend(value.map(|value| Swept { key: key.clone(), name: name.to_string(), value }));
    }
    swept
}

/// Whether a condition is that of a swept value.
fn is_swept(conditions: &Conditions, found: &Condition, value: &Value) -> bool {
    match value {
        // Of an optimizer or a schedule: all that is written of it.
        Value::Table(table) => table.iter().all(|(setting, value)| match setting.as_str() {
            "name" => is(found, value),
            setting => conditions.get(setting).is_none_or(|found| is_swept(conditions, found, value)),
        }),
        Value::Array(values) => match values.as_slice() {
            [value @ Value::Integer(_)] => is(found, value),
            [] => matches!(found, Condition::Text(text) if text == "none"),
            values => {
                let written: Vec<String> = values.iter().map(Value::to_string).collect();
                matches!(found, Condition::Text(text) if text.split(['x', '-']).eq(written.iter().map(String::as_str)))
            }
        },
        value => is(found, value),
    }
}

/// The experiment with the settings of a run in their places.
fn with_settings(experiment: &Table, swept: &[Swept]) -> Table {
    let mut experiment = experiment.clone();
    for Swept { key, value, .. } in swept {
        let mut parts: Vec<&str> = key.split('.').collect();
        let (Some(last), mut table) = (parts.pop(), Some(&mut experiment)) else { continue };
        for part in parts {
            let empty = || Value::Table(Table::new());
            table = table.and_then(|table| table.entry(part).or_insert_with(empty).as_table_mut());
        }
        table.map(|table| table.insert(last.to_string(), value.clone()));
    }
    experiment
}

/// The rule is one of the grid with its settings, and every other condition has a value of the grid.
fn conditions(experiment: &Table, manifest: &Manifest, swept: &[Swept], tally: &mut Tally) {
    let conditions = &manifest.conditions;
    let list = |name: &str| lookup(experiment, &["grid", name]).and_then(Value::as_array).cloned().unwrap_or_default();
    let is_seed = |seed: &Value| seed.as_integer().and_then(|seed| u64::try_from(seed).ok()) == conditions.seed();
    tally.check(list("seeds").iter().any(is_seed), || format!("seed {} is not of its grid", told(conditions.seed())));
    let settings = |rule: &Value| -> BTreeMap<String, Value> {
        if let Some(label) = earlier_label(rule).filter(|_| manifest.format_version < 3) {
            return BTreeMap::from([("rule".to_string(), Value::String(label))]);
        }
        let named = |(name, value): (&String, &Value)| (condition_name(rule, name).to_string(), value.clone());
        rule.as_table().map(|rule| rule.iter().map(named).collect()).unwrap_or_default()
    };
    let has = |name: &str, value: &Value| conditions.get(name).is_some_and(|found| is(found, value));
    let of_rule = list("rules").iter().map(settings).find(|rule| rule.iter().all(|(name, value)| has(name, value)));
    let rule = conditions.text("rule").unwrap_or("none");
    tally.check(of_rule.is_some(), || format!("the rule {rule} with its settings is not of its grid"));
    let of_rule = of_rule.unwrap_or_default();
    let of_settings = of_settings(experiment);
    for (name, value) in &of_settings {
        tally.check(has(name, value), || format!("the condition {name} is not the setting {value}"));
    }
    let is_swept = |name: &str| swept.iter().any(|swept| swept.name == name);
    let is_other = |name: &str| !of_rule.contains_key(name) && !of_settings.contains_key(name) && !is_swept(name);
    for (name, found) in conditions.iter().filter(|(name, _)| is_other(name)) {
        tally.check(list(name).iter().any(|value| is(found, value)), || format!("{name} {found} is not of its grid"));
    }
}

/// Settings that need not be written: of which optimizers or schedules, name, and value.
const DEFAULTS: [(&[&str], &str, f64); 9] = [
    (&["momentum"], "momentum", 0.9),
    (&["adam", "adamw"], "beta1", 0.9),
    (&["adam", "adamw"], "beta2", 0.999),
    (&["adam", "adamw"], "epsilon", 1e-8),
    (&["momentum", "adam"], "weight_decay", 0.0),
    (&["adamw"], "weight_decay", 0.01),
    (&["steps"], "decay", 0.1),
    (&["cosine"], "final_fraction", 0.0),
    (&["steps", "cosine"], "warm_up", 0.0),
];

/// The conditions that settings outside the grid make, where they are not the ones that every study once had.
fn of_settings(experiment: &Table) -> BTreeMap<String, Value> {
    let mut conditions = BTreeMap::new();
    for (path, name) in [
        (["data", "noise"], "data.noise"),
        (["data", "noise_file"], "noise_file"),
        (["data", "examples"], "data.examples"),
        (["network", "initial"], "initial"),
        (["sample", "preconditioned"], "preconditioned"),
    ] {
        let value = lookup(experiment, &path).filter(|value| value.as_str() != Some("permuted"));
        conditions.extend(value.map(|value| (name.to_string(), value.clone())));
    }
    for part in ["optimizer", "schedule"] {
        let name = lookup(experiment, &["training", part, "name"]).and_then(Value::as_str);
        let of_name = DEFAULTS.iter().filter(|(names, _, _)| name.is_some_and(|name| names.contains(&name)));
        conditions.extend(of_name.map(|(_, setting, value)| ((*setting).to_string(), Value::Float(*value))));
        conditions
            .extend(name.filter(|name| *name == "momentum").map(|_| ("nesterov".to_string(), Value::Boolean(false))));
        let settings = lookup(experiment, &["training", part]).and_then(Value::as_table).into_iter().flatten();
        conditions.extend(settings.map(|(name, value)| match (name.as_str(), value) {
            ("name", value) => (part.to_string(), value.clone()),
            (name, Value::Array(values)) => {
                let values: Vec<String> = values.iter().map(Value::to_string).collect();
                (name.to_string(), Value::String(values.join("-")))
            }
            (name, value) => (name.to_string(), value.clone()),
        }));
    }
    conditions
}

/// What a setting of a rule is called as a condition.
fn condition_name<'a>(rule: &Value, setting: &'a str) -> &'a str {
    match (rule.get("name").and_then(Value::as_str), setting) {
        (_, "name") => "rule",
        (Some("winsorized"), "percent") => "winsorization",
        (Some("norm-clipped"), "noise") => "sigma",
        (_, setting) => setting,
    }
}

/// The rule as a trace before version 3 calls it, if that is more than its name and `winsorization`.
fn earlier_label(rule: &Value) -> Option<String> {
    let setting = |key: &str| rule.get(key).and_then(float);
    match rule.get("name")?.as_str()? {
        "median-of-means" => Some(format!("median-of-means-{}", setting("groups").unwrap_or(3.0))),
        "norm-clipped" => Some(match setting("noise").filter(|noise| *noise != 0.0) {
            None => format!("norm-clipped-{}", setting("norm")?),
            Some(noise) => format!("norm-clipped-{}-noise-{noise}", setting("norm")?),
        }),
        _ => None,
    }
}

/// Whether a condition has the value.
fn is(condition: &Condition, value: &Value) -> bool {
    match value {
        Value::String(text) => matches!(condition, Condition::Text(found) if found == text),
        Value::Boolean(flag) => matches!(condition, Condition::Boolean(found) if found == flag),
        value => condition.number().is_some() && condition.number() == float(value),
    }
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

/// Recorded, evaluated and kept steps are those of the schedules.
fn schedules(experiment: &Table, manifest: &Manifest, metrics: &[Metric], snapshots: &[i64], tally: &mut Tally) {
    let schedule = |name: &str| {
        let number = |key: &str| lookup(experiment, &["schedule", name, key]).and_then(Value::as_integer);
        let (until, per_decade) = (number("every_step_until")?, number("per_decade")?);
        Some(Schedule { every_step_until: u64::try_from(until).ok()?, per_decade: u64::try_from(per_decade).ok()? })
    };
    let last = manifest.steps;
    let mut compare = |name: &str, found: &BTreeSet<u64>, end: u64, expected: &dyn Fn(u64) -> Option<u64>| {
        // Of each step that is there the next must be there, and no other: never more are told than there are.
        let next = |from: u64| expected(from).filter(|step| *step < end);
        let first_and_next = std::iter::once(0).chain(found.iter().map(|step| step + 1));
        let is = first_and_next.map(next).eq(found.iter().copied().map(Some).chain([None]));
        tally.check(is, || format!("the steps of {name} are not those of its schedule"));
    };
    let steps = |steps: &[i64]| -> BTreeSet<u64> { steps.iter().filter_map(|&step| step.try_into().ok()).collect() };
    let scheduled = |name: &str| {
        let schedule = schedule(name);
        move |from: u64| schedule?.next(from)
    };
    let gradients = steps(&manifest.recorded_steps);
    compare("gradients", &gradients, last, &scheduled("gradients"));
    compare("population", &steps(&manifest.population_steps), last, &scheduled("population"));
    let evaluated: Vec<i64> = metrics.iter().map(|metric| metric.step).collect();
    let due = scheduled("evaluations");
    let evaluation = |from: u64| due(from).filter(|step| *step < last).or(Some(last)).filter(|_| from <= last);
    compare("evaluations", &steps(&evaluated), last + 1, &evaluation);
    // A snapshot waits for the next step whose gradients are recorded; there is one after the last update.
    let due = scheduled("snapshots");
    let snapshot = |from: u64| due(from).and_then(|step| gradients.range(step..).next().copied()).or(Some(last));
    compare("snapshots", &steps(snapshots), last + 1, &|from| snapshot(from).filter(|_| from <= last));
}

impl Schedule {
    /// The first step from this one on: every step up to the bound, and round(10^(k/per_decade)), k = 0, 1, ….
    fn next(self, from: u64) -> Option<u64> {
        if from <= self.every_step_until {
            return Some(from);
        }
        let per_decade = self.per_decade as f64;
        // From two before the one that the logarithm gives, which rounding may have moved by one.
        let first = ((from as f64 - 0.5).log10() * per_decade).floor() - 2.0;
        let spaced = |k: i32| 10_f64.powf((first + f64::from(k)).max(0.0) / per_decade).round() as u64;
        // So many a decade that adding one changes nothing: every step is one.
        (self.per_decade > 0).then(|| (0..8).map(spaced).find(|step| *step >= from).unwrap_or(from))
    }
}

#[cfg(test)]
mod tests {
    use cograd_trace::Conditions;

    use super::*;

    #[test]
    fn the_next_step_of_a_schedule_is_found_without_going_through_the_others() {
        for (every_step_until, per_decade) in [(0, 0), (3, 0), (0, 1), (10, 20), (100, 7), (5, 300)] {
            let schedule = Schedule { every_step_until, per_decade };
            let spaced = (0..4 * per_decade + 1).map(|k| 10_f64.powf(k as f64 / per_decade as f64).round() as u64);
            let spaced = spaced.filter(|_| per_decade > 0);
            let all: BTreeSet<u64> = (0..=every_step_until).chain(spaced).collect();
            for from in 0..9_000 {
                assert_eq!(schedule.next(from), all.range(from..).next().copied(), "{schedule:?} {from}");
            }
        }
        for per_decade in [1_000_000_000, u64::MAX >> 1] {
            assert_eq!(Schedule { every_step_until: 0, per_decade }.next(7), Some(7));
        }
    }

    #[test]
    fn the_conditions_of_a_run_are_of_the_grid() {
        let text = r#"
            [grid]
            seeds = [1, 2]
            noise = [0.0, 0.5]
            width = [64, 128]
            rules = [{ name = "sgd" }, { name = "winsorized", percent = 2 }, { name = "norm-clipped", norm = 1.0, noise = 0.5 }]
        "#;
        let experiment: Table = text.parse().unwrap();
        let failed = |format_version: u32, conditions: Conditions| {
            let manifest = serde_json::json!({
                "format_version": format_version, "run": "r", "conditions": conditions, "train_examples": 1,
                "sampled_examples": 1, "coordinates": 1, "steps": 1, "recorded_steps": [], "files": {},
            });
            let mut tally = Tally::default();
            super::conditions(&experiment, &serde_json::from_value(manifest).unwrap(), &[], &mut tally);
            tally.failed()
        };
        let run = |rule: &str| Conditions::new(Some(2)).with("rule", rule).with("noise", 0_i64).with("width", 64_i64);
        assert_eq!(failed(3, run("sgd")), 0);
        assert_eq!(failed(3, run("winsorized").with("winsorization", 2.0)), 0);
        assert_eq!(failed(3, run("norm-clipped").with("norm", 1_i64).with("sigma", 0.5)), 0);
        assert_eq!(failed(2, run("norm-clipped-1-noise-0.5")), 0);
        // Another level is no rule of the grid, and then no condition of it either.
        assert_eq!(failed(3, run("winsorized").with("winsorization", 3.0)), 3);
        assert_eq!(failed(3, run("sgd").with("noise", 0.25).with("width", 32_i64)), 2);
        assert_eq!(failed(3, run("sgd").with("decay", 0.1)), 1);
    }
}
