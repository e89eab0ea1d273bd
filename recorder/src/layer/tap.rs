//! Where the inputs of a layer and the gradients at its outputs are kept while a pass is recorded.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CudaStorage, CustomOp1, Layout, MetalStorage, Result, Shape, Tensor, bail};

/// One use of a layer in a pass over a batch of B examples.
#[derive(Clone, Debug)]
pub struct Use {
    /// What the layer was given; the first dimension is the example. (Normalisations keep what they scale.)
    pub input: Tensor,
    /// ∂ℓ_i/∂output of each example's own loss, in the shape of the output.
    pub output_gradient: Tensor,
}

impl Use {
    /// Number of examples, B.
    ///
    /// # Errors
    /// The input has no dimension.
    pub fn examples(&self) -> Result<usize> {
        self.input.dim(0)
    }

    /// The same of some outputs alone, which are places of a dimension of the output.
    pub(super) fn narrowed(&self, dimension: usize, places: Range<usize>) -> Result<Use> {
        let output_gradient = self.output_gradient.narrow(dimension, places.start, places.len())?;
        Ok(Use { input: self.input.clone(), output_gradient })
    }

    /// The same of losses that are each so many times as large.
    pub(crate) fn times(&self, factors: &[f32]) -> Result<Use> {
        let mut shape = vec![1; self.output_gradient.rank()];
        shape[0] = factors.len();
        let factors = Tensor::new(factors, self.output_gradient.device())?.reshape(shape)?;
        Ok(Use { input: self.input.clone(), output_gradient: self.output_gradient.broadcast_mul(&factors)? })
    }

    /// The same of one example alone.
    ///
    /// # Errors
    /// There are not so many examples.
    pub fn example(&self, example: usize) -> Result<Use> {
        Ok(Use {
            input: self.input.narrow(0, example, 1)?,
            output_gradient: self.output_gradient.narrow(0, example, 1)?,
        })
    }
}

/// The place of one layer. Closed, it keeps nothing and the layer is ordinary candle code. Every thread opens it for itself.
#[derive(Debug, Default)]
pub struct Tap {
    /// The uses of each pass that is under way. A thread may begin one within another's, as threads of a pool do that wait.
    open: Mutex<Vec<(ThreadId, Vec<Pending>)>>,
}

/// Where the gradient at an output is kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept(Arc<Mutex<Option<Tensor>>>);

impl Kept {
    /// Keeps it.
    pub fn keep(&self, gradient: &Tensor) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(gradient.detach());
    }
}

/// A use whose backward pass has not come by.
#[derive(Debug)]
struct Pending {
    input: Tensor,
    kept: Kept,
}

impl Tap {
    fn passes(&self) -> MutexGuard<'_, Vec<(ThreadId, Vec<Pending>)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on, every use on this thread is kept.
    pub fn open(&self) {
        self.passes().push((thread::current().id(), Vec::new()));
    }

    /// Notes a use if the tap is open, and says where the gradient at its output is to be kept: for operations that do so in
    /// their own backward pass.
    pub(super) fn note(&self, input: &Tensor) -> Option<Kept> {
        let (mut passes, here) = (self.passes(), thread::current().id());
        let (_, uses) = passes.iter_mut().rev().find(|(thread, _)| *thread == here)?;
        let kept = Kept::default();
        uses.push(Pending { input: input.detach(), kept: kept.clone() });
        Some(kept)
    }

    /// Hands the output of a layer on, noting it and its input if the tap is open: for the end of a layer's forward pass.
    ///
    /// # Errors
    /// The tensor library refuses.
    pub fn pass(&self, input: &Tensor, output: Tensor) -> Result<Tensor> {
        match self.note(input) {
            None => Ok(output),
            Some(kept) => output.contiguous()?.apply_op1(Sink(kept)),
        }
    }

    /// The uses since it was opened, each once its backward pass is done; the tap is closed then.
    ///
    /// # Errors
    /// No gradient came to the output of one of them: an operation behind the layer cuts the graph.
    pub fn close(&self) -> Result<Vec<Use>> {
        let (mut passes, here) = (self.passes(), thread::current().id());
        let last = passes.iter().rposition(|(thread, _)| *thread == here);
        let uses = last.map(|last| passes.remove(last).1);
        drop(passes);
        let close = |pending: Pending| {
            let gradient = pending.kept.0.lock().unwrap_or_else(PoisonError::into_inner).take();
            match gradient {
                Some(output_gradient) => Ok(Use { input: pending.input, output_gradient }),
                None => bail!(
                    "no gradient reached the output of this layer: the loss does not depend on it, or an operation \
                     without a derivative (candle's fused softmax, normalisations and attention) comes after it"
                ),
            }
        };
        uses.into_iter().flatten().map(close).collect()
    }
}

/// The identity, whose backward pass keeps the gradient that it hands on.
struct Sink(Kept);

impl CustomOp1 for Sink {
    fn name(&self) -> &'static str {
        "tap"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((storage.try_clone(layout)?, layout.shape().clone()))
    }

    fn cuda_fwd(&self, storage: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        Ok((storage.try_clone(layout)?, layout.shape().clone()))
    }

    fn metal_fwd(&self, storage: &MetalStorage, layout: &Layout) -> Result<(MetalStorage, Shape)> {
        Ok((storage.try_clone(layout)?, layout.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        self.0.keep(gradient);
        Ok(Some(gradient.clone()))
    }
}
