//! §2.4: early on a mean pristine example contributes more than a mean corrupt one.
//!
//! Measured as D after the first ten steps: positive (mean over seeds), with a pointwise permutation p-value of at most
//! 0.05 in every run, at every noise level with both groups among the sampled examples.

use super::text::{noise_text, number, p_texts, sentence};
use super::{Level, Prediction, all_significant, verdict};
use crate::statistic::permutation::Test;

pub(super) fn judge(levels: &[Level<'_>]) -> Prediction {
    let judged: Vec<&Level<'_>> =
        levels.iter().filter(|level| level.runs.iter().any(|run| run.group_size.is_some())).collect();
    let texts: Vec<String> = judged.iter().map(|level| text(level)).collect();
    Prediction {
        section: "2.4".into(),
        prediction: "Pristine examples contribute more early on".into(),
        measured_as: "D after the first ten steps positive with p\u{a0}≤\u{a0}0.05, at each ε with both groups".into(),
        measured: sentence("D after ten steps is", &texts, 1, "no noise level has both groups"),
        verdict: verdict(judged.iter().flat_map(|level| comparisons(level))),
    }
}

fn tests(level: &Level<'_>) -> Vec<Test> {
    level.runs.iter().filter(|run| run.group_size.is_some()).map(|run| run.difference_10).collect()
}

fn comparisons(level: &Level<'_>) -> [Option<bool>; 2] {
    [level.mean(|run| run.difference_10.value).map(|value| value > 0.0), all_significant(&tests(level))]
}

fn text(level: &Level<'_>) -> String {
    let value = level.mean(|run| run.difference_10.value).map_or_else(|| "missing".to_string(), number);
    format!("{value} ({}, {})", noise_text(level.noise), p_texts(&tests(level)))
}
