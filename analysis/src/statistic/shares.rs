//! The share of each group in ‖g_t‖², and how it changes over training.
//!
//! ```text
//! share_k,t = Σ_{i∈k} s_{t,i} / Σ_i s_{t,i} = ⟨g_t, g^k_t⟩ / ⟨g_t, g_t⟩,  g^k_t the sum of group k's gradients
//! ```
//!
//! The shares of all groups add up to 1; cross terms are split equally between two groups, and a share can be negative or
//! exceed 1. α and β are those of the pristine and the corrupt examples. Null worlds: E = n_k/n,
//! Var = n_k(n−n_k) σ_t² / ((n−1) n² s̄_t²). Missing where ‖g_t‖² is not positive or not finite, and throughout if fewer than
//! two groups have an example. Tested besides, of each two groups, are their shares per example,
//!
//! ```text
//! share_a,t/n_a − share_b,t/n_b        E = 0,  Var = σ_t² n/((n−1) ‖g_t‖⁴) · (1/n_a + 1/n_b)
//! ```
//!
//! and of each group the **crossover statistic**, how much higher its share is at the start of training than at its end:
//!
//! ```text
//! K = mean of the share over the first tenth of the recorded steps − mean of the share over the last tenth
//! ```
//!
//! A tenth of T recorded steps is max(1, ⌊T/10⌋) of them; steps whose share is missing are left out of their mean. In a null
//! world a share keeps to the group size at every step, so that `E[K] = 0`: the paper's "they cross over only in the real
//! data" as one number. K is a linear permutation statistic with scores Σ_t w_t s_{t,i}/‖g_t‖², w_t = ±1/(steps in the mean).
//! Missing if fewer than two steps are recorded, or a mean has no step. Source: §2.4, Figure 2, generalised; [S 2.1],
//! [S 2.3], [S 3.1], [S 3.3].

use polars::prelude::*;

use crate::contributions::{Reported, Sums, Tested};
use crate::frame;
use crate::kernel::contribution::Contributions;
use crate::kernel::grouping::Grouping;
use crate::kernel::linear::{Contrast, Family, Linear};
use crate::kernel::scores::Scores;
use crate::statistic::{Compute, NamedTables, Statistic};

/// Its definition.
pub const STATISTIC: Statistic = Statistic {
    name: "shares",
    about: "the groups' shares of ‖g‖² (α, β), their null bands, tests, and crossover",
    unit: "",
    tables: &["shares", "null", "tests"],
    compute: Compute::Contributions { tested, tables },
};

fn tables(sums: LazyFrame) -> PolarsResult<NamedTables> {
    let share = when(col("several")).then(frame::ratio(col("sum"), col("total"))).otherwise(lit(NULL));
    Ok(vec![("shares", sums.with_column(share.alias("share")))])
}

fn tested(scores: &Scores<'_>, sums: &Sums<'_>) -> Vec<Tested> {
    let grouping = sums.grouping;
    let weights = crossover_weights(sums.contributions, grouping);
    let groups = || (0..grouping.groups()).map(|group| [Some(group), None]);
    let shares = groups().map(|groups| Tested {
        statistic: "share",
        groups,
        family: share(scores, grouping, groups[0].unwrap_or(0)),
        reported: Reported::Steps { null: true },
    });
    let crossovers = groups().map(|groups| {
        let group = groups[0].unwrap_or(0);
        let value = weights.as_deref().map(|weights| crossover(sums.contributions, grouping, group, weights));
        let family = crossover_family(scores, grouping, group);
        Tested { statistic: "crossover", groups, family, reported: Reported::Value(value) }
    });
    let mean_shares = grouping.pairs().map(|(a, b)| Tested {
        statistic: "mean_share",
        groups: [Some(a), Some(b)],
        family: mean_share(scores, grouping, a, b),
        reported: Reported::Steps { null: false },
    });
    shares.chain(mean_shares).chain(crossovers).collect()
}

/// The share of one group, one member a recorded step.
fn share(scores: &Scores<'_>, grouping: &Grouping, group: usize) -> Family {
    let expected = grouping.sizes()[group] as f64 / grouping.examples() as f64;
    let member = |place: usize, contrast: &Contrast| {
        let (total, spread) = (scores.total(place)?, scores.spread(place)?);
        Some(Linear::new(expected, 1.0 / total, spread, contrast))
    };
    let has_null = grouping.has_several() && grouping.sizes()[group] > 0;
    Family::new(has_null.then(|| Contrast::sum(grouping, group)), scores.step_rows(), member)
}

/// The difference of the shares per example of groups `a` and `b`, one member a recorded step.
fn mean_share(scores: &Scores<'_>, grouping: &Grouping, a: usize, b: usize) -> Family {
    let member = |place: usize, contrast: &Contrast| {
        let (total, spread) = (scores.total(place)?, scores.spread(place)?);
        Some(Linear::new(0.0, 1.0 / total, spread, contrast))
    };
    Family::new(Contrast::mean_difference(grouping, a, b), scores.step_rows(), member)
}

/// Weight w_t of each recorded step's share in K, positive in the first tenth and negative in the last; `None` if K is missing.
pub(crate) fn crossover_weights(contributions: &Contributions, grouping: &Grouping) -> Option<Vec<f64>> {
    let totals = contributions.totals();
    let steps = totals.len();
    if steps < 2 || !grouping.has_several() {
        return None;
    }
    let tenth = (steps / 10).max(1);
    let mut weights = vec![0.0; steps];
    for (range, sign) in [(0..tenth, 1.0), (steps - tenth..steps, -1.0)] {
        let present: Vec<usize> = range.filter(|&t| totals[t] > 0.0 && totals[t].is_finite()).collect();
        if present.is_empty() {
            return None;
        }
        present.iter().for_each(|&t| weights[t] = sign / present.len() as f64);
    }
    Some(weights)
}

/// K of a group.
fn crossover(contributions: &Contributions, grouping: &Grouping, group: usize, weights: &[f64]) -> f64 {
    let weighted = |(of_step, &weight): (&[f64], &f64)| {
        let total: f64 = of_step.iter().sum();
        if weight == 0.0 { 0.0 } else { grouping.sums(of_step)[group] / total * weight }
    };
    contributions.by_step().zip(weights).map(weighted).sum()
}

/// K, the one member of its family; it has none if `scores` were made without the weights.
fn crossover_family(scores: &Scores<'_>, grouping: &Grouping, group: usize) -> Family {
    let row = scores.crossover_row();
    let first = row.start;
    let member =
        |place: usize, contrast: &Contrast| Some(Linear::new(0.0, 1.0, scores.spread(first + place)?, contrast));
    Family::new(grouping.has_several().then(|| Contrast::sum(grouping, group)), row, member)
}
