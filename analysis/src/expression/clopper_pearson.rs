//! Clopper–Pearson interval of a proportion, here of the Monte-Carlo estimate of a p-value.
//!
//! Of B null worlds, x at least as extreme as the actual one: the interval of the proportion that infinitely many worlds
//! would show, covered with probability at least 95 %:
//!
//! ```text
//! lower = Beta(x, B−x+1) quantile at 0.025 (0 if x = 0)      upper = Beta(x+1, B−x) quantile at 0.975 (1 if x = B)
//! ```
//!
//! Source: Clopper & Pearson 1934; [S 3.2].

use polars::prelude::{Column, DataFrame, DataType, PolarsResult};
use statrs::distribution::{Beta, ContinuousCDF};

/// Both tails together.
const OUTSIDE: f64 = 0.05;

/// Adds the columns `p_lower` and `p_upper`: the interval of a p-value of which `exceedances` of `worlds` null worlds were at least
/// as extreme; null where there are none.
pub(crate) fn with_intervals(mut rows: DataFrame, worlds: u64) -> PolarsResult<DataFrame> {
    let counts = rows.column("exceedances")?.cast(&DataType::UInt32)?;
    let of_count = |count: Option<u32>| count.and_then(|count| interval(count, worlds as u32));
    let intervals: Vec<Option<(f64, f64)>> = counts.u32()?.iter().map(of_count).collect();
    let end = |end: fn((f64, f64)) -> f64| intervals.iter().map(|ends| ends.map(end)).collect::<Vec<Option<f64>>>();
    rows.with_column(Column::new("p_lower".into(), end(|ends| ends.0)))?;
    rows.with_column(Column::new("p_upper".into(), end(|ends| ends.1)))?;
    Ok(rows)
}

/// The 95 % interval (lower, upper) for `successes` of `trials`; `None` if there are no trials, or fewer than successes.
fn interval(successes: u32, trials: u32) -> Option<(f64, f64)> {
    let failures = trials.checked_sub(successes).filter(|_| trials > 0)?;
    let (x, rest) = (f64::from(successes), f64::from(failures));
    let lower = if successes == 0 { 0.0 } else { beta_quantile(x, rest + 1.0, OUTSIDE / 2.0)? };
    let upper = if failures == 0 { 1.0 } else { beta_quantile(x + 1.0, rest, 1.0 - OUTSIDE / 2.0)? };
    Some((lower, upper))
}

fn beta_quantile(a: f64, b: f64, probability: f64) -> Option<f64> {
    Some(Beta::new(a, b).ok()?.inverse_cdf(probability))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_by_hand_and_from_tables() {
        // x = 0 of 10: 1 − 0.025^(1/10); x = 10 of 10: 0.025^(1/10); 1 of 10 as tabled by Clopper & Pearson.
        let close = |(lower, upper): (f64, f64), expected: (f64, f64), within: f64| {
            assert!((lower - expected.0).abs() < within && (upper - expected.1).abs() < within, "{lower} to {upper}");
        };
        close(interval(0, 10).unwrap(), (0.0, 1.0 - 0.025_f64.powf(0.1)), 1e-9);
        close(interval(10, 10).unwrap(), (0.025_f64.powf(0.1), 1.0), 1e-9);
        close(interval(1, 10).unwrap(), (0.0025, 0.4450), 5e-5);
        assert_eq!(interval(0, 0), None);
        assert_eq!(interval(2, 1), None);
    }

    #[test]
    fn intervals_leave_a_fortieth_in_each_tail() {
        for (successes, trials) in [
            (1, 3),
            (5, 9),
            (1, 1000),
            (37, 1000),
            (999, 1000),
            (1, 10_000),
            (500, 10_000),
            (1, 100_000),
            (42_000, 100_000),
        ] {
            let (lower, upper) = interval(successes, trials).unwrap();
            let at_least = 1.0 - binomial_at_most(successes - 1, trials, lower);
            let at_most = binomial_at_most(successes, trials, upper);
            assert!(
                (at_least - 0.025).abs() < 1e-6 && (at_most - 0.025).abs() < 1e-6,
                "{successes} of {trials}: {at_least} and {at_most}"
            );
        }
    }

    /// P(X ≤ x) for X binomial, term by term.
    fn binomial_at_most(x: u32, trials: u32, p: f64) -> f64 {
        let mut logarithm = f64::from(trials) * (-p).ln_1p();
        let mut sum = logarithm.exp();
        for k in 1..=x {
            logarithm += (f64::from(trials - k + 1) / f64::from(k)).ln() + p.ln() - (-p).ln_1p();
            sum += logarithm.exp();
        }
        sum
    }
}
