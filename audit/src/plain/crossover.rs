//! The crossover statistic K: mean of α over the first tenth of the recorded steps less its mean over the last [S 2.3].

use crate::plain::decomposition::Decomposition;
use crate::tally::Number;

/// Weight of each step's α in K; `None` if K is missing.
pub(crate) fn weights(decomposition: &[Decomposition]) -> Option<Vec<f64>> {
    let steps = decomposition.len();
    if steps < 2 {
        return None;
    }
    let tenth = (steps / 10).max(1);
    let mut weights = vec![0.0; steps];
    let present = |range: std::ops::Range<usize>| range.filter(|&t| decomposition[t].alpha.is_some());
    let (first, last) = (present(0..tenth).count(), present(steps - tenth..steps).count());
    if first == 0 || last == 0 {
        return None;
    }
    present(0..tenth).for_each(|t| weights[t] = 1.0 / first as f64);
    present(steps - tenth..steps).for_each(|t| weights[t] = -1.0 / last as f64);
    Some(weights)
}

/// K.
pub(crate) fn value(decomposition: &[Decomposition]) -> Option<Number> {
    let weights = weights(decomposition)?;
    let (mut sum, mut scale) = (0.0, 0.0);
    for (step, weight) in decomposition.iter().zip(weights) {
        if let Some(alpha) = step.alpha {
            sum += weight * alpha.value;
            scale += weight.abs() * alpha.scale;
        }
    }
    Some(Number::near(sum, scale))
}

/// The scores of which K is the sum over the pristine examples: Σ_t w_t s_{t,i}/‖g_t‖².
pub(crate) fn scores(contributions: &[Vec<f64>], decomposition: &[Decomposition]) -> Option<Vec<f64>> {
    let weights = weights(decomposition)?;
    let mut scores = vec![0.0; contributions.first().map_or(0, Vec::len)];
    for (row, weight) in contributions.iter().zip(weights).filter(|(_, weight)| *weight != 0.0) {
        let total: f64 = row.iter().sum();
        for (score, value) in scores.iter_mut().zip(row) {
            *score += weight * value / total;
        }
    }
    Some(scores)
}
