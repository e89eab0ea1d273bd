//! The simple noise scale: about the batch size at which the noise of a minibatch's gradient is as large as the gradient.
//!
//! ```text
//! tr(Σ) / ‖ḡ‖² = (Σ_i q_i − n‖ḡ‖²) / ((n−1) ‖ḡ‖²)        ḡ = Σ_i g_i / n
//! ```
//!
//! Missing where ‖ḡ‖² is not positive, and for one example, which has no variance. Source: McCandlish et al. 2018, "An
//! Empirical Model of Large-Batch Training"; [S 8].

use crate::kernel::moments::{Moments, ratio};
use crate::statistic::{Compute, Statistic};

/// Its definition.
pub const STATISTIC: Statistic = Statistic {
    name: "noise_scale",
    about: "simple noise scale, tr(Σ)/‖ḡ‖²: the batch size at which gradient noise is as large as the gradient",
    unit: "examples",
    tables: &["coherence"],
    compute: Compute::Moments(value),
};

/// The simple noise scale.
fn value(moments: &Moments) -> Option<f64> {
    ratio(moments.variance()?, moments.mean_norm_sq())
}
