//! Contributions and self terms, of which every other statistic is a function.
//!
//! For the gradients g_{t,i} of n examples at step t, and their sum g_t:
//!
//! ```text
//! s_{t,i} = ⟨g_{t,i}, g_t⟩      contribution of example i at step t;  Σ_i s_{t,i} = ‖g_t‖²
//! q_{t,i} = ‖g_{t,i}‖²          self term
//! ```
//!
//! Gradients are stored in f32; sums and products are accumulated in f64, where the product of two f32 is exact. Source:
//! §2.4 and Equation 2; [S 2].

use pulp::{Arch, NullaryFnOnce};
use rayon::prelude::*;

use super::zero;

/// Accumulators of a dot product: as many as keep 512-bit units busy, the same on every machine so that results are.
const LANES: usize = 16;

/// Contributions and self terms of n examples over T recorded steps.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Contributions {
    examples: usize,
    steps: Vec<i64>,
    of_steps: Vec<StepContributions>,
}

/// Contributions and self terms of the n examples at one step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepContributions {
    /// s_{t,i}, one an example.
    pub contributions: Vec<f64>,
    /// q_{t,i}, one an example.
    pub self_terms: Vec<f64>,
}

impl Contributions {
    /// Of `examples` examples and, so far, no step.
    pub fn new(examples: usize) -> Contributions {
        Contributions { examples, ..Contributions::default() }
    }

    /// Adds a step later than those so far, with one contribution and one self term an example.
    pub fn push(&mut self, step: i64, of_step: StepContributions) {
        self.steps.push(step);
        self.of_steps.push(of_step);
    }

    /// Number of examples, n.
    pub fn examples(&self) -> usize {
        self.examples
    }

    /// The T recorded steps, ascending.
    pub fn steps(&self) -> &[i64] {
        &self.steps
    }

    /// What there is of each step, in the order of [`Contributions::steps`].
    pub fn of_steps(&self) -> &[StepContributions] {
        &self.of_steps
    }

    /// The n contributions of each step, in the order of [`Contributions::steps`].
    pub fn by_step(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        self.of_steps.iter().map(|of_step| of_step.contributions.as_slice())
    }

    /// The n self terms of each step, in the order of [`Contributions::steps`].
    pub fn self_terms_by_step(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        self.of_steps.iter().map(|of_step| of_step.self_terms.as_slice())
    }

    /// ‖g_t‖² = Σ_i s_{t,i} of each step. Every coordinate of g_t being a sum of n numbers, ‖g_t‖ is 0 where it is no more than the
    /// rounding of sums that are √(n Σ_i q_{t,i}) in size at most.
    pub fn totals(&self) -> Vec<f64> {
        let total = |of_step: &StepContributions| {
            let (n, sum) = (self.examples as f64, of_step.contributions.iter().sum::<f64>());
            let size = (n * of_step.self_terms.iter().sum::<f64>()).sqrt();
            if sum > 0.0 && zero::or_zero(sum.sqrt(), n, size) == 0.0 { 0.0 } else { sum }
        };
        self.of_steps.par_iter().map(total).collect()
    }

    /// How many of the first recorded steps are 0, 1, 2, … without a gap.
    pub fn contiguous_steps(&self) -> usize {
        contiguous_steps(&self.steps)
    }
}

/// How many of the first of these ascending steps are 0, 1, 2, … without a gap.
pub(crate) fn contiguous_steps(steps: &[i64]) -> usize {
    steps.iter().zip(0..).take_while(|&(&step, expected)| step == expected).count()
}

/// Contributions and self terms of one step from its gradients `[examples, d]`, row-major.
pub fn of_step(gradients: &[f32], examples: usize) -> StepContributions {
    let mut products = Products::new(examples);
    products.add(gradients);
    products.finish()
}

/// Contributions and self terms of one step while its gradients are added, block after block of coordinates: of a coordinate
/// g_t needs no other. Blocks of a multiple of 16 coordinates give the bits of all at once.
#[derive(Clone, Debug)]
pub struct Products {
    /// ⟨g_{t,i}, g_t⟩ and ‖g_{t,i}‖² of each example, in accumulators.
    sums: Vec<[[f64; LANES]; 2]>,
}

impl Products {
    /// Of so many examples, and no coordinate.
    pub fn new(examples: usize) -> Products {
        Products { sums: vec![[[0.0; LANES]; 2]; examples] }
    }

    /// Adds the gradients `[n, block]`, row-major, in a block of coordinates.
    pub fn add(&mut self, gradients: &[f32]) {
        let coordinates = gradients.len().checked_div(self.sums.len()).unwrap_or(0);
        if coordinates > 0 {
            let add = AddBlock { gradients, coordinates, sums: &mut self.sums };
            Arch::new().dispatch(add);
        }
    }

    /// The sums.
    pub fn finish(self) -> StepContributions {
        let sum = |sums: [[f64; LANES]; 2]| (sums[0].iter().sum::<f64>(), sums[1].iter().sum::<f64>());
        let (contributions, self_terms) = self.sums.into_iter().map(sum).unzip();
        StepContributions { contributions, self_terms }
    }
}

struct AddBlock<'a> {
    gradients: &'a [f32],
    coordinates: usize,
    sums: &'a mut [[[f64; LANES]; 2]],
}

/// Compiled once for each instruction set, by being inlined into the dispatch.
impl NullaryFnOnce for AddBlock<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let total = total_gradient(self.gradients, self.coordinates);
        for (row, sums) in self.gradients.chunks_exact(self.coordinates).zip(self.sums) {
            add_products(row, &total, sums);
        }
    }
}

/// g_t, the sum of the rows. Four rows at a time: the sum is loaded and stored a quarter as often.
#[inline(always)]
fn total_gradient(gradients: &[f32], coordinates: usize) -> Vec<f64> {
    let mut total = vec![0.0; coordinates];
    let mut blocks = gradients.chunks_exact(4 * coordinates);
    for block in &mut blocks {
        let (first, rest) = block.split_at(coordinates);
        let (second, rest) = rest.split_at(coordinates);
        let (third, fourth) = rest.split_at(coordinates);
        for ((((sum, &a), &b), &c), &d) in total.iter_mut().zip(first).zip(second).zip(third).zip(fourth) {
            *sum += (f64::from(a) + f64::from(b)) + (f64::from(c) + f64::from(d));
        }
    }
    for row in blocks.remainder().chunks_exact(coordinates) {
        for (sum, &value) in total.iter_mut().zip(row) {
            *sum += f64::from(value);
        }
    }
    total
}

/// Adds ⟨row, total⟩ and ‖row‖².
#[inline(always)]
fn add_products(row: &[f32], total: &[f64], sums: &mut [[f64; LANES]; 2]) {
    let [mut contribution, mut self_term] = *sums;
    let (row_lanes, row_rest) = row.as_chunks::<LANES>();
    let (total_lanes, total_rest) = total.as_chunks::<LANES>();
    for (values, sums) in row_lanes.iter().zip(total_lanes) {
        for lane in 0..LANES {
            let value = f64::from(values[lane]);
            contribution[lane] += value * sums[lane];
            self_term[lane] += value * value;
        }
    }
    for (lane, (&value, &sum)) in row_rest.iter().zip(total_rest).enumerate() {
        contribution[lane] += f64::from(value) * sum;
        self_term[lane] += f64::from(value) * f64::from(value);
    }
    *sums = [contribution, self_term];
}
