//! The learning curves against each other and against the learned steps.
//!
//! Of n examples of a subset, right at step t are accuracy·n, a whole number; subsets add up; and since an example is
//! learned at the first evaluation that gets it right, learned so far ≥ right now ≥ newly learned.

use cograd_trace::{Example, Manifest, Metric, Split, Subset};

use crate::check::seeds::is_ours;
use crate::claim::Claim;
use crate::plain::learned::learned;
use crate::tally::{Number, Tally};

/// Losses are means in f64 of the same numbers, in another order.
const LOSS: f64 = 1e-9;
const SUBSETS: [Subset; 3] = [Subset::All, Subset::Pristine, Subset::Corrupt];

pub(crate) fn check(manifest: &Manifest, examples: &[Example], metrics: &[Metric], subject: &str) -> Vec<Claim> {
    let (consistent, agreeing) = ("the learning curves are consistent", "learned steps agree with the accuracies");
    if metrics.is_empty() {
        let why = "the run has no metrics.parquet";
        return vec![Claim::unchecked(consistent, subject, why), Claim::unchecked(agreeing, subject, why)];
    }
    vec![
        curves(manifest, examples, metrics).into_claim(consistent, subject),
        learned_steps(examples, metrics).into_claim(agreeing, subject),
    ]
}

fn steps(metrics: &[Metric]) -> Vec<i64> {
    let mut steps: Vec<i64> = metrics.iter().map(|metric| metric.step).collect();
    steps.sort_unstable();
    steps.dedup();
    steps
}

fn at(metrics: &[Metric], step: i64, split: Split, subset: Subset) -> Option<Metric> {
    metrics.iter().find(|of| of.step == step && of.split == split && of.subset == subset).copied()
}

/// How many of its examples an evaluation got right, which need not be whole.
fn right(metric: &Metric) -> f64 {
    metric.accuracy * f64::from(metric.examples)
}

fn curves(manifest: &Manifest, examples: &[Example], metrics: &[Metric]) -> Tally {
    let mut tally = Tally::default();
    for (row, metric) in metrics.iter().enumerate() {
        let right = right(metric);
        let place = || format!("row {row}, step {}", metric.step);
        tally.close(right, Number { value: right.round(), scale: f64::from(metric.examples), allowed: 1e-12 }, || {
            format!("accuracy times examples of {}", place())
        });
        let earlier = metrics[..row]
            .iter()
            .any(|of| of.step == metric.step && of.split == metric.split && of.subset == metric.subset);
        tally.check(!earlier, || format!("{} is there twice", place()));
        tally.check(u64::try_from(metric.step).is_ok_and(|step| step <= manifest.steps), || {
            format!("{} is not of the run", place())
        });
        if metric.split == Split::Train {
            let (size, _) = learned(examples, metric.subset, 0);
            tally.check(metric.examples == size, || {
                format!("{} is of {} examples, not {size}", place(), metric.examples)
            });
        }
    }
    for step in steps(metrics) {
        add_up(examples, metrics, step, is_ours(manifest), &mut tally);
    }
    tally
}

/// Pristine and corrupt examples together are all.
fn add_up(examples: &[Example], metrics: &[Metric], step: i64, complete: bool, tally: &mut Tally) {
    let [all, pristine, corrupt] = SUBSETS.map(|subset| at(metrics, step, Split::Train, subset));
    if complete {
        let sizes = SUBSETS.map(|subset| learned(examples, subset, 0).0);
        for ((found, size), name) in [all, pristine, corrupt].iter().zip(sizes).zip(SUBSETS) {
            let name = name.as_str();
            tally.check(found.is_some() == (size > 0), || format!("step {step} lacks an evaluation of {name}"));
        }
    }
    let Some(all) = all else { return };
    let parts: Vec<Metric> = [pristine, corrupt].into_iter().flatten().collect();
    if parts.iter().map(|part| part.examples).sum::<u32>() != all.examples {
        return;
    }
    let sum = |value: fn(&Metric) -> f64| parts.iter().map(|part| value(part) * f64::from(part.examples)).sum::<f64>();
    let size = f64::from(all.examples);
    let accuracy = Number { value: sum(|part| part.accuracy), scale: size, allowed: 1e-12 };
    tally.close(right(&all), accuracy, || format!("number right of all at step {step}"));
    let loss = sum(|part| part.loss);
    let expected = Number { value: loss, scale: loss.abs(), allowed: LOSS };
    if all.loss.is_finite() || loss.is_finite() {
        tally.close(all.loss * size, expected, || format!("total loss of all at step {step}"));
    }
}

fn learned_steps(examples: &[Example], metrics: &[Metric]) -> Tally {
    let mut tally = Tally::default();
    let steps: Vec<i64> =
        steps(metrics).into_iter().filter(|&step| at(metrics, step, Split::Train, Subset::All).is_some()).collect();
    for example in examples {
        if let Some(learned) = example.learned_step {
            let id = example.example_id;
            tally.check(steps.binary_search(&learned).is_ok(), || {
                format!("example {id} was learned at step {learned}, which was not evaluated")
            });
        }
    }
    for subset in SUBSETS {
        let mut before = 0;
        for &step in &steps {
            let (_, so_far) = learned(examples, subset, step);
            if let Some(metric) = at(metrics, step, Split::Train, subset) {
                let right = right(&metric).round() as u32;
                let name = subset.as_str();
                tally.check(right <= so_far, || {
                    format!("at step {step} {right} of {name} are right, but only {so_far} were ever learned")
                });
                tally.check(so_far - before <= right, || {
                    format!(
                        "at step {step} {} of {name} are newly learned, but only {right} are right",
                        so_far - before
                    )
                });
            }
            before = so_far;
        }
    }
    tally
}
