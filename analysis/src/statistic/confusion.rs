//! Gradient confusion: how strongly the two most opposed examples pull against each other.
//!
//! ```text
//! max(0, −min_{i≠j} ⟨g_i, g_j⟩)
//! ```
//!
//! 0 if no two examples oppose each other. Missing for one example. In a resample the minimum is over the pairs of distinct
//! examples that are both drawn, however often. Source: Sankararaman et al. 2019, "The Impact of Neural Network
//! Overparameterization on Gradient Confusion and Stochastic Gradient Descent"; [S 8].

use pulp::{Arch, NullaryFnOnce};

use crate::kernel::bootstrap::Resamples;
use crate::kernel::gram::Gram;
use crate::sample::{Part, Sample, Series};
use crate::statistic::{Compute, Statistic};

/// Its definition.
pub const STATISTIC: Statistic = Statistic {
    name: "confusion",
    about: "gradient confusion, max(0, −min ⟨g_i, g_j⟩): how strongly the two most opposed examples oppose each other",
    unit: "loss units",
    tables: &["coherence"],
    compute: Compute::Pairs(compute),
};

fn compute(part: &Part, sample: &Sample, series: &mut Series) {
    series.add(STATISTIC.name, value(&part.gram), resampled(&part.gram, &sample.resamples));
}

/// Pairs kept, about: a resample has two in five of all pairs, so that one of these is nearly always among them.
const KEPT: usize = 512;
/// Pairs that are looked at to find about where the smallest ones begin.
const PROBES: usize = 2048;
/// Minima taken side by side, and pairs passed over at once.
const LANES: usize = 16;

/// `None` without a pair.
fn value(gram: &Gram) -> Option<f64> {
    (gram.examples() > 1).then(|| of_minimum(Arch::new().dispatch(Minimum(gram))))
}

/// In each resample; not finite without a pair.
fn resampled(gram: &Gram, resamples: &Resamples) -> Vec<f64> {
    let smallest = smallest_pairs(gram);
    let mut drawn = vec![false; gram.examples()];
    let of_resample = |draws: &[u32]| {
        drawn.fill(false);
        draws.iter().for_each(|&example| drawn[example as usize] = true);
        let present = smallest.iter().find(|(_, i, j)| drawn[*i as usize] && drawn[*j as usize]);
        present.map_or_else(|| of_minimum(minimum_of_drawn(gram, &drawn)), |(inner, _, _)| of_minimum(*inner))
    };
    resamples.draws().map(of_resample).collect()
}

fn of_minimum(minimum: f64) -> f64 {
    if minimum < 0.0 {
        -minimum
    } else if minimum.is_finite() {
        0.0
    } else {
        f64::NAN
    }
}

/// ⟨g_i, g_j⟩ for every j > i.
fn later(gram: &Gram, i: usize) -> &[f64] {
    &gram.row(i)[i + 1..]
}

/// All pairs up to some inner product, the smallest first.
fn smallest_pairs(gram: &Gram) -> Vec<(f64, u32, u32)> {
    let threshold = threshold(gram);
    let mut smallest = Vec::with_capacity(2 * KEPT);
    for i in 0..gram.examples() {
        for (chunk, first) in later(gram, i).chunks(LANES).zip((i + 1..).step_by(LANES)) {
            // Nearly all are passed over here.
            if chunk.iter().fold(false, |any, &inner| any | (inner <= threshold)) {
                let pairs = chunk.iter().zip(first as u32..).filter(|(inner, _)| **inner <= threshold);
                smallest.extend(pairs.map(|(&inner, j)| (inner, i as u32, j)));
            }
        }
    }
    smallest.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
    smallest
}

/// The inner product that about [`KEPT`] pairs do not exceed, by a look at some of them.
fn threshold(gram: &Gram) -> f64 {
    let n = gram.examples();
    let stride = (n * n / 2 / PROBES).max(1) | 1;
    let mut probes: Vec<f64> =
        (0..n).flat_map(|i| later(gram, i).iter().skip((i * 7) % stride).step_by(stride).copied()).collect();
    if probes.is_empty() {
        return f64::INFINITY;
    }
    let rank = (probes.len() * KEPT / (n * n / 2).max(1)).min(probes.len() - 1);
    *probes.select_nth_unstable_by(rank, f64::total_cmp).1
}

/// min ⟨g_i, g_j⟩ over the pairs of which both are drawn; infinite if there is none.
fn minimum_of_drawn(gram: &Gram, drawn: &[bool]) -> f64 {
    let mut minimum = f64::INFINITY;
    for i in (0..gram.examples()).filter(|&i| drawn[i]) {
        for (&inner, &drawn) in later(gram, i).iter().zip(&drawn[i + 1..]) {
            minimum = if drawn && inner < minimum { inner } else { minimum };
        }
    }
    minimum
}

/// min ⟨g_i, g_j⟩ over all pairs.
struct Minimum<'a>(&'a Gram);

/// Compiled once for each instruction set, by being inlined into the dispatch.
impl NullaryFnOnce for Minimum<'_> {
    type Output = f64;

    #[inline(always)]
    fn call(self) -> f64 {
        let mut minima = [f64::INFINITY; LANES];
        for i in 0..self.0.examples() {
            let (chunks, rest) = later(self.0, i).as_chunks::<LANES>();
            for chunk in chunks {
                for (minimum, &inner) in minima.iter_mut().zip(chunk) {
                    *minimum = if inner < *minimum { inner } else { *minimum };
                }
            }
            minima[0] = rest.iter().fold(minima[0], |minimum, &inner| inner.min(minimum));
        }
        minima.into_iter().fold(f64::INFINITY, f64::min)
    }
}
