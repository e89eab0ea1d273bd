//! The statistics that are functions of ‖Σ g_i‖² and Σ ‖g_i‖² alone [S 8].

use crate::plain::zero;
use crate::tally::Number;

/// ‖Σ g_i‖² and Σ ‖g_i‖² of a number of examples, or estimates of them, and the sum of the absolute terms of the former.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Norms {
    pub examples: f64,
    pub norm_sq: f64,
    pub self_sum: f64,
    pub size: f64,
    /// Whether the examples are a sample of those that are meant.
    pub is_sample: bool,
}

/// The statistics, in any order.
pub(crate) const NAMES: [&str; 4] = ["m_coherence", "diversity", "aligned_fraction", "noise_scale"];

impl Norms {
    /// The statistic of one of the [`NAMES`].
    pub(crate) fn value(&self, name: &str) -> Option<Number> {
        let n = self.examples;
        let norm_sq = zero::or_zero(self.norm_sq, n, n * self.self_sum);
        // The part of the rounding of a quotient that comes from its denominator ‖Σ g‖².
        let of_norm = self.size.max(norm_sq.abs()) / norm_sq;
        let (value, scale) = match name {
            "m_coherence" => return number(norm_sq / self.self_sum, self.size / self.self_sum, self.self_sum),
            "diversity" => (self.self_sum / norm_sq, self.self_sum / norm_sq),
            "aligned_fraction" => ((norm_sq - self.self_sum) / norm_sq, (self.size + self.self_sum) / norm_sq),
            _ => {
                let (variance, mean_sq) = self.variance_and_mean()?;
                let of_mean = (self.size / (n * n) + variance / n).max(mean_sq) / mean_sq;
                let scale = (self.self_sum + self.size / n) / (n - 1.0) / mean_sq;
                return number(variance / mean_sq, scale * of_mean, mean_sq);
            }
        };
        number(value, scale * of_norm, norm_sq)
    }

    /// Of noise scale and diversity the reciprocal, which the interval is made of.
    pub(crate) fn reciprocal(&self, name: &str) -> Option<Number> {
        match name {
            "diversity" => self.value("m_coherence"),
            _ => {
                let (variance, mean_sq) = self.variance_and_mean()?;
                Some(Number::near(mean_sq / variance, self.size / (self.examples * self.examples) / variance))
            }
        }
    }

    /// tr Σ and |G|²; `None` for one example.
    fn variance_and_mean(&self) -> Option<(f64, f64)> {
        let n = self.examples;
        if n < 2.0 {
            return None;
        }
        let norm_sq = zero::or_zero(self.norm_sq, n, n * self.self_sum);
        let variance = zero::or_zero(self.self_sum - norm_sq / n, n, self.self_sum) / (n - 1.0);
        let pairs = zero::or_zero(norm_sq - self.self_sum, n, n * self.self_sum);
        Some((variance, if self.is_sample { pairs / (n * (n - 1.0)) } else { norm_sq / (n * n) }))
    }
}

fn number(value: f64, scale: f64, denominator: f64) -> Option<Number> {
    (denominator > 0.0 && denominator.is_finite() && value.is_finite()).then(|| Number::near(value, scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_and_orthogonal_gradients_by_hand() {
        let norms =
            |norm_sq| Norms { examples: 4.0, norm_sq, self_sum: 8.0, size: f64::abs(norm_sq), is_sample: false };
        let value = |norm_sq, name| norms(norm_sq).value(name).map(|number| number.value);
        assert_eq!(value(8.0, "m_coherence"), Some(1.0));
        assert_eq!(value(32.0, "m_coherence"), Some(4.0));
        assert_eq!(value(32.0, "diversity"), Some(0.25));
        assert_eq!(value(32.0, "aligned_fraction"), Some(0.75));
        assert_eq!(value(32.0, "noise_scale"), Some(0.0));
        // tr Σ = (8 − 8/4)/3 = 2, ‖ḡ‖² = 8/16.
        assert_eq!(value(8.0, "noise_scale"), Some(4.0));
        assert_eq!((value(0.0, "diversity"), value(1e-15, "diversity")), (None, None));
        // ‖ḡ‖² of orthogonal gradients of a sample is all bias; of 20 there is (20 − 8)/12 left, and tr Σ = 1.
        let sampled = |norm_sq| Norms { is_sample: true, ..norms(norm_sq) }.value("noise_scale");
        assert_eq!((sampled(8.0), sampled(20.0).unwrap().value), (None, 1.0));
    }
}
