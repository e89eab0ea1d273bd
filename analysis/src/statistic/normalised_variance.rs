//! The normalised gradient variance: variance over squared mean, numerators and denominators summed over coordinates.
//!
//! ```text
//! Σ_j var_i(g_ij) / Σ_j ḡ_j² = tr(Σ) / ‖ḡ‖²
//! ```
//!
//! With the variance that divides by n − 1 (**choice**) it is the simple noise scale of the same coordinates, under the name
//! and by the definition of its own source, which takes it layer by layer. Missing where ‖ḡ‖² is not positive, and for one
//! example. Source: Faghri et al. 2020, "A Study of Gradient Variance in Deep Learning"; [S 8].

use crate::kernel::moments::{Moments, ratio};
use crate::statistic::{Compute, Statistic};

/// Its definition.
pub const STATISTIC: Statistic = Statistic {
    name: "normalised_variance",
    about: "variance of the coordinates over their squared mean, summed numerators over summed denominators",
    unit: "",
    tables: &["coherence"],
    compute: Compute::Moments(value),
};

/// The normalised variance.
fn value(moments: &Moments) -> Option<f64> {
    ratio(moments.variance()?, moments.mean_norm_sq())
}
