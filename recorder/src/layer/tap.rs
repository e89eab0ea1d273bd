//! Where the inputs of a layer and the gradients at its outputs are kept while a pass is recorded.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

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

/// The place of one layer. Closed, it keeps nothing and the layer is ordinary candle code.
#[derive(Debug, Default)]
pub struct Tap {
    uses: Mutex<Option<Vec<Pending>>>,
}

/// A use whose backward pass has not come by.
#[derive(Debug)]
struct Pending {
    input: Tensor,
    output_gradient: Arc<Mutex<Option<Tensor>>>,
}

impl Tap {
    /// From now on, every use is kept.
    pub fn open(&self) {
        *self.uses.lock().unwrap_or_else(PoisonError::into_inner) = Some(Vec::new());
    }

    /// Hands the output of a layer on, noting it and its input if the tap is open: for the end of a layer's forward pass.
    ///
    /// # Errors
    /// The tensor library refuses.
    pub fn pass(&self, input: &Tensor, output: Tensor) -> Result<Tensor> {
        let mut uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(uses) = uses.as_mut() else { return Ok(output) };
        let output_gradient = Arc::new(Mutex::new(None));
        let tapped = output.contiguous()?.apply_op1(Sink(Arc::clone(&output_gradient)))?;
        uses.push(Pending { input: input.detach(), output_gradient });
        Ok(tapped)
    }

    /// The uses since it was opened, each once its backward pass is done; the tap is closed then.
    ///
    /// # Errors
    /// No gradient came to the output of one of them: an operation behind the layer cuts the graph.
    pub fn close(&self) -> Result<Vec<Use>> {
        let uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner).take();
        let close = |pending: Pending| {
            let gradient = pending.output_gradient.lock().unwrap_or_else(PoisonError::into_inner).take();
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
struct Sink(Arc<Mutex<Option<Tensor>>>);

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
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(gradient.detach());
        Ok(Some(gradient.clone()))
    }
}
