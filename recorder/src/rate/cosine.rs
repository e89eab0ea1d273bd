//! A learning rate that falls as half a period of the cosine (Loshchilov & Hutter 2017, without restarts).

use std::f64::consts::PI;

/// r + (1 − r) (1 + cos(π t/T)) / 2, r being the final fraction: from 1 at the first step to r after the last.
pub(super) fn factor(step: u64, steps: u64, final_fraction: f64) -> f64 {
    let part = step as f64 / steps.max(1) as f64;
    final_fraction + (1.0 - final_fraction) * (1.0 + (PI * part).cos()) / 2.0
}
