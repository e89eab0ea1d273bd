//! §3.3: the larger the winsorization level c, the slower overfit grows.
//!
//! Measured as the least-squares slope of overfit over the run, mean over seeds; holds if it falls strictly from each c to
//! the next at every noise level with two or more.

use super::falling::Falling;
use super::text::number;
use super::{Level, Prediction};

pub(super) fn judge(grid: &[Vec<Level<'_>>]) -> Prediction {
    let number = Falling {
        name: "the slope of overfit in points per 1\u{202f}000\u{a0}steps",
        value: |run| run.overfit_slope.map(|slope| 100.0 * slope),
        text: number,
        unit: "",
    };
    let (measured, verdict) = number.judge(grid);
    Prediction {
        section: "3.3".into(),
        prediction: "The larger c, the slower overfit grows".into(),
        measured_as: "least-squares slope of overfit over the run, falling with c at each ε".into(),
        measured,
        verdict,
    }
}
