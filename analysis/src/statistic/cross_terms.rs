//! The cross terms: how much of ‖g‖² comes from the agreement of each group with each.
//!
//! ```text
//! ⟨g^a, g^b⟩ = Σ_{i∈a} Σ_{j∈b} ⟨g_i, g_j⟩        Σ_ab ⟨g^a, g^b⟩ = ‖g‖²
//! ```
//!
//! with g^a the sum of the gradients of group a, unscaled, over the sampled examples and coordinates; self terms are in the
//! diagonal. As fractions of ‖g‖² they are missing where that is not positive. Source: §2.4, whose split into α and β gives
//! half of each pair of cross terms to either group; [S 2.1].

use super::gram::Gram;
use super::moments::ratio;
use super::pair_sums::PairSums;
use super::partition::Partition;

/// The matrix ⟨g^a, g^b⟩ `[G, G]`, row-major, from the sums of inner products over pairs of groups and the self terms.
pub fn matrix(partition: &Partition, sums: &PairSums, gram: &Gram) -> Vec<f64> {
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

/// A cross term as a fraction of ‖g‖², the sum of the matrix; `None` where that is not positive.
pub fn fraction(matrix: &[f64], value: f64) -> Option<f64> {
    ratio(value, matrix.iter().sum())
}
