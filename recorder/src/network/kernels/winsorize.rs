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
    const REGISTERS: usize = if M <= 3 { 4 } else { 2 };

    fn scratch(&self, examples: usize) -> usize {
        examples.next_multiple_of(B)
    }

    /// The last block is filled up with values that change no bound: with some of the zeros that are there anyway or,
    /// where they are too few, with copies of the M-th largest product so far. Of at least 2 M − 1 products the M-th
    /// largest is not below the M-th smallest, so a copy is among neither the M − 1 largest nor the M − 1 smallest.
    #[inline(always)]
    fn compute<S: Simd, const N: usize>(
        &self,
        simd: S,
        unit: Unit<'_, S, N>,
        scratch: &mut [[S::f32s; N]],
    ) -> [S::f32s; N] {
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
    fn compute<S: Simd, const N: usize>(
        &self,
        simd: S,
        unit: Unit<'_, S, N>,
        scratch: &mut [[S::f32s; N]],
    ) -> [S::f32s; N] {
        let (products, keys) = scratch.split_at_mut(unit.deltas.len());
        let (products, keys) = (&mut products[..unit.active.len()], &mut keys[..unit.active.len()]);
        for ((&entry, product), keys) in unit.active.iter().zip(&mut *products).zip(&mut *keys) {
            *product = unit.product(simd, entry);
            for n in 0..N {
                keys[n] = simd.transmute_f32s_i32s(ordered(simd, simd.transmute_i32s_f32s(product[n])));
            }
        }
        let ranks = [self.clipped, unit.deltas.len() - 1 - self.clipped];
        let (mut low, mut high) = ([simd.splat_f32s(0.0); N], [simd.splat_f32s(0.0); N]);
        for n in 0..N {
            [low[n], high[n]] = select(simd, keys, n, unit.zeros(), ranks);
        }
        clipped_sum(simd, products, unit.zeros(), [low, high])
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

#[cfg(test)]
mod tests {
    use super::super::simd::testing::{instruction_sets, on_any_number_of_threads, sparse_values};
    use super::*;
    use proptest::prelude::*;

    struct Case {
        inputs: Vec<f32>,
        deltas: Vec<f32>,
        fans: [usize; 2],
        clipped: usize,
    }

    impl Case {
        /// Small whole numbers, many of them equal or zero, deltas times `unit`: every sum is exact.
        fn exact(examples: usize, fans: [usize; 2], clipped: usize, density: f64, unit: f32, seed: u64) -> Case {
            let whole = |values: Vec<f32>, most: f32| values.into_iter().map(move |value| (value * most).round());
            Case {
                inputs: whole(sparse_values(examples * fans[0], density, seed), 4.0).collect(),
                deltas: whole(sparse_values(examples * fans[1], 0.7, seed + 1), 9.0)
                    .map(|delta| delta * unit)
                    .collect(),
                fans,
                clipped,
            }
        }

        /// Clipped sums, [fan_in, fan_out].
        fn sums(&self, arch: Arch) -> Vec<f32> {
            let mut parameters = vec![0.0; self.fans[0] * self.fans[1]];
            let Case { inputs, deltas, fans, clipped } = self;
            let descent = Descent { parameters: &mut parameters, inputs, deltas, fans: *fans, scale: -1.0 };
            Winsorized { clipped: *clipped }.run(arch, descent);
            parameters
        }

        /// The definition: sort, clip, add.
        fn plainly(&self) -> Vec<f64> {
            let [fan_in, fan_out] = self.fans;
            let mut sums = vec![];
            for (column, row) in (0..fan_in).flat_map(|column| (0..fan_out).map(move |row| (column, row))) {
                let examples = self.inputs.chunks(fan_in).zip(self.deltas.chunks(fan_out));
                let gradients: Vec<f32> = examples.map(|(inputs, deltas)| inputs[column] * deltas[row]).collect();
                let mut sorted = gradients.clone();
                sorted.sort_by(f32::total_cmp);
                let (low, high) = (sorted[self.clipped], sorted[sorted.len() - 1 - self.clipped]);
                sums.push(gradients.iter().map(|gradient| f64::from(gradient.clamp(low, high))).sum());
            }
            sums
        }

        fn check_exactly(&self) {
            let expected: Vec<f32> = self.plainly().into_iter().map(|sum| sum as f32).collect();
            for arch in instruction_sets() {
                assert!(
                    self.sums(arch) == expected,
                    "{} of {}, {arch:?}",
                    self.clipped,
                    self.deltas.len() / self.fans[1]
                );
            }
        }
    }

    /// A batch, how many of it are clipped at either end, and how many inputs are not zero.
    fn levels() -> impl Strategy<Value = (usize, usize, f64)> {
        (1usize..140, 0.0..1.0f64, prop_oneof![0.0..1.0f64, Just(0.0), Just(1.0), Just(0.95)]).prop_map(
            |(examples, level, density)| {
                // Few extremes more often than many.
                let most = (examples - 1) / 2;
                ((examples), ((level * level * (most + 1) as f64) as usize).min(most), density)
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn ties_and_zeros_are_clipped_exactly_as_by_sorting(
            (examples, clipped, density) in levels(), fan_in in 1usize..12, fan_out in 1usize..70, seed in any::<u32>(),
        ) {
            Case::exact(examples, [fan_in, fan_out], clipped, density, 1.0, seed.into()).check_exactly();
        }

        #[test]
        fn sums_of_any_values_are_right_to_their_rounding_and_alike_on_every_instruction_set(
            (examples, clipped, density) in levels(), fan_in in 1usize..12, fan_out in 1usize..70, seed in any::<u32>(),
        ) {
            let inputs = sparse_values(examples * fan_in, density, seed.into());
            let deltas = sparse_values(examples * fan_out, 0.8, u64::from(seed) + 1);
            let case = Case { inputs, deltas, fans: [fan_in, fan_out], clipped };
            let (sums, expected) = (case.sums(Arch::new()), case.plainly());
            for (sum, expected) in sums.iter().zip(&expected) {
                prop_assert!((f64::from(*sum) - expected).abs() <= 1e-7 * (examples as f64 + 4.0), "{sum} {expected}");
            }
            for arch in instruction_sets() {
                prop_assert!(case.sums(arch).iter().map(|sum| sum.to_bits()).eq(sums.iter().map(|sum| sum.to_bits())));
            }
        }
    }

    #[test]
    fn every_level_of_every_small_batch_is_exact() {
        for examples in 1..=30 {
            for clipped in 0..=(examples - 1) / 2 {
                for density in [0.0, 0.3, 0.9, 1.0] {
                    Case::exact(examples, [3, 17], clipped, density, 1.0, examples as u64).check_exactly();
                }
            }
        }
    }

    #[test]
    fn batches_up_to_a_thousand_are_exact_at_levels_up_to_the_last() {
        for examples in [100, 101, 256, 999, 1000] {
            for clipped in [1, 2, 4, 8, 9, 10, 80, examples / 3, (examples - 1) / 2] {
                Case::exact(examples, [3, 18], clipped.min((examples - 1) / 2), 0.5, 1.0, 7).check_exactly();
            }
        }
    }

    #[test]
    fn more_activations_than_are_listed_at_a_time_all_count() {
        let case = Case::exact(40_000, [30, 3], 4, 0.02, 1.0, 3);
        let expected: Vec<f32> = case.plainly().into_iter().map(|sum| sum as f32).collect();
        assert!(case.sums(Arch::new()) == expected);
    }

    #[test]
    fn denormal_and_huge_values_are_clipped_as_any_other() {
        let smallest = f32::from_bits(1);
        // Sums of the second are exact, too: 2^110 times whole numbers.
        for unit in [smallest, smallest * 64.0, (1u128 << 110) as f32] {
            for (clipped, density) in [(1, 0.9), (3, 0.3), (3, 1.0), (8, 1.0), (12, 1.0)] {
                let case = Case::exact(40, [4, 19], clipped, density, unit, 5);
                assert!(case.sums(Arch::new()).iter().any(|&sum| sum != 0.0));
                case.check_exactly();
            }
        }
    }

    #[test]
    fn clipping_by_pencil_and_paper() {
        // Gradients of the one weight: -9 1 2 2 3 8 and four zeros; one clipped: -9 to 0, 8 to 3; two: 0 and 2.
        let inputs = vec![1.0, 0.0, 1.0, 2.0, 0.0, 1.0, -0.0, 1.0, 1.0, 0.0];
        let deltas = vec![-9.0, 5.0, 1.0, 1.0, 7.0, 2.0, 1.0, 3.0, 8.0, -4.0];
        for (clipped, expected) in
            [(1, 0.0 + 1.0 + 2.0 + 2.0 + 3.0 + 3.0), (2, 1.0 + 2.0 + 2.0 + 2.0 + 2.0), (4, 0.0 + 1.0 * 5.0)]
        {
            let case = Case { inputs: inputs.clone(), deltas: deltas.clone(), fans: [1, 1], clipped };
            assert_eq!(case.sums(Arch::new()), [expected], "{clipped}");
        }
    }

    #[test]
    fn the_number_of_threads_changes_no_bit() {
        for (clipped, fans) in [(1, [784, 70]), (8, [100, 10]), (20, [20, 129])] {
            let inputs = sparse_values(100 * fans[0], 0.3, 1);
            let deltas = sparse_values(100 * fans[1], 0.8, 2);
            let case = Case { inputs, deltas, fans, clipped };
            on_any_number_of_threads(|| case.sums(Arch::new()));
        }
    }
}
