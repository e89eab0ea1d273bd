//! Operations that candle composes of many, each as one on the processor: forward and backward, in the order of the examples
//! and on the calling thread. Threads work on parts of a batch ([`crate::model`]), so that no operation waits for another's.
//!
//! On other devices, and of other types than f32, layers are composed of candle's own operations. The tests compare both.

mod activation;
mod attention;
mod conv2d;
mod dense;
mod embedding;
mod normalise;
mod pool;
mod product;
mod scale;

use candle_core::{CpuStorage, DType, Layout, Result, Shape, Tensor, bail};

pub(super) use self::activation::{Gelu, Relu};
pub(super) use self::attention::Attention;
pub(super) use self::conv2d::{Convolution, Patches};
pub(super) use self::dense::{Affine, add_sum as add_dense};
pub(super) use self::embedding::{Lookup, add_sum as add_rows};
pub(super) use self::normalise::Normalise;
pub(super) use self::pool::Largest;
pub(super) use self::scale::Scaled;

/// Whether these operations take tensors like this one.
pub(super) fn fits(tensor: &Tensor) -> bool {
    tensor.device().is_cpu() && tensor.dtype() == DType::F32
}

/// The values of a contiguous tensor of f32.
fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((start, end))) => Ok(&values[start..end]),
        _ => bail!("a fused operation needs contiguous values of 32 bits"),
    }
}

/// What an operation returns.
fn output(values: Vec<f32>, shape: impl Into<Shape>) -> Result<(CpuStorage, Shape)> {
    Ok((CpuStorage::F32(values), shape.into()))
}

/// The values of contiguous tensors of f32 on the processor, all at once.
fn with_all<const N: usize, T>(tensors: [&Tensor; N], work: impl FnOnce([&[f32]; N]) -> T) -> Result<T> {
    let locked = tensors.map(|tensor| tensor.storage_and_layout());
    let mut all = [&[][..]; N];
    for (all, (storage, layout)) in all.iter_mut().zip(&locked) {
        *all = match &**storage {
            candle_core::Storage::Cpu(storage) => values(storage, layout)?,
            _ => bail!("a fused operation runs on the processor only"),
        };
    }
    Ok(work(all))
}

/// A tensor of these values beside another.
fn beside(values: Vec<f32>, shape: &Shape, other: &Tensor) -> Result<Tensor> {
    Tensor::from_vec(values, shape, other.device())
}
