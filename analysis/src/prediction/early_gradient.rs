//! §2.3: early in training, the more noise, the smaller the gradient norm.
//!
//! By Equation 1 the loss falls by η‖∇ℓ‖² a step. Measured as −Δ training loss per step from step 0 to the last
//! evaluated step not after 10, mean over seeds; holds if it falls strictly from each noise level to the next.

use super::text::{noise_text, number, sentence};
use super::{Level, Prediction, means, rises};

pub(super) fn judge(levels: &[Level<'_>]) -> Prediction {
    let values = means(levels, |run| run.early_slope);
    let texts: Vec<String> =
        values.iter().map(|&(noise, slope)| format!("{} ({})", number(slope), noise_text(noise))).collect();
    let falling: Vec<(f64, f64)> = values.iter().map(|&(noise, slope)| (noise, -slope)).collect();
    Prediction {
        section: "2.3".into(),
        prediction: "Early on, the more noise, the smaller the gradient norm".into(),
        measured_as: "−Δ training loss per step over the first ten steps, falling with ε".into(),
        measured: sentence(
            "early on the training loss falls per step by",
            &texts,
            2,
            "one noise level cannot show a trend",
        ),
        verdict: rises(&falling),
    }
}
