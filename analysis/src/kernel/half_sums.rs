//! What the statistics of coordinates and the squared norms of groups are in every half.
//!
//! 64 coordinates at a time, whose values for all examples lie together, the examples of each half are added up, batch by
//! batch and in a batch group by group. The sums give
//!
//! ```text
//! Σ_j (ḡ_j² − var_j/h)/var_j                       the sum that the GSNR is of
//! ‖Σ_a g − Σ_c g‖²                                 the squared distances of disparity's batches
//! Σ_{i∈k} Σ_{j≠i} ⟨g_i, g_j⟩,  Σ_{i∈k} ‖g_i‖²      of each group, over all coordinates and over those of the half
//! ```
//!
//! The values of a coordinate are divided by its largest and added up in f32, everything after that in f64: an end of an interval
//! is good to four digits. Where f32 is too little to tell a variance, it is computed again in f64.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use super::batches;
use super::coordinate::Coordinates;
use super::halves::Halves;
use super::partition::Partition;

/// Coordinates taken together: the values of a few hundred examples stay in the second cache.
const WIDTH: usize = 64;
/// Registers that are added up at a time: enough to hide how long an addition takes.
const REGISTERS: usize = 4;
/// A variance that is a smaller part of the mean square is not told from rounding in f32.
const LEAST_VARIANCE: f64 = 1e-2;
/// Sums of squares below this may have lost some to underflow.
const LEAST_SQUARES: f64 = 1e-30;

/// The examples of a half in the order in which they are added up: by batch, and in a batch by group.
#[derive(Clone, Debug)]
pub struct Order {
    examples: Vec<u32>,
    /// Number of examples, place of their batch (after the last: in none), and their group.
    runs: Vec<(usize, usize, usize)>,
}

/// The orders of all halves, and how their sums are cut into batches and groups.
#[derive(Clone, Debug)]
pub struct Orders {
    examples: usize,
    groups: usize,
    /// Size and number of the batches of a half.
    batches: (usize, usize),
    orders: Vec<Order>,
}

impl Orders {
    /// Of the halves of examples that are in these groups.
    pub fn new(examples: usize, halves: &Halves, partition: &Partition) -> Orders {
        let (size, _) = batches::batches(examples);
        let count = examples / 2 / size;
        let order = |half: &[u32]| {
            let key = |(place, &example): (usize, &u32)| {
                ((place / size).min(count), usize::from(partition.of_example()[example as usize]), example)
            };
            let mut keys: Vec<(usize, usize, u32)> = half.iter().enumerate().map(key).collect();
            keys.sort_unstable();
            let runs = keys.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)).map(|run| (run.len(), run[0].0, run[0].1));
            Order { runs: runs.collect(), examples: keys.iter().map(|key| key.2).collect() }
        };
        let orders = halves.examples().map(order).collect();
        Orders { examples, groups: partition.groups(), batches: (size, count), orders }
    }

    /// Number of pairs of batches in a half.
    pub fn batch_pairs(&self) -> usize {
        batches::pairs(self.batches.1).count()
    }
}

/// Of each half and group, `[B, G]` row-major: sums over pairs of distinct examples, the first in the group, and over its examples.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupSums {
    /// Σ_{i∈k} Σ_{j≠i} ⟨g_i, g_j⟩.
    pub pairs: Vec<f64>,
    /// Σ_{i∈k} ‖g_i‖².
    pub selves: Vec<f64>,
}

impl GroupSums {
    fn zero(length: usize) -> GroupSums {
        GroupSums { pairs: vec![0.0; length], selves: vec![0.0; length] }
    }
}

/// The sums of one parameter in every half.
#[derive(Clone, Debug, PartialEq)]
pub struct HalfSums {
    /// For the GSNR, one a half; NaN if a coordinate is constant there and not 0.
    pub ratios: Vec<f64>,
    /// Of every pair of batches, `[B, pairs]`, row-major.
    pub squared_distances: Vec<f64>,
    /// Over all coordinates.
    pub all: GroupSums,
    /// Over those of the half.
    pub taken: GroupSums,
}

impl HalfSums {
    /// Of gradients `[n, d]`, row-major, over the coordinates `columns` of the d, whose moments are `coordinates`; `taken` says which of
    /// them are in each half, `[B, columns]`.
    pub fn new(
        gradients: &[f64],
        columns: Range<usize>,
        coordinates: &Coordinates,
        orders: &Orders,
        taken: &[bool],
    ) -> HalfSums {
        Arch::new().dispatch(Visit { gradients, columns, coordinates, orders, taken })
    }

    /// Adds the ratios and distances of another parameter.
    pub fn add(&mut self, other: &HalfSums) {
        self.ratios.iter_mut().zip(&other.ratios).for_each(|(sum, ratio)| *sum += ratio);
        let distances = self.squared_distances.iter_mut().zip(&other.squared_distances);
        distances.for_each(|(sum, squared)| *sum += squared);
    }
}

/// 64 coordinates of one example, or sums of them: aligned, so that no load straddles two cache lines.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Values([f32; WIDTH]);

const ZERO: Values = Values([0.0; WIDTH]);

/// The sums of 64 coordinates over the examples of one half.
struct Sums {
    /// By batch, and of those in none.
    batches: Vec<Values>,
    /// By group.
    totals: Vec<Values>,
    /// Σ g², by group.
    squares: Vec<Values>,
}

impl Sums {
    #[inline(always)]
    fn fill<S: Simd>(&mut self, simd: S, values: &[Values], order: &Order) {
        [&mut self.batches, &mut self.totals, &mut self.squares].into_iter().for_each(|sums| sums.fill(ZERO));
        let mut examples = order.examples.as_slice();
        for &(length, batch, group) in &order.runs {
            let (run, rest) = examples.split_at(length);
            examples = rest;
            let (mut total, mut squares) = (ZERO, ZERO);
            add_run(simd, values, run, &mut total, &mut squares);
            for lane in 0..WIDTH {
                self.batches[batch].0[lane] += total.0[lane];
                self.totals[group].0[lane] += total.0[lane];
                self.squares[group].0[lane] += squares.0[lane];
            }
        }
    }

    /// Σ over the groups.
    #[inline(always)]
    fn together(sums: &[Values]) -> [f64; WIDTH] {
        let mut together = [0.0; WIDTH];
        for Values(values) in sums {
            for lane in 0..WIDTH {
                together[lane] += f64::from(values[lane]);
            }
        }
        together
    }
}

/// The sums of values and of squares over neighbouring examples of an order.
#[inline(always)]
fn add_run<S: Simd>(simd: S, values: &[Values], run: &[u32], total: &mut Values, squares: &mut Values) {
    let (totals, squares) = (S::as_mut_simd_f32s(&mut total.0).0, S::as_mut_simd_f32s(&mut squares.0).0);
    let registers = totals.chunks_exact_mut(REGISTERS).zip(squares.chunks_exact_mut(REGISTERS));
    for (place, (totals, squares)) in registers.enumerate() {
        let (mut total, mut square) = ([simd.splat_f32s(0.0); REGISTERS], [simd.splat_f32s(0.0); REGISTERS]);
        for &example in run {
            let row = &S::as_simd_f32s(&values[example as usize].0).0[place * REGISTERS..][..REGISTERS];
            for register in 0..REGISTERS {
                total[register] = simd.add_f32s(total[register], row[register]);
                square[register] = simd.mul_add_f32s(row[register], row[register], square[register]);
            }
        }
        totals.copy_from_slice(&total);
        squares.copy_from_slice(&square);
    }
}

struct Visit<'a> {
    gradients: &'a [f64],
    columns: Range<usize>,
    coordinates: &'a Coordinates,
    orders: &'a Orders,
    taken: &'a [bool],
}

/// Compiled once for each instruction set, by being inlined into the dispatch.
impl WithSimd for Visit<'_> {
    type Output = HalfSums;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> HalfSums {
        let Orders { examples, groups, batches: (_, count), ref orders } = *self.orders;
        let (halves, pairs) = (orders.len(), self.orders.batch_pairs());
        let mut result = HalfSums {
            ratios: vec![0.0; halves],
            squared_distances: vec![0.0; halves * pairs],
            all: GroupSums::zero(halves * groups),
            taken: GroupSums::zero(halves * groups),
        };
        let mut values = vec![ZERO; examples];
        let mut sums = Sums { batches: vec![ZERO; count + 1], totals: vec![ZERO; groups], squares: vec![ZERO; groups] };
        for first in (0..if halves == 0 { 0 } else { self.columns.len() }).step_by(WIDTH) {
            let scales = self.load(first, &mut values);
            for (half, order) in orders.iter().enumerate() {
                sums.fill(simd, &values, order);
                let of_pairs = &mut result.squared_distances[half * pairs..(half + 1) * pairs];
                add_distances(&sums.batches[..count], &scales, of_pairs);
                result.ratios[half] += self.ratio(first, &sums, order);
                self.add_groups(first, half, &sums, &scales, &mut result);
            }
        }
        let per_batch = 1.0 / (self.orders.batches.0 as f64).powi(2);
        result.squared_distances.iter_mut().for_each(|squared| *squared *= per_batch);
        result
    }
}

impl Visit<'_> {
    /// Loads the values of the coordinates from `first` on, divided by the largest of each, and zeros beyond the last; what they were
    /// divided by.
    #[inline(always)]
    fn load(&self, first: usize, values: &mut [Values]) -> [f64; WIDTH] {
        let width = WIDTH.min(self.columns.len() - first);
        let (mut scales, mut inverses) = ([0.0; WIDTH], [0.0; WIDTH]);
        for lane in 0..width {
            let largest = self.coordinates.largest[first + lane];
            if largest > 0.0 {
                (scales[lane], inverses[lane]) = (largest, 1.0 / largest);
            }
        }
        let d = self.gradients.len() / self.orders.examples;
        let from = self.columns.start + first;
        for (row, Values(values)) in self.gradients.chunks_exact(d).zip(values) {
            *values = [0.0; WIDTH];
            for ((value, gradient), inverse) in values.iter_mut().zip(&row[from..from + width]).zip(&inverses) {
                *value = (gradient * inverse) as f32;
            }
        }
        scales
    }

    /// Σ (ḡ_j² − var_j/h)/var_j of the 64 coordinates, those that have a variance in the sample.
    #[inline(always)]
    fn ratio(&self, first: usize, sums: &Sums, order: &Order) -> f64 {
        let (totals, squares) = (Sums::together(&sums.totals), Sums::together(&sums.squares));
        let n = order.examples.len() as f64;
        let (mut ratios, mut exactly) = ([0.0; WIDTH], [false; WIDTH]);
        for lane in 0..WIDTH {
            let (total, squares) = (totals[lane], squares[lane]);
            let spread = squares - total * total / n;
            let reliable = spread > LEAST_VARIANCE * squares && squares > LEAST_SQUARES;
            ratios[lane] = if reliable { total * total * (n - 1.0) / (n * n * spread) - 1.0 / n } else { 0.0 };
            exactly[lane] = !reliable && (total != 0.0 || squares != 0.0);
        }
        for (lane, _) in exactly.iter().enumerate().filter(|(_, exactly)| **exactly) {
            if self.coordinates.variances[first + lane] > 0.0 {
                ratios[lane] = self.exact_ratio(first + lane, &order.examples);
            }
        }
        add_up(ratios)
    }

    #[cold]
    fn exact_ratio(&self, coordinate: usize, examples: &[u32]) -> f64 {
        let d = self.gradients.len() / self.orders.examples;
        let value = |&example: &u32| self.gradients[example as usize * d + self.columns.start + coordinate];
        let (n, first) = (examples.len() as f64, value(&examples[0]));
        if examples.iter().all(|example| value(example) == first) {
            return if first == 0.0 { 0.0 } else { f64::NAN };
        }
        let mean = examples.iter().map(value).sum::<f64>() / n;
        let squares: f64 = examples.iter().map(|example| (value(example) - mean).powi(2)).sum();
        mean * mean * (n - 1.0) / squares - 1.0 / n
    }

    #[inline(always)]
    fn add_groups(&self, first: usize, half: usize, sums: &Sums, scales: &[f64; WIDTH], result: &mut HalfSums) {
        let together = Sums::together(&sums.totals);
        let width = WIDTH.min(self.columns.len() - first);
        let mut taken = [0.0; WIDTH];
        for (weight, &is) in taken.iter_mut().zip(&self.taken[half * self.columns.len() + first..][..width]) {
            *weight = if is { 1.0 } else { 0.0 };
        }
        for (group, (Values(total), Values(squares))) in sums.totals.iter().zip(&sums.squares).enumerate() {
            let (mut pairs, mut selves) = ([0.0; WIDTH], [0.0; WIDTH]);
            for lane in 0..WIDTH {
                let scale = scales[lane] * scales[lane];
                selves[lane] = scale * f64::from(squares[lane]);
                pairs[lane] = scale * f64::from(total[lane]) * together[lane] - selves[lane];
            }
            let place = half * sums.totals.len() + group;
            result.all.pairs[place] += add_up(pairs);
            result.all.selves[place] += add_up(selves);
            for lane in 0..WIDTH {
                pairs[lane] *= taken[lane];
                selves[lane] *= taken[lane];
            }
            result.taken.pairs[place] += add_up(pairs);
            result.taken.selves[place] += add_up(selves);
        }
    }
}

/// Adds ‖Σ_a g − Σ_c g‖² of every pair of batches over the 64 coordinates.
#[inline(always)]
fn add_distances(batches: &[Values], scales: &[f64; WIDTH], squared_distances: &mut [f64]) {
    for ((a, c), squared) in batches::pairs(batches.len()).zip(squared_distances) {
        let mut squares = [0.0; WIDTH];
        for lane in 0..WIDTH {
            let difference = f64::from(batches[a].0[lane] - batches[c].0[lane]) * scales[lane];
            squares[lane] = difference * difference;
        }
        *squared += add_up(squares);
    }
}

/// The sum, by halves.
#[inline(always)]
fn add_up(mut values: [f64; WIDTH]) -> f64 {
    let mut width = WIDTH;
    while width > 1 {
        width /= 2;
        for lane in 0..width {
            values[lane] += values[lane + width];
        }
    }
    values[0]
}
