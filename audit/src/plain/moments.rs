//! Mean and spread of n scores, from which the exact null moments follow [S 3.1].

/// Scores that spread less than this, relative to the sizes of their terms, are equal.
const RELATIVE_ZERO: f64 = 1e-12;

/// n scores, and below what their spread is rounding.
#[derive(Clone, Debug)]
pub(crate) struct Scores {
    pub values: Vec<f64>,
    zero: f64,
}

impl Scores {
    /// Of one term each.
    pub(crate) fn of_terms(values: Vec<f64>) -> Scores {
        let largest = values.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
        Scores { values, zero: RELATIVE_ZERO * largest }
    }

    /// Of so many terms each, of which `sizes` are the absolute sums.
    pub(crate) fn of_sums(values: Vec<f64>, terms: usize, sizes: &[f64]) -> Scores {
        let largest = sizes.iter().copied().fold(0.0, f64::max);
        Scores { values, zero: largest * RELATIVE_ZERO.max(8.0 * terms as f64 * f64::EPSILON) }
    }
}

/// Moments of n finite scores.
#[derive(Clone, Debug)]
pub(crate) struct Moments {
    /// The scores less their mean, and that less its mean, which rounding leaves.
    pub centred: Vec<f64>,
    /// Population standard deviation: divided by n.
    pub spread: f64,
    /// Largest absolute score.
    pub largest: f64,
    is_constant: bool,
}

impl Moments {
    /// `None` if a score is not finite.
    pub(crate) fn new(Scores { values: scores, zero }: &Scores) -> Option<Moments> {
        let n = scores.len() as f64;
        let mut largest = 0.0_f64;
        for &score in scores {
            if !score.is_finite() {
                return None;
            }
            largest = largest.max(score.abs());
        }
        let mut centred = scores.clone();
        for _ in 0..2 {
            let mean = centred.iter().sum::<f64>() / n;
            centred.iter_mut().for_each(|score| *score -= mean);
        }
        let spread = (centred.iter().map(|score| score * score).sum::<f64>() / n).sqrt();
        Some(Moments { centred, spread, largest, is_constant: spread <= *zero })
    }

    /// Whether the scores differ by rounding only.
    pub(crate) fn is_constant(&self) -> bool {
        self.is_constant
    }
}
