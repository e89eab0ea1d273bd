//! GSNR, the gradient signal-to-noise ratio, averaged over coordinates.
//!
//! ```text
//! (1/d') Σ_j ḡ_j² / var_j        over the d' coordinates whose variance over examples is not 0
//! ```
//!
//! Coordinates of no variance have no ratio and are left out (**choice**): most of them are weights at which every gradient
//! is 0. Missing if that leaves none, and for one example. In a resample likewise, over its n draws. Source: Liu et al. 2020,
//! "Understanding Why Neural Networks Generalize Well Through GSNR of Parameters"; [S 8].

use crate::sample::{Coordinates, Series};
use crate::statistic::{Compute, Statistic};

/// Its definition.
pub const STATISTIC: Statistic = Statistic {
    name: "gsnr",
    about: "gradient signal-to-noise ratio, mean²/variance over examples, averaged over coordinates",
    unit: "",
    tables: &["coherence"],
    compute: Compute::Coordinates(compute),
};

fn compute(coordinates: &Coordinates, series: &mut Series) {
    let resampled = coordinates.resampled.ratios.iter().filter_map(|ratios| ratios.value());
    series.add(STATISTIC.name, coordinates.ratios.value(), resampled);
}
