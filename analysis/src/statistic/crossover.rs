//! The crossover statistic: how much higher α is at the start of training than at its end.
//!
//! ```text
//! K = mean of α over the first tenth of the recorded steps − mean of α over the last tenth
//! ```
//!
//! A tenth of T recorded steps is max(1, ⌊T/10⌋) of them; steps whose α is missing are left out of their mean. In a null
//! world α keeps to the group size at every step, so that `E[K] = 0`: the paper's "they cross over only in the real data" as
//! one number. K is a linear permutation statistic with scores Σ_t w_t s_{t,i}/‖g_t‖², w_t = ±1/(steps in the mean).
//! Missing if fewer than two steps are recorded, or a mean has no step. Source: §2.4; [S 3.2].

use super::decomposition::Decomposition;
use super::designation::Designation;
use super::grouping::Grouping;
use super::linear::{Contrast, Family, Linear};
use super::scores::Scores;

/// Weight w_t of each recorded step's α in K, positive in the first tenth and negative in the last; `None` if K is missing.
pub fn weights(decomposition: &[Decomposition]) -> Option<Vec<f64>> {
    let steps = decomposition.len();
    if steps < 2 {
        return None;
    }
    let tenth = (steps / 10).max(1);
    let mut weights = vec![0.0; steps];
    for (range, sign) in [(0..tenth, 1.0), (steps - tenth..steps, -1.0)] {
        let present: Vec<usize> = range.filter(|&t| decomposition[t].alpha.is_some()).collect();
        if present.is_empty() {
            return None;
        }
        present.iter().for_each(|&t| weights[t] = sign / present.len() as f64);
    }
    Some(weights)
}

/// K of a world, from its decomposition at every recorded step.
pub fn value(decomposition: &[Decomposition]) -> Option<f64> {
    let weights = weights(decomposition)?;
    Some(decomposition.iter().zip(weights).filter_map(|(at_step, weight)| Some(at_step.alpha? * weight)).sum())
}

/// K, the one member of its family; it has none if `scores` were made without the weights.
pub fn family(scores: &Scores<'_>, designation: &Designation) -> Family {
    let grouping = Grouping::from(designation);
    let row = scores.crossover_row();
    let first = row.start;
    let member =
        |place: usize, contrast: &Contrast| Some(Linear::new(0.0, 1.0, scores.spread(first + place)?, contrast));
    Family::new(designation.has_both().then(|| Contrast::sum(&grouping, 0)), row, member)
}
