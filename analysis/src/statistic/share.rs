//! The share of each group in ‖g_t‖².
//!
//! ```text
//! share_k,t = Σ_{i∈k} s_{t,i} / Σ_i s_{t,i} = ⟨g_t, g^k_t⟩ / ⟨g_t, g_t⟩,  g^k_t the sum of group k's gradients
//! ```
//!
//! The shares of all groups add up to 1; cross terms are split equally between two groups, and a share can be negative or
//! exceed 1. α is that of the pristine examples. Null worlds: E = n_k/n, Var = n_k(n−n_k) σ_t² / ((n−1) n² s̄_t²). Missing
//! where ‖g_t‖² is not positive or not finite; that of an empty group is 0, with nothing to test. Source: §2.4,
//! generalised; [S 3.3].

use super::contribution::Contributions;
use super::grouping::Grouping;
use super::linear::{Contrast, Family, Linear};
use super::scores::Scores;

/// The shares of the groups, in order, at every recorded step.
pub fn shares(contributions: &Contributions, grouping: &Grouping) -> Vec<Vec<Option<f64>>> {
    let at_step = |of_step: &[f64]| {
        let total: f64 = of_step.iter().sum();
        let share = |sum: f64| (total > 0.0 && total.is_finite()).then(|| sum / total);
        grouping.sums(of_step).into_iter().map(share).collect()
    };
    contributions.by_step().map(at_step).collect()
}

/// The share of one group, one member a recorded step.
pub fn family(scores: &Scores<'_>, grouping: &Grouping, group: usize) -> Family {
    let expected = grouping.sizes()[group] as f64 / grouping.examples() as f64;
    let member = |place: usize, contrast: &Contrast| {
        let (total, spread) = (scores.total(place)?, scores.spread(place)?);
        Some(Linear::new(expected, 1.0 / total, spread, contrast))
    };
    Family::new(Some(Contrast::sum(grouping, group)), scores.step_rows(), member)
}
