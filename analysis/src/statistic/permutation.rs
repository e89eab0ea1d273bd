//! p-values by permutation: pointwise, and simultaneous over the steps.
//!
//! With z_{b,t} the statistic of world b at step t, standardised by its exact moments, and B null worlds:
//!
//! ```text
//! pointwise      p_t = (1 + #{b ≥ 1: |z_{b,t}| ≥ |z_{0,t}|}) / (B + 1)
//! simultaneous   p   = (1 + #{b ≥ 1: max_t |z_{b,t}| ≥ max_t |z_{0,t}|}) / (B + 1)      (max-T, Westfall & Young 1993)
//! band           E ± sd · q,   q the ⌈0.95 (B+1)⌉-th smallest of max_t |z_{b,t}|
//! ```
//!
//! That q puts the actual curve outside the band exactly if its simultaneous p is at most 0.05; with fewer than 19 worlds
//! there is no such q. Steps without a z (missing value, or no variance) take no part. A |z| less than
//! `TIE` below the actual one counts as equal: worlds that are mathematically equal, such as mirrored ones, differ by
//! rounding. Source: [S 3.2].
//!
//! The z of all worlds are one product of the standardised scores `[rows, n]` with 0/1 masks `[n, B]`, taken in blocks of
//! worlds in parallel; only maxima and counts are kept.

use rayon::prelude::*;

use super::clopper_pearson;
use super::designation::Designation;
use super::linear::Linear;
use super::null_world::NullWorlds;

/// z-values closer than this are equal: relative to the actual one, absolute below 1.
const TIE: f64 = 1e-9;
/// Coverage of the simultaneous band.
const COVERAGE: f64 = 0.95;
/// Mask entries of a block of worlds: it stays in a core's cache.
const BLOCK_ENTRIES: usize = 1 << 17;
/// Worlds of a block: a multiple of the product's tile, and few enough for the z of a block to stay in cache.
const BLOCK_WORLDS: std::ops::RangeInclusive<usize> = 16..=128;

/// A permutation test of one statistic.
#[derive(Clone, Copy, Debug, PartialEq, Default, serde::Serialize)]
pub struct Test {
    /// The actual value of what is tested; `None` if it is not defined.
    pub value: Option<f64>,
    /// Number of null worlds, B.
    pub worlds: u32,
    /// Null worlds at least as extreme as the actual one.
    pub exceedances: Option<u32>,
    /// Two-sided p-value; no smaller than 1/(B+1), and to be reported as "≤" there.
    pub p: Option<f64>,
    /// Lower end of the 95 % Clopper–Pearson interval of p.
    pub p_lower: Option<f64>,
    /// Upper end of the 95 % Clopper–Pearson interval of p.
    pub p_upper: Option<f64>,
}

impl Test {
    /// A test of `value`, of which `exceedances` of `worlds` null worlds were at least as extreme.
    pub fn new(value: Option<f64>, exceedances: Option<u32>, worlds: u32) -> Test {
        let exceedances = exceedances.filter(|_| worlds > 0);
        let interval = exceedances.and_then(|count| clopper_pearson::interval(count, worlds));
        Test {
            value,
            worlds,
            exceedances,
            p: exceedances.map(|count| p_value(count, worlds)),
            p_lower: interval.map(|(lower, _)| lower),
            p_upper: interval.map(|(_, upper)| upper),
        }
    }
}

fn p_value(exceedances: u32, worlds: u32) -> f64 {
    (1.0 + f64::from(exceedances)) / (1.0 + f64::from(worlds))
}

/// What the null worlds say of one family of statistics, for example α at every step.
#[derive(Clone, Debug, PartialEq)]
pub struct FamilyTest {
    /// Null worlds whose |z| is at least the actual one, one a member; `None` for a member without a z.
    pub exceedances: Vec<Option<u32>>,
    /// max |z| over the members, with its p-value.
    pub simultaneous: Test,
    /// q, the half-width in standard deviations of the simultaneous band.
    pub band: Option<f64>,
}

impl FamilyTest {
    /// Pointwise p-value of a member; `None` for one without a z, or if there is no null world.
    pub fn pointwise_p(&self, member: usize) -> Option<f64> {
        let worlds = self.simultaneous.worlds;
        self.exceedances.get(member).copied().flatten().filter(|_| worlds > 0).map(|count| p_value(count, worlds))
    }
}

/// Tests families of statistics in `worlds` null worlds, all in the same worlds, against the `actual` designation.
///
/// The result does not depend on the number of threads, and what world k contributes not on the number of worlds.
pub fn test_families(
    families: &[&[Option<Linear>]],
    actual: &Designation,
    null_worlds: &NullWorlds,
    worlds: u32,
) -> Vec<FamilyTest> {
    let rows = ScoreRows::new(families, actual);
    let block = (BLOCK_ENTRIES / actual.examples().max(1)).clamp(*BLOCK_WORLDS.start(), *BLOCK_WORLDS.end());
    let firsts: Vec<u64> = (1..=u64::from(worlds)).step_by(block).collect();
    let blocks: Vec<BlockCounts> = firsts
        .into_par_iter()
        .map(|first| {
            rows.count_block(null_worlds, first, block, (u64::from(worlds) - first + 1).min(block as u64) as usize)
        })
        .collect();
    (0..families.len()).map(|family| rows.family_test(family, families[family].len(), &blocks, worlds)).collect()
}

/// The standardised scores of the members that have any, with the actual world's |z|.
struct ScoreRows {
    examples: usize,
    /// `[rows, n]`, row-major.
    scores: Vec<f64>,
    /// |z| of the actual world, one a row.
    actual: Vec<f64>,
    /// (family, member) of each row; families in order.
    places: Vec<(usize, usize)>,
    families: usize,
}

/// What a block of worlds adds: exceedances of each row, and max |z| of each family in each world.
struct BlockCounts {
    exceedances: Vec<u32>,
    maxima: Vec<Vec<f64>>,
}

impl ScoreRows {
    fn new(families: &[&[Option<Linear>]], actual: &Designation) -> ScoreRows {
        let (examples, count) = (actual.examples(), families.len());
        let mut rows = ScoreRows { examples, scores: vec![], actual: vec![], places: vec![], families: count };
        for (family, members) in families.iter().enumerate() {
            for (member, linear) in members.iter().enumerate() {
                let Some(scores) = linear.as_ref().and_then(|linear| linear.standardised.as_deref()) else { continue };
                rows.scores.extend_from_slice(scores);
                rows.actual.push(actual.sums(scores).0.abs());
                rows.places.push((family, member));
            }
        }
        rows
    }

    /// Counts worlds `first..first + worlds`. The product is always `block` worlds wide, the rest of a last block zero, so
    /// that the rounding of a world does not depend on how many worlds there are.
    fn count_block(&self, null_worlds: &NullWorlds, first: u64, block: usize, worlds: usize) -> BlockCounts {
        let mut masks = vec![0.0; block * self.examples];
        let mut order = Vec::new();
        for (mask, world) in masks.chunks_exact_mut(self.examples.max(1)).zip(first..).take(worlds) {
            null_worlds.fill_mask(world, mask, &mut order);
        }
        let z = product(&self.scores, &masks, self.places.len(), self.examples, block);
        let mut counts = BlockCounts {
            exceedances: Vec::with_capacity(self.places.len()),
            maxima: vec![vec![0.0; worlds]; self.families],
        };
        for ((z, &actual), &(family, _)) in z.chunks_exact(block).zip(&self.actual).zip(&self.places) {
            counts.exceedances.push(count_row(&z[..worlds], threshold(actual), &mut counts.maxima[family]));
        }
        counts
    }

    fn family_test(&self, family: usize, members: usize, blocks: &[BlockCounts], worlds: u32) -> FamilyTest {
        let mut exceedances = vec![None; members];
        let mut largest: Option<f64> = None;
        for (row, &(_, member)) in self.places.iter().enumerate().filter(|(_, place)| place.0 == family) {
            exceedances[member] = Some(blocks.iter().map(|block| block.exceedances[row]).sum());
            largest = Some(largest.unwrap_or(0.0).max(self.actual[row]));
        }
        let mut maxima: Vec<f64> = blocks.iter().flat_map(|block| block.maxima[family].iter().copied()).collect();
        let exceeding = largest.map(|actual| maxima.iter().filter(|&&z| z >= threshold(actual)).count() as u32);
        let band = largest.and_then(|_| upper_quantile(&mut maxima));
        FamilyTest { exceedances, simultaneous: Test::new(largest, exceeding, worlds), band }
    }
}

/// The least |z| that counts as at least as extreme as the actual one.
fn threshold(actual: f64) -> f64 {
    actual - TIE * actual.max(1.0)
}

/// How many |z| reach the threshold; raises the worlds' maxima on the way.
fn count_row(z: &[f64], threshold: f64, maxima: &mut [f64]) -> u32 {
    let mut exceedances = 0;
    for (z, maximum) in z.iter().zip(maxima) {
        let size = z.abs();
        exceedances += u32::from(size >= threshold);
        *maximum = if size > *maximum { size } else { *maximum };
    }
    exceedances
}

/// The ⌈0.95 (B+1)⌉-th smallest of B values; `None` if there are too few.
fn upper_quantile(values: &mut [f64]) -> Option<f64> {
    let rank = (COVERAGE * (values.len() + 1) as f64).ceil() as usize;
    (rank <= values.len()).then(|| *values.select_nth_unstable_by(rank - 1, f64::total_cmp).1)
}

/// `scores` [rows, examples] (row-major) times `masks` [examples, worlds] (column-major), as [rows, worlds] (row-major).
fn product(scores: &[f64], masks: &[f64], rows: usize, examples: usize, worlds: usize) -> Vec<f64> {
    assert!(scores.len() == rows * examples && masks.len() == examples * worlds);
    let mut result = vec![0.0; rows * worlds];
    // SAFETY: the pointers are those of slices whose lengths are, as just asserted, the products of the dimensions that
    // the strides walk over, and `result` is not aliased.
    unsafe {
        gemm::gemm(
            rows,
            worlds,
            examples,
            result.as_mut_ptr(),
            1,
            worlds as isize,
            false,
            scores.as_ptr(),
            1,
            examples as isize,
            masks.as_ptr(),
            examples as isize,
            1,
            0.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
    result
}
