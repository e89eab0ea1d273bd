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

use statrs::distribution::{Beta, ContinuousCDF};

/// Both tails together.
const OUTSIDE: f64 = 0.05;

/// The 95 % interval (lower, upper) for `successes` of `trials`; `None` if there are no trials, or fewer than successes.
pub fn interval(successes: u32, trials: u32) -> Option<(f64, f64)> {
    let failures = trials.checked_sub(successes).filter(|_| trials > 0)?;
    let (x, rest) = (f64::from(successes), f64::from(failures));
    let lower = if successes == 0 { 0.0 } else { beta_quantile(x, rest + 1.0, OUTSIDE / 2.0)? };
    let upper = if failures == 0 { 1.0 } else { beta_quantile(x + 1.0, rest, 1.0 - OUTSIDE / 2.0)? };
    Some((lower, upper))
}

fn beta_quantile(a: f64, b: f64, probability: f64) -> Option<f64> {
    Some(Beta::new(a, b).ok()?.inverse_cdf(probability))
}
