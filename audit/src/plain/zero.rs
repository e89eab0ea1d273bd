//! When a sum is zero: what is left of its terms is rounding.

/// `value`, or 0 if it is at most 8 · `terms` · ε of `size`, the sum of the absolute values of so many terms.
pub(crate) fn rounded(value: f64, terms: f64, size: f64) -> f64 {
    if value.abs() <= 8.0 * terms * f64::EPSILON * size { 0.0 } else { value }
}
