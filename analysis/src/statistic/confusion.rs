//! Gradient confusion: how strongly the two most opposed examples pull against each other.
//!
//! ```text
//! max(0, −min_{i≠j} ⟨g_i, g_j⟩)
//! ```
//!
//! 0 if no two examples oppose each other. Missing for one example. It has no interval: the minimum over the pairs of a half says
//! little of that over all pairs. Source: Sankararaman et al. 2019, "The Impact of Neural Network
//! Overparameterization on Gradient Confusion and Stochastic Gradient Descent"; [S 8].

use pulp::{Arch, NullaryFnOnce};

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

fn compute(part: &Part, _: &Sample, series: &mut Series) {
    series.add(STATISTIC.name, value(&part.gram), []);
}

/// Minima taken side by side.
const LANES: usize = 16;

/// `None` without a pair.
fn value(gram: &Gram) -> Option<f64> {
    // The comparison leaves 0 positive where nothing opposes.
    let opposed = |minimum: f64| if minimum < 0.0 { -minimum } else { 0.0 };
    (gram.examples() > 1).then(|| opposed(Arch::new().dispatch(Minimum(gram))))
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
            let (chunks, rest) = self.0.row(i)[i + 1..].as_chunks::<LANES>();
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
