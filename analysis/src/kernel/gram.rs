//! The Gram matrix of the n per-example gradients of one step, over the coordinates of one layer.
//!
//! ```text
//! K_ij = ⟨g_i, g_j⟩       K_ii = q_i, the self terms       Σ_ij K_ij = ‖g‖²
//! ```
//!
//! Every statistic of pairs of examples is a function of it: it is computed once a step and layer, in f64, and shared. That
//! of several layers together is the sum of theirs. It is symmetric, and only the blocks on and above the diagonal are
//! computed. Source: Equation 2; [S 8].

use std::ops::Range;

use super::product::{Matrix, product};

/// Columns computed at a time: few, so that little below the diagonal is.
const BLOCK: usize = 48;

/// The inner products of n gradients.
#[derive(Clone, Debug, PartialEq)]
pub struct Gram {
    examples: usize,
    /// `[n, n]`, row-major; entries below the diagonal are not to be read.
    upper: Vec<f64>,
}

impl Gram {
    /// Of gradients `[n, d]`, row-major, over the coordinates `columns` of the d.
    pub fn new(gradients: &[f64], examples: usize, columns: Range<usize>) -> Gram {
        let coordinates = gradients.len().checked_div(examples).unwrap_or(0);
        let mut upper = vec![0.0; examples * examples];
        if columns.is_empty() {
            return Gram { examples, upper };
        }
        let rows = |first: usize, rows: usize| {
            Matrix::new(&gradients[first * coordinates + columns.start..], rows, columns.len(), coordinates)
        };
        for first in (0..examples).step_by(BLOCK) {
            let last = (first + BLOCK).min(examples);
            product(rows(0, last), rows(first, last - first).transposed(), &mut upper[first..], examples);
        }
        Gram { examples, upper }
    }

    /// Adds the Gram matrix of the same examples over other coordinates.
    pub fn add(&mut self, other: &Gram) {
        self.upper.iter_mut().zip(&other.upper).for_each(|(sum, value)| *sum += value);
    }

    /// Number of examples, n.
    pub fn examples(&self) -> usize {
        self.examples
    }

    /// ⟨g_i, g_j⟩.
    pub fn inner(&self, i: usize, j: usize) -> f64 {
        self.upper[i.min(j) * self.examples + i.max(j)]
    }

    /// ⟨g_i, g_j⟩ for every j; those of j < i are not to be read.
    pub(crate) fn row(&self, i: usize) -> &[f64] {
        &self.upper[i * self.examples..(i + 1) * self.examples]
    }

    /// q_i = ‖g_i‖², one an example.
    pub fn self_terms(&self) -> Vec<f64> {
        self.upper.iter().step_by(self.examples + 1).copied().collect()
    }
}
