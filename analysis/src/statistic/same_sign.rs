//! The same-sign fraction: the share of examples whose coordinate has the sign of the mean gradient's.
//!
//! ```text
//! (1/d') Σ_j #{i: sign g_ij = sign ḡ_j} / n        over the d' coordinates with ḡ_j ≠ 0
//! ```
//!
//! A coordinate whose mean is 0 has no sign to agree with and is left out (**choice**); an example whose coordinate is 0
//! agrees with neither sign. Missing if no coordinate is left. In a half over its examples, with the signs of ḡ of the sample. The
//! mean being one of the examples' own, the fraction exceeds 1/2 even of gradients that agree in nothing: `same_sign_chance` is what
//! random signs would give,
//!
//! ```text
//! (1/d') Σ_j (z_j/n) (1/2 + C(w−1, (w−1)/2)/2^w)        z_j = #{i: g_ij ≠ 0}, w the largest odd number ≤ z_j
//! ```
//!
//! of examples whose gradients are equally large. Source: after Liu et al. 2020; [S 8], [S 9].

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
    let agreements = &coordinates.agreements;
    let halves = coordinates.half_examples.iter();
    let of_half = |half: &Vec<u32>| agreements.fraction(half.iter().map(|&example| example as usize));
    series.add(STATISTIC.name, Some(agreements.fraction(0..coordinates.examples())), halves.map(of_half));
    series.add("same_sign_chance", Some(agreements.chance / f64::from(agreements.coordinates)), []);
}
