//! The tensor operations of a training step, one a file, each a candle custom operation with its CPU code and tests.
//!
//! All of them rest on two observations. Weights are stored `[fan_in, fan_out]`, so that SIMD lanes run over output
//! units and one activation multiplies a whole panel of them; and most activations are zero (four fifths of MNIST's
//! pixels, half of what a ReLU returns), so the kernels visit the non-zero ones only.
//!
//! An output element is always one chain of fused multiply-adds in ascending order of the summed index, whatever the
//! panel, register width or thread that computes it: results do not depend on the number of threads.

mod affine;
mod back_propagate;
mod coordinates;
mod cross_entropy;
mod descend;
mod finite;
mod gaussian;
mod median_of_means;
mod nonzeros;
mod norms;
mod product;
mod rolling;
mod simd;
mod sort;
mod tiles;
mod winsorize;

pub(super) use affine::{Activation, Affine};
pub(super) use back_propagate::BackPropagate;
pub(crate) use coordinates::DescendBy;
pub(super) use cross_entropy::{CLASSES, Outcome, cross_entropy};
pub(super) use descend::summed_gradient;
pub(crate) use descend::{DescendBias, DescendWeight, mean_gradient};
pub(crate) use finite::first_non_finite_row;
pub(crate) use gaussian::AddGaussian;
pub(crate) use median_of_means::MedianOfMeans;
pub(super) use norms::row_dots;
pub(crate) use norms::{add_square_norms, scaled_rows};
pub(crate) use rolling::DescendMedian;
#[cfg(test)]
pub(super) use simd::testing::sparse_values;
pub(crate) use winsorize::Winsorized;

use candle_core::{CpuStorage, InplaceOp1, Layout, Result, Shape, Storage, Tensor, bail};
use std::cell::Cell;

/// The values of a contiguous f32 tensor on the CPU, row-major.
pub(crate) fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f32>()?[start..end]),
        None => bail!("kernels take contiguous tensors only"),
    }
}

/// As [`values`], to be written to.
fn values_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((start, end))) => Ok(&mut values[start..end]),
        _ => bail!("the network's kernels update contiguous f32 tensors on the CPU only"),
    }
}

/// Calls `work` with the values of a contiguous f32 tensor on the CPU, without copying them.
pub(crate) fn with_values<T>(tensor: &Tensor, work: impl FnOnce(&[f32]) -> T) -> Result<T> {
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => Ok(work(values(storage, layout)?)),
        _ => bail!("the network's kernels run on the CPU only"),
    }
}

/// Calls `work` with the values of a contiguous f32 tensor on the CPU, to be written to.
pub(crate) fn with_parameters(tensor: &Tensor, work: impl FnOnce(&mut [f32])) -> Result<()> {
    tensor.inplace_op1(&Once(Cell::new(Some(work))))
}

/// Work that is done once, as an operation of candle's.
struct Once<W>(Cell<Option<W>>);

impl<W: FnOnce(&mut [f32])> InplaceOp1 for Once<W> {
    fn name(&self) -> &'static str {
        "with-parameters"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let values = values_mut(storage, layout)?;
        if let Some(work) = self.0.take() {
            work(values);
        }
        Ok(())
    }
}

/// An error unless `layout` is the matrix `[rows, columns]`.
fn expect_matrix(what: &str, layout: &Layout, rows: usize, columns: usize) -> Result<()> {
    if layout.shape() != &Shape::from((rows, columns)) {
        bail!("{what} is {:?} where [{rows}, {columns}] is needed", layout.shape());
    }
    Ok(())
}
