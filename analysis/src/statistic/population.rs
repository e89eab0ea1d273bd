//! What the sample says of the population: of all m examples and all weights.
//!
//! ```text
//! N̂^p = m(m−1)/(n(n−1)) Σ_{i∈P} (s_i − q_i) + (m/n) Σ_{i∈P} q_i        α̂ = N̂^p/N̂        î^p_t = Σ_{t'≤t} N̂^p_t' / |P|
//! ```
//!
//! the same over C, and N̂ = N̂^p + N̂^c; inner products of a layer are scaled by d_l/k_l, its weights over the sampled ones,
//! before they are added over layers, and |P| is that of all m examples. Examples and coordinates being uniform samples without
//! replacement, N̂^p, N̂^c and N̂ are unbiased, and the ratio α̂ is consistent. N̂ can be negative. In a resample pairs are of
//! distinct examples, with weights w_i w_j, normalised by Σ_{i≠j} w_i w_j:
//!
//! ```text
//! N̂^p* = m(m−1) Σ_{i∈P} Σ_{j≠i} w_i w_j ⟨g_i, g_j⟩ / Σ_{i≠j} w_i w_j + m Σ_{i∈P} w_i q_i / n
//! ```
//!
//! Missing with one sampled example of several; α̂ where N̂ is not positive, or a group has no sampled example. Source: [S 8.1].

use super::bootstrap::Measured;
use super::moments::ratio;

/// N̂^p and N̂^c at one step.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct GroupNorms {
    /// N̂^p, an estimate of ⟨g, g^p⟩ over the population.
    pub pristine: f64,
    /// N̂^c, an estimate of ⟨g, g^c⟩ over the population.
    pub corrupt: f64,
}

impl GroupNorms {
    /// N̂, an estimate of ‖g‖² over the population.
    pub fn total(self) -> f64 {
        self.pristine + self.corrupt
    }

    /// α̂, the pristine share; `None` where N̂ is not positive.
    pub fn alpha(self) -> Option<f64> {
        ratio(self.pristine, self.total())
    }

    /// The sum with those of another step or layer, scaled.
    pub fn plus(self, other: GroupNorms, scale: f64) -> GroupNorms {
        GroupNorms { pristine: self.pristine + scale * other.pristine, corrupt: self.corrupt + scale * other.corrupt }
    }
}

/// N̂ of a group, from (1/n(n−1)) Σ_{i∈group} Σ_{j≠i} ⟨g_i, g_j⟩ and (1/n) Σ_{i∈group} q_i, or their likes in a resample; m is
/// `examples`.
pub fn norm(examples: usize, pair_mean: f64, self_mean: f64) -> f64 {
    let m = examples as f64;
    // 0 · ∞ without a pair of examples, where there is only one in the population too.
    let pairs = if examples == 1 { 0.0 } else { m * (m - 1.0) * pair_mean };
    pairs + m * self_mean
}

/// The decomposition of the population at one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decomposition {
    /// α̂, with its interval.
    pub alpha: Measured,
    /// β̂ = 1 − α̂.
    pub beta: Option<f64>,
    /// N̂.
    pub gradient_norm_sq: Option<f64>,
}

/// The cumulative mean contributions in the population at one step, with their intervals.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cumulative {
    /// î^p_t; missing if no sampled example is pristine.
    pub pristine: Measured,
    /// î^c_t; missing if no sampled example is corrupt.
    pub corrupt: Measured,
    /// Their difference; missing if either is.
    pub difference: Measured,
}

/// Sizes of the two groups among all m examples, 0 for one that has no sampled example: nothing is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// |P|.
    pub pristine: usize,
    /// |C|.
    pub corrupt: usize,
}

/// The decomposition at one step, from the norms of the sample and then those of each resample.
pub fn decompose(norms: &[GroupNorms], sizes: Sizes) -> Decomposition {
    let both = sizes.pristine > 0 && sizes.corrupt > 0;
    let alpha = |norms: &GroupNorms| norms.alpha().filter(|_| both);
    let actual = norms.first();
    Decomposition {
        alpha: Measured::new(actual.and_then(alpha), norms.iter().skip(1).filter_map(alpha)),
        beta: actual.filter(|_| both).and_then(|norms| ratio(norms.corrupt, norms.total())),
        gradient_norm_sq: actual.map(|norms| norms.total()).filter(|total| total.is_finite()),
    }
}

/// The cumulative mean contributions at steps 0, 1, 2, …, from the norms of the sample and then of each resample at each.
pub fn cumulate<'a>(steps: impl IntoIterator<Item = &'a [GroupNorms]>, sizes: Sizes) -> Vec<Cumulative> {
    let mut sums: Vec<GroupNorms> = Vec::new();
    let at_step = |norms: &[GroupNorms]| {
        sums.resize(norms.len(), GroupNorms::default());
        sums.iter_mut().zip(norms).for_each(|(sum, norms)| *sum = sum.plus(*norms, 1.0));
        let mean = |sum: f64, size: usize| (size > 0).then(|| sum / size as f64);
        let pristine = |sum: &GroupNorms| mean(sum.pristine, sizes.pristine);
        let corrupt = |sum: &GroupNorms| mean(sum.corrupt, sizes.corrupt);
        let difference = |sum: &GroupNorms| Some(pristine(sum)? - corrupt(sum)?);
        Cumulative {
            pristine: estimate(&sums, pristine),
            corrupt: estimate(&sums, corrupt),
            difference: estimate(&sums, difference),
        }
    };
    steps.into_iter().map(at_step).collect()
}

fn estimate(sums: &[GroupNorms], value: impl Fn(&GroupNorms) -> Option<f64>) -> Measured {
    Measured::new(sums.first().and_then(&value), sums.iter().skip(1).filter_map(&value))
}
