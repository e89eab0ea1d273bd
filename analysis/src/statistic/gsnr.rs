//! GSNR, the gradient signal-to-noise ratio, averaged over coordinates.
//!
//! ```text
//! (1/d') Σ_j (ḡ_j² − var_j/n) / var_j        over the d' coordinates whose variance over examples is not 0
//! ```
//!
//! ḡ_j² exceeds the square of the expected gradient by var_j/n, which is taken off. Without that it is the plug-in value,
//! `gsnr_plugin`, 1/n more. Coordinates of no variance have no ratio and are left out (**choice**): most of them are weights at which
//! every gradient is 0. Missing if that leaves none, and for one example. In a half the sum is over the coordinates that have a variance
//! in the sample: one that is 0 throughout the half adds nothing, and with one that is constant and not 0 the half has no value. Source: Liu et al. 2020,
//! "Understanding Why Neural Networks Generalize Well Through GSNR of Parameters"; [S 8], [S 9].

use crate::sample::{Coordinates, Series};
use crate::statistic::{Compute, Statistic};

/// Its definition.
pub const STATISTIC: Statistic = Statistic {
    name: "gsnr",
    about: "gradient signal-to-noise ratio, squared expected gradient over variance, averaged over coordinates",
    unit: "",
    tables: &["coherence"],
    compute: Compute::Coordinates(compute),
};

fn compute(coordinates: &Coordinates, series: &mut Series) {
    let (ratios, bias) = (coordinates.ratios, 1.0 / coordinates.examples() as f64);
    let halves = || coordinates.halves.ratios.iter().map(|&sum| ratios.mean(sum).unwrap_or(f64::NAN));
    let plugin = ratios.mean(ratios.sum);
    series.add(STATISTIC.name, plugin.map(|plugin| plugin - bias), halves());
    series.add("gsnr_plugin", plugin, halves().map(|of_half| of_half + bias));
}
