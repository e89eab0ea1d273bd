//! Mean and spread of n scores, from which the exact null moments follow [S 3.1].

/// Scores that spread less than this, relative to the largest, are equal.
const RELATIVE_ZERO: f64 = 1e-12;

/// Moments of n finite scores.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moments {
    pub mean: f64,
    /// Population standard deviation: divided by n.
    pub spread: f64,
    /// Largest absolute score.
    pub largest: f64,
}

impl Moments {
    /// `None` if a score is not finite.
    pub(crate) fn of(scores: &[f64]) -> Option<Moments> {
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
        Some(Moments { mean, spread: (squares / n).sqrt(), largest })
    }

    /// Whether the scores differ by rounding only.
    pub(crate) fn is_constant(&self) -> bool {
        self.spread <= RELATIVE_ZERO * self.largest
    }
}
