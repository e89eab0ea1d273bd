//! Squared distances between the mean gradients of disjoint batches of the examples.
//!
//! Batches have b = max(1, ⌊n/10⌋) examples; the ⌊n/b⌋ of them are consecutive slices of one uniform shuffle of the examples, and
//! in a resample consecutive slices of its draws. Examples that are left over take no part.

use std::ops::Range;

use pulp::{Arch, NullaryFnOnce};

/// Batches that there are about.
const BATCHES: usize = 10;

/// Size b and number ⌊n/b⌋ of the batches of n examples.
pub fn batches(examples: usize) -> (usize, usize) {
    let size = (examples / BATCHES).max(1);
    (size, examples / size)
}

/// ‖ḡ_a − ḡ_c‖² of every pair of batches a < c, in order: of gradients `[n, d]`, row-major, over the coordinates `columns`
/// of the d, with the examples in the order `shuffled`.
pub fn squared_distances(gradients: &[f64], shuffled: &[u32], columns: Range<usize>) -> Vec<f64> {
    Arch::new().dispatch(Batches { gradients, shuffled, columns })
}

struct Batches<'a> {
    gradients: &'a [f64],
    shuffled: &'a [u32],
    columns: Range<usize>,
}

/// Compiled once for each instruction set, by being inlined into the dispatch.
impl NullaryFnOnce for Batches<'_> {
    type Output = Vec<f64>;

    #[inline(always)]
    fn call(self) -> Vec<f64> {
        let Batches { gradients, shuffled, columns } = self;
        let d = gradients.len().checked_div(shuffled.len()).unwrap_or(0);
        let (size, count) = batches(shuffled.len());
        let mut sums = vec![0.0; count * columns.len()];
        for (batch, sum) in shuffled.chunks_exact(size).zip(sums.chunks_exact_mut(columns.len().max(1))) {
            for &example in batch {
                let gradient = &gradients[example as usize * d..][columns.clone()];
                sum.iter_mut().zip(gradient).for_each(|(sum, value)| *sum += value);
            }
        }
        let batch = |k: usize| &sums[k * columns.len()..(k + 1) * columns.len()];
        let squared = |(a, c)| batch(a).iter().zip(batch(c)).map(|(x, y): (&f64, &f64)| (x - y) * (x - y)).sum::<f64>();
        pairs(count).map(|pair| squared(pair) / (size * size) as f64).collect()
    }
}

/// Every pair of `count` batches, in order.
pub fn pairs(count: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..count).flat_map(move |a| (a + 1..count).map(move |c| (a, c)))
}
