//! The mean over seeds, with Student's t interval.
//!
//! With N values of mean x̄ and sample variance s² = Σ (x − x̄)²/(N − 1):
//!
//! ```text
//! x̄ ± t_{0.975, N−1} · s/√N
//! ```
//!
//! the 95 % interval of the expectation if the seeds' values are independent and normal. Without a value there is no mean, with
//! one value no interval. Source: Student 1908; [S 9.1].

use statrs::distribution::{ContinuousCDF, StudentsT};

/// Both tails together.
const OUTSIDE: f64 = 0.05;

/// t_{0.975, ν}: 95 % of Student's t with ν degrees of freedom lie within ± this; `None` unless ν is positive.
pub(crate) fn quantile(freedom: f64) -> Option<f64> {
    Some(StudentsT::new(0.0, 1.0, freedom).ok()?.inverse_cdf(1.0 - OUTSIDE / 2.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (freedom, expected) in
            [(1.0, 12.706_204_736), (2.0, 4.302_652_730), (9.0, 2.262_157_163), (30.0, 2.042_272_456)]
        {
            assert!((quantile(freedom).unwrap() - expected).abs() < 1e-6);
        }
        assert_eq!(quantile(0.0), None);
    }
}
