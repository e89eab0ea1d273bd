//! §2.2: the fewer pristine examples, the slower they are learned.
//!
//! Measured as the median learning step of all pristine training examples, mean over seeds; holds if it rises strictly
//! from each noise level to the next.

use super::text::{noise_text, sentence, step_text};
use super::{Level, Prediction, means, rises};

pub(super) fn judge(levels: &[Level<'_>]) -> Prediction {
    let values = means(levels, |run| run.median_pristine);
    let steps = levels.iter().flat_map(|level| &level.runs).map(|run| run.steps).max().unwrap_or(0);
    let texts: Vec<String> =
        values.iter().map(|&(noise, step)| format!("{} ({})", step_text(step, steps), noise_text(noise))).collect();
    Prediction {
        section: "2.2".into(),
        prediction: "The fewer pristine examples, the slower they are learned".into(),
        measured_as: "median learning step of the pristine training examples, rising with ε".into(),
        measured: sentence(
            "half of the pristine examples are learned by step",
            &texts,
            2,
            "one noise level cannot show a trend",
        ),
        verdict: rises(&values),
    }
}
