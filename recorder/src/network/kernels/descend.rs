//! The update of plain SGD, fused with the gradient: W ← W − scale · Σ_i a_i δ_iᵀ, in place.

use super::nonzeros::ColumnLists;
use super::simd::{NARROW, load, panel_lanes, panel_rows, parts, registers_for, store, with_scratch};
use super::tiles::Tiles;
use super::{expect_matrix, values, values_mut, with_values};
use candle_core::{CpuStorage, InplaceOp2, InplaceOp3, Layout, Result, Tensor, bail};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;
use std::ops::Range;

/// weight [fan_in, fan_out] −= scale · inputsᵀ · deltas, for inputs [b, fan_in] and deltas [b, fan_out].
pub(crate) struct DescendWeight {
    pub(crate) scale: f32,
}

/// bias `[fan_out]` −= scale · the sum of deltas [b, fan_out] over the batch.
pub(crate) struct DescendBias {
    pub(crate) scale: f32,
}

impl InplaceOp3 for DescendWeight {
    fn name(&self) -> &'static str {
        "descend-weight"
    }

    fn cpu_fwd(
        &self,
        weight: &mut CpuStorage,
        weight_layout: &Layout,
        inputs: &CpuStorage,
        inputs_layout: &Layout,
        deltas: &CpuStorage,
        deltas_layout: &Layout,
    ) -> Result<()> {
        let (fan_in, fan_out) = weight_layout.shape().dims2()?;
        let (batch, _) = inputs_layout.shape().dims2()?;
        expect_matrix("a layer's input", inputs_layout, batch, fan_in)?;
        expect_matrix("a layer's deltas", deltas_layout, batch, fan_out)?;
        let (inputs, deltas) = (values(inputs, inputs_layout)?, values(deltas, deltas_layout)?);
        descend_weight(Arch::new(), values_mut(weight, weight_layout)?, inputs, deltas, [fan_in, fan_out], self.scale);
        Ok(())
    }
}

impl InplaceOp2 for DescendBias {
    fn name(&self) -> &'static str {
        "descend-bias"
    }

    fn cpu_fwd(
        &self,
        bias: &mut CpuStorage,
        bias_layout: &Layout,
        deltas: &CpuStorage,
        deltas_layout: &Layout,
    ) -> Result<()> {
        let (_, fan_out) = deltas_layout.shape().dims2()?;
        if bias_layout.shape().dims() != [fan_out] {
            bail!("a bias is {:?} where [{fan_out}] is needed", bias_layout.shape());
        }
        descend_bias(Arch::new(), values_mut(bias, bias_layout)?, values(deltas, deltas_layout)?, self.scale);
        Ok(())
    }
}

/// Writes a layer's mean gradient over the batch of `inputs` [b, fan_in] and `deltas` [b, fan_out] into `weight`,
/// [fan_in, fan_out], and `bias`, `[fan_out]`.
pub(crate) fn mean_gradient(weight: &mut [f32], bias: &mut [f32], inputs: &Tensor, deltas: &Tensor) -> Result<()> {
    scaled_gradient(weight, bias, inputs, deltas, 1.0 / deltas.dims2()?.0 as f32)
}

/// As [`mean_gradient`], the sum over the batch.
pub(crate) fn summed_gradient(weight: &mut [f32], bias: &mut [f32], inputs: &Tensor, deltas: &Tensor) -> Result<()> {
    scaled_gradient(weight, bias, inputs, deltas, 1.0)
}

fn scaled_gradient(weight: &mut [f32], bias: &mut [f32], inputs: &Tensor, deltas: &Tensor, scale: f32) -> Result<()> {
    let (batch, fan_out) = deltas.dims2()?;
    let fan_in = inputs.dims2()?.1;
    if inputs.dims()[0] != batch || weight.len() != fan_in * fan_out || bias.len() != fan_out {
        bail!("a gradient of {} weights and {} biases of {inputs:?} and {deltas:?}", weight.len(), bias.len());
    }
    weight.par_chunks_mut(1 << 14).for_each(|weight| weight.fill(0.0));
    bias.fill(0.0);
    with_values(inputs, |inputs| {
        with_values(deltas, |deltas| {
            descend_weight(Arch::new(), weight, inputs, deltas, [fan_in, fan_out], -scale);
            descend_bias(Arch::new(), bias, deltas, -scale);
        })
    })?
}

/// Examples summed before the weights are touched: bounds the lists of non-zeros and the scratch.
const EXAMPLES: usize = 256;

fn descend_weight(
    arch: Arch,
    weight: &mut [f32],
    inputs: &[f32],
    deltas: &[f32],
    [fan_in, fan_out]: [usize; 2],
    scale: f32,
) {
    let weight = Tiles::new(weight, fan_out);
    let width = if fan_out > NARROW { panel_lanes(arch) } else { NARROW };
    let panels = fan_out.div_ceil(width);
    let parts = parts(panels, fan_in, 2);
    for (inputs, deltas) in inputs.chunks(EXAMPLES * fan_in).zip(deltas.chunks(EXAMPLES * fan_out)) {
        let lists = (fan_out > NARROW).then(|| ColumnLists::new(inputs, fan_in));
        (0..panels * parts).into_par_iter().for_each(|task| {
            let (panel, part) = (task / parts, task % parts);
            let rows = part * fan_in / parts..(part + 1) * fan_in / parts;
            let columns = panel * width..((panel + 1) * width).min(fan_out);
            let lists = lists.as_ref();
            let tile = Tile { weight: &weight, inputs, deltas, lists, fan_in, fan_out, rows, columns, scale };
            let examples = deltas.len() / fan_out;
            with_scratch(examples * width, 0, |packed, _| arch.dispatch(TileWork { tile: &tile, packed }));
        });
    }
}

/// One task: some rows (input units) of one panel of columns (output units) of the weight matrix.
struct Tile<'a> {
    weight: &'a Tiles<'a>,
    inputs: &'a [f32],
    deltas: &'a [f32],
    lists: Option<&'a ColumnLists>,
    fan_in: usize,
    fan_out: usize,
    rows: Range<usize>,
    columns: Range<usize>,
    scale: f32,
}

/// A task with its scratch memory: the panel's deltas of every example.
struct TileWork<'a> {
    tile: &'a Tile<'a>,
    packed: &'a mut [f32],
}

impl WithSimd for TileWork<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match (registers_for::<S>(self.tile.columns.len()), self.tile.lists) {
            (1, None) => self.run::<S, 1, 8>(simd),
            (2, None) => self.run::<S, 2, 4>(simd),
            (4, None) => self.run::<S, 4, 2>(simd),
            (1, Some(_)) => self.run::<S, 1, 1>(simd),
            (2, Some(_)) => self.run::<S, 2, 1>(simd),
            (4, Some(_)) => self.run::<S, 4, 1>(simd),
            (8, _) => self.run::<S, 8, 1>(simd),
            (_, _) => self.run::<S, 16, 1>(simd),
        }
    }
}

impl TileWork<'_> {
    /// With panels of N registers and, without lists of non-zeros, R input units at a time.
    #[inline(always)]
    fn run<S: Simd, const N: usize, const R: usize>(self, simd: S) {
        let TileWork { tile, packed } = self;
        let packed = &mut panel_rows::<S, N>(packed)[..tile.deltas.len() / tile.fan_out];
        for (packed, deltas) in packed.iter_mut().zip(tile.deltas.chunks_exact(tile.fan_out)) {
            *packed = load(simd, &deltas[tile.columns.clone()]);
        }
        match tile.lists {
            Some(lists) => sparse(simd, tile, lists, packed),
            None => dense::<S, N, R>(simd, tile, packed),
        }
    }
}

impl Tile<'_> {
    /// Moves one row of the panel against its summed gradient.
    #[inline(always)]
    fn descend<S: Simd, const N: usize>(&self, simd: S, row: usize, gradient: [S::f32s; N]) {
        // SAFETY: the tasks of one update have disjoint rows or disjoint columns, and a task holds one segment at a time.
        let segment = unsafe { self.weight.segment(row, self.columns.clone()) };
        let scale = simd.splat_f32s(-self.scale);
        let mut weights = load::<S, N>(simd, segment);
        for n in 0..N {
            weights[n] = simd.mul_add_e_f32s(scale, gradient[n], weights[n]);
        }
        store(simd, segment, weights);
    }
}

/// Visits, for each input unit, the examples that activate it.
#[inline(always)]
fn sparse<S: Simd, const N: usize>(simd: S, tile: &Tile<'_>, lists: &ColumnLists, packed: &[[S::f32s; N]]) {
    for row in tile.rows.clone() {
        let entries = lists.entries(row);
        if entries.is_empty() {
            continue;
        }
        let mut gradient = [simd.splat_f32s(0.0); N];
        for &(example, input) in entries {
            let (input, deltas) = (simd.splat_f32s(input), &packed[example as usize]);
            for n in 0..N {
                gradient[n] = simd.mul_add_e_f32s(input, deltas[n], gradient[n]);
            }
        }
        tile.descend(simd, row, gradient);
    }
}

/// Takes R input units at a time over all examples, zeros and all.
#[inline(always)]
fn dense<S: Simd, const N: usize, const R: usize>(simd: S, tile: &Tile<'_>, packed: &[[S::f32s; N]]) {
    let whole = tile.rows.len() / R * R;
    for row in tile.rows.clone().take(whole).step_by(R) {
        dense_group::<S, N, R>(simd, tile, row, packed);
    }
    for row in tile.rows.clone().skip(whole) {
        dense_group::<S, N, 1>(simd, tile, row, packed);
    }
}

#[inline(always)]
fn dense_group<S: Simd, const N: usize, const R: usize>(simd: S, tile: &Tile<'_>, row: usize, packed: &[[S::f32s; N]]) {
    let mut gradient = [[simd.splat_f32s(0.0); N]; R];
    for (inputs, deltas) in tile.inputs.chunks_exact(tile.fan_in).zip(packed) {
        let inputs = &inputs[row..row + R];
        for r in 0..R {
            let input = simd.splat_f32s(inputs[r]);
            for n in 0..N {
                gradient[r][n] = simd.mul_add_e_f32s(input, deltas[n], gradient[r][n]);
            }
        }
    }
    for (r, gradient) in gradient.into_iter().enumerate() {
        tile.descend(simd, row + r, gradient);
    }
}

/// Output units whose sums one task holds.
const UNITS: usize = 256;

/// Sums over the batch of the deltas of some output units, from `first` on.
struct Sums<'a> {
    deltas: &'a [f32],
    fan_out: usize,
    first: usize,
    units: usize,
}

impl WithSimd for Sums<'_> {
    type Output = [f64; UNITS];

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> [f64; UNITS] {
        let mut sums = [0.0; UNITS];
        for deltas in self.deltas.chunks_exact(self.fan_out) {
            for (sum, &delta) in sums[..self.units].iter_mut().zip(&deltas[self.first..]) {
                *sum += f64::from(delta);
            }
        }
        sums
    }
}

fn descend_bias(arch: Arch, bias: &mut [f32], deltas: &[f32], scale: f32) {
    let fan_out = bias.len();
    bias.par_chunks_mut(UNITS).enumerate().for_each(|(chunk, bias)| {
        let sums = arch.dispatch(Sums { deltas, fan_out, first: chunk * UNITS, units: bias.len() });
        for (bias, sum) in bias.iter_mut().zip(sums) {
            *bias -= scale * sum as f32;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::super::simd::testing::{assert_close, instruction_sets, on_any_number_of_threads, sparse_values};
    use super::*;
    use proptest::prelude::*;

    const SCALE: f32 = 0.01;

    struct Case {
        weight: Vec<f32>,
        inputs: Vec<f32>,
        deltas: Vec<f32>,
        fans: [usize; 2],
    }

    impl Case {
        fn new(batch: usize, fans @ [fan_in, fan_out]: [usize; 2], density: f64, seed: u64) -> Case {
            let weight = sparse_values(fan_in * fan_out, 1.0, seed);
            let inputs = sparse_values(batch * fan_in, density, seed + 1);
            Case { weight, inputs, deltas: sparse_values(batch * fan_out, 0.8, seed + 2), fans }
        }

        fn descended(&self, arch: Arch) -> Vec<f32> {
            let mut weight = self.weight.clone();
            descend_weight(arch, &mut weight, &self.inputs, &self.deltas, self.fans, SCALE);
            weight
        }

        /// The definition, in f64.
        fn plainly(&self) -> Vec<f64> {
            let [fan_in, fan_out] = self.fans;
            let mut weight: Vec<f64> = self.weight.iter().map(|&weight| f64::from(weight)).collect();
            for (inputs, deltas) in self.inputs.chunks(fan_in).zip(self.deltas.chunks(fan_out)) {
                for (weights, &input) in weight.chunks_mut(fan_out).zip(inputs) {
                    for (weight, &delta) in weights.iter_mut().zip(deltas) {
                        *weight -= f64::from(SCALE) * f64::from(input) * f64::from(delta);
                    }
                }
            }
            weight
        }

        fn check(&self) {
            let expected = self.plainly();
            for arch in instruction_sets() {
                assert_close(&self.descended(arch), &expected, self.deltas.len() / self.fans[1] / 10);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn equals_the_plain_update_for_any_shape_and_sparsity(
            batch in 1usize..60, fan_in in 1usize..150, fan_out in prop_oneof![1usize..20, 17usize..300],
            density in 0.0..1.0f64, seed in any::<u32>(),
        ) {
            Case::new(batch, [fan_in, fan_out], density, u64::from(seed)).check();
        }
    }

    #[test]
    fn more_examples_than_are_summed_together_all_count() {
        Case::new(EXAMPLES + 31, [40, 70], 0.3, 1).check();
        Case::new(3 * EXAMPLES, [20, 10], 0.3, 1).check();
    }

    #[test]
    fn the_number_of_threads_changes_no_bit() {
        for fans in [[784, 300], [300, 10], [20, 129]] {
            let case = Case::new(300, fans, 0.4, 1);
            on_any_number_of_threads(|| case.descended(Arch::new()));
            on_any_number_of_threads(|| {
                let mut bias = case.deltas[..fans[1]].to_vec();
                descend_bias(Arch::new(), &mut bias, &case.deltas, SCALE);
                bias
            });
        }
    }

    #[test]
    fn biases_move_against_the_sum_of_the_deltas() {
        let (units, batch) = (UNITS + 3, 5);
        let deltas: Vec<f32> = (0..batch * units).map(|place| (place % units) as f32).collect();
        for arch in instruction_sets() {
            let mut bias = vec![1.0; units];
            descend_bias(arch, &mut bias, &deltas, 0.5);
            let expected: Vec<f32> = (0..units).map(|unit| 1.0 - 0.5 * (batch * unit) as f32).collect();
            assert_eq!(bias, expected);
        }
    }
}
