//! When a sum is zero [S 9]: if it is no more than the rounding of its own n terms, |x| ≤ 8·n·ε·Σ|terms|, ε = 2⁻⁵².

/// The most that the rounding of so many terms, whose absolute values add up to `size`, may come to.
pub(crate) fn rounding(terms: f64, size: f64) -> f64 {
    8.0 * terms * f64::EPSILON * size
}

/// `sum`, or 0 if it is that of rounding.
pub(crate) fn or_zero(sum: f64, terms: f64, size: f64) -> f64 {
    if sum.abs() <= rounding(terms, size) { 0.0 } else { sum }
}
