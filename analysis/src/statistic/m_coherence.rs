//! m-coherence: how many examples have gradients that agree.
//!
//! ```text
//! ‖Σ_i g_i‖² / Σ_i ‖g_i‖² = Σ_i s_i / Σ_i q_i  ∈ [0, n]
//! ```
//!
//! 1 when the gradients are orthogonal, n when they are equal. Missing where every gradient is 0. An estimate for the
//! population may leave [0, m]: its numerator is unbiased, hence can be negative. Source: Chatterjee & Zielinski 2020, "Making
//! Coherence Out of Nothing At All"; [S 8].

use crate::kernel::moments::{Moments, ratio};
use crate::statistic::{Compute, Statistic};

/// Its definition.
pub const STATISTIC: Statistic = Statistic {
    name: "m_coherence",
    about: "‖Σg‖²/Σ‖g‖²: how many examples have gradients that agree: 1 if all are orthogonal, n if all are equal",
    unit: "",
    tables: &["coherence"],
    compute: Compute::Moments(value),
};

/// The m-coherence.
pub(crate) fn value(moments: &Moments) -> Option<f64> {
    ratio(moments.norm_sq, moments.self_sum)
}
