//! The learning curves against each other and against the learned steps, of runs whose accuracies are known to be fractions of
//! examples: the recorder's own, and those of versions 1 and 2 of the format.
//!
//! Of n examples of a group, right at step t are accuracy·n, a whole number; groups add up; and since an example is
//! learned at the first evaluation that gets it right, learned so far ≥ right now ≥ newly learned.

use std::collections::BTreeMap;

use cograd_trace::{Manifest, Metric};

use crate::check::seeds::is_ours;
use crate::claim::Claim;
use crate::examples::Examples;
use crate::plain::curves::steps;
use crate::plain::learned::LearnedSteps;
use crate::tally::{Number, Tally};

/// Losses are means in f64 of the same numbers, in another order.
const LOSS: f64 = 1e-9;
const GROUPS: [&str; 3] = ["all", "pristine", "corrupt"];

/// The measurements by step, split, group and metric.
type Measured<'a> = BTreeMap<(i64, &'a str, &'a str, &'a str), &'a Metric>;

/// Whether the curves of a run can be checked.
pub(crate) fn are_known(manifest: &Manifest) -> bool {
    is_ours(manifest) || manifest.format_version < 3
}

pub(crate) fn check(manifest: &Manifest, examples: &Examples, metrics: &[Metric], subject: &str) -> Vec<Claim> {
    let (consistent, agreeing) = ("the learning curves are consistent", "learned steps agree with the accuracies");
    if metrics.is_empty() {
        let why = "the run has no metrics.parquet, which holds its evaluations";
        return vec![Claim::unchecked(consistent, subject, why), Claim::unchecked(agreeing, subject, why)];
    }
    let mut tally = Tally::default();
    let mut measured = Measured::new();
    for of in metrics {
        let earlier = measured.insert((of.step, &of.split, &of.group, &of.metric), of);
        tally.check(earlier.is_none(), || format!("{} is there twice", named(of)));
    }
    curves(manifest, examples, metrics, &measured, &mut tally);
    vec![
        tally.into_claim(consistent, subject),
        learned_steps(manifest, examples, metrics, &measured).into_claim(agreeing, subject),
    ]
}

fn named(metric: &Metric) -> String {
    format!("{} {} of {} at step {}", metric.split, metric.metric, metric.group, metric.step)
}

/// How many of its examples an evaluation got right, which need not be whole.
fn right(metric: &Metric) -> f64 {
    metric.value * metric.examples as f64
}

fn curves(manifest: &Manifest, examples: &Examples, metrics: &[Metric], measured: &Measured<'_>, tally: &mut Tally) {
    let sizes: BTreeMap<&str, usize> = GROUPS.map(|group| (group, examples.named(group).len())).into();
    for metric in metrics {
        let place = || named(metric);
        if metric.metric == "accuracy" {
            let right = right(metric);
            let whole = Number { value: right.round(), scale: metric.examples as f64, allowed: 1e-12 };
            tally.close(right, whole, || format!("accuracy times examples of {}", place()));
        }
        tally.check(u64::try_from(metric.step).is_ok_and(|step| step <= manifest.steps), || {
            format!("{} is not of the run", place())
        });
        if let ("train", Some(&size)) = (&*metric.split, sizes.get(&*metric.group)) {
            tally.check(metric.examples == size as u64, || {
                format!("{} is of {} examples, not {size}", place(), metric.examples)
            });
        }
    }
    for step in steps(metrics) {
        for name in ["accuracy", "loss"] {
            add_up(measured, step, name, is_ours(manifest).then_some(&sizes), tally);
        }
    }
}

/// Pristine and corrupt examples together are all, of whose sizes none may be left out.
fn add_up(measured: &Measured<'_>, step: i64, name: &str, sizes: Option<&BTreeMap<&str, usize>>, tally: &mut Tally) {
    let at = GROUPS.map(|group| measured.get(&(step, "train", group, name)));
    for (group, found) in GROUPS.iter().zip(at) {
        if let Some(size) = sizes.map(|sizes| sizes[group]) {
            tally.check(found.is_some() == (size > 0), || format!("step {step} lacks the {name} of {group}"));
        }
    }
    let [Some(all), pristine, corrupt] = at else { return };
    let parts: Vec<&&Metric> = [pristine, corrupt].into_iter().flatten().collect();
    if parts.iter().map(|part| part.examples).sum::<u64>() != all.examples {
        return;
    }
    let sum: f64 = parts.iter().map(|part| right(part)).sum();
    let expected = match name {
        "accuracy" => Number { value: sum, scale: all.examples as f64, allowed: 1e-12 },
        _ => Number { value: sum, scale: sum.abs(), allowed: LOSS },
    };
    if all.value.is_finite() || sum.is_finite() {
        tally.close(right(all), expected, || format!("total {name} of all at step {step}"));
    }
}

/// Of another program a null says "never, or not known": such examples may be right at any step.
fn learned_steps(manifest: &Manifest, examples: &Examples, metrics: &[Metric], measured: &Measured<'_>) -> Tally {
    let mut tally = Tally::default();
    let is_known = is_ours(manifest);
    if examples.learned_step.is_none() {
        return tally;
    }
    let at = |step: i64, group| measured.get(&(step, "train", group, "accuracy"));
    let steps: Vec<i64> = steps(metrics).into_iter().filter(|&step| at(step, "all").is_some()).collect();
    for example in 0..examples.count {
        if let Some(learned) = examples.learned(example) {
            let message = || format!("example {example} was learned at step {learned}, which was not evaluated");
            match steps.binary_search(&learned).is_ok() {
                false if !is_known => tally.odd(message),
                is_evaluated => tally.check(is_evaluated, message),
            }
        }
    }
    for group in GROUPS {
        let members = examples.named(group);
        let learned = LearnedSteps::new(examples, &members);
        let last = steps.last().copied().unwrap_or(-1);
        let unknown = if is_known { 0 } else { members.len() - learned.until(last) };
        let mut before = 0;
        for &step in &steps {
            let so_far = learned.until(step);
            if let Some(metric) = at(step, group) {
                let right = right(metric).round() as usize;
                tally.check(right <= so_far + unknown, || {
                    format!("at step {step} {right} of {group} are right, but only {so_far} were learned by then")
                });
                tally.check(so_far - before <= right, || {
                    format!(
                        "at step {step} {} of {group} are newly learned, but only {right} are right",
                        so_far - before
                    )
                });
            }
            before = so_far;
        }
    }
    tally
}
