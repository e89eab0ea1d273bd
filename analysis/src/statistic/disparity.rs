//! Gradient disparity: how far apart the mean gradients of random disjoint batches are.
//!
//! ```text
//! mean over the pairs of batches a < c of ‖ḡ_a − ḡ_c‖₂
//! ```
//!
//! Batches have b = max(1, ⌊n/10⌋) examples (**choice**); the ⌊n/b⌋ of them are consecutive slices of one uniform shuffle of
//! the examples, the same at every step; in a half as large, consecutive slices of its examples as they were drawn. Examples that
//! are left over take no part. Missing for one example. Over several layers together the squared distances add up. Source: Forouzesh &
//! Thiran 2021, "Disparity Between Batches as a Signal for Early Stopping"; [S 8].

use crate::sample::{Coordinates, Series};
use crate::statistic::{Compute, Statistic};

/// Its definition.
pub const STATISTIC: Statistic = Statistic {
    name: "disparity",
    about: "mean distance between the mean gradients of random disjoint batches, a tenth of the examples each",
    unit: "√ loss units",
    tables: &["coherence"],
    compute: Compute::Coordinates(compute),
};

fn compute(coordinates: &Coordinates, series: &mut Series) {
    let distances = &coordinates.halves.squared_distances;
    let pairs = distances.len().checked_div(coordinates.halves.ratios.len()).unwrap_or(0);
    let halves = distances.chunks_exact(pairs.max(1)).map(|of_half| value(of_half).unwrap_or(f64::NAN));
    series.add(STATISTIC.name, value(&coordinates.squared_distances), halves);
}

/// From the squared distance of every pair of batches; `None` if there is no pair.
fn value(squared_distances: &[f64]) -> Option<f64> {
    let sum: f64 = squared_distances.iter().map(|squared| squared.sqrt()).sum();
    (!squared_distances.is_empty()).then(|| sum / squared_distances.len() as f64)
}
