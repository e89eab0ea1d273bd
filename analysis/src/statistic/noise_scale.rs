//! The simple noise scale: about the batch size at which the noise of a minibatch's gradient is as large as the gradient.
//!
//! ```text
//! tr(Σ) / ‖ḡ‖² = (Σ_i q_i − n‖ḡ‖²) / ((n−1) ‖ḡ‖²)        ḡ = Σ_i g_i / n
//! ```
//!
//! Missing where ‖ḡ‖² is not positive, and for one example, which has no variance. Source: McCandlish et al. 2018, "An
//! Empirical Model of Large-Batch Training"; [S 8].

use super::moments::{Moments, ratio};

/// Name in the results.
pub const NAME: &str = "noise_scale";

/// The simple noise scale.
pub fn value(moments: &Moments) -> Option<f64> {
    ratio(moments.variance()?, moments.mean_norm_sq())
}
