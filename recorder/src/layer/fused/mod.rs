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
#[cfg(test)]
mod tests;

use candle_core::{CpuStorage, DType, Result, Shape, Tensor, bail};
use pulp::{Arch, Simd, WithSimd};

use crate::network::values;

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

/// Does work whose loops the compiler makes of the widest registers of this processor. (It contracts no products and sums: the
/// registers change no bit.)
#[inline(always)]
fn vectorised<T>(work: impl FnOnce() -> T) -> T {
    struct Work<W>(W);
    impl<T, W: FnOnce() -> T> WithSimd for Work<W> {
        type Output = T;
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> T {
            (self.0)()
        }
    }
    Arch::new().dispatch(Work(work))
}

/// Σ f(x, y) of pairs in f64, as eight sums that are independent.
#[inline(always)]
fn sum_of(one: &[f32], other: &[f32], of: impl Fn(f64, f64) -> f64) -> f64 {
    let (ones, others) = (one.as_chunks::<8>(), other.as_chunks::<8>());
    let mut sums = [0.0; 8];
    for (one, other) in ones.0.iter().zip(others.0) {
        for place in 0..8 {
            sums[place] += of(f64::from(one[place]), f64::from(other[place]));
        }
    }
    let rest = ones.1.iter().zip(others.1).map(|(one, other)| of(f64::from(*one), f64::from(*other)));
    sums.iter().sum::<f64>() + rest.sum::<f64>()
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
