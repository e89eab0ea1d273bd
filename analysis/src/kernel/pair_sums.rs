//! Sums over pairs of distinct examples of a function of their inner product, by pairs of groups, and in every half.
//!
//! ```text
//! Σ_{i<j} f_ij        in a half Σ_{i<j} w_i w_j f_ij, w_i = 1 for its examples, 0 for the others        over the pairs of groups (a, b)
//! ```
//!
//! with f the inner product itself, its sign, or the cosine. The sums are in f64. Those of halves, which only intervals of signs
//! and cosines are made of, are of products in f32. Cost: n²B/2 multiplications a function, as products of blocks of
//! F `[rows, columns]` with weights `[columns, B]`. Source: [S 8].

use pulp::{Arch, NullaryFnOnce};

use super::gram::Gram;
use super::halves::Halves;
use super::partition::{Block, Cells, Partition};
use super::product::{Matrix, product};

/// Accumulators of a sum, the same on every machine so that results are.
const LANES: usize = 16;

/// Which function of the inner product of two gradients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// ⟨g_i, g_j⟩.
    Inner,
    /// Its sign: −1, 0 or 1.
    Sign,
    /// ⟨g_i, g_j⟩/(‖g_i‖‖g_j‖); 0 if either is 0.
    Cosine,
}

/// Which examples each half has: `[n, B]`, row-major, 1 or 0.
#[derive(Clone, Debug)]
pub struct Weights {
    halves: usize,
    values: Vec<f32>,
}

impl Weights {
    /// Of halves of `examples` examples in the order of the cells.
    pub fn new(examples: usize, halves: &Halves) -> Weights {
        let count = halves.count();
        let mut values = vec![0.0; examples * count];
        for (half, of_half) in halves.examples().enumerate() {
            of_half.iter().for_each(|&example| values[example as usize * count + half] = 1.0);
        }
        Weights { halves: count, values }
    }

    /// Of no half, for the sums of the sample alone.
    pub fn none() -> Weights {
        Weights { halves: 0, values: Vec::new() }
    }
}

/// Sums, one for each pair of groups of one partition, in the order of [`Partition::pairs`].
#[derive(Clone, Debug, PartialEq)]
pub struct PairSums {
    /// Of the sample, one a pair of groups.
    pub actual: Vec<f64>,
    /// Of the halves, `[pairs, B]`, row-major.
    pub halves: Vec<f64>,
    half_count: usize,
}

impl PairSums {
    fn zero(partition: &Partition, half_count: usize) -> PairSums {
        let pairs = partition.pair_count();
        PairSums { actual: vec![0.0; pairs], halves: vec![0.0; pairs * half_count], half_count }
    }

    /// The B sums of a pair of groups.
    pub fn in_halves(&self, pair: usize) -> &[f64] {
        &self.halves[pair * self.half_count..(pair + 1) * self.half_count]
    }

    /// The sums over those pairs of groups together that `included` says.
    pub fn together(&self, included: impl Fn(usize) -> bool) -> (f64, Vec<f64>) {
        let (mut actual, mut halves) = (0.0, vec![0.0; self.half_count]);
        for (pair, value) in self.actual.iter().enumerate().filter(|(pair, _)| included(*pair)) {
            actual += value;
            halves.iter_mut().zip(self.in_halves(pair)).for_each(|(sum, value)| *sum += value);
        }
        (actual, halves)
    }
}

/// The numbers of pairs, over the examples that `included` says.
pub fn counts(partition: &Partition, weights: &Weights, included: impl Fn(usize) -> bool) -> PairSums {
    let mut sizes = vec![vec![0.0; 1 + weights.halves]; partition.groups()];
    for (place, &group) in partition.of_example().iter().enumerate().filter(|(place, _)| included(*place)) {
        let (actual, halves) = sizes[usize::from(group)].split_at_mut(1);
        actual[0] += 1.0;
        let of_halves = &weights.values[place * weights.halves..(place + 1) * weights.halves];
        halves.iter_mut().zip(of_halves).for_each(|(size, &weight)| *size += f64::from(weight));
    }
    let mut counts = PairSums::zero(partition, weights.halves);
    for (pair, (a, b)) in partition.pairs().enumerate() {
        let count = |place: usize| match a == b {
            true => sizes[a][place] * (sizes[a][place] - 1.0) / 2.0,
            false => sizes[a][place] * sizes[b][place],
        };
        counts.actual[pair] = count(0);
        let halves = &mut counts.halves[pair * weights.halves..(pair + 1) * weights.halves];
        halves.iter_mut().zip(1..).for_each(|(of_half, place)| *of_half = count(place));
    }
    counts
}

/// The sums of `kernel` over pairs of examples, for each of those `partitions` of the cells in turn.
///
/// The examples of `gram` and of `weights` are in the order of the cells.
pub fn sums<const PARTITIONS: usize>(
    gram: &Gram,
    kernel: Kernel,
    cells: &Cells,
    partitions: [usize; PARTITIONS],
    weights: &Weights,
) -> [PairSums; PARTITIONS] {
    let (scales, blocks) = (Scales::new(gram, kernel), cells.blocks(&partitions));
    let (n, halves, arch) = (gram.examples(), weights.halves, Arch::new());
    let mut result = partitions.map(|partition| PairSums::zero(&cells.partitions()[partition], halves));
    let pair = |partition: usize, (a, b): (&Block, &Block)| {
        cells.partitions()[partition].pair(a.groups[partition], b.groups[partition])
    };
    let Filled { values, sums } = arch.dispatch(Fill { scales: &scales, gram, blocks: &blocks });
    for ((a, b), actual) in pairs(&blocks).zip(sums) {
        for (&partition, sums) in partitions.iter().zip(&mut result) {
            sums.actual[pair(partition, (a, b))] += actual;
        }
    }
    if halves == 0 {
        return result;
    }
    let weights = &weights.values;
    let (mut weighted, mut forms) = (vec![0.0; n * halves], vec![0.0; halves]);
    for (place, b) in blocks.iter().enumerate() {
        let (rows, width) = (b.places.end, b.places.len());
        let left = Matrix::new(&values[b.places.start..], rows, width, n);
        let right = Matrix::new(&weights[b.places.start * halves..], width, halves, halves);
        product(left, right, &mut weighted, halves);
        for a in &blocks[..=place] {
            let range = a.places.start * halves..a.places.end * halves;
            arch.dispatch(Weigh { weights: &weights[range.clone()], weighted: &weighted[range], forms: &mut forms });
            for (&partition, sums) in partitions.iter().zip(&mut result) {
                let pair = pair(partition, (a, b));
                let of_pair = &mut sums.halves[pair * halves..(pair + 1) * halves];
                of_pair.iter_mut().zip(&forms).for_each(|(sum, &form)| *sum += f64::from(form));
            }
        }
    }
    result
}

/// Every pair of blocks, the earlier one first, a block with itself included.
fn pairs(blocks: &[Block]) -> impl Iterator<Item = (&Block, &Block)> {
    blocks.iter().enumerate().flat_map(move |(place, a)| blocks[place..].iter().map(move |b| (a, b)))
}

/// What the kernel makes of an inner product.
struct Scales {
    kernel: Kernel,
    /// 1/‖g_i‖ of each example, 0 if that is 0; only of the cosine.
    inverse_norms: Vec<f64>,
}

impl Scales {
    fn new(gram: &Gram, kernel: Kernel) -> Scales {
        let inverse = |q: f64| if q > 0.0 { 1.0 / q.sqrt() } else { 0.0 };
        Scales { kernel, inverse_norms: gram.self_terms().into_iter().map(inverse).collect() }
    }
}

/// The kernel of every pair i < j.
struct Fill<'a> {
    scales: &'a Scales,
    gram: &'a Gram,
    blocks: &'a [Block],
}

struct Filled {
    /// `[n, n]`, row-major, zero on and below the diagonal.
    values: Vec<f32>,
    /// Σ over each pair of blocks, in the order of [`pairs`].
    sums: Vec<f64>,
}

/// Compiled once for each instruction set, by being inlined into the dispatch.
impl NullaryFnOnce for Fill<'_> {
    type Output = Filled;

    #[inline(always)]
    fn call(self) -> Filled {
        let Fill { scales: Scales { kernel, inverse_norms }, gram, blocks } = self;
        let n = gram.examples();
        let mut filled = Filled { values: vec![0.0; n * n], sums: Vec::with_capacity(blocks.len() * blocks.len()) };
        let (mut of_row, mut sums) = (vec![0.0; n], vec![0.0; n]);
        for (place, rows) in blocks.iter().enumerate() {
            sums.fill(0.0);
            for i in rows.places.clone() {
                let inner = &gram.row(i)[i + 1..];
                let of_row = &mut of_row[i + 1..];
                match kernel {
                    Kernel::Inner => of_row.copy_from_slice(inner),
                    Kernel::Sign => of_row.iter_mut().zip(inner).for_each(|(value, &k)| *value = sign(k)),
                    Kernel::Cosine => {
                        let (norm, others) = (inverse_norms[i], &inverse_norms[i + 1..]);
                        let cosine = |((value, k), other): ((&mut f64, &f64), &f64)| *value = k * (norm * other);
                        of_row.iter_mut().zip(inner).zip(others).for_each(cosine);
                    }
                }
                sums[i + 1..].iter_mut().zip(&*of_row).for_each(|(sum, value)| *sum += value);
                let entries = filled.values[i * n + i + 1..(i + 1) * n].iter_mut();
                entries.zip(&*of_row).for_each(|(entry, value)| *entry = *value as f32);
            }
            filled.sums.extend(blocks[place..].iter().map(|columns| sum(&sums[columns.places.clone()])));
        }
        filled
    }
}

#[inline(always)]
fn sign(value: f64) -> f64 {
    (if value > 0.0 { 1.0 } else { 0.0 }) - (if value < 0.0 { 1.0 } else { 0.0 })
}

#[inline(always)]
fn sum(values: &[f64]) -> f64 {
    let mut sums = [0.0; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            sums[lane] += chunk[lane];
        }
    }
    sums.iter().sum::<f64>() + rest.iter().sum::<f64>()
}

/// `forms` = Σ over rows of weight times weighted row, half by half.
struct Weigh<'a> {
    weights: &'a [f32],
    weighted: &'a [f32],
    forms: &'a mut [f32],
}

/// Compiled once for each instruction set, by being inlined into the dispatch.
impl NullaryFnOnce for Weigh<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Weigh { weights, weighted, forms } = self;
        forms.fill(0.0);
        let halves = forms.len().max(1);
        for (weights, weighted) in weights.chunks_exact(halves).zip(weighted.chunks_exact(halves)) {
            for ((form, weight), weighted) in forms.iter_mut().zip(weights).zip(weighted) {
                *form += *weight * *weighted;
            }
        }
    }
}
