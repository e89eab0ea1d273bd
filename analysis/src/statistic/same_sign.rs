//! The same-sign fraction: the share of examples whose coordinate has the sign of the mean gradient's.
//!
//! ```text
//! (1/d') Σ_j #{i: sign g_ij = sign ḡ_j} / n        over the d' coordinates with ḡ_j ≠ 0
//! ```
//!
//! A coordinate whose mean is 0 has no sign to agree with and is left out (**choice**); an example whose coordinate is 0
//! agrees with neither sign. Missing if no coordinate is left. In a resample likewise, over its n draws. Source: after Liu et
//! al. 2020; [S 8].

use crate::sample::{Coordinates, Series};
use crate::statistic::{Compute, Statistic};

/// Its definition.
pub const STATISTIC: Statistic = Statistic {
    name: "same_sign",
    about: "share of the examples whose coordinate has the sign of the mean gradient's, averaged over coordinates",
    unit: "",
    tables: &["coherence"],
    compute: Compute::Coordinates(compute),
};

fn compute(coordinates: &Coordinates, series: &mut Series) {
    let resampled = coordinates.resampled.agreements.iter().filter_map(|agreements| agreements.value());
    series.add(STATISTIC.name, coordinates.agreements.value(), resampled);
}
