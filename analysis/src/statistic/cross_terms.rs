//! The cross terms: how much of ‖g‖² comes from the agreement of each group with each.
//!
//! ```text
//! ⟨g^a, g^b⟩ = Σ_{i∈a} Σ_{j∈b} ⟨g_i, g_j⟩        Σ_ab ⟨g^a, g^b⟩ = ‖g‖²
//! ```
//!
//! with g^a the sum of the gradients of group a, unscaled, over the sampled examples and coordinates; self terms are in the
//! diagonal. What is only the rounding of its terms is 0. As fractions of ‖g‖² they are missing where that is not positive. Source: §2.4, whose split into α and β gives
//! half of each pair of cross terms to either group; [S 2.1].

use polars::prelude::*;

use crate::frame;
use crate::kernel::gram::Gram;
use crate::kernel::pair_sums::{self, Kernel, PairSums, Weights};
use crate::kernel::partition::Partition;
use crate::kernel::zero;
use crate::sample::{GROUPS, Part, Sample};
use crate::statistic::{Compute, Statistic};

/// Its definition.
pub const STATISTIC: Statistic = Statistic {
    name: "cross_terms",
    about: "⟨g^a, g^b⟩ of the groups' summed gradients, and what fraction of ‖g‖² it is",
    unit: "loss units",
    tables: &["cross_terms"],
    compute: Compute::GroupPairs { values, table },
};

/// The matrix `[G, G]`, row-major, of one step.
fn values(part: &Part, sample: &Sample) -> Vec<f64> {
    let [sums] = pair_sums::sums(&part.gram, Kernel::Inner, &sample.cells, [GROUPS], &Weights::none());
    let mut matrix = matrix(&sample.cells.partitions()[GROUPS], &sums, &part.gram);
    // Each is the sum of n² inner products at most, which add up to n Σ q_i in size.
    let n = sample.examples() as f64;
    let size = n * part.gram.self_terms().iter().sum::<f64>();
    matrix.iter_mut().for_each(|value| *value = zero::or_zero(*value, n, size));
    matrix
}

/// From the columns step, group_a, group_b, value: every value and its step's sum, in fixed order.
fn table(values: LazyFrame) -> PolarsResult<LazyFrame> {
    let total = frame::sum_in_order(col("value"), &["step"])?;
    let size = frame::sum_in_order(col("value").abs(), &["step"])?;
    let rounding = lit(zero::ROUNDINGS * f64::EPSILON) * len().over([col("step")])?.cast(DataType::Float64) * size;
    let total = when(total.clone().gt(rounding)).then(total).otherwise(lit(0.0));
    Ok(values.with_columns([lit("paper").alias("estimator"), frame::ratio(col("value"), total).alias("fraction")]))
}

/// The matrix ⟨g^a, g^b⟩ `[G, G]`, row-major, from the sums of inner products over pairs of groups and the self terms.
fn matrix(partition: &Partition, sums: &PairSums, gram: &Gram) -> Vec<f64> {
    let groups = partition.groups();
    let mut matrix = vec![0.0; groups * groups];
    for ((a, b), &sum) in partition.pairs().zip(&sums.actual) {
        matrix[a * groups + b] += sum;
        matrix[b * groups + a] += sum;
    }
    for (&group, self_term) in partition.of_example().iter().zip(gram.self_terms()) {
        matrix[usize::from(group) * (groups + 1)] += self_term;
    }
    matrix
}
