//! §3.2: the larger the winsorization level c, the lower the training accuracy, because the data are harder to fit.
//!
//! Measured as the training accuracy at the last evaluation, mean over seeds; holds if it falls strictly from each c to
//! the next at every noise level above 0 with two or more.

use super::falling::Falling;
use super::text::percent;
use super::{Level, Prediction};

pub(super) fn judge(grid: &[Vec<Level<'_>>]) -> Prediction {
    let noisy: Vec<Vec<Level<'_>>> = grid.iter().filter(|levels| levels[0].noise > 0.0).cloned().collect();
    let number = Falling {
        name: "the final training accuracy",
        value: |run| run.final_train_accuracy,
        text: percent,
        unit: "\u{a0}%",
    };
    let (measured, verdict) = number.judge(&noisy);
    Prediction {
        section: "3.2".into(),
        prediction: "The larger c, the lower the training accuracy".into(),
        measured_as: "training accuracy at the last evaluation, falling with c at each ε\u{a0}>\u{a0}0".into(),
        measured,
        verdict,
    }
}
