//! Gradient diversity, the inverse of m-coherence.
//!
//! ```text
//! Σ_i ‖g_i‖² / ‖Σ_i g_i‖²
//! ```
//!
//! 1 when the gradients are orthogonal, 1/n when they are equal. Missing where ‖Σ g_i‖² is not positive. The interval is that of
//! m-coherence, inverted. Source: Yin et al.
//! 2018, "Gradient Diversity: a Key Ingredient for Scalable Distributed Learning"; [S 8].

use crate::statistic::{Compute, Statistic, m_coherence};

/// Its definition.
pub const STATISTIC: Statistic = Statistic {
    name: "diversity",
    about: "gradient diversity, Σ‖g‖²/‖Σg‖²: the inverse of m-coherence",
    unit: "",
    tables: &["coherence"],
    compute: Compute::Reciprocal(m_coherence::value, f64::INFINITY),
};
