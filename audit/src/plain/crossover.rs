//! The crossover statistic K of a group: mean of its share over the first tenth of the recorded steps less its mean over the
//! last [S 2.3].

use crate::plain::moments::Scores;
use crate::tally::Number;

/// Weight of each step's share in K, from whether there is one; `None` if K is missing.
pub(crate) fn weights(is_there: &[bool]) -> Option<Vec<f64>> {
    let steps = is_there.len();
    if steps < 2 {
        return None;
    }
    let tenth = (steps / 10).max(1);
    let mut weights = vec![0.0; steps];
    let present = |range: std::ops::Range<usize>| range.filter(|&t| is_there[t]);
    let (first, last) = (present(0..tenth).count(), present(steps - tenth..steps).count());
    if first == 0 || last == 0 {
        return None;
    }
    present(0..tenth).for_each(|t| weights[t] = 1.0 / first as f64);
    present(steps - tenth..steps).for_each(|t| weights[t] = -1.0 / last as f64);
    Some(weights)
}

/// K of a group, from its share at each step.
pub(crate) fn value(shares: impl IntoIterator<Item = Option<Number>>, weights: &[f64]) -> Number {
    let (mut sum, mut scale) = (0.0, 0.0);
    for (share, weight) in shares.into_iter().zip(weights) {
        if let Some(share) = share {
            sum += weight * share.value;
            scale += weight.abs() * share.scale;
        }
    }
    Number::near(sum, scale)
}

/// The scores of which K is the sum over the examples of the group: Σ_t w_t s_{t,i}/‖g_t‖².
pub(crate) fn scores(contributions: &[Vec<f64>], weights: &[f64]) -> Scores {
    let mut scores = vec![0.0; contributions.first().map_or(0, Vec::len)];
    let (mut sizes, mut terms) = (scores.clone(), 0);
    for (row, weight) in contributions.iter().zip(weights).filter(|(_, weight)| **weight != 0.0) {
        let total: f64 = row.iter().sum();
        terms += 1;
        for ((score, size), value) in scores.iter_mut().zip(&mut sizes).zip(row) {
            *score += weight * value / total;
            *size += (weight * value / total).abs();
        }
    }
    Scores::of_sums(scores, terms, &sizes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_without_a_share_are_left_out_of_their_tenth() {
        let mut is_there = vec![true; 21];
        (is_there[1], is_there[20]) = (false, false);
        let weights = weights(&is_there).unwrap();
        let found: Vec<(usize, f64)> =
            weights.iter().copied().enumerate().filter(|(_, weight)| *weight != 0.0).collect();
        assert_eq!(found, [(0, 1.0), (19, -1.0)]);
        assert!(super::weights(&[true]).is_none() && super::weights(&[false, true]).is_none());
        let shares = |last| [Some(Number::plain(0.75)), None, Some(Number::plain(last))];
        assert_eq!(value(shares(0.25), &[1.0, 0.0, -1.0]).value, 0.5);
        assert_eq!(scores(&[vec![3.0, 1.0], vec![0.0, 0.0], vec![1.0, 3.0]], &[1.0, 0.0, -1.0]).values, [0.5, -0.5]);
    }
}
