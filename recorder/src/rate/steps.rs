//! A learning rate that falls at chosen steps.

/// γ^k, k of the milestones having been reached.
pub(super) fn factor(step: u64, milestones: &[u64], decay: f64) -> f64 {
    milestones.iter().filter(|milestone| **milestone <= step).fold(1.0, |product, _| product * decay)
}
