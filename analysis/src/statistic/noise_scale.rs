//! The simple noise scale: about the batch size at which the noise of a minibatch's gradient is as large as the gradient.
//!
//! ```text
//! tr(Σ) / |G|²        tr(Σ) = (Σ_i q_i − n‖ḡ‖²)/(n−1)        |G|² = ‖ḡ‖² − tr(Σ)/n = Σ_{i≠j} ⟨g_i, g_j⟩/(n(n−1))        ḡ = Σ_i g_i / n
//! ```
//!
//! The mean gradient of a sample is longer than the expected one by tr(Σ)/n, which is taken off. Of the population, and of its
//! estimate, |G|² is ‖ḡ‖² itself. The interval is that of the reciprocal |G|²/tr(Σ), inverted: it has no upper end where the reciprocal may be
//! 0. A half whose gradients hardly differ has no value. Missing where |G|² is not positive, and for one example, which has no variance; 0 where the examples do not differ. By layer it is
//! also called the normalised gradient variance (Faghri et al. 2020). Source: McCandlish et al. 2018, "An Empirical Model of Large-Batch
//! Training", appendix A.1; [S 8], [S 9].

use crate::kernel::moments::Moments;
use crate::statistic::{Compute, Statistic};

/// Its definition.
pub const STATISTIC: Statistic = Statistic {
    name: "noise_scale",
    about: "simple noise scale, tr(Σ)/|G|²: the batch size at which gradient noise is as large as the gradient",
    unit: "examples",
    tables: &["coherence"],
    compute: Compute::Reciprocal(value, LARGEST_IN_HALF),
};

/// Of a half, whose sums are in f32, a larger |G|²/tr(Σ) is that of rounding: its gradients may all be the same.
const LARGEST_IN_HALF: f64 = 1e4;

/// |G|²/tr(Σ), infinite without a variance.
fn value(moments: &Moments) -> Option<f64> {
    Some(moments.mean_norm_sq() / moments.variance()?.max(0.0))
}
