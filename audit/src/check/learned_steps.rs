//! Learned steps against the snapshots: what the network of a snapshot says of the sampled examples.
//!
//! An example learned at the step of a snapshot is one that it gets right; one learned later, or never, is one that it
//! gets wrong, if that step was evaluated. Where two logits are within rounding of each other, neither is told.

use std::collections::BTreeSet;

use cograd_trace::Metric;

use crate::examples::Examples;
use crate::plain::network::Logits;
use crate::tally::Tally;

/// Steps at which the accuracy of the training set was evaluated.
pub(crate) fn evaluated(metrics: &[Metric]) -> BTreeSet<i64> {
    let of_all = |of: &&Metric| (&*of.split, &*of.group, &*of.metric) == ("train", "all", "accuracy");
    metrics.iter().filter(of_all).map(|metric| metric.step).collect()
}

/// Compares one example at the step of a snapshot; `is_told` says whether one that was right there would have been learned.
pub(crate) fn check(examples: &Examples, example: usize, step: i64, logits: &Logits, is_told: bool, tally: &mut Tally) {
    let Some(label) = examples.class(example).filter(|_| examples.learned_step.is_some()) else { return };
    let (prediction, lead) = logits.prediction();
    if lead < 1.0 {
        tally.check(true, String::new);
        return;
    }
    let (learned, right) = (examples.learned(example), prediction == label);
    if learned == Some(step) {
        tally.check(right, || {
            format!("example {example} was learned at step {step}, but its snapshot says {prediction}, not {label}")
        });
    } else if is_told && learned.is_none_or(|learned| learned > step) {
        let why = || format!("example {example} is right at the snapshot of step {step}, before it was learned");
        tally.check(!right, why);
    }
}
