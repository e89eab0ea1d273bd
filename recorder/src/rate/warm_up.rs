//! A linear rise to the learning rate over the first steps (Goyal et al. 2017).

/// (t + 1) / W for the steps t below W, then 1.
pub(super) fn factor(step: u64, steps: u64) -> f64 {
    if step < steps { (step + 1) as f64 / steps as f64 } else { 1.0 }
}
