//! Stiffness: how much a step along one example's gradient helps another example.
//!
//! ```text
//! mean over pairs i ≠ j of sign⟨g_i, g_j⟩        mean over pairs i ≠ j of cos(g_i, g_j)
//! ```
//!
//! over all pairs, over pairs of one class and of two (classes: the labels trained on), and over the pairs with one example
//! in each of two groups. Of an example whose gradient is 0 the sign is 0 and the cosine is not defined: it is left out of
//! the latter (**choice**). Missing where there is no pair. In a resample a pair of distinct examples counts as often as its
//! two examples are drawn, w_i w_j. Source: Fort et al. 2019, "Stiffness: A New Perspective on Generalization in Neural
//! Networks"; [S 8].

use super::bootstrap::Measured;
use super::pair_sums::PairSums;
use super::partition::Partition;

/// Names in the results, of the sign and of the cosine.
pub const NAMES: [&str; 2] = ["stiffness_sign", "stiffness_cosine"];
/// The same within one class.
pub const WITHIN_CLASS: [&str; 2] = ["stiffness_sign_within_class", "stiffness_cosine_within_class"];
/// The same between two classes.
pub const BETWEEN_CLASSES: [&str; 2] = ["stiffness_sign_between_classes", "stiffness_cosine_between_classes"];

/// The mean over the pairs of examples in those pairs of groups together that `included` says, from the sums of signs or
/// cosines and the numbers of pairs.
pub fn mean(sums: &PairSums, counts: &PairSums, included: impl Fn(usize) -> bool) -> Measured {
    let (sum, resampled) = sums.together(&included);
    let (count, resampled_counts) = counts.together(&included);
    Measured::new((count > 0.0).then(|| sum / count), ratios(&resampled, &resampled_counts))
}

/// The mean over the pairs of examples of one pair of groups.
pub fn of_pair(sums: &PairSums, counts: &PairSums, pair: usize) -> Measured {
    let (sum, count) = (sums.actual[pair], counts.actual[pair]);
    Measured::new((count > 0.0).then(|| sum / count), ratios(sums.of_pair(pair), counts.of_pair(pair)))
}

/// Whether each pair of groups is a group with itself.
pub fn within(partition: &Partition) -> Vec<bool> {
    partition.pairs().map(|(a, b)| a == b).collect()
}

fn ratios<'a>(sums: &'a [f64], counts: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
    sums.iter().zip(counts).map(|(sum, count)| sum / count)
}
