//! What the coordinate-wise rules share: each parameter moves against a statistic of its per-example gradients.
//!
//! The gradient of example i with respect to a weight is a_i δ_i, so a column of activations and a column of deltas are
//! all that a coordinate needs. SIMD lanes run over output units; for one input unit only the examples that activate it
//! are visited, and the others are known to be zeros. A bias is a weight whose input is always one.

use super::nonzeros::{ColumnLists, Entry};
use super::simd::{lanes, load, panel_rows, parts, registers_for, store, with_scratch};
use super::tiles::Tiles;
use super::{expect_matrix, values, values_mut};
use candle_core::{CpuStorage, InplaceOp2, InplaceOp3, Layout, Result, bail};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;
use std::ops::Range;

/// A number that stands for all of a coordinate's per-example gradients.
pub(super) trait Statistic: Sync {
    /// Registers of a full panel: 1, 2, 4 or 8.
    const REGISTERS: usize;

    /// Panel rows of scratch memory that a batch of so many examples takes.
    fn scratch(&self, examples: usize) -> usize;

    /// The statistic of each coordinate of one input unit, of a panel of output units.
    ///
    /// To be inlined: it is called with the instructions of `simd` enabled.
    fn compute<S: Simd, const N: usize>(
        &self,
        simd: S,
        unit: Unit<'_, S, N>,
        scratch: &mut [[S::f32s; N]],
    ) -> [S::f32s; N];
}

/// The per-example gradients of one input unit's weights to a panel of output units.
#[derive(Clone, Copy)]
pub(super) struct Unit<'a, S: Simd, const N: usize> {
    /// The examples that activate the unit, ascending, and their activations.
    pub(super) active: &'a [Entry],
    /// The panel's deltas of every example.
    pub(super) deltas: &'a [[S::f32s; N]],
}

impl<S: Simd, const N: usize> Unit<'_, S, N> {
    /// Examples that do not activate the unit: so many of its gradients are zero.
    #[inline(always)]
    pub(super) fn zeros(&self) -> usize {
        self.deltas.len() - self.active.len()
    }

    /// The gradient of one of the `active` examples.
    #[inline(always)]
    pub(super) fn product(&self, simd: S, (example, input): Entry) -> [S::f32s; N] {
        let (input, deltas) = (simd.splat_f32s(input), &self.deltas[example as usize]);
        let mut product = *deltas;
        for n in 0..N {
            product[n] = simd.mul_f32s(input, deltas[n]);
        }
        product
    }
}

/// A rule that moves every parameter of a layer by itself.
pub(crate) trait CoordinateRule {
    /// What errors call it.
    const NAME: &'static str;

    /// Runs the step with the statistic that its batch calls for.
    fn run(&self, arch: Arch, descent: Descent<'_>);
}

/// parameters −= scale · the rule's statistic of their per-example gradients, for a weight [fan_in, fan_out] with its
/// inputs [b, fan_in] and deltas [b, fan_out], or for a bias `[fan_out]` with its deltas.
pub(crate) struct DescendBy<R> {
    pub(crate) scale: f32,
    pub(crate) rule: R,
}

impl<R: CoordinateRule> InplaceOp3 for DescendBy<R> {
    fn name(&self) -> &'static str {
        R::NAME
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
        let parameters = values_mut(weight, weight_layout)?;
        self.rule.run(Arch::new(), Descent { parameters, inputs, deltas, fans: [fan_in, fan_out], scale: self.scale });
        Ok(())
    }
}

impl<R: CoordinateRule> InplaceOp2 for DescendBy<R> {
    fn name(&self) -> &'static str {
        R::NAME
    }

    fn cpu_fwd(
        &self,
        bias: &mut CpuStorage,
        bias_layout: &Layout,
        deltas: &CpuStorage,
        deltas_layout: &Layout,
    ) -> Result<()> {
        let (batch, fan_out) = deltas_layout.shape().dims2()?;
        if bias_layout.shape().dims() != [fan_out] {
            bail!("a bias is {:?} where [{fan_out}] is needed", bias_layout.shape());
        }
        let (parameters, deltas) = (values_mut(bias, bias_layout)?, values(deltas, deltas_layout)?);
        let inputs = &vec![1.0; batch];
        self.rule.run(Arch::new(), Descent { parameters, inputs, deltas, fans: [1, fan_out], scale: self.scale });
        Ok(())
    }
}

/// Non-zero activations listed at a time: 4 MiB.
const LISTED: usize = 1 << 19;

/// One layer's parameters, and what they are to move against.
pub(crate) struct Descent<'a> {
    /// [fan_in, fan_out], row-major.
    pub(super) parameters: &'a mut [f32],
    /// [b, fan_in].
    pub(super) inputs: &'a [f32],
    /// [b, fan_out].
    pub(super) deltas: &'a [f32],
    /// fan_in and fan_out.
    pub(super) fans: [usize; 2],
    pub(super) scale: f32,
}

impl Descent<'_> {
    /// Examples in the batch, b.
    pub(super) fn examples(&self) -> usize {
        self.deltas.len() / self.fans[1]
    }

    /// Moves the parameters, on the current rayon pool.
    pub(super) fn descend(self, arch: Arch, statistic: &impl Statistic) {
        let [fan_in, fan_out] = self.fans;
        let units = (LISTED / self.examples()).max(1);
        let parameters = Tiles::new(self.parameters, fan_out);
        for first in (0..fan_in).step_by(units) {
            let rows = first..(first + units).min(fan_in);
            let lists = ColumnLists::of_columns(self.inputs, fan_in, rows.clone());
            descend_rows(arch, statistic, &parameters, rows, &lists, self.deltas, self.scale);
        }
    }
}

fn descend_rows<T: Statistic>(
    arch: Arch,
    statistic: &T,
    parameters: &Tiles<'_>,
    rows: Range<usize>,
    lists: &ColumnLists,
    deltas: &[f32],
    scale: f32,
) {
    let fan_out = parameters.columns();
    let width = lanes(arch) * T::REGISTERS;
    let panels = fan_out.div_ceil(width);
    let parts = parts(panels, rows.len(), 2);
    let examples = deltas.len() / fan_out;
    (0..panels * parts).into_par_iter().for_each(|task| {
        let (panel, part) = (task / parts, task % parts);
        let cut = |part: usize| rows.start + part * rows.len() / parts;
        let columns = panel * width..((panel + 1) * width).min(fan_out);
        let tile =
            Tile { statistic, parameters, lists, first: rows.start, rows: cut(part)..cut(part + 1), columns, scale };
        with_scratch(examples * width, statistic.scratch(examples) * width, |packed, scratch| {
            arch.dispatch(TileWork { tile: &tile, deltas, packed, scratch })
        });
    });
}

/// One task: some rows (input units, counted from `first`, where the lists start) of one panel of columns (output units).
struct Tile<'a, T> {
    statistic: &'a T,
    parameters: &'a Tiles<'a>,
    lists: &'a ColumnLists,
    first: usize,
    rows: Range<usize>,
    columns: Range<usize>,
    scale: f32,
}

/// A task with its scratch memory: the panel's deltas of every example, and what the statistic asks for.
struct TileWork<'a, T> {
    tile: &'a Tile<'a, T>,
    deltas: &'a [f32],
    packed: &'a mut [f32],
    scratch: &'a mut [f32],
}

impl<T: Statistic> WithSimd for TileWork<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match registers_for::<S>(self.tile.columns.len()) {
            8 if T::REGISTERS >= 8 => self.run::<S, 8>(simd),
            4 if T::REGISTERS >= 4 => self.run::<S, 4>(simd),
            2 if T::REGISTERS >= 2 => self.run::<S, 2>(simd),
            _ => self.run::<S, 1>(simd),
        }
    }
}

impl<T: Statistic> TileWork<'_, T> {
    #[inline(always)]
    fn run<S: Simd, const N: usize>(self, simd: S) {
        let TileWork { tile, deltas, packed, scratch } = self;
        let fan_out = tile.parameters.columns();
        let packed = &mut panel_rows::<S, N>(packed)[..deltas.len() / fan_out];
        for (packed, deltas) in packed.iter_mut().zip(deltas.chunks_exact(fan_out)) {
            *packed = load(simd, &deltas[tile.columns.clone()]);
        }
        let scratch = panel_rows::<S, N>(scratch);
        let scale = simd.splat_f32s(tile.scale);
        for row in tile.rows.clone() {
            let active = tile.lists.entries(row - tile.first);
            if active.is_empty() {
                // Every gradient is zero, and so is every statistic of them.
                continue;
            }
            let statistic = tile.statistic.compute(simd, Unit { active, deltas: packed }, scratch);
            // SAFETY: the tasks of one step have disjoint rows or disjoint columns, and a task holds one segment at a time.
            let segment = unsafe { tile.parameters.segment(row, tile.columns.clone()) };
            let mut parameters = load::<S, N>(simd, segment);
            for n in 0..N {
                // Not fused, so that it rounds alike where there is no fused instruction.
                parameters[n] = simd.sub_f32s(parameters[n], simd.mul_f32s(scale, statistic[n]));
            }
            store(simd, segment, parameters);
        }
    }
}
