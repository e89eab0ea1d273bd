//! The gradients coordinate by coordinate: sum, variance and signs over the examples.
//!
//! ```text
//! Σ_i g_ij        var_j = Σ_i (g_ij − ḡ_j)² / (n − 1)        #{i: g_ij ≠ 0}
//! ```
//!
//! The variance divides by n − 1 (**choice**: as tr(Σ) of the simple noise scale does), and is 0 exactly if all n values are
//! equal: rounding must not be taken for a variance. For one example it is 0. A sum that is only the rounding of its terms is 0.

use std::ops::Range;

use pulp::{Arch, NullaryFnOnce};

use super::zero;

/// Moments and signs of d coordinates over n examples.
#[derive(Clone, Debug, PartialEq)]
pub struct Coordinates {
    /// Number of examples, n.
    pub examples: usize,
    /// Σ_i g_ij, one a coordinate.
    pub sums: Vec<f64>,
    /// var_j, one a coordinate.
    pub variances: Vec<f64>,
    /// max_i |g_ij|, one a coordinate.
    pub largest: Vec<f64>,
    /// How many g_ij are not 0, one a coordinate.
    pub nonzero: Vec<u32>,
}

impl Coordinates {
    /// Of gradients `[n, d]`, row-major, the coordinates `columns` of the d.
    pub fn new(gradients: &[f64], examples: usize, columns: Range<usize>) -> Coordinates {
        Arch::new().dispatch(Rows { gradients, examples, columns })
    }

    #[inline(always)]
    fn add(&mut self, row: &[f64], first: &[f64], differs: &mut [bool]) {
        for (sum, value) in self.sums.iter_mut().zip(row) {
            *sum += value;
        }
        for (largest, value) in self.largest.iter_mut().zip(row) {
            let size = value.abs();
            *largest = if size > *largest { size } else { *largest };
        }
        for (nonzero, &value) in self.nonzero.iter_mut().zip(row) {
            *nonzero += u32::from(value != 0.0);
        }
        for ((differs, value), first) in differs.iter_mut().zip(row).zip(first) {
            *differs |= value != first;
        }
    }
}

struct Rows<'a> {
    gradients: &'a [f64],
    examples: usize,
    columns: Range<usize>,
}

/// Compiled once for each instruction set, by being inlined into the dispatch.
impl NullaryFnOnce for Rows<'_> {
    type Output = Coordinates;

    #[inline(always)]
    fn call(self) -> Coordinates {
        let Rows { gradients, examples, columns } = self;
        let d = gradients.len().checked_div(examples).unwrap_or(0);
        let rows = || gradients.chunks_exact(d.max(1)).map(|row| &row[columns.clone()]);
        let mut of = Coordinates {
            examples,
            sums: vec![0.0; columns.len()],
            variances: vec![0.0; columns.len()],
            largest: vec![0.0; columns.len()],
            nonzero: vec![0; columns.len()],
        };
        let Some(first) = rows().next() else { return of };
        let mut differs = vec![false; columns.len()];
        for row in rows() {
            of.add(row, first, &mut differs);
        }
        let n = examples as f64;
        for (sum, largest) in of.sums.iter_mut().zip(&of.largest) {
            *sum = zero::or_zero(*sum, n, n * largest);
        }
        let means: Vec<f64> = of.sums.iter().map(|sum| sum / examples as f64).collect();
        for row in rows() {
            for ((variance, value), mean) in of.variances.iter_mut().zip(row).zip(&means) {
                *variance += (value - mean) * (value - mean);
            }
        }
        for (variance, differs) in of.variances.iter_mut().zip(differs) {
            *variance = if differs { *variance / (examples as f64 - 1.0) } else { 0.0 };
        }
        of
    }
}

/// The sum of the ratios, and how many there are: what adds up over layers.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Ratios {
    /// Σ_j ḡ_j²/var_j.
    pub sum: f64,
    /// d', the number of coordinates that have a variance.
    pub coordinates: u32,
}

impl Ratios {
    /// Of the coordinates of one layer.
    pub fn new(coordinates: &Coordinates) -> Ratios {
        let mut ratios = Ratios::default();
        let varying = coordinates.sums.iter().zip(&coordinates.variances).filter(|(_, variance)| **variance > 0.0);
        for (sum, variance) in varying {
            let mean = sum / coordinates.examples as f64;
            ratios.sum += mean * mean / variance;
            ratios.coordinates += 1;
        }
        ratios
    }

    /// Adds those of another layer.
    pub fn add(&mut self, other: Ratios) {
        self.sum += other.sum;
        self.coordinates += other.coordinates;
    }

    /// `sum`/d'; `None` without a coordinate.
    pub fn mean(self, sum: f64) -> Option<f64> {
        (self.coordinates > 0).then(|| sum / f64::from(self.coordinates))
    }
}

/// How often each example agrees in sign with the mean gradient: what adds up over layers.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Agreements {
    /// #{j: sign g_ij = sign ḡ_j}, one an example.
    pub by_example: Vec<u32>,
    /// d', the number of coordinates with ḡ_j ≠ 0.
    pub coordinates: u32,
    /// Σ_j of the fraction of the examples that would agree if their signs were random.
    pub chance: f64,
}

impl Agreements {
    /// Of gradients `[n, d]`, row-major, the coordinates `columns` of the d, whose moments are `coordinates`.
    pub fn new(gradients: &[f64], columns: Range<usize>, coordinates: &Coordinates) -> Agreements {
        let n = coordinates.examples;
        let d = gradients.len().checked_div(n).unwrap_or(0);
        let sign = |value: f64| i8::from(value > 0.0) - i8::from(value < 0.0);
        let signs: Vec<i8> = coordinates.sums.iter().map(|&sum| sign(sum)).collect();
        let agreeing = |row: &[f64]| {
            let pairs = row[columns.clone()].iter().zip(&signs);
            pairs.map(|(&value, &of_mean)| u32::from(of_mean != 0 && sign(value) == of_mean)).sum()
        };
        let chances = majorities(n);
        let signed = coordinates.nonzero.iter().zip(&signs).filter(|(_, sign)| **sign != 0);
        Agreements {
            by_example: gradients.chunks_exact(d.max(1)).map(agreeing).collect(),
            coordinates: signs.iter().map(|&sign| u32::from(sign != 0)).sum(),
            chance: signed.map(|(&nonzero, _)| f64::from(nonzero) / n as f64 * chances[nonzero as usize]).sum(),
        }
    }

    /// Adds those of another layer.
    pub fn add(&mut self, other: &Agreements) {
        self.by_example.iter_mut().zip(&other.by_example).for_each(|(sum, agreeing)| *sum += agreeing);
        self.coordinates += other.coordinates;
        self.chance += other.chance;
    }

    /// The fraction of the coordinates at which these examples agree; not finite without a coordinate.
    pub fn fraction(&self, examples: impl ExactSizeIterator<Item = usize>) -> f64 {
        let count = examples.len() as f64;
        let agreeing: u64 = examples.map(|example| u64::from(self.by_example[example])).sum();
        agreeing as f64 / (count * f64::from(self.coordinates))
    }
}

/// For each z up to `most`: how likely one of z random signs is to be the one that most have, 1/2 + C(w−1, (w−1)/2)/2^w with w the
/// largest odd number ≤ z.
fn majorities(most: usize) -> Vec<f64> {
    let (mut excess, mut majorities) = (0.5, vec![0.0; most + 1]);
    for odd in (1..=most).step_by(2) {
        majorities[odd..(odd + 2).min(most + 1)].fill(0.5 + excess);
        excess *= odd as f64 / (odd + 1) as f64;
    }
    majorities
}
