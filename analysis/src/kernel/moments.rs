//! The two numbers that the closed-form coherence statistics are functions of.
//!
//! ```text
//! ‖Σ_i g_i‖² = n(n−1) O + n Q        Σ_i ‖g_i‖² = n Q
//! ```
//!
//! with O the mean inner product of two distinct examples and Q the mean self term. In a resample they are functions of O
//! and Q taken over pairs of *distinct* examples, since a pair of an example with itself tells nothing of agreement. Of the
//! population of m examples they are estimated by m in place of n [S 8.1], and known where all contributions are [S 2].

/// ‖Σ g_i‖² and Σ ‖g_i‖² of a number of examples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// Number of examples, n or m.
    pub examples: f64,
    /// ‖Σ_i g_i‖², or an estimate of it.
    pub norm_sq: f64,
    /// Σ_i ‖g_i‖², or an estimate of it.
    pub self_sum: f64,
}

impl Moments {
    /// From O and Q; `None` if there is no pair of distinct examples, unless one example is all there are.
    pub fn of_means(examples: usize, pair_mean: Option<f64>, self_mean: f64) -> Option<Moments> {
        let pair_mean = if examples == 1 { Some(0.0) } else { pair_mean };
        let examples = examples as f64;
        let self_sum = examples * self_mean;
        Some(Moments { examples, norm_sq: examples * (examples - 1.0) * pair_mean? + self_sum, self_sum })
    }

    /// From Σ s_i and Σ q_i, the sums of all contributions and self terms.
    pub fn of_sums(examples: usize, contributions: f64, self_terms: f64) -> Moments {
        Moments { examples: examples as f64, norm_sq: contributions, self_sum: self_terms }
    }

    /// ‖ḡ‖², of the mean gradient.
    pub fn mean_norm_sq(&self) -> f64 {
        self.norm_sq / (self.examples * self.examples)
    }

    /// tr(Σ) = (Σ q_i − n‖ḡ‖²)/(n − 1), the variance of the gradients summed over coordinates; `None` for one example.
    pub fn variance(&self) -> Option<f64> {
        let spread = self.self_sum - self.norm_sq / self.examples;
        (self.examples > 1.0).then(|| spread / (self.examples - 1.0))
    }
}

/// `numerator`/`denominator` where that is positive and both are finite.
pub(crate) fn ratio(numerator: f64, denominator: f64) -> Option<f64> {
    Some(numerator / denominator).filter(|ratio| denominator > 0.0 && denominator.is_finite() && ratio.is_finite())
}
