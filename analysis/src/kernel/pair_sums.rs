//! Sums over pairs of distinct examples of a function of their inner product, by pairs of groups, and in every resample.
//!
//! ```text
//! Σ_{i<j} f_ij        in a resample Σ_{i<j} w_i w_j f_ij, w the multiplicities        over the pairs of groups (a, b)
//! ```
//!
//! with f the inner product itself, its sign, or the cosine. The sums are in f64. Those of resamples, which only intervals
//! are made of, are in f64 for inner products, whose sums are divided by and can almost cancel, and for signs and cosines
//! products in f32 that are added up in f64. Cost: n²B/2 multiplications a function, as products of blocks of
//! F `[rows, columns]` with multiplicities `[columns, B]`. Source: [S 8].

use std::marker::PhantomData;
use std::ops::{AddAssign, Mul};

use pulp::{Arch, NullaryFnOnce};

use super::bootstrap::Resamples;
use super::gram::Gram;
use super::partition::{Block, Cells, Partition};
use super::product::{Matrix, Number, product};

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

/// Resamples as the products take them.
#[derive(Clone, Debug)]
pub struct Multiplicities {
    resamples: usize,
    /// `[n, B]`, row-major.
    values: Vec<f32>,
    /// The same in f64.
    wide: Vec<f64>,
}

impl Multiplicities {
    /// Of resamples of the examples in the order of the cells.
    pub fn new(resamples: &Resamples) -> Multiplicities {
        let values = resamples.multiplicities();
        Multiplicities { resamples: resamples.count(), wide: values.iter().copied().map(f64::from).collect(), values }
    }

    /// Of no resample, for the sums of the sample alone.
    pub fn none() -> Multiplicities {
        Multiplicities { resamples: 0, values: Vec::new(), wide: Vec::new() }
    }

    /// Number of resamples, B.
    pub fn resamples(&self) -> usize {
        self.resamples
    }

    /// How often the example at `place` is drawn in each resample.
    pub fn of_example(&self, place: usize) -> &[f32] {
        &self.values[place * self.resamples..(place + 1) * self.resamples]
    }

    /// Σ_i w_i x_i in each resample, over the examples that `included` says.
    pub fn sums(&self, values: &[f64], included: impl Fn(usize) -> bool) -> Vec<f64> {
        let mut sums = vec![0.0; self.resamples];
        for (place, value) in values.iter().enumerate().filter(|(place, _)| included(*place)) {
            sums.iter_mut().zip(self.of_example(place)).for_each(|(sum, &weight)| *sum += value * f64::from(weight));
        }
        sums
    }
}

/// Sums, one for each pair of groups of one partition, in the order of [`Partition::pairs`].
#[derive(Clone, Debug, PartialEq)]
pub struct PairSums {
    /// Of the sample, one a pair of groups.
    pub actual: Vec<f64>,
    /// Of the resamples, `[pairs, B]`, row-major.
    pub resampled: Vec<f64>,
    resamples: usize,
}

impl PairSums {
    fn zero(partition: &Partition, resamples: usize) -> PairSums {
        let pairs = partition.pair_count();
        PairSums { actual: vec![0.0; pairs], resampled: vec![0.0; pairs * resamples], resamples }
    }

    /// The B sums of a pair of groups.
    pub fn of_pair(&self, pair: usize) -> &[f64] {
        &self.resampled[pair * self.resamples..(pair + 1) * self.resamples]
    }

    /// The sums over those pairs of groups together that `included` says.
    pub fn together(&self, included: impl Fn(usize) -> bool) -> (f64, Vec<f64>) {
        let (mut actual, mut resampled) = (0.0, vec![0.0; self.resamples]);
        for (pair, value) in self.actual.iter().enumerate().filter(|(pair, _)| included(*pair)) {
            actual += value;
            resampled.iter_mut().zip(self.of_pair(pair)).for_each(|(sum, value)| *sum += value);
        }
        (actual, resampled)
    }

    fn add<T: Entry>(&mut self, pair: usize, resampled: &[T]) {
        let sums = &mut self.resampled[pair * self.resamples..(pair + 1) * self.resamples];
        sums.iter_mut().zip(resampled).for_each(|(sum, &value)| *sum += value.into());
    }
}

/// What the sums of resamples are computed in.
trait Entry: Number + Default + Into<f64> + AddAssign + Mul<Output = Self> {
    fn rounded(value: f64) -> Self;

    fn of(multiplicities: &Multiplicities) -> &[Self];
}

impl Entry for f32 {
    #[inline(always)]
    fn rounded(value: f64) -> f32 {
        value as f32
    }

    fn of(multiplicities: &Multiplicities) -> &[f32] {
        &multiplicities.values
    }
}

impl Entry for f64 {
    #[inline(always)]
    fn rounded(value: f64) -> f64 {
        value
    }

    fn of(multiplicities: &Multiplicities) -> &[f64] {
        &multiplicities.wide
    }
}

/// The numbers of pairs: Σ_{i<j} 1, in a resample Σ_{i<j} w_i w_j, over the examples that `included` says.
pub fn counts(partition: &Partition, multiplicities: &Multiplicities, included: impl Fn(usize) -> bool) -> PairSums {
    let resamples = multiplicities.resamples();
    let groups = partition.groups();
    let mut sizes = vec![0.0; groups];
    let mut sums = vec![0.0; groups * resamples];
    let mut squares = vec![0.0; groups * resamples];
    for (place, &group) in partition.of_example().iter().enumerate().filter(|(place, _)| included(*place)) {
        let of_group = usize::from(group) * resamples..(usize::from(group) + 1) * resamples;
        sizes[usize::from(group)] += 1.0;
        let weights = multiplicities.of_example(place);
        sums[of_group.clone()].iter_mut().zip(weights).for_each(|(sum, &w)| *sum += f64::from(w));
        squares[of_group].iter_mut().zip(weights).for_each(|(sum, &w)| *sum += f64::from(w * w));
    }
    let mut counts = PairSums::zero(partition, resamples);
    for (pair, (a, b)) in partition.pairs().enumerate() {
        counts.actual[pair] = if a == b { sizes[a] * (sizes[a] - 1.0) / 2.0 } else { sizes[a] * sizes[b] };
        for resample in 0..resamples {
            let (of_a, of_b) = (sums[a * resamples + resample], sums[b * resamples + resample]);
            counts.resampled[pair * resamples + resample] =
                if a == b { (of_a * of_a - squares[a * resamples + resample]) / 2.0 } else { of_a * of_b };
        }
    }
    counts
}

/// The sums of `kernel` over pairs of examples, for each of those `partitions` of the cells in turn.
///
/// The examples of `gram` and of `multiplicities` are in the order of the cells.
pub fn sums<const PARTITIONS: usize>(
    gram: &Gram,
    kernel: Kernel,
    cells: &Cells,
    partitions: [usize; PARTITIONS],
    multiplicities: &Multiplicities,
) -> [PairSums; PARTITIONS] {
    match kernel {
        Kernel::Inner => sums_in::<f64, PARTITIONS>(gram, kernel, cells, partitions, multiplicities),
        Kernel::Sign | Kernel::Cosine => sums_in::<f32, PARTITIONS>(gram, kernel, cells, partitions, multiplicities),
    }
}

fn sums_in<T: Entry, const PARTITIONS: usize>(
    gram: &Gram,
    kernel: Kernel,
    cells: &Cells,
    partitions: [usize; PARTITIONS],
    multiplicities: &Multiplicities,
) -> [PairSums; PARTITIONS] {
    let (scales, blocks) = (Scales::new(gram, kernel), cells.blocks(&partitions));
    let (n, resamples, arch) = (gram.examples(), multiplicities.resamples(), Arch::new());
    let mut result = partitions.map(|partition| PairSums::zero(&cells.partitions()[partition], resamples));
    let pair = |partition: usize, (a, b): (&Block, &Block)| {
        cells.partitions()[partition].pair(a.groups[partition], b.groups[partition])
    };
    let Filled { values, sums } =
        arch.dispatch(Fill::<T> { scales: &scales, gram, blocks: &blocks, entry: PhantomData });
    for ((a, b), actual) in pairs(&blocks).zip(sums) {
        for (&partition, sums) in partitions.iter().zip(&mut result) {
            sums.actual[pair(partition, (a, b))] += actual;
        }
    }
    if resamples == 0 {
        return result;
    }
    let weights = T::of(multiplicities);
    let (mut weighted, mut forms) = (vec![T::default(); n * resamples], vec![T::default(); resamples]);
    for (place, b) in blocks.iter().enumerate() {
        let (rows, width) = (b.places.end, b.places.len());
        let left = Matrix::new(&values[b.places.start..], rows, width, n);
        let right = Matrix::new(&weights[b.places.start * resamples..], width, resamples, resamples);
        product(left, right, &mut weighted, resamples);
        for a in &blocks[..=place] {
            let range = a.places.start * resamples..a.places.end * resamples;
            arch.dispatch(Weigh {
                multiplicities: &weights[range.clone()],
                weighted: &weighted[range],
                forms: &mut forms,
            });
            for (&partition, sums) in partitions.iter().zip(&mut result) {
                sums.add(pair(partition, (a, b)), &forms);
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
struct Fill<'a, T> {
    scales: &'a Scales,
    gram: &'a Gram,
    blocks: &'a [Block],
    entry: PhantomData<T>,
}

struct Filled<T> {
    /// `[n, n]`, row-major, zero on and below the diagonal.
    values: Vec<T>,
    /// Σ over each pair of blocks, in the order of [`pairs`].
    sums: Vec<f64>,
}

/// Compiled once for each instruction set, by being inlined into the dispatch.
impl<T: Entry> NullaryFnOnce for Fill<'_, T> {
    type Output = Filled<T>;

    #[inline(always)]
    fn call(self) -> Filled<T> {
        let Fill { scales: Scales { kernel, inverse_norms }, gram, blocks, .. } = self;
        let n = gram.examples();
        let mut filled =
            Filled { values: vec![T::default(); n * n], sums: Vec::with_capacity(blocks.len() * blocks.len()) };
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
                entries.zip(&*of_row).for_each(|(entry, value)| *entry = T::rounded(*value));
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

/// `forms` = Σ over rows of multiplicity times weighted row, resample by resample.
struct Weigh<'a, T> {
    multiplicities: &'a [T],
    weighted: &'a [T],
    forms: &'a mut [T],
}

/// Compiled once for each instruction set, by being inlined into the dispatch.
impl<T: Entry> NullaryFnOnce for Weigh<'_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Weigh { multiplicities, weighted, forms } = self;
        forms.fill(T::default());
        let resamples = forms.len().max(1);
        for (multiplicities, weighted) in multiplicities.chunks_exact(resamples).zip(weighted.chunks_exact(resamples)) {
            for ((form, multiplicity), weighted) in forms.iter_mut().zip(multiplicities).zip(weighted) {
                *form += *multiplicity * *weighted;
            }
        }
    }
}
