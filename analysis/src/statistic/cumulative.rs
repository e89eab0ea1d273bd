//! The mean cumulative contribution of each group, and the difference of each two groups.
//!
//! ```text
//! i^k_t = (1/n_k) Σ_{t'≤t} Σ_{i∈k} s_{t',i}        D_t = i^a_t − i^b_t
//! ```
//!
//! To first order, and up to the learning rate, the loss reduction that a mean example of the group has contributed by step t;
//! i^p, i^c and D are those of the pristine and the corrupt examples. A sum over *every* step 0…t: defined only while the
//! recorded steps are contiguous from 0, and not reported past the first gap. Missing for an empty group, and so is the
//! difference. Null worlds: `E[D_t] = 0`, `Var[D_t] = V_t n/(n−1) · (1/n_a + 1/n_b)`, V_t the variance over examples of
//! Σ_{t'≤t} s_{t',i}. The difference after the first ten steps, 0…9, which the paper's Figure 3 shows, is tested on its own.
//! Source: §2.4, Figure 3, generalised; [S 2.2], [S 3.1], [S 3.3].

use polars::prelude::*;

use crate::contributions::{Reported, Sums, Tested};
use crate::frame;
use crate::kernel::linear::{Contrast, Family, Linear};
use crate::kernel::scores::Scores;
use crate::statistic::{Compute, NamedTables, Statistic};

/// Its definition.
pub const STATISTIC: Statistic = Statistic {
    name: "cumulative",
    about: "mean cumulative contributions of the groups (i^p, i^c), their differences (D), null bands and tests",
    unit: "loss units",
    tables: &["cumulative", "differences", "null", "tests"],
    compute: Compute::Contributions { tested, tables },
};

/// Steps after which the difference is tested on its own.
const FIRST_STEPS: usize = 10;

/// What tells the rows of a group apart beside the step.
const KEYS: [&str; 3] = ["estimator", "world", "step"];

fn tables(sums: LazyFrame) -> PolarsResult<NamedTables> {
    let so_far = col("sum").cum_sum(false).over([col("world"), col("order")])?;
    let mean = when(col("size").gt(lit(0))).then(so_far / col("size").cast(DataType::Float64)).otherwise(lit(NULL));
    let cumulative = sums.filter(col("contiguous")).with_column(frame::finite(mean).alias("cumulative"));
    Ok(vec![("cumulative", cumulative.clone()), ("differences", differences(cumulative, "cumulative", "difference"))])
}

/// Of every two groups a before b of a world and step, the value of a less that of b, groups in order.
pub(crate) fn differences(values: LazyFrame, value: &str, difference: &str) -> LazyFrame {
    let columns = |suffix: &str| {
        let own = [col("group").alias(format!("group_{suffix}")), col("order").alias(format!("order_{suffix}"))];
        let keys = KEYS.map(col);
        let value = col(value).alias(format!("value_{suffix}"));
        values.clone().select(keys.into_iter().chain(own).chain([value]).collect::<Vec<_>>())
    };
    let keys = KEYS.map(col);
    columns("a")
        .join(columns("b"), keys.clone(), keys, JoinArgs::new(JoinType::Inner))
        .filter(col("order_a").lt(col("order_b")))
        .sort(["world", "order_a", "order_b", "step"], SortMultipleOptions::default())
        .with_column(frame::finite(col("value_a") - col("value_b")).alias(difference))
}

fn tested(scores: &Scores<'_>, sums: &Sums<'_>) -> Vec<Tested> {
    let grouping = sums.grouping;
    let of_pair = |(a, b): (usize, usize)| {
        let groups = [Some(a), Some(b)];
        let rows = scores.cumulative_rows();
        let tenth = rows.start + FIRST_STEPS - 1;
        let tenth = if rows.contains(&tenth) { tenth..tenth + 1 } else { rows.end..rows.end };
        let value = (!tenth.is_empty()).then(|| difference_of(sums, a, b)).flatten();
        [
            Tested {
                statistic: "difference",
                groups,
                family: family(scores, Contrast::mean_difference(grouping, a, b), rows),
                reported: Reported::Steps { null: true },
            },
            Tested {
                statistic: "difference_10",
                groups,
                family: family(scores, Contrast::mean_difference(grouping, a, b), tenth),
                reported: Reported::Value(value),
            },
        ]
    };
    let tested: Vec<[Tested; 2]> = grouping.pairs().map(of_pair).collect();
    let (all_steps, ten_steps): (Vec<Tested>, Vec<Tested>) = tested.into_iter().map(|[all, ten]| (all, ten)).unzip();
    all_steps.into_iter().chain(ten_steps).collect()
}

fn family(scores: &Scores<'_>, contrast: Option<Contrast>, rows: std::ops::Range<usize>) -> Family {
    let first = rows.start;
    let member =
        |place: usize, contrast: &Contrast| Some(Linear::new(0.0, 1.0, scores.spread(first + place)?, contrast));
    Family::new(contrast, rows, member)
}

/// D of two groups after the first ten steps, added up as the table does.
fn difference_of(sums: &Sums<'_>, a: usize, b: usize) -> Option<f64> {
    let mean = |group: usize| {
        let of_steps = sums.contributions.by_step().take(FIRST_STEPS).map(|of_step| sums.grouping.sums(of_step)[group]);
        let size = sums.grouping.sizes()[group];
        (size > 0).then(|| of_steps.sum::<f64>() / size as f64).filter(|mean| mean.is_finite())
    };
    Some(mean(a)? - mean(b)?)
}
