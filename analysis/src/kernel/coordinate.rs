//! The gradients coordinate by coordinate: sum, variance and signs over the examples.
//!
//! ```text
//! Σ_i g_ij        var_j = Σ_i (g_ij − ḡ_j)² / (n − 1)        #{i: g_ij > 0}, #{i: g_ij < 0}
//! ```
//!
//! The variance divides by n − 1 (**choice**: as tr(Σ) of the simple noise scale does), and is 0 exactly if all n values are
//! equal: rounding must not be taken for a variance. For one example it is 0.

use std::ops::Range;

use pulp::{Arch, NullaryFnOnce};

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
    /// How many g_ij are positive, one a coordinate.
    pub positive: Vec<u32>,
    /// How many g_ij are negative, one a coordinate.
    pub negative: Vec<u32>,
}

impl Coordinates {
    /// Of gradients `[n, d]`, row-major, the coordinates `columns` of the d.
    pub fn of(gradients: &[f64], examples: usize, columns: Range<usize>) -> Coordinates {
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
        for (positive, &value) in self.positive.iter_mut().zip(row) {
            *positive += u32::from(value > 0.0);
        }
        for (negative, &value) in self.negative.iter_mut().zip(row) {
            *negative += u32::from(value < 0.0);
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
            positive: vec![0; columns.len()],
            negative: vec![0; columns.len()],
        };
        let Some(first) = rows().next() else { return of };
        let mut differs = vec![false; columns.len()];
        for row in rows() {
            of.add(row, first, &mut differs);
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
    /// d'.
    pub coordinates: u32,
}

impl Ratios {
    /// Of the coordinates of one layer.
    pub fn of(coordinates: &Coordinates) -> Ratios {
        let mut ratios = Ratios::default();
        for (sum, &variance) in coordinates.sums.iter().zip(&coordinates.variances) {
            ratios.add(sum / coordinates.examples as f64, variance);
        }
        ratios
    }

    /// Adds a coordinate, if it has a variance.
    pub fn add(&mut self, mean: f64, variance: f64) {
        if variance > 0.0 {
            self.sum += mean * mean / variance;
            self.coordinates += 1;
        }
    }

    /// Adds those of another layer.
    pub fn join(self, other: Ratios) -> Ratios {
        Ratios { sum: self.sum + other.sum, coordinates: self.coordinates + other.coordinates }
    }

    /// The GSNR.
    pub fn value(self) -> Option<f64> {
        (self.coordinates > 0).then(|| self.sum / f64::from(self.coordinates))
    }
}

/// How often an example agrees, and of how many times: what adds up over layers.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Agreements {
    /// Σ_j #{i: sign g_ij = sign ḡ_j}.
    pub agreeing: u64,
    /// n·d'.
    pub of: u64,
}

impl Agreements {
    /// Of the coordinates of one layer.
    pub fn of(coordinates: &Coordinates) -> Agreements {
        let mut agreements = Agreements::default();
        let signs = coordinates.positive.iter().zip(&coordinates.negative);
        for (&sum, (&positive, &negative)) in coordinates.sums.iter().zip(signs) {
            if sum != 0.0 {
                agreements.agreeing += u64::from(if sum > 0.0 { positive } else { negative });
                agreements.of += coordinates.examples as u64;
            }
        }
        agreements
    }

    /// Adds those of another layer.
    pub fn join(self, other: Agreements) -> Agreements {
        Agreements { agreeing: self.agreeing + other.agreeing, of: self.of + other.of }
    }

    /// The same-sign fraction.
    pub fn value(self) -> Option<f64> {
        (self.of > 0).then(|| self.agreeing as f64 / self.of as f64)
    }
}
