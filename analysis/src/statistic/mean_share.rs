//! The difference of two groups' shares per example.
//!
//! ```text
//! share_a,t/n_a − share_b,t/n_b = (mean of s_{t,i} over a − mean over b) / ‖g_t‖²
//! ```
//!
//! Positive where a mean example of group a contributes more to step t than one of b. Null worlds: E = 0,
//! Var = σ_t² n/((n−1) ‖g_t‖⁴) · (1/n_a + 1/n_b). Missing where ‖g_t‖² is not positive or not finite, and throughout if either
//! group is empty. Source: §2.4, generalised; [S 3.3].

use super::grouping::Grouping;
use super::linear::{Contrast, Family, Linear};
use super::scores::Scores;

/// The difference of groups `a` and `b`, one member a recorded step.
pub fn family(scores: &Scores<'_>, grouping: &Grouping, a: usize, b: usize) -> Family {
    let member = |place: usize, contrast: &Contrast| {
        let (total, spread) = (scores.total(place)?, scores.spread(place)?);
        Some(Linear::new(0.0, 1.0 / total, spread, contrast))
    };
    Family::new(Contrast::mean_difference(grouping, a, b), scores.step_rows(), member)
}
