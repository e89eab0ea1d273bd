//! When a sum is zero: if it is no more than the rounding of its own terms.
//!
//! ```text
//! |x| ≤ 8 · n · ε · Σ|terms|        ε = 2⁻⁵²
//! ```
//!
//! What is divided by a zero sum is missing. Source: [S 9].

/// Roundings that are allowed for a term.
pub(crate) const ROUNDINGS: f64 = 8.0;

/// `sum`, or 0 if it is only the rounding of `terms` terms whose absolute values add up to `size`.
pub fn or_zero(sum: f64, terms: f64, size: f64) -> f64 {
    if sum.abs() <= ROUNDINGS * terms * f64::EPSILON * size { 0.0 } else { sum }
}
