//! The product of a matrix that has many zeros with a dense one: what forward pass and back-propagation share.

use super::nonzeros::RowLists;
use super::simd::{NARROW, load, panel_lanes, panel_rows, parts, registers_for, store, with_scratch};
use super::tiles::{Tiles, filled_matrix};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;
use std::ops::Range;

/// out = finish(start + left · right), all matrices row-major.
pub(super) struct Product<'a> {
    /// [rows, inner]; its zeros are skipped.
    pub(super) left: &'a [f32],
    pub(super) right: Right<'a>,
    /// What every row's sums start from, `[columns]`; zero where there is none.
    pub(super) start: Option<&'a [f32]>,
    pub(super) finish: Finish<'a>,
    pub(super) rows: usize,
    pub(super) inner: usize,
    pub(super) columns: usize,
}

/// The right factor, [inner, columns].
#[derive(Clone, Copy)]
pub(super) enum Right<'a> {
    Plain(&'a [f32]),
    /// Stored [columns, inner].
    Transposed(&'a [f32]),
}

/// What happens to each sum at the end.
#[derive(Clone, Copy)]
pub(super) enum Finish<'a> {
    Keep,
    /// Negative sums become zero (NaN stays).
    Relu,
    /// Zero unless this matrix, [rows, columns], is positive there.
    WherePositive(&'a [f32]),
}

/// Rows worked on together: bounds the lists of non-zeros and the scratch.
const ROWS: usize = 256;

/// Inner indices whose panel of the right factor is packed at a time: 48 KiB of cache at the widest registers.
const BLOCK: usize = 96;

impl Product<'_> {
    /// The product, [rows, columns], computed on the current rayon pool.
    pub(super) fn compute(&self, arch: Arch) -> Vec<f32> {
        // SAFETY: the tasks of `compute_rows` cover every column of the rows given, and the rows given cover the matrix.
        unsafe {
            filled_matrix(self.rows, self.columns, |out| {
                for first in (0..self.rows).step_by(ROWS) {
                    self.compute_rows(arch, first..(first + ROWS).min(self.rows), out);
                }
            })
        }
    }

    fn compute_rows(&self, arch: Arch, rows: Range<usize>, out: &Tiles<'_>) {
        let left = &self.left[rows.start * self.inner..rows.end * self.inner];
        let lists = (self.columns > NARROW).then(|| RowLists::new(left, self.inner, BLOCK));
        let width = if self.columns > NARROW { panel_lanes(arch) } else { NARROW };
        let panels = self.columns.div_ceil(width);
        // A transposed factor is dear to pack, which every part does anew.
        let parts = parts(panels, rows.len(), if matches!(self.right, Right::Plain(_)) { 2 } else { 1 });
        (0..panels * parts).into_par_iter().for_each(|task| {
            let (panel, part) = (task / parts, task % parts);
            let columns = panel * width..((panel + 1) * width).min(self.columns);
            let cut = |part: usize| part * rows.len() / parts;
            let tile = Tile {
                product: self,
                lists: lists.as_ref(),
                first: rows.start,
                rows: cut(part)..cut(part + 1),
                columns,
                out,
            };
            with_scratch(BLOCK * width, tile.rows.len() * width, |packed, sums| {
                arch.dispatch(TileWork { tile: &tile, packed, sums })
            });
        });
    }
}

/// One task: some rows (counted from `first`, where the lists start) of one panel of columns.
struct Tile<'a> {
    product: &'a Product<'a>,
    lists: Option<&'a RowLists>,
    first: usize,
    rows: Range<usize>,
    columns: Range<usize>,
    out: &'a Tiles<'a>,
}

/// A task with its scratch memory: a block of the panel and the sums of every row.
struct TileWork<'a> {
    tile: &'a Tile<'a>,
    packed: &'a mut [f32],
    sums: &'a mut [f32],
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
    /// With panels of N registers and, without lists of non-zeros, R rows at a time.
    #[inline(always)]
    fn run<S: Simd, const N: usize, const R: usize>(self, simd: S) {
        let TileWork { tile, packed, sums } = self;
        let inner = tile.product.inner;
        let sums = &mut panel_rows::<S, N>(sums)[..tile.rows.len()];
        sums.fill(load(simd, tile.product.start.map_or(&[], |start| &start[tile.columns.clone()])));
        for block in 0..inner.div_ceil(BLOCK) {
            tile.pack::<S, N>(simd, block * BLOCK..((block + 1) * BLOCK).min(inner), packed);
            match tile.lists {
                Some(lists) => sparse(simd, tile, lists, block, panel_rows::<S, N>(packed), sums),
                None => dense::<S, N, R>(simd, tile, block, panel_rows::<S, N>(packed), sums),
            }
        }
        for (&sums, row) in sums.iter().zip(tile.rows.clone()) {
            tile.finish(simd, tile.first + row, sums);
        }
    }
}

impl Tile<'_> {
    /// Fills `packed` with the rows `inner` of this panel of the right factor, leaving out those that no row uses.
    #[inline(always)]
    fn pack<S: Simd, const N: usize>(&self, simd: S, inner: Range<usize>, packed: &mut [f32]) {
        let panel = S::F32_LANES * N;
        match self.product.right {
            Right::Plain(right) => {
                for (index, packed) in inner.zip(panel_rows::<S, N>(packed)) {
                    if self.lists.is_none_or(|lists| lists.is_used(index)) {
                        *packed = load(simd, &right[index * self.product.columns..][self.columns.clone()]);
                    }
                }
            }
            Right::Transposed(right) => {
                packed.fill(0.0);
                let (whole, lanes) = (self.columns.len() / 4 * 4, self.columns.len());
                let row = |lane: usize| &right[(self.columns.start + lane) * self.product.inner..][inner.clone()];
                for lane in (0..whole).step_by(4) {
                    pack_transposed::<4>(panel, lane, [row(lane), row(lane + 1), row(lane + 2), row(lane + 3)], packed);
                }
                for lane in whole..lanes {
                    pack_transposed::<1>(panel, lane, [row(lane)], packed);
                }
            }
        }
    }

    #[inline(always)]
    fn finish<S: Simd, const N: usize>(&self, simd: S, row: usize, sums: [S::f32s; N]) {
        // SAFETY: the tasks of one product have disjoint rows or disjoint columns, and a task holds one segment at a time.
        let out = unsafe { self.out.segment(row, self.columns.clone()) };
        store(simd, out, sums);
        match self.product.finish {
            Finish::Keep => (),
            Finish::Relu => out.iter_mut().for_each(|sum| *sum = if *sum < 0.0 { 0.0 } else { *sum }),
            Finish::WherePositive(condition) => {
                let condition = &condition[row * self.product.columns..][self.columns.clone()];
                for (sum, &condition) in out.iter_mut().zip(condition) {
                    *sum = if condition > 0.0 { *sum } else { 0.0 };
                }
            }
        }
    }
}

/// Writes L rows into L adjacent lanes of `packed`, in squares that the compiler transposes in registers.
#[inline(always)]
fn pack_transposed<const L: usize>(panel: usize, lane: usize, rows: [&[f32]; L], packed: &mut [f32]) {
    let squares = rows.map(|row| row.as_chunks::<L>().0);
    let whole = squares[0].len() * L;
    let (head, tail) = packed.split_at_mut(whole * panel);
    for (square, packed) in head.chunks_exact_mut(L * panel).enumerate() {
        let values: [[f32; L]; L] = std::array::from_fn(|l| squares[l][square]);
        for k in 0..L {
            packed[k * panel + lane..][..L].copy_from_slice(&std::array::from_fn::<f32, L, _>(|l| values[l][k]));
        }
    }
    for (k, packed) in (whole..rows[0].len()).zip(tail.chunks_exact_mut(panel)) {
        packed[lane..][..L].copy_from_slice(&rows.map(|row| row[k]));
    }
}

/// Adds a block's products, visiting the non-zero values of the left factor.
#[inline(always)]
fn sparse<S: Simd, const N: usize>(
    simd: S,
    tile: &Tile<'_>,
    lists: &RowLists,
    block: usize,
    packed: &[[S::f32s; N]],
    sums: &mut [[S::f32s; N]],
) {
    for (sums, row) in sums.iter_mut().zip(tile.rows.clone()) {
        let mut registers = *sums;
        for &(index, value) in lists.entries(row, block) {
            let (value, weights) = (simd.splat_f32s(value), &packed[index as usize]);
            for n in 0..N {
                registers[n] = simd.mul_add_e_f32s(value, weights[n], registers[n]);
            }
        }
        *sums = registers;
    }
}

/// Adds a block's products for R rows of the left factor at a time, zeros and all.
#[inline(always)]
fn dense<S: Simd, const N: usize, const R: usize>(
    simd: S,
    tile: &Tile<'_>,
    block: usize,
    packed: &[[S::f32s; N]],
    sums: &mut [[S::f32s; N]],
) {
    let first = tile.first + tile.rows.start;
    let (groups, rest) = sums.as_chunks_mut::<R>();
    for (group, sums) in groups.iter_mut().enumerate() {
        dense_group(simd, tile, first + group * R, block, packed, sums);
    }
    let first = first + groups.len() * R;
    for (row, sums) in rest.iter_mut().enumerate() {
        dense_group(simd, tile, first + row, block, packed, std::array::from_mut(sums));
    }
}

#[inline(always)]
fn dense_group<S: Simd, const N: usize, const R: usize>(
    simd: S,
    tile: &Tile<'_>,
    first: usize,
    block: usize,
    packed: &[[S::f32s; N]],
    sums: &mut [[S::f32s; N]; R],
) {
    let inner = tile.product.inner;
    let length = BLOCK.min(inner - block * BLOCK);
    let left: [&[f32]; R] =
        std::array::from_fn(|r| &tile.product.left[(first + r) * inner + block * BLOCK..][..length]);
    let mut registers = *sums;
    for (index, weights) in packed[..length].iter().enumerate() {
        for (left, registers) in left.iter().zip(&mut registers) {
            let value = simd.splat_f32s(left[index]);
            for n in 0..N {
                registers[n] = simd.mul_add_e_f32s(value, weights[n], registers[n]);
            }
        }
    }
    *sums = registers;
}

#[cfg(test)]
mod tests {
    use super::super::simd::testing::{assert_close, instruction_sets, on_any_number_of_threads, sparse_values};
    use super::*;
    use proptest::prelude::*;

    /// The definition, in f64.
    fn plainly(product: &Product<'_>) -> Vec<f64> {
        let mut out = Vec::new();
        for row in 0..product.rows {
            for column in 0..product.columns {
                let right = |index: usize| match product.right {
                    Right::Plain(right) => right[index * product.columns + column],
                    Right::Transposed(right) => right[column * product.inner + index],
                };
                let terms = (0..product.inner)
                    .map(|index| f64::from(product.left[row * product.inner + index]) * f64::from(right(index)));
                let sum = terms.sum::<f64>() + product.start.map_or(0.0, |start| f64::from(start[column]));
                out.push(match product.finish {
                    Finish::Keep => sum,
                    Finish::Relu => sum.max(0.0),
                    Finish::WherePositive(condition) if condition[row * product.columns + column] > 0.0 => sum,
                    Finish::WherePositive(_) => 0.0,
                });
            }
        }
        out
    }

    fn check(rows: usize, inner: usize, columns: usize, density: f64, seed: u64) {
        let left = sparse_values(rows * inner, density, seed);
        let right = sparse_values(inner * columns, 0.9, seed + 1);
        let start = sparse_values(columns, 1.0, seed + 2);
        let condition = sparse_values(rows * columns, 0.5, seed + 3);
        for (right, start, finish) in [
            (Right::Plain(&right), Some(&start[..]), Finish::Relu),
            (Right::Plain(&right), Some(&start[..]), Finish::Keep),
            (Right::Transposed(&right), None, Finish::WherePositive(&condition)),
        ] {
            let product = Product { left: &left, right, start, finish, rows, inner, columns };
            let expected = plainly(&product);
            for arch in instruction_sets() {
                assert_close(&product.compute(arch), &expected, inner);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn equals_the_plain_product_for_any_shape_and_sparsity(
            rows in 1usize..40, inner in 1usize..250, columns in prop_oneof![1usize..20, 17usize..300],
            density in 0.0..1.0f64, seed in any::<u32>(),
        ) {
            check(rows, inner, columns, density, u64::from(seed));
        }
    }

    #[test]
    fn more_rows_than_are_worked_on_together_are_all_computed() {
        check(ROWS + 37, 100, 33, 0.3, 1);
        check(2 * ROWS, 10, 10, 1.0, 2);
    }

    #[test]
    fn the_number_of_threads_changes_no_bit() {
        for [rows, inner, columns] in [[100, 784, 300], [37, 300, 10], [300, 20, 129]] {
            let left = sparse_values(rows * inner, 0.4, 1);
            let right = sparse_values(inner * columns, 1.0, 2);
            for right in [Right::Plain(&right), Right::Transposed(&right)] {
                let product = Product { left: &left, right, start: None, finish: Finish::Keep, rows, inner, columns };
                on_any_number_of_threads(|| product.compute(Arch::new()));
            }
        }
    }

    #[test]
    fn a_nan_or_an_infinity_reaches_the_result_through_a_relu() {
        for bad in [f32::NAN, f32::INFINITY] {
            let (left, right) = ([0.0, bad], vec![1.0; 2 * 20]);
            let (right, finish) = (Right::Plain(&right), Finish::Relu);
            let product = Product { left: &left, right, start: None, finish, rows: 1, inner: 2, columns: 20 };
            assert!(product.compute(Arch::new()).iter().all(|value| !value.is_finite()));
        }
    }
}
