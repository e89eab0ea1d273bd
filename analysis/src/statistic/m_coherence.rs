//! m-coherence: to how many examples' gradients each gradient is, on average, worth as much as to its own.
//!
//! ```text
//! ‖Σ_i g_i‖² / Σ_i ‖g_i‖² = Σ_i s_i / Σ_i q_i  ∈ [0, n]
//! ```
//!
//! 1 when the gradients are orthogonal, n when they are equal. Missing where every gradient is 0. An estimate for the
//! population may leave [0, m]: its numerator is unbiased, hence can be negative. Source: Chatterjee & Zielinski 2020, "Making
//! Coherence Out of Nothing At All"; [S 8].

use super::moments::{Moments, ratio};

/// Name in the results.
pub const NAME: &str = "m_coherence";

/// The m-coherence.
pub fn value(moments: &Moments) -> Option<f64> {
    ratio(moments.norm_sq, moments.self_sum)
}
