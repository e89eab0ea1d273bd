//! The scores that permutation statistics are linear in, as rows of n numbers, and how much each row spreads.
//!
//! ```text
//! rows 0 … T−1        s_{t,i}, the contributions at each recorded step
//! then, if there is   Σ_t w_t s_{t,i} / Σ_j s_{t,j}, the scores of the crossover statistic
//! then                S_{t,i} = Σ_{t'≤t} s_{t',i}, at each step that is contiguous from 0
//! ```
//!
//! The last are sums of the first T rows: the null worlds' group sums are taken of the others alone, the *summed* ones. The scores of the
//! crossover statistic are differences of shares, in which what the worlds' sums at each step round to would not be small. A row is taken as constant if it spreads no
//! more than 10⁻¹² of the largest sum of the sizes of a score's terms, or what they round to if that is more: rounding must not be
//! standardised. Source: [S 3.1], [S 9].

use std::ops::Range;

use rayon::prelude::*;

use super::contribution::Contributions;
use super::zero;

/// Scores that spread less than this, relative to the size of their terms, differ by rounding only.
const RELATIVE_ZERO: f64 = 1e-12;

/// The score rows of the contributions of one run.
#[derive(Clone, Debug)]
pub struct Scores<'a> {
    contributions: &'a Contributions,
    totals: Vec<f64>,
    spreads: Vec<Option<f64>>,
    contiguous: usize,
    crossover: Option<Vec<f64>>,
}

impl<'a> Scores<'a> {
    /// Of contributions, and the weights w_t of the crossover statistic if there is one.
    pub fn new(contributions: &'a Contributions, crossover_weights: Option<&[f64]>) -> Scores<'a> {
        let steps: Vec<&[f64]> = contributions.by_step().collect();
        let totals = contributions.totals();
        let mut spreads: Vec<Option<f64>> =
            steps.par_iter().map(|of_step| spread(of_step, 1, largest(of_step))).collect();
        let crossover = crossover_weights.map(|weights| {
            let mut sums = Weighted::zero(contributions.examples());
            let weighted = steps.iter().zip(per_total(weights, &totals)).filter(|(_, weight)| *weight != 0.0);
            weighted.for_each(|(of_step, weight)| sums.add(of_step, weight));
            spreads.push(sums.spread());
            sums.sums
        });
        let contiguous = contributions.contiguous_steps();
        let mut sums = Weighted::zero(contributions.examples());
        for of_step in &steps[..contiguous] {
            sums.add(of_step, 1.0);
            spreads.push(sums.spread());
        }
        Scores { contributions, totals, spreads, contiguous, crossover }
    }

    /// The summed rows.
    pub(super) fn summed(&self) -> Vec<&[f64]> {
        self.contributions.by_step().chain(self.crossover.as_deref()).collect()
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.spreads.len()
    }

    /// Rows of the contributions, one a recorded step.
    pub fn step_rows(&self) -> Range<usize> {
        0..self.totals.len()
    }

    /// The row of the crossover statistic; empty if there is none.
    pub fn crossover_row(&self) -> Range<usize> {
        self.totals.len()..self.spreads.len() - self.contiguous
    }

    /// Rows of the cumulative contributions, one a contiguous step.
    pub fn cumulative_rows(&self) -> Range<usize> {
        self.spreads.len() - self.contiguous..self.spreads.len()
    }

    /// σ of a row; 0 if it is constant, `None` if a score is not finite.
    pub fn spread(&self, row: usize) -> Option<f64> {
        self.spreads[row]
    }

    /// ‖g_t‖² = Σ_i s_{t,i} of the recorded step at `place`, where shares of it are defined: `None` unless positive and finite.
    pub fn total(&self, place: usize) -> Option<f64> {
        Some(self.totals[place]).filter(|&total| total > 0.0 && total.is_finite())
    }

    /// Completes the rows of a group sum X_k of which the summed ones are given.
    pub(super) fn complete(&self, group_sums: &mut [f64]) {
        let (summed, cumulative) = group_sums.split_at_mut(self.cumulative_rows().start);
        let mut sum = 0.0;
        for (cumulative, of_step) in cumulative.iter_mut().zip(summed) {
            sum += *of_step;
            *cumulative = sum;
        }
    }
}

/// w_t / ‖g_t‖²; 0 where w_t is, whatever ‖g_t‖² may be there.
fn per_total(weights: &[f64], totals: &[f64]) -> Vec<f64> {
    let scaled = |(&weight, &total): (&f64, &f64)| if weight == 0.0 { 0.0 } else { weight / total };
    weights.iter().zip(totals).map(scaled).collect()
}

/// Sums over steps, one an example, and how large their terms are.
struct Weighted {
    sums: Vec<f64>,
    sizes: Vec<f64>,
    terms: usize,
}

impl Weighted {
    fn zero(examples: usize) -> Weighted {
        Weighted { sums: vec![0.0; examples], sizes: vec![0.0; examples], terms: 0 }
    }

    fn add(&mut self, values: &[f64], factor: f64) {
        self.terms += 1;
        for ((sum, size), value) in self.sums.iter_mut().zip(&mut self.sizes).zip(values) {
            *sum += factor * value;
            *size += (factor * value).abs();
        }
    }

    fn spread(&self) -> Option<f64> {
        spread(&self.sums, self.terms, largest(&self.sizes))
    }
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()))
}

/// Scores less their mean, and that less its mean: what is left adds up to no more than its own rounding, however little scores
/// spread beside their size.
pub(super) fn centred(scores: &[f64]) -> Vec<f64> {
    let less_mean = |scores: &[f64]| -> Vec<f64> {
        let mean = scores.iter().sum::<f64>() / scores.len() as f64;
        scores.iter().map(|score| score - mean).collect()
    };
    less_mean(&less_mean(scores))
}

/// σ, the population standard deviation; 0 for scores that differ by rounding only, each being the sum of `terms` terms whose absolute
/// values add up to `size` at most; `None` if one is not finite.
fn spread(scores: &[f64], terms: usize, size: f64) -> Option<f64> {
    if scores.is_empty() || !scores.iter().all(|score| score.is_finite()) {
        return None;
    }
    let squares: f64 = centred(scores).iter().map(|score| score * score).sum();
    let spread = (squares / scores.len() as f64).sqrt();
    let is_zero = spread <= RELATIVE_ZERO * size || zero::or_zero(spread, terms as f64, size) == 0.0;
    if is_zero { Some(0.0) } else { Some(spread).filter(|spread| spread.is_finite()) }
}
