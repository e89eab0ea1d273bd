//! Stiffness: how much a step along one example's gradient helps another example.
//!
//! ```text
//! mean over pairs i ≠ j of sign⟨g_i, g_j⟩        mean over pairs i ≠ j of cos(g_i, g_j)
//! ```
//!
//! over all pairs, over pairs of one class and of two (classes: the labels trained on), and over the pairs with one example
//! in each of two groups. `…_macro` are means over the classes, and over the pairs of two classes, of the mean of each, as in the
//! source. Of an example whose gradient is 0 the sign is 0 and the cosine is not defined: it is left out of
//! the latter (**choice**). Missing where there is no pair. No interval where a group or class has fewer than four examples. Source: Fort
//! et al. 2019, "Stiffness: A New Perspective on Generalization in Neural Networks"; [S 8], [S 9].

use crate::kernel::halves::{FEWEST_OF_A_PART, Measured};
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
const KINDS: [(bool, [&str; 5]); 2] = [
    (
        false,
        [
            "stiffness_sign",
            "stiffness_sign_within_class",
            "stiffness_sign_between_classes",
            "stiffness_sign_within_class_macro",
            "stiffness_sign_between_classes_macro",
        ],
    ),
    (
        true,
        [
            "stiffness_cosine",
            "stiffness_cosine_within_class",
            "stiffness_cosine_between_classes",
            "stiffness_cosine_within_class_macro",
            "stiffness_cosine_between_classes_macro",
        ],
    ),
];

fn compute(part: &Part, sample: &Sample, series: &mut Series) {
    let groups = &sample.cells.partitions()[GROUPS];
    for (of_cosines, [all, within, between, within_macro, between_macro]) in KINDS {
        let Stiffness { groups: [of_groups, group_counts], classes: [of_classes, class_counts] } =
            part.stiffness(sample, of_cosines);
        series.add_measured(all, Pair::All, mean(sample, of_groups, group_counts, |_| true));
        if let Some(classes) = sample.classes() {
            let is_within: Vec<bool> = classes.pairs().map(|(a, b)| a == b).collect();
            let told = (0..classes.groups()).all(|class| classes.size(class) >= FEWEST_OF_A_PART);
            for (pooled, of_means, wanted) in [(within, within_macro, true), (between, between_macro, false)] {
                let included = |pair: usize| is_within[pair] == wanted;
                series.add_measured(pooled, Pair::All, mean(sample, of_classes, class_counts, included));
                let means = mean_of_means(sample, of_classes, class_counts, included);
                series.add_measured(of_means, Pair::All, means.only_if(told));
            }
        }
        for (pair, (a, b)) in groups.pairs().enumerate() {
            series.add_measured(all, Pair::Groups(a, b), mean_of_pair(sample, groups, [of_groups, group_counts], pair));
        }
    }
}

/// The mean over the pairs of examples in those pairs of groups together that `included` says, from the sums of signs or
/// cosines and the numbers of pairs.
fn mean(sample: &Sample, sums: &PairSums, counts: &PairSums, included: impl Fn(usize) -> bool) -> Measured {
    let (sum, halves) = sums.together(&included);
    let (count, half_counts) = counts.together(&included);
    let of_halves = halves.iter().zip(half_counts).map(|(sum, count)| sum / count);
    Measured::new(sample.examples(), Some(sum / count), of_halves)
}

/// The mean over those pairs of groups that `included` says, and that have a pair of examples, of their means.
fn mean_of_means(sample: &Sample, sums: &PairSums, counts: &PairSums, included: impl Fn(usize) -> bool) -> Measured {
    let pairs: Vec<usize> = (0..sums.actual.len()).filter(|&pair| included(pair)).collect();
    let mean = |ratio: &dyn Fn(usize) -> f64| {
        let means: Vec<f64> = pairs.iter().map(|&pair| ratio(pair)).filter(|mean| mean.is_finite()).collect();
        means.iter().sum::<f64>() / means.len() as f64
    };
    let of_half = |half: usize| mean(&|pair| sums.in_halves(pair)[half] / counts.in_halves(pair)[half]);
    let halves = (0..sample.halves.count()).map(of_half);
    Measured::new(sample.examples(), Some(mean(&|pair| sums.actual[pair] / counts.actual[pair])), halves)
}

/// The mean over the pairs of examples of one pair of groups, from the sums and the numbers of pairs.
pub(crate) fn mean_of_pair(
    sample: &Sample,
    partition: &Partition,
    [sums, counts]: [&PairSums; 2],
    pair: usize,
) -> Measured {
    let told = partition
        .pairs()
        .nth(pair)
        .is_some_and(|(a, b)| [a, b].into_iter().all(|group| partition.size(group) >= FEWEST_OF_A_PART));
    mean(sample, sums, counts, |other| other == pair).only_if(told)
}
