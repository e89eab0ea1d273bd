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

use crate::kernel::bootstrap::Measured;
use crate::kernel::pair_sums::PairSums;
use crate::kernel::partition::Partition;
use crate::sample::{GROUPS, Pair, Part, Sample, Series, Stiffness};
use crate::statistic::{Compute, Statistic};

/// Its definition.
pub const STATISTIC: Statistic = Statistic {
    name: "stiffness",
    about: "mean sign and mean cosine of ⟨g_i, g_j⟩ over pairs of examples: of all, within and between classes and groups",
    unit: "",
    tables: &["coherence"],
    compute: Compute::Pairs(compute),
};

/// Whether it is of cosines, and the names of its means: of all pairs and by pair of groups, within a class, between
/// classes.
const KINDS: [(bool, [&str; 3]); 2] = [
    (false, ["stiffness_sign", "stiffness_sign_within_class", "stiffness_sign_between_classes"]),
    (true, ["stiffness_cosine", "stiffness_cosine_within_class", "stiffness_cosine_between_classes"]),
];

fn compute(part: &Part, sample: &Sample, series: &mut Series) {
    let groups = &sample.cells.partitions()[GROUPS];
    for (of_cosines, [all, within_class, between_classes]) in KINDS {
        let Stiffness { groups: [of_groups, group_counts], classes: [of_classes, class_counts] } =
            part.stiffness(sample, of_cosines);
        series.measured(all, Pair::All, mean(of_groups, group_counts, |_| true));
        if let Some(classes) = sample.classes() {
            let is_within = within(classes);
            series.measured(within_class, Pair::All, mean(of_classes, class_counts, |pair| is_within[pair]));
            series.measured(between_classes, Pair::All, mean(of_classes, class_counts, |pair| !is_within[pair]));
        }
        for (pair, (a, b)) in groups.pairs().enumerate() {
            series.measured(all, Pair::Groups(a, b), of_pair(of_groups, group_counts, pair));
        }
    }
}

/// The mean over the pairs of examples in those pairs of groups together that `included` says, from the sums of signs or
/// cosines and the numbers of pairs.
fn mean(sums: &PairSums, counts: &PairSums, included: impl Fn(usize) -> bool) -> Measured {
    let (sum, resampled) = sums.together(&included);
    let (count, resampled_counts) = counts.together(&included);
    Measured::new((count > 0.0).then(|| sum / count), ratios(&resampled, &resampled_counts))
}

/// The mean over the pairs of examples of one pair of groups.
pub(crate) fn of_pair(sums: &PairSums, counts: &PairSums, pair: usize) -> Measured {
    let (sum, count) = (sums.actual[pair], counts.actual[pair]);
    Measured::new((count > 0.0).then(|| sum / count), ratios(sums.of_pair(pair), counts.of_pair(pair)))
}

/// Whether each pair of groups is a group with itself.
fn within(partition: &Partition) -> Vec<bool> {
    partition.pairs().map(|(a, b)| a == b).collect()
}

fn ratios<'a>(sums: &'a [f64], counts: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
    sums.iter().zip(counts).map(|(sum, count)| sum / count)
}
