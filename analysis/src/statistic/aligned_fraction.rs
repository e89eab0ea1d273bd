//! The aligned fraction: the share of ‖g‖² that comes from agreement between different examples.
//!
//! ```text
//! (‖Σ_i g_i‖² − Σ_i ‖g_i‖²) / ‖Σ_i g_i‖² = Σ_{i≠j} ⟨g_i, g_j⟩ / Σ_ij ⟨g_i, g_j⟩ = 1 − 1/m-coherence
//! ```
//!
//! 0 when the gradients are orthogonal, 1 − 1/n when they are equal, negative when they oppose one another. Missing where
//! ‖Σ g_i‖² is not positive. Source: from Equation 2; [S 8].

use crate::kernel::moments::{Moments, ratio};
use crate::statistic::{Compute, Statistic};

/// Its definition.
pub const STATISTIC: Statistic = Statistic {
    name: "aligned_fraction",
    about: "share of ‖Σg‖² that comes from agreement between different examples",
    unit: "",
    tables: &["coherence"],
    compute: Compute::Moments(value),
};

/// The aligned fraction.
fn value(moments: &Moments) -> Option<f64> {
    ratio(moments.norm_sq - moments.self_sum, moments.norm_sq)
}
