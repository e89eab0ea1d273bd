//! The α/β decomposition of ‖g_t‖² into the shares of pristine and of corrupt examples.
//!
//! ```text
//! α_t = Σ_{i∈P} s_{t,i} / Σ_i s_{t,i}        β_t = Σ_{i∈C} s_{t,i} / Σ_i s_{t,i} = 1 − α_t
//! ```
//!
//! The cross terms are split equally between the two; either can be negative or exceed 1. Null worlds:
//! `E[α_t] = |P|/n`, `Var[α_t] = |P||C| σ_t² / ((n−1) n² s̄_t²)`. Missing where ‖g_t‖² is 0 (or not positive, or not
//! finite, by rounding or overflow), and in every step where P or C is empty. Source: §2.4, Figure 2; [S 2.1], [S 3.1].

use super::contribution::Contributions;
use super::designation::Designation;
use super::linear::Family;
use super::scores::Scores;
use super::share;

/// The decomposition at one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decomposition {
    /// α_t, the pristine share.
    pub alpha: Option<f64>,
    /// β_t, the corrupt share.
    pub beta: Option<f64>,
    /// ‖g_t‖² = Σ_i s_{t,i} over the sampled examples and coordinates, in units of loss per learning rate; `None` if it is
    /// not finite.
    pub gradient_norm_sq: Option<f64>,
}

/// One decomposition a recorded step.
pub fn decompose(contributions: &Contributions, designation: &Designation) -> Vec<Decomposition> {
    contributions.by_step().map(|of_step| at_step(of_step, designation)).collect()
}

fn at_step(of_step: &[f64], designation: &Designation) -> Decomposition {
    let (pristine, corrupt) = designation.sums(of_step);
    let total: f64 = of_step.iter().sum();
    let share = |sum: f64| (designation.has_both() && total > 0.0 && total.is_finite()).then(|| sum / total);
    let gradient_norm_sq = total.is_finite().then_some(total);
    Decomposition { alpha: share(pristine), beta: share(corrupt), gradient_norm_sq }
}

/// α_t, one member a recorded step.
pub fn family(scores: &Scores<'_>, designation: &Designation) -> Family {
    let of_pristine = share::family(scores, &designation.into(), 0);
    if designation.has_both() { of_pristine } else { Family::new(None, scores.step_rows(), |_, _| None) }
}
