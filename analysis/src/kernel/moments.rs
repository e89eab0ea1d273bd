//! The two numbers that the closed-form coherence statistics are functions of.
//!
//! ```text
//! ‖Σ_i g_i‖² = n(n−1) O + n Q        Σ_i ‖g_i‖² = n Q
//! ```
//!
//! with O the mean inner product of two distinct examples and Q the mean self term. In a half they are functions of its O
//! and Q, with the same n. Of the population of m examples they are estimated by m in place of n [S 8.1], and known where all
//! contributions are [S 2]. ‖Σ_i g_i‖² is the sum of n² inner products, which add up to n Σ_i ‖g_i‖² in size at most: what is no more
//! than their rounding is zero.

use super::zero;

/// ‖Σ g_i‖² and Σ ‖g_i‖² of a number of examples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// Number of examples, n or m.
    pub examples: f64,
    /// ‖Σ_i g_i‖², or an estimate of it.
    pub norm_sq: f64,
    /// Σ_i ‖g_i‖², or an estimate of it.
    pub self_sum: f64,
    /// Whether the examples are a sample, whose ‖ḡ‖² exceeds that of what they are drawn from by tr(Σ)/n.
    pub sampled: bool,
}

impl Moments {
    /// From O and Q; `None` if there is no pair of distinct examples, unless one example is all there are.
    pub fn of_means(examples: usize, pair_mean: Option<f64>, self_mean: f64) -> Option<Moments> {
        let pair_mean = if examples == 1 { Some(0.0) } else { pair_mean };
        let n = examples as f64;
        let self_sum = n * self_mean;
        Some(Moments::of_sums(examples, n * (n - 1.0) * pair_mean? + self_sum, self_sum))
    }

    /// From Σ s_i and Σ q_i, the sums of all contributions and self terms.
    pub fn of_sums(examples: usize, contributions: f64, self_terms: f64) -> Moments {
        let examples = examples as f64;
        let norm_sq = zero::or_zero(contributions, examples, examples * self_terms);
        Moments { examples, norm_sq, self_sum: self_terms, sampled: false }
    }

    /// The same of a sample of the examples that are meant.
    pub fn of_sample(self) -> Moments {
        Moments { sampled: true, ..self }
    }

    /// ‖ḡ‖², of the mean gradient: of a sample, the unbiased estimate O.
    pub fn mean_norm_sq(&self) -> f64 {
        let n = self.examples;
        match self.sampled {
            true => zero::or_zero(self.norm_sq - self.self_sum, n, n * self.self_sum) / (n * (n - 1.0)),
            false => self.norm_sq / (n * n),
        }
    }

    /// tr(Σ) = (Σ q_i − ‖Σ g_i‖²/n)/(n − 1), the variance of the gradients summed over coordinates; `None` for one example.
    pub fn variance(&self) -> Option<f64> {
        let spread = self.self_sum - self.norm_sq / self.examples;
        (self.examples > 1.0).then(|| zero::or_zero(spread, self.examples, self.self_sum) / (self.examples - 1.0))
    }
}

/// `numerator`/`denominator` where that is positive and both are finite.
pub(crate) fn ratio(numerator: f64, denominator: f64) -> Option<f64> {
    Some(numerator / denominator).filter(|ratio| denominator > 0.0 && denominator.is_finite() && ratio.is_finite())
}
