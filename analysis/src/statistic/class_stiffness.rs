//! The class stiffness matrix: stiffness between every two classes, and within each.
//!
//! ```text
//! C(a, b) = mean stiffness of the pairs i ≠ j with one example in class a and one in class b
//! ```
//!
//! By sign and by cosine; classes are the labels trained on. Zero gradients and resamples as in
//! `stiffness`. Missing where there is no such pair. Source: Fort et al. 2019; [S 8].

use super::bootstrap::Measured;
use super::pair_sums::PairSums;
use super::stiffness;

/// Names in the results, of the sign and of the cosine.
pub const NAMES: [&str; 2] = ["class_stiffness_sign", "class_stiffness_cosine"];

/// C(a, b) for every pair of classes a ≤ b, in order, from the sums of signs or cosines and the numbers of pairs.
pub fn matrix(sums: &PairSums, counts: &PairSums) -> Vec<Measured> {
    (0..sums.actual.len()).map(|pair| stiffness::of_pair(sums, counts, pair)).collect()
}
