//! §2.2: pristine examples are learned before corrupt ones, within a dataset.
//!
//! Measured as the median learning step of all pristine and of all corrupt training examples, mean over seeds; an example
//! never learned is later than any that is. Holds if the pristine median is smaller at every noise level with both groups.

use super::text::{noise_text, sentence, step_text};
use super::{Level, Prediction, is_less, verdict};

pub(super) fn judge(levels: &[Level<'_>]) -> Prediction {
    let medians: Vec<(&Level<'_>, f64, f64)> = levels
        .iter()
        .filter_map(|level| {
            Some((level, level.mean(|run| run.median_pristine)?, level.mean(|run| run.median_corrupt)?))
        })
        .collect();
    let text = |(level, pristine, corrupt): &(&Level<'_>, f64, f64)| {
        let steps = level.runs.iter().map(|run| run.steps).max().unwrap_or(0);
        format!(
            "{}\u{a0}/\u{a0}{} ({})",
            step_text(*pristine, steps),
            step_text(*corrupt, steps),
            noise_text(level.noise)
        )
    };
    let texts: Vec<String> = medians.iter().map(text).collect();
    Prediction {
        section: "2.2".into(),
        prediction: "Pristine examples are learned before corrupt ones".into(),
        measured_as: "median learning step of pristine / corrupt training examples, at each ε with both".into(),
        measured: sentence("median learning steps, pristine / corrupt:", &texts, 1, "no noise level has both groups"),
        verdict: verdict(medians.iter().map(|&(_, pristine, corrupt)| is_less(pristine, corrupt))),
    }
}
