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

use super::contribution::Contributions;
use super::decomposition::Decomposition;
use super::designation::Designation;
use super::linear::Linear;

/// Weight w_t of each recorded step's α in K, positive in the first tenth and negative in the last.
fn weights(decomposition: &[Decomposition]) -> Option<Vec<f64>> {
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

/// K as a linear permutation statistic.
pub fn linear(
    contributions: &Contributions,
    decomposition: &[Decomposition],
    designation: &Designation,
) -> Option<Linear> {
    let weights = weights(decomposition)?;
    let mut scores = vec![0.0; contributions.examples()];
    for (of_step, weight) in contributions.by_step().zip(weights).filter(|(_, weight)| *weight != 0.0) {
        let total: f64 = of_step.iter().sum();
        scores.iter_mut().zip(of_step).for_each(|(score, contribution)| *score += weight * contribution / total);
    }
    Linear::new(0.0, scores, designation)
}
