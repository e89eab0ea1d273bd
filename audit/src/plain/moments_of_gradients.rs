//! The statistics that are functions of ‖Σ g_i‖² and Σ ‖g_i‖² alone [S 8].

use crate::plain::zero::rounded;
use crate::tally::Number;

/// ‖Σ g_i‖² and Σ ‖g_i‖² of a number of examples, or estimates of them, and the sum of the absolute terms of the former.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Norms {
    examples: f64,
    norm_sq: f64,
    self_sum: f64,
    size: f64,
    /// Whether the examples are a sample of those that are meant.
    is_sample: bool,
}

/// What f32 may lose of the squared norm of a half, in units of the absolute sum of its terms.
const OF_HALF: f64 = 1e-6;

/// The statistics, in any order.
pub(crate) const NAMES: [&str; 4] = ["m_coherence", "diversity", "aligned_fraction", "noise_scale"];

impl Norms {
    pub(crate) fn new(examples: usize, norm_sq: f64, self_sum: f64, size: f64, is_sample: bool) -> Norms {
        let n = examples as f64;
        // Its n² terms add up to n Σ ‖g‖² at most.
        Norms { examples: n, norm_sq: rounded(norm_sq, n * n, self_sum), self_sum, size, is_sample }
    }

    /// The statistic of one of the [`NAMES`].
    pub(crate) fn value(&self, name: &str) -> Option<Number> {
        let (norm_sq, self_sum) = (self.norm_sq, self.self_sum);
        let (value, scale) = match name {
            "m_coherence" => return number(norm_sq / self_sum, self.size / self_sum, self_sum),
            "diversity" => (self_sum / norm_sq, self_sum / norm_sq),
            "aligned_fraction" => ((norm_sq - self_sum) / norm_sq, (self.size + self_sum) / norm_sq),
            _ => {
                let (spread, signal) = self.spread_and_signal()?;
                let size = (self_sum / self.examples + self.signal_size()) / signal;
                return number(spread.max(0.0) / signal, size * (1.0 + self.signal_size() / signal), signal);
            }
        };
        // The part of the rounding of a quotient that comes from its denominator.
        number(value, scale * self.size.max(norm_sq.abs()) / norm_sq, norm_sq)
    }

    /// By how much a statistic of a half may be off, whose sums are of f32: where the squared norm nearly cancels, its rounding is what the
    /// aligned fraction is one over.
    pub(crate) fn slack(&self, name: &str) -> f64 {
        match name {
            "aligned_fraction" => OF_HALF * self.size / self.norm_sq.abs() * (self.self_sum / self.norm_sq.abs()),
            _ => 0.0,
        }
    }

    /// What the interval of diversity and noise scale is made of; `None` of the others.
    pub(crate) fn reciprocal(&self, name: &str) -> Option<Number> {
        match name {
            "diversity" => self.value("m_coherence"),
            "noise_scale" => {
                let (spread, signal) = self.spread_and_signal()?;
                number(signal / spread, self.signal_size() / spread, spread)
            }
            _ => None,
        }
    }

    /// tr Σ and the squared norm of the mean gradient, which a sample tells from its pairs; `None` of one example.
    fn spread_and_signal(&self) -> Option<(f64, f64)> {
        let (n, own) = (self.examples, self.self_sum / self.examples);
        let pairs = rounded(self.norm_sq - self.self_sum, n * n, self.self_sum) / (n * (n - 1.0));
        // Self terms that are not known are NaN.
        (n > 1.0 && !self.self_sum.is_nan())
            .then(|| (own - pairs, if self.is_sample { pairs } else { self.norm_sq / (n * n) }))
    }

    fn signal_size(&self) -> f64 {
        (self.size + self.self_sum) / (self.examples * (self.examples - 1.0))
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
        let norms = |norm_sq: f64| Norms::new(4, norm_sq, 8.0, norm_sq.abs(), false);
        let value = |norm_sq, name| norms(norm_sq).value(name).map(|number| number.value);
        assert_eq!(value(8.0, "m_coherence"), Some(1.0));
        assert_eq!(value(32.0, "m_coherence"), Some(4.0));
        assert_eq!(value(32.0, "diversity"), Some(0.25));
        assert_eq!(value(32.0, "aligned_fraction"), Some(0.75));
        assert_eq!(value(32.0, "noise_scale"), Some(0.0));
        // tr Σ = (8 − 8/4)/3 = 2, ‖ḡ‖² = 8/16.
        assert_eq!(value(8.0, "noise_scale"), Some(4.0));
        // What is left of terms of size 32 by rounding is 0.
        assert_eq!((value(1e-14, "m_coherence"), value(1e-14, "diversity")), (Some(0.0), None));
    }

    #[test]
    fn rounding_of_a_half_counts_where_its_squared_norm_cancels() {
        let slack = |norm_sq| Norms::new(4, norm_sq, 8.0, 64.0, false).slack("aligned_fraction");
        // 10⁻⁶ · 64/64 · 8/64, and 10⁻⁶ · 64/10⁻³ · 8/10⁻³.
        assert!((slack(64.0) - 1.25e-7).abs() < 1e-12 && (slack(1e-3) - 512.0).abs() < 1e-6);
        assert_eq!(Norms::new(4, 1e-3, 8.0, 64.0, false).slack("m_coherence"), 0.0);
    }

    #[test]
    fn a_sample_tells_the_signal_from_its_pairs() {
        // O = (20 − 8)/12 = 1, Q = 2.
        let of = |norm_sq: f64| Norms::new(4, norm_sq, 8.0, norm_sq.abs(), true);
        assert_eq!(of(20.0).value("noise_scale").unwrap().value, 1.0);
        assert!(of(8.0).value("noise_scale").is_none() && of(8.0).reciprocal("noise_scale").unwrap().value == 0.0);
        assert!(Norms::new(1, 2.0, 2.0, 2.0, true).value("noise_scale").is_none());
    }
}
