//! The cross terms: how much of ‖g‖² comes from the agreement of each group with each.
//!
//! ```text
//! ⟨g^a, g^b⟩ = Σ_{i∈a} Σ_{j∈b} ⟨g_i, g_j⟩        Σ_ab ⟨g^a, g^b⟩ = ‖g‖²
//! ```
//!
//! with g^a the sum of the gradients of group a, unscaled, over the sampled examples and coordinates; self terms are in the
//! diagonal. What is only the rounding of its terms is 0: of n_a n_b inner products, which add up to Σ_{i∈a} ‖g_i‖ · Σ_{j∈b} ‖g_j‖ in
//! size at most. As fractions of ‖g‖² they are missing where that is not positive. Source: §2.4, whose split into α and β gives half of
//! each pair of cross terms to either group; [S 2.1].

use polars::prelude::*;

use crate::frame;
use crate::kernel::gram::Gram;
use crate::kernel::moments::Moments;
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

/// The matrix `[G, G]`, row-major, of one step, and ‖g‖².
fn values(part: &Part, sample: &Sample) -> Vec<f64> {
    let [sums] = pair_sums::sums(&part.gram, Kernel::Inner, &sample.cells, [GROUPS], &Weights::none());
    let partition = &sample.cells.partitions()[GROUPS];
    let (mut values, self_terms) = (matrix(partition, &sums, &part.gram), part.gram.self_terms());
    let total = Moments::of_sums(sample.examples(), values.iter().sum(), self_terms.iter().sum()).norm_sq;
    let mut norms = vec![0.0; partition.groups()];
    for (&group, self_term) in partition.of_example().iter().zip(&self_terms) {
        norms[usize::from(group)] += self_term.sqrt();
    }
    for (place, value) in values.iter_mut().enumerate() {
        let (a, b) = (place / norms.len(), place % norms.len());
        *value = zero::or_zero(*value, (partition.size(a) * partition.size(b)) as f64, norms[a] * norms[b]);
    }
    values.push(total);
    values
}

/// From the columns step, group_a, group_b, value and total.
fn table(values: LazyFrame) -> PolarsResult<LazyFrame> {
    let fraction = frame::ratio(col("value"), col("total")).alias("fraction");
    Ok(values.with_columns([lit("paper").alias("estimator"), fraction]))
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
