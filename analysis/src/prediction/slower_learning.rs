//! §2.2: more noise, slower learning.
//!
//! Measured as the first evaluated step at which the training loss is at most half of its value at step 0, mean over
//! seeds; holds if it rises strictly from each noise level to the next. A level never reached counts as later than any
//! that is; two such in a row tell nothing.

use super::text::{noise_text, sentence, step_text};
use super::{Level, Prediction, means, rises};

pub(super) fn judge(levels: &[Level<'_>]) -> Prediction {
    let values = means(levels, |run| run.half_loss_step);
    let steps = levels.iter().flat_map(|level| &level.runs).map(|run| run.steps).max().unwrap_or(0);
    let texts: Vec<String> =
        values.iter().map(|&(noise, step)| format!("{} ({})", step_text(step, steps), noise_text(noise))).collect();
    Prediction {
        section: "2.2".into(),
        prediction: "More noise, slower learning".into(),
        measured_as: "first evaluated step with at most half of the initial training loss, rising with ε".into(),
        measured: sentence(
            "half of the initial training loss is reached at step",
            &texts,
            2,
            "one noise level cannot show a trend",
        ),
        verdict: rises(&values),
    }
}
