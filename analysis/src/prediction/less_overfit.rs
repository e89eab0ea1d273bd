//! §3.2: the larger the winsorization level c, the less the network overfits.
//!
//! Measured as the overfit at the last evaluation, mean over seeds; holds if it falls strictly from each c to the next at
//! every noise level with two or more.

use super::falling::Falling;
use super::text::percent;
use super::{Level, Prediction};

pub(super) fn judge(grid: &[Vec<Level<'_>>]) -> Prediction {
    let number = Falling { name: "the final overfit", value: |run| run.final_overfit, text: percent, unit: "\u{a0}%" };
    let (measured, verdict) = number.judge(grid);
    Prediction {
        section: "3.2".into(),
        prediction: "The larger c, the less overfit".into(),
        measured_as: "overfit at the last evaluation, falling with c at each ε".into(),
        measured,
        verdict,
    }
}
