//! Mean and spread of n scores, from which the exact null moments follow [S 3.1].

use crate::plain::zero;

/// Scores that spread less than this, relative to the size of their terms, are equal.
const RELATIVE_ZERO: f64 = 1e-12;

/// Scores of n examples, each the sum of so many terms whose absolute values add up to `size` at most.
#[derive(Clone, Debug)]
pub(crate) struct Scores {
    pub values: Vec<f64>,
    pub terms: f64,
    pub size: f64,
}

impl Scores {
    /// Of one term each.
    pub(crate) fn plain(values: Vec<f64>) -> Scores {
        let size = values.iter().fold(0.0_f64, |size, value| size.max(value.abs()));
        Scores { values, terms: 1.0, size }
    }

    /// Σ_t w_t x_{t,i} of every example i, so far: one a step.
    pub(crate) fn sums(rows: &[Vec<f64>], weights: &[f64]) -> Vec<Scores> {
        let examples = rows.first().map_or(0, Vec::len);
        let (mut sums, mut sizes, mut terms) = (vec![0.0; examples], vec![0.0; examples], 0.0);
        let mut all = Vec::new();
        for (row, weight) in rows.iter().zip(weights).filter(|(_, weight)| **weight != 0.0) {
            terms += 1.0;
            for ((sum, size), value) in sums.iter_mut().zip(&mut sizes).zip(row) {
                *sum += weight * value;
                *size += (weight * value).abs();
            }
            let size = sizes.iter().copied().fold(0.0, f64::max);
            all.push(Scores { values: sums.clone(), terms, size });
        }
        all
    }
}

/// Moments of n finite scores.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moments {
    pub mean: f64,
    /// Population standard deviation: divided by n.
    pub spread: f64,
    /// Largest absolute score.
    pub largest: f64,
    is_constant: bool,
}

impl Moments {
    /// `None` if a score is not finite.
    pub(crate) fn of(Scores { values: scores, terms, size }: &Scores) -> Option<Moments> {
        let n = scores.len() as f64;
        let (mut sum, mut largest) = (0.0, 0.0_f64);
        for &score in scores {
            if !score.is_finite() {
                return None;
            }
            sum += score;
            largest = largest.max(score.abs());
        }
        let mean = sum / n;
        let mut squares = 0.0;
        for &score in scores {
            squares += (score - mean) * (score - mean);
        }
        let spread = (squares / n).sqrt();
        let is_constant = spread <= RELATIVE_ZERO * size || zero::or_zero(spread, *terms, *size) == 0.0;
        Some(Moments { mean, spread, largest, is_constant })
    }

    /// Whether the scores differ by rounding only.
    pub(crate) fn is_constant(&self) -> bool {
        self.is_constant
    }
}
