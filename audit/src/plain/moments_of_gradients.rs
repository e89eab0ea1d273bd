//! The statistics that are functions of ‖Σ g_i‖² and Σ ‖g_i‖² alone [S 8].

use crate::tally::Number;

/// ‖Σ g_i‖² and Σ ‖g_i‖² of a number of examples, or estimates of them, and the sum of the absolute terms of the former.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Norms {
    pub examples: f64,
    pub norm_sq: f64,
    pub self_sum: f64,
    pub size: f64,
}

/// The statistics, in any order.
pub(crate) const NAMES: [&str; 5] =
    ["m_coherence", "diversity", "aligned_fraction", "noise_scale", "normalised_variance"];

impl Norms {
    /// The statistic of one of the [`NAMES`].
    pub(crate) fn value(&self, name: &str) -> Option<Number> {
        let (n, norm_sq, self_sum) = (self.examples, self.norm_sq, self.self_sum);
        // The part of the rounding of a quotient that comes from its denominator ‖Σ g‖².
        let of_norm = self.size.max(norm_sq.abs()) / norm_sq;
        let number = match name {
            "m_coherence" => return number(norm_sq / self_sum, self.size / self_sum, self_sum),
            "diversity" => (self_sum / norm_sq, self_sum / norm_sq),
            "aligned_fraction" => ((norm_sq - self_sum) / norm_sq, (self.size + self_sum) / norm_sq),
            _ if n < 2.0 => return None,
            _ => {
                // tr(Σ)/‖ḡ‖², which is both the noise scale and the normalised variance.
                let mean_sq = norm_sq / (n * n);
                let variance = (self_sum - norm_sq / n) / (n - 1.0);
                (variance / mean_sq, (self_sum + self.size / n) / (n - 1.0) / mean_sq)
            }
        };
        self::number(number.0, number.1 * of_norm, norm_sq)
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
        let norms = |norm_sq| Norms { examples: 4.0, norm_sq, self_sum: 8.0, size: norm_sq };
        let value = |norm_sq, name| norms(norm_sq).value(name).map(|number| number.value);
        assert_eq!(value(8.0, "m_coherence"), Some(1.0));
        assert_eq!(value(32.0, "m_coherence"), Some(4.0));
        assert_eq!(value(32.0, "diversity"), Some(0.25));
        assert_eq!(value(32.0, "aligned_fraction"), Some(0.75));
        assert_eq!(value(32.0, "noise_scale"), Some(0.0));
        // tr Σ = (8 − 8/4)/3 = 2, ‖ḡ‖² = 8/16.
        assert_eq!(value(8.0, "noise_scale"), Some(4.0));
        assert_eq!(value(0.0, "diversity"), None);
    }
}
