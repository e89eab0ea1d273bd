//! §2.4: at 25 % and 50 % noise α starts above its null expectation and crosses over.
//!
//! Measured as α_0 − |P|/n > 0 (mean over seeds) and a positive crossover statistic (mean over seeds) with a permutation
//! p-value of at most 0.05 in every run. Judged at those of the two noise levels that were recorded.

use super::text::{noise_text, number, p_texts, sentence};
use super::{Level, Prediction, all_significant, verdict};
use crate::statistic::permutation::Test;

/// The noise levels of which the paper says it.
const NOISE: [f64; 2] = [0.25, 0.5];

pub(super) fn judge(levels: &[Level<'_>]) -> Prediction {
    let judged: Vec<&Level<'_>> = levels.iter().filter(|level| NOISE.contains(&level.noise)).collect();
    let texts: Vec<String> = judged.iter().map(|level| text(level)).collect();
    Prediction {
        section: "2.4".into(),
        prediction: "α starts above its null and crosses over (25\u{a0}%, 50\u{a0}% noise)".into(),
        measured_as: "α at step 0 above |P|/n; crossover statistic positive with p\u{a0}≤\u{a0}0.05".into(),
        measured: sentence("", &texts, 2, "the other of ε\u{a0}=\u{a0}0.25 and 0.5 was not recorded"),
        verdict: verdict(judged.iter().flat_map(|level| comparisons(level))),
    }
}

fn excess(level: &Level<'_>) -> Option<f64> {
    level.mean(|run| Some(run.alpha_0? - run.group_size?))
}

fn tests(level: &Level<'_>) -> Vec<Test> {
    level.runs.iter().map(|run| run.crossover).collect()
}

fn comparisons(level: &Level<'_>) -> [Option<bool>; 3] {
    let crossover = level.mean(|run| run.crossover.value);
    [excess(level).map(|excess| excess > 0.0), crossover.map(|value| value > 0.0), all_significant(&tests(level))]
}

fn text(level: &Level<'_>) -> String {
    let value = |value: Option<f64>| value.map_or_else(|| "missing".to_string(), number);
    format!(
        "at {} α starts at {} against a group size of {} and the crossover statistic is {} ({})",
        noise_text(level.noise),
        value(level.mean(|run| run.alpha_0)),
        value(level.mean(|run| run.group_size)),
        value(level.mean(|run| run.crossover.value)),
        p_texts(&tests(level)),
    )
}
