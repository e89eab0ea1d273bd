//! The Clopper–Pearson interval of a proportion [S 3.2], by bisection of the Beta distribution function.

use statrs::distribution::{Beta, ContinuousCDF};

/// Probability left out at each end.
const TAIL: f64 = 0.025;

/// The 95 % interval for `successes` of `trials`, at least 1.
pub(crate) fn interval(successes: u32, trials: u32) -> (f64, f64) {
    let (x, n) = (f64::from(successes), f64::from(trials));
    let lower = if successes == 0 { 0.0 } else { quantile(x, n - x + 1.0, TAIL) };
    let upper = if successes == trials { 1.0 } else { quantile(x + 1.0, n - x, 1.0 - TAIL) };
    (lower, upper)
}

/// Where the distribution function of Beta(a, b) reaches `probability`.
fn quantile(a: f64, b: f64, probability: f64) -> f64 {
    let Ok(beta) = Beta::new(a, b) else { return f64::NAN };
    let (mut low, mut high) = (0.0, 1.0);
    // 50 halvings: far more than the 10⁻⁷ asked for.
    for _ in 0..50 {
        let middle = (low + high) / 2.0;
        if beta.cdf(middle) < probability {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low + high) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_of_textbooks() {
        // No success of n: 1 − 0.025^(1/n).
        let (lower, upper) = interval(0, 10);
        assert!(lower == 0.0 && (upper - (1.0 - 0.025_f64.powf(0.1))).abs() < 1e-12);
        // 4 of 20, tables of Clopper & Pearson: 0.0573 to 0.4366.
        let (lower, upper) = interval(4, 20);
        assert!((lower - 0.0573).abs() < 1e-4 && (upper - 0.4366).abs() < 1e-4, "{lower} {upper}");
    }
}
