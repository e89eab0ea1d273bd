//! Learned steps against the snapshots: what the network of a snapshot says of the sampled examples.
//!
//! An example learned at the step of a snapshot is one that it gets right; one learned later, or never, is one that it
//! gets wrong, if that step was evaluated. Where two logits are within rounding of each other, neither is told.

use std::collections::BTreeSet;

use cograd_trace::{Example, Metric, Split, Subset};

use crate::plain::network::Forward;
use crate::tally::Tally;

/// Steps at which the training set was evaluated.
pub(crate) fn evaluated(metrics: &[Metric]) -> BTreeSet<i64> {
    let of_all = |metric: &&Metric| metric.split == Split::Train && metric.subset == Subset::All;
    metrics.iter().filter(of_all).map(|metric| metric.step).collect()
}

/// Compares one example at the step of a snapshot.
pub(crate) fn check(example: &Example, step: i64, forward: &Forward, is_evaluated: bool, tally: &mut Tally) {
    let (prediction, lead) = forward.prediction();
    if lead < 1.0 {
        tally.check(true, String::new);
        return;
    }
    let (id, label, right) = (example.example_id, example.label, prediction == usize::from(example.label));
    if example.learned_step == Some(step) {
        tally.check(right, || {
            format!("example {id} was learned at step {step}, but its snapshot says {prediction}, not {label}")
        });
    } else if is_evaluated && example.learned_step.is_none_or(|learned| learned > step) {
        tally.check(!right, || format!("example {id} is right at the snapshot of step {step}, before it was learned"));
    }
}
