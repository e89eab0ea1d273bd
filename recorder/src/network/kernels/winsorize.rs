//! The clipped mean of winsorized SGD: of each coordinate's per-example gradients the k largest and the k smallest are
//! clipped to the nearest one kept.
//!
//! Two bounds are found first, x_(k+1) and x_(b−k), exactly: they are elements, not sums. Then everything is clipped and
//! summed. For few extremes ([`Extremes`]) the k + 1 largest and smallest values so far are kept sorted in registers; a
//! block of new products is sorted by a network, which both sides share, and merged into each. For many
//! ([`Selection`]) the bounds are found bit by bit, by counting. Both take work linear in the batch.

use super::coordinates::{CoordinateRule, Descent, Statistic, Unit};
use super::sort::{Order, earlier, later, merge, sort};
use pulp::{Arch, Simd};

/// The clipped mean, `clipped` values at either end being clipped (k of the definition, below half of the batch).
pub(crate) struct Winsorized {
    pub(crate) clipped: usize,
}

/// Most values that are kept at either end by [`Extremes`].
const MOST_KEPT: usize = 9;

impl CoordinateRule for Winsorized {
    const NAME: &'static str = "winsorize";

    fn run(&self, arch: Arch, descent: Descent<'_>) {
        let kept = self.clipped + 1;
        let block = if kept <= 3 { 4 } else { 8 };
        // Below so many examples there may be nothing to fill the last block up with: see `Extremes::of`.
        let enough = descent.examples() >= 2 * kept + block - 2;
        match if enough { kept } else { MOST_KEPT + 1 } {
            2 => descent.descend(arch, &Extremes::<2, 4>),
            3 => descent.descend(arch, &Extremes::<3, 4>),
            4 => descent.descend(arch, &Extremes::<4, 8>),
            5 => descent.descend(arch, &Extremes::<5, 8>),
            6 => descent.descend(arch, &Extremes::<6, 8>),
            7 => descent.descend(arch, &Extremes::<7, 8>),
            8 => descent.descend(arch, &Extremes::<8, 8>),
            9 => descent.descend(arch, &Extremes::<9, 8>),
            _ => descent.descend(arch, &Selection { clipped: self.clipped }),
        }
    }
}

/// The sum of all products clipped to the bounds, the zeros among them counted rather than visited.
///
/// Four partial sums in a fixed order, not fused with anything: the same bits from any instruction set.
#[inline(always)]
fn clipped_sum<S: Simd, const N: usize>(
    simd: S,
    products: &[[S::f32s; N]],
    zeros: usize,
    [low, high]: [[S::f32s; N]; 2],
) -> [S::f32s; N] {
    let zero = simd.splat_f32s(0.0);
    let mut sums = [[zero; N]; 4];
    let (whole, rest) = products.as_chunks::<4>();
    for products in whole {
        for j in 0..4 {
            for n in 0..N {
                sums[j][n] = simd.add_f32s(sums[j][n], clip(simd, products[j][n], low[n], high[n]));
            }
        }
    }
    for j in 0..3 {
        if j < rest.len() {
            for n in 0..N {
                sums[j][n] = simd.add_f32s(sums[j][n], clip(simd, rest[j][n], low[n], high[n]));
            }
        }
    }
    let zeros = simd.splat_f32s(zeros as f32);
    let mut total = low;
    for n in 0..N {
        let visited = simd.add_f32s(simd.add_f32s(sums[0][n], sums[1][n]), simd.add_f32s(sums[2][n], sums[3][n]));
        total[n] = simd.add_f32s(visited, simd.mul_f32s(zeros, clip(simd, zero, low[n], high[n])));
    }
    total
}

#[inline(always)]
fn clip<S: Simd>(simd: S, value: S::f32s, low: S::f32s, high: S::f32s) -> S::f32s {
    simd.min_f32s(simd.max_f32s(value, low), high)
}

/// M = k + 1 values kept at either end, products taken in blocks of B.
struct Extremes<const M: usize, const B: usize>;

impl<const M: usize, const B: usize> Statistic for Extremes<M, B> {
    const REGISTERS: usize = if M <= 3 { 2 } else { 1 };

    fn scratch(&self, examples: usize) -> usize {
        examples.next_multiple_of(B)
    }

    /// The last block is filled up with values that change no bound: with some of the zeros that are there anyway or,
    /// where they are too few, with copies of the M-th largest product so far. Of at least 2 M − 1 products the M-th
    /// largest is not below the M-th smallest, so a copy is among neither the M − 1 largest nor the M − 1 smallest.
    #[inline(always)]
    fn of<S: Simd, const N: usize>(&self, simd: S, unit: Unit<'_, S, N>, scratch: &mut [[S::f32s; N]]) -> [S::f32s; N] {
        let mut top = [[simd.splat_f32s(f32::NEG_INFINITY); M]; N];
        let mut bottom = [[simd.splat_f32s(f32::INFINITY); M]; N];
        let (blocks, rest) = unit.active.as_chunks::<B>();
        let (outs, last) = scratch.as_chunks_mut::<B>().0.split_at_mut(blocks.len());
        for (block, out) in blocks.iter().zip(outs) {
            for j in 0..B {
                out[j] = unit.product(simd, block[j]);
            }
            absorb(simd, out, &mut top, &mut bottom);
        }
        let mut zeros = unit.zeros();
        if let ([_, ..], [last, ..]) = (rest, last) {
            let missing = B - rest.len();
            let mut filler = [simd.splat_f32s(0.0); N];
            if zeros >= missing {
                zeros -= missing;
            } else {
                for n in 0..N {
                    filler[n] = top[n][M - 1];
                }
            }
            for j in 0..B {
                last[j] = if j < rest.len() { unit.product(simd, rest[j]) } else { filler };
            }
            absorb(simd, last, &mut top, &mut bottom);
        }
        let mut bounds = [[simd.splat_f32s(0.0); N]; 2];
        for n in 0..N {
            bounds[0][n] = with_zeros(simd, Order::Ascending, &bottom[n], zeros);
            bounds[1][n] = with_zeros(simd, Order::Descending, &top[n], zeros);
        }
        clipped_sum(simd, &scratch[..unit.active.len()], unit.zeros(), bounds)
    }
}

/// Takes a block of products into the largest (largest first) and the smallest (smallest first) so far.
#[inline(always)]
fn absorb<S: Simd, const N: usize, const M: usize, const B: usize>(
    simd: S,
    block: &[[S::f32s; N]; B],
    top: &mut [[S::f32s; M]; N],
    bottom: &mut [[S::f32s; M]; N],
) {
    for n in 0..N {
        let mut values = [simd.splat_f32s(0.0); B];
        for j in 0..B {
            values[j] = block[j][n];
        }
        sort(simd, &mut values);
        // One list falls and the other rises, so that the better of each pair are the M best, in a valley.
        for i in 0..M {
            if M - 1 - i < B {
                top[n][i] = simd.max_f32s(top[n][i], values[M - 1 - i]);
                bottom[n][i] = simd.min_f32s(bottom[n][i], values[B + i - M]);
            }
        }
        merge(simd, Order::Descending, &mut top[n]);
        merge(simd, Order::Ascending, &mut bottom[n]);
    }
}

/// The last of the M first values in `order`, of `extremes` and of so many zeros.
#[inline(always)]
fn with_zeros<S: Simd, const M: usize>(simd: S, order: Order, extremes: &[S::f32s; M], zeros: usize) -> S::f32s {
    let zero = simd.splat_f32s(0.0);
    let last = extremes[M - 1];
    if zeros >= M {
        return earlier(simd, order, last, zero);
    }
    // If at least M - zeros of the extremes come before zero, a zero is the last; otherwise all zeros are among the M.
    let mut bound = last;
    for missing in 1..M {
        if missing == zeros {
            bound = earlier(simd, order, last, later(simd, order, extremes[M - 1 - missing], zero));
        }
    }
    bound
}

/// Bounds found bit by bit: linear in the batch, whatever the level.
struct Selection {
    clipped: usize,
}

impl Statistic for Selection {
    const REGISTERS: usize = 1;

    fn scratch(&self, examples: usize) -> usize {
        2 * examples
    }

    #[inline(always)]
    fn of<S: Simd, const N: usize>(&self, simd: S, unit: Unit<'_, S, N>, scratch: &mut [[S::f32s; N]]) -> [S::f32s; N] {
        let (products, keys) = scratch.split_at_mut(unit.deltas.len());
        let (products, keys) = (&mut products[..unit.active.len()], &mut keys[..unit.active.len()]);
        for ((&entry, product), keys) in unit.active.iter().zip(&mut *products).zip(&mut *keys) {
            *product = unit.product(simd, entry);
            for n in 0..N {
                keys[n] = simd.transmute_f32s_i32s(ordered(simd, simd.transmute_i32s_f32s(product[n])));
            }
        }
        let ranks = [self.clipped, unit.deltas.len() - 1 - self.clipped];
        let mut bounds = [[simd.splat_f32s(0.0); N]; 2];
        for n in 0..N {
            [bounds[0][n], bounds[1][n]] = select(simd, keys, n, unit.zeros(), ranks);
        }
        clipped_sum(simd, products, unit.zeros(), bounds)
    }
}

/// A float's bits as a whole number of the same order (−0 directly below +0), and back.
#[inline(always)]
fn ordered<S: Simd>(simd: S, bits: S::i32s) -> S::i32s {
    let negative = simd.less_than_i32s(bits, simd.splat_i32s(0));
    let flip = simd.select_i32s(negative, simd.splat_i32s(i32::MAX), simd.splat_i32s(0));
    simd.xor_i32s(bits, flip)
}

/// The values of the given ranks, from 0, among the n-th register's keys and so many zeros.
#[inline(always)]
fn select<S: Simd, const N: usize>(
    simd: S,
    keys: &[[S::f32s; N]],
    n: usize,
    zeros: usize,
    ranks: [usize; 2],
) -> [S::f32s; 2] {
    let (nothing, one) = (simd.splat_u32s(0), simd.splat_u32s(1));
    let sign = simd.splat_i32s(i32::MIN);
    // The largest whole number, as unsigned from the lowest key on, that at most `rank` keys are below of: the key itself.
    let mut found = [simd.splat_i32s(0); 2];
    for bit in (0..32).rev() {
        let bit = simd.splat_i32s(1 << bit);
        let (mut candidates, mut counts) = (found, [nothing; 2]);
        for r in 0..2 {
            candidates[r] = simd.xor_i32s(simd.or_i32s(found[r], bit), sign);
            let above_zero = simd.less_than_i32s(simd.splat_i32s(0), candidates[r]);
            counts[r] = simd.select_u32s(above_zero, simd.splat_u32s(zeros as u32), nothing);
        }
        for key in keys {
            let key = simd.transmute_i32s_f32s(key[n]);
            for r in 0..2 {
                let below = simd.less_than_i32s(key, candidates[r]);
                counts[r] = simd.add_u32s(counts[r], simd.select_u32s(below, one, nothing));
            }
        }
        for r in 0..2 {
            let reached = simd.less_than_or_equal_u32s(counts[r], simd.splat_u32s(ranks[r] as u32));
            found[r] = simd.select_i32s(reached, simd.or_i32s(found[r], bit), found[r]);
        }
    }
    let mut values = [simd.splat_f32s(0.0); 2];
    for r in 0..2 {
        values[r] = simd.transmute_f32s_i32s(ordered(simd, simd.xor_i32s(found[r], sign)));
    }
    values
}
