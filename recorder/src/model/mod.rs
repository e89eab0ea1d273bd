//! Recording a network of one's own, written in candle.
//!
//! A [`Model`] is made of tapped [`crate::layer`]s and says the loss of each example. The [`Recorder`] takes the rest
//! upon itself: which examples and coordinates are recorded, when, and how they are written. `examples/own_model.rs` is a
//! whole program.

mod gradients;
mod probe;
mod recorder;
#[cfg(test)]
mod tests;

use candle_core::{D, Result, Tensor, Var};

pub use self::gradients::Gradients;
pub(crate) use self::probe::{Probe, part};
pub(crate) use self::recorder::write_population;
pub use self::recorder::{Begun, Recorder, Settings, TrainingSet};
use crate::layer::Layers;

/// A network and its loss. Threads ask it for the losses of different examples at once.
pub trait Model: Layers + Sync {
    /// The loss of each example of a batch, `[B]`: of its own input and label alone.
    ///
    /// # Errors
    /// The tensor library refuses.
    fn losses(&self, inputs: &Tensor, labels: &Tensor) -> Result<Tensor>;

    /// Parameters that belong to no tapped layer, by name. Their gradients are taken one example at a time, which is slow.
    fn other_parameters(&self) -> Vec<(String, &Var)> {
        Vec::new()
    }
}

/// The cross-entropy of each example in nats, `[B]`, from logits `[B, classes]` and labels `[B]` (u32).
///
/// # Errors
/// Shapes do not fit, or a label is no class.
pub fn cross_entropy(logits: &Tensor, labels: &Tensor) -> Result<Tensor> {
    let shifted = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?.detach())?;
    let normaliser = shifted.exp()?.sum(D::Minus1)?.log()?;
    normaliser - shifted.gather(&labels.unsqueeze(1)?, 1)?.squeeze(1)?
}
