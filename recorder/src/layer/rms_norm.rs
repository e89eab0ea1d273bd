//! Root-mean-square normalisation (Zhang & Sennrich 2019).

use candle_core::{Module, Result, Tensor, Var};

use super::scale::{Channels, Scale, normalised};
use super::{Layer, Layers};

/// Divides the last dimension of each position of its input `[B, …, C]` by its root mean square, then scales every channel.
#[derive(Debug)]
pub struct RmsNorm {
    scale: Scale,
    epsilon: f64,
}

impl RmsNorm {
    /// The layer of γ `[C]` and the ε under the root.
    pub fn new(gamma: Var, epsilon: f64) -> RmsNorm {
        RmsNorm { scale: Scale::new("rms_norm", Channels::Last, gamma, None), epsilon }
    }
}

impl Module for RmsNorm {
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        self.scale.forward(&normalised(input, self.epsilon, false)?)
    }
}

impl Layers for RmsNorm {
    fn layers(&self) -> Vec<(String, &dyn Layer)> {
        self.scale.layers()
    }
}
