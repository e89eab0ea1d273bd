//! GSNR, same-sign fraction and batch distances in every resample: what needs the coordinates, not the inner products.
//!
//! For 64 coordinates at a time, whose values for all examples lie together, the n draws of each resample are added up, batch
//! by batch: the batch sums give the distances of gradient disparity, their total the mean, the squares the
//! variance. Signs are counted two to a byte. The sums are in f32, the values scaled by a power of two; where that is too little
//! to tell a variance, it is computed again in f64.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use super::batches;
use super::bootstrap::Resamples;
use super::coordinate::{Agreements, Coordinates, Ratios};

/// Coordinates taken together: four registers of 512 bits.
const WIDTH: usize = 64;
/// Resamples whose sums stay in the innermost cache.
const TOGETHER: usize = 8;
/// Lanes that squared distances are added up in.
const LANES: usize = 16;
/// Coordinates whose signs are counted together.
const SIGNS: usize = 2 * WIDTH;
/// Draws that are counted in half a byte, and so often that a byte holds the sum.
const HALF_BYTE: usize = 15;
const HALF_BYTES: usize = 17;
/// A positive and a negative sign, in either half of a byte.
const POSITIVE: u8 = 1;
const NEGATIVE: u8 = 1 << 4;
/// A variance that is a smaller part of the mean square is not told from rounding in f32.
const LEAST_VARIANCE: f32 = 1e-2;
/// Sums of squares below this may have lost some to underflow.
const LEAST_SQUARES: f32 = 1e-30;

/// One layer in every resample.
#[derive(Clone, Debug, PartialEq)]
pub struct ResampledCoordinates {
    /// For the GSNR, one a resample.
    pub ratios: Vec<Ratios>,
    /// For the same-sign fraction, one a resample.
    pub agreements: Vec<Agreements>,
    /// Squared distances of every pair of batches, `[B, pairs]`, row-major.
    pub squared_distances: Vec<f64>,
}

/// 64 coordinates of one example, or sums of them: aligned, so that no load straddles two cache lines.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Values([f32; WIDTH]);

/// A squared distance in lanes that are still to be added up.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Distance([f32; LANES]);

/// [`POSITIVE`], [`NEGATIVE`] or 0, of two slabs of coordinates.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Signs([u8; SIGNS]);

impl ResampledCoordinates {
    /// Of gradients `[n, d]`, row-major, over the coordinates `columns` of the d, whose moments are `coordinates`.
    pub fn of(
        gradients: &[f64],
        columns: Range<usize>,
        coordinates: &Coordinates,
        resamples: &Resamples,
    ) -> ResampledCoordinates {
        let layer = Layer::new(gradients, columns, coordinates, resamples.examples());
        Arch::new().dispatch(Visit { layer: &layer, resamples })
    }

    /// Adds those of another layer.
    pub fn join(&mut self, other: &ResampledCoordinates) {
        self.ratios.iter_mut().zip(&other.ratios).for_each(|(sum, ratios)| *sum = sum.join(*ratios));
        self.agreements.iter_mut().zip(&other.agreements).for_each(|(sum, of)| *sum = sum.join(*of));
        let distances = self.squared_distances.iter_mut().zip(&other.squared_distances);
        distances.for_each(|(sum, squared)| *sum += squared);
    }
}

/// What the sums are taken of.
struct Layer<'a> {
    gradients: &'a [f64],
    examples: usize,
    d: usize,
    columns: Range<usize>,
    coordinates: &'a Coordinates,
    /// Values are multiplied by this power of two: the largest is then between 1 and 2.
    unit: f64,
}

impl<'a> Layer<'a> {
    fn new(gradients: &'a [f64], columns: Range<usize>, coordinates: &'a Coordinates, examples: usize) -> Layer<'a> {
        let d = gradients.len().checked_div(examples).unwrap_or(0);
        let largest = coordinates.largest.iter().fold(0.0_f64, |largest, &value| largest.max(value));
        let unit = if largest > 0.0 { (-largest.log2().floor()).exp2() } else { 1.0 };
        Layer { gradients, examples, d, columns, coordinates, unit }
    }

    /// Loads the values of the 64 coordinates from `first`, as far as there are any, in place of zeros.
    #[inline(always)]
    fn load(&self, first: usize, values: &mut [Values]) {
        let from = self.columns.start + first;
        let columns = from..(from + WIDTH).min(self.columns.end);
        for (row, Values(values)) in self.gradients.chunks_exact(self.d).zip(values) {
            for (place, value) in values.iter_mut().zip(&row[columns.clone()]) {
                *place = (value * self.unit) as f32;
            }
        }
    }

    #[inline(always)]
    fn add_ratios(&self, first: usize, sums: &Sums, draws: &[u32], ratios: &mut Ratios) {
        let n = draws.len() as f32;
        if draws.len() < 2 {
            return;
        }
        let (mut sum, mut counted) = ([0.0; WIDTH], [0_u32; WIDTH]);
        let mut exactly = [false; WIDTH];
        for lane in 0..WIDTH {
            let (total, squares) = (sums.total[lane], sums.squares[lane]);
            let spread = squares - total * total / n;
            let reliable = spread > LEAST_VARIANCE * squares && squares > LEAST_SQUARES;
            sum[lane] = if reliable { total * total / (n * n) * (n - 1.0) / spread } else { 0.0 };
            counted[lane] = u32::from(reliable);
            exactly[lane] = !reliable && total != 0.0;
        }
        ratios.sum += f64::from(add_up(sum));
        ratios.coordinates += counted.iter().sum::<u32>();
        if !exactly.iter().fold(false, |any, &exactly| any | exactly) {
            return;
        }
        for (lane, _) in exactly.iter().enumerate().filter(|(_, exactly)| **exactly) {
            if self.coordinates.variances[first + lane] > 0.0 {
                self.add_exact_ratio(first + lane, draws, ratios);
            }
        }
    }

    fn add_exact_ratio(&self, coordinate: usize, draws: &[u32], ratios: &mut Ratios) {
        let value = |&draw: &u32| self.gradients[draw as usize * self.d + self.columns.start + coordinate];
        let n = draws.len() as f64;
        if draws.iter().any(|draw| value(draw) != value(&draws[0])) {
            let mean = draws.iter().map(value).sum::<f64>() / n;
            let squares: f64 = draws.iter().map(|draw| (value(draw) - mean).powi(2)).sum();
            ratios.add(mean, squares / (n - 1.0));
        }
    }
}

/// Visits every resample.
struct Visit<'a> {
    layer: &'a Layer<'a>,
    resamples: &'a Resamples,
}

/// Compiled once for each instruction set, by being inlined into the dispatch.
impl WithSimd for Visit<'_> {
    type Output = ResampledCoordinates;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> ResampledCoordinates {
        let Visit { layer, resamples } = self;
        let (n, (size, count)) = (layer.examples, batches::batches(layer.examples));
        let (pairs, slabs) = (count * count.saturating_sub(1) / 2, layer.columns.len().div_ceil(WIDTH));
        let of_unit = layer.unit * size as f64;
        let per_unit = 1.0 / (of_unit * of_unit);

        let mut result = ResampledCoordinates {
            ratios: vec![Ratios::default(); resamples.count()],
            agreements: vec![Agreements::default(); resamples.count()],
            squared_distances: Vec::with_capacity(pairs * resamples.count()),
        };
        if resamples.count() == 0 {
            return result;
        }
        let mut values = vec![Values([0.0; WIDTH]); slabs * n];
        let mut signs = vec![Signs([0; SIGNS]); slabs.div_ceil(2) * n];
        for (slab, values) in values.chunks_exact_mut(n).enumerate() {
            layer.load(slab * WIDTH, values);
            let signs = &mut signs[slab / 2 * n..(slab / 2 + 1) * n];
            for (Values(values), Signs(signs)) in values.iter().zip(signs) {
                write_signs(values, &mut signs[slab % 2 * WIDTH..][..WIDTH]);
            }
        }

        let draws: Vec<&[u32]> = resamples.draws().collect();
        let mut batches = vec![Values([0.0; WIDTH]); count];
        for (first, draws) in (0..).step_by(TOGETHER).zip(draws.chunks(TOGETHER)) {
            let mut distances = vec![Distance([0.0; LANES]); pairs * draws.len()];
            let mut means = vec![Signs([0; SIGNS]); slabs.div_ceil(2) * draws.len()];
            for (slab, values) in values.chunks_exact(n).enumerate() {
                let means = &mut means[slab / 2 * draws.len()..];
                for (place, draws) in draws.iter().enumerate() {
                    let sums = Sums::of(values, draws, size, &mut batches);
                    add_distances(simd, &batches, &mut distances[place * pairs..(place + 1) * pairs]);
                    layer.add_ratios(slab * WIDTH, &sums, draws, &mut result.ratios[first + place]);
                    write_signs(&sums.total, &mut means[place].0[slab % 2 * WIDTH..][..WIDTH]);
                }
            }
            for (signs, means) in signs.chunks_exact(n).zip(means.chunks_exact(draws.len())) {
                for (place, (draws, means)) in draws.iter().zip(means).enumerate() {
                    let counts = Counts::of(signs, draws);
                    counts.add_agreements(means, draws.len(), &mut result.agreements[first + place]);
                }
            }
            let squared = distances.iter().map(|lanes| f64::from(add_up(lanes.0)) * per_unit);
            result.squared_distances.extend(squared);
        }
        result
    }
}

#[inline(always)]
fn write_signs(values: &[f32; WIDTH], signs: &mut [u8]) {
    for (sign, &value) in signs.iter_mut().zip(values) {
        *sign = u8::from(value > 0.0) * POSITIVE + u8::from(value < 0.0) * NEGATIVE;
    }
}

/// Σ g and Σ g² of 64 coordinates over the draws of a resample.
struct Sums {
    total: [f32; WIDTH],
    squares: [f32; WIDTH],
}

impl Sums {
    /// Leaves the sums of the batches of `size` draws in `batches`.
    #[inline(always)]
    fn of(values: &[Values], draws: &[u32], size: usize, batches: &mut [Values]) -> Sums {
        let mut sums = Sums { total: [0.0; WIDTH], squares: [0.0; WIDTH] };
        let mut left_over = Values([0.0; WIDTH]);
        let (whole, rest) = draws.split_at(size * batches.len());
        for (batch, draws) in batches.iter_mut().zip(whole.chunks_exact(size)).chain([(&mut left_over, rest)]) {
            let (mut total, mut squares) = ([0.0; WIDTH], [0.0; WIDTH]);
            for &draw in draws {
                let row = &values[draw as usize].0;
                for lane in 0..WIDTH {
                    total[lane] += row[lane];
                    squares[lane] = row[lane].mul_add(row[lane], squares[lane]);
                }
            }
            batch.0 = total;
            for lane in 0..WIDTH {
                sums.total[lane] += total[lane];
                sums.squares[lane] += squares[lane];
            }
        }
        sums
    }
}

/// The sum, by halves.
#[inline(always)]
fn add_up<const COUNT: usize>(mut values: [f32; COUNT]) -> f32 {
    let mut width = COUNT;
    while width > 1 {
        width /= 2;
        for lane in 0..width {
            values[lane] += values[lane + width];
        }
    }
    values[0]
}

#[inline(always)]
fn add_distances<S: Simd>(simd: S, batches: &[Values], distances: &mut [Distance]) {
    let mut distances = distances.iter_mut();
    for (place, Values(a)) in batches.iter().enumerate() {
        for (Values(c), Distance(distance)) in batches[place + 1..].iter().zip(&mut distances) {
            let (a, c, distance) = (S::as_simd_f32s(a).0, S::as_simd_f32s(c).0, S::as_mut_simd_f32s(distance).0);
            let registers = distance.len();
            for (register, distance) in distance.iter_mut().enumerate() {
                let mut sum = *distance;
                for part in (register..a.len()).step_by(registers) {
                    let difference = simd.sub_f32s(a[part], c[part]);
                    sum = simd.mul_add_f32s(difference, difference, sum);
                }
                *distance = sum;
            }
        }
    }
}

/// How many draws are positive, and how many negative, one a coordinate.
struct Counts {
    positive: [u32; SIGNS],
    negative: [u32; SIGNS],
}

impl Counts {
    #[inline(always)]
    fn of(signs: &[Signs], draws: &[u32]) -> Counts {
        let mut counts = Counts { positive: [0; SIGNS], negative: [0; SIGNS] };
        for draws in draws.chunks(HALF_BYTES * HALF_BYTE) {
            let (mut positive, mut negative) = ([0_u8; SIGNS], [0_u8; SIGNS]);
            for draws in draws.chunks(HALF_BYTE) {
                let mut both = [0_u8; SIGNS];
                for &draw in draws {
                    let signs = &signs[draw as usize].0;
                    for lane in 0..SIGNS {
                        both[lane] = both[lane].wrapping_add(signs[lane]);
                    }
                }
                for lane in 0..SIGNS {
                    positive[lane] = positive[lane].wrapping_add(both[lane] % NEGATIVE);
                    negative[lane] = negative[lane].wrapping_add(both[lane] / NEGATIVE);
                }
            }
            for (count, positive) in counts.positive.iter_mut().zip(positive) {
                *count += u32::from(positive);
            }
            for (count, negative) in counts.negative.iter_mut().zip(negative) {
                *count += u32::from(negative);
            }
        }
        counts
    }

    /// Adds how many agree with the mean, where it has a sign.
    #[inline(always)]
    fn add_agreements(&self, means: &Signs, draws: usize, agreements: &mut Agreements) {
        let (mut agreeing, mut signed) = (0, 0);
        for lane in 0..SIGNS {
            let (positive, negative) = (u32::from(means.0[lane] % NEGATIVE), u32::from(means.0[lane] / NEGATIVE));
            agreeing += positive * self.positive[lane] + negative * self.negative[lane];
            signed += positive + negative;
        }
        agreements.agreeing += u64::from(agreeing);
        agreements.of += u64::from(signed) * draws as u64;
    }
}
