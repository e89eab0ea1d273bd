//! Welch's t test of the difference of two means, whose variances may differ.
//!
//! With N_a and N_b values, means x̄_a and x̄_b, sample variances s²_a and s²_b, and v = s²/N of each:
//!
//! ```text
//! t = (x̄_a − x̄_b) / √(v_a + v_b)        ν = (v_a + v_b)² / (v_a²/(N_a − 1) + v_b²/(N_b − 1))
//! ```
//!
//! Two-sided p of t with ν degrees of freedom, and the 95 % interval x̄_a − x̄_b ± t_{0.975, ν} √(v_a + v_b). Missing with fewer than
//! two values on a side, or if neither side has any spread. Source: Welch 1947; [S 9.2].

use statrs::function::beta::checked_beta_reg;

use super::student_t;

/// The test of one difference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Welch {
    /// t.
    pub t: f64,
    /// ν, degrees of freedom.
    pub freedom: f64,
    /// Two-sided p-value.
    pub p: f64,
    /// Lower end of the 95 % interval of the difference.
    pub lower: f64,
    /// Upper end of the interval.
    pub upper: f64,
}

/// Tests whether the means behind the finite values `a` and `b` differ.
pub fn test(a: &[f64], b: &[f64]) -> Option<Welch> {
    let difference = student_t::mean(a)? - student_t::mean(b)?;
    let (of_a, of_b) = (student_t::variance(a)? / a.len() as f64, student_t::variance(b)? / b.len() as f64);
    let variance = of_a + of_b;
    let freedom = variance.powi(2) / (of_a.powi(2) / (a.len() - 1) as f64 + of_b.powi(2) / (b.len() - 1) as f64);
    if !(variance > 0.0 && freedom.is_finite()) {
        return None;
    }
    let deviation = variance.sqrt();
    let half = student_t::quantile(freedom)? * deviation;
    let t = difference / deviation;
    let p = two_sided(t, freedom)?;
    Some(Welch { t, freedom, p, lower: difference - half, upper: difference + half })
}

/// P(|T| ≥ |t|), in the form that keeps its precision where it is small.
fn two_sided(t: f64, freedom: f64) -> Option<f64> {
    checked_beta_reg(freedom / 2.0, 0.5, freedom / (freedom + t * t)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(value: f64, expected: f64) {
        assert!((value - expected).abs() < 1e-6 * expected.abs().max(1.0), "{value} is not {expected}");
    }

    #[test]
    fn three_against_three_by_hand() {
        // Means 2 and 6, s² = 1 and 4: v = 1/3 and 4/3, t = −4/√(5/3), ν = (5/3)² / ((1/9)/2 + (16/9)/2) = 50/17.
        let welch = test(&[1.0, 2.0, 3.0], &[4.0, 6.0, 8.0]).unwrap();
        close(welch.t, -4.0 / (5.0f64 / 3.0).sqrt());
        close(welch.freedom, 50.0 / 17.0);
        assert!((welch.p - 0.054_76).abs() < 2e-4, "{}", welch.p);
        close((welch.lower + welch.upper) / 2.0, -4.0);
        assert!(welch.upper > 0.0, "p is above 0.05, so the interval holds 0: {welch:?}");
    }

    #[test]
    fn with_two_degrees_of_freedom_p_has_a_closed_form() {
        // Two against two of equal spread: ν = 2, where P(|T| ≥ t) = 1 − t/√(2 + t²).
        let welch = test(&[0.0, 2.0], &[5.0, 7.0]).unwrap();
        close(welch.freedom, 2.0);
        let t = 5.0 / 2f64.sqrt();
        close(welch.t, -t);
        close(welch.p, 1.0 - t / (2.0 + t * t).sqrt());
    }

    #[test]
    fn exchanging_the_sides_changes_the_sign_only() {
        let (a, b) = ([0.3, 0.4, 0.1, 0.2], [0.9, 0.7]);
        let (one, other) = (test(&a, &b).unwrap(), test(&b, &a).unwrap());
        assert_eq!((one.t, one.p, one.lower), (-other.t, other.p, -other.upper));
    }

    #[test]
    fn nothing_is_tested_without_two_values_a_side_or_without_spread() {
        assert_eq!(test(&[1.0], &[2.0, 3.0]), None);
        assert_eq!(test(&[], &[]), None);
        assert_eq!(test(&[1.0, 1.0], &[2.0, 2.0]), None);
        assert!(test(&[1.0, 1.0], &[2.0, 3.0]).is_some());
    }
}
