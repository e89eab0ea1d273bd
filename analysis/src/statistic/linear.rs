//! Linear permutation statistics and their exact null moments.
//!
//! A statistic that is a constant plus a sum of fixed scores x_i over the pristine examples P is determined, under a
//! uniform permutation of the designations, by its expectation and the centred scores. With n examples:
//!
//! ```text
//! T = E[T] + Σ_{i∈P} (x_i − x̄)        Var[T] = |P||C| σ² / (n − 1),  σ² = Σ (x_i − x̄)² / n
//! z = (T − E[T]) / sd = Σ_{i∈P} y_i     y_i = (x_i − x̄) / sd
//! ```
//!
//! α_t, D_t and the crossover statistic are all of this kind, so that one matrix product of the rows y with 0/1 masks is
//! the standardised value of every statistic in every null world. Source: [S 3.1]; Hoeffding 1951 for the moments.

use super::designation::Designation;

/// Scores that spread less than this, relative to the largest, differ by rounding only.
const RELATIVE_ZERO: f64 = 1e-12;

/// A linear permutation statistic with its exact null moments.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// Exact expectation over null worlds.
    pub mean: f64,
    /// Exact standard deviation over null worlds; 0 if every world gives the same value.
    pub sd: f64,
    /// y_i, one an example; `None` if `sd` is 0, because then there is no z.
    pub standardised: Option<Vec<f64>>,
}

impl Linear {
    /// The statistic with expectation `mean` and scores x_i, one an example, in null worlds of `designation`.
    ///
    /// `None` if either group is empty or a score is not finite: there is nothing to permute.
    pub fn new(mean: f64, mut scores: Vec<f64>, designation: &Designation) -> Option<Linear> {
        if !designation.has_both() || !scores.iter().all(|score| score.is_finite()) {
            return None;
        }
        let n = scores.len() as f64;
        let largest = scores.iter().fold(0.0_f64, |largest, score| largest.max(score.abs()));
        let average = scores.iter().sum::<f64>() / n;
        scores.iter_mut().for_each(|score| *score -= average);
        let spread = (scores.iter().map(|score| score * score).sum::<f64>() / n).sqrt();
        if spread <= RELATIVE_ZERO * largest {
            return Some(Linear { mean, sd: 0.0, standardised: None });
        }
        let (pristine, corrupt) = (designation.pristine() as f64, designation.corrupt() as f64);
        let sd = spread * (pristine * corrupt / (n - 1.0)).sqrt();
        scores.iter_mut().for_each(|score| *score /= sd);
        Some(Linear { mean, sd, standardised: Some(scores) })
    }

    /// z of the world with the given designation; `None` if the standard deviation is 0.
    pub fn z(&self, designation: &Designation) -> Option<f64> {
        self.standardised.as_deref().map(|scores| designation.sums(scores).0)
    }
}
