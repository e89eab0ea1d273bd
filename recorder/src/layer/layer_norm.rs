//! Layer normalisation (Ba, Kiros & Hinton 2016).

use candle_core::{Module, Result, Tensor, Var};

use super::scale::{Channels, Scale, normalised};
use super::{Layer, Layers};

/// Normalises the last dimension of each position of its input `[B, …, C]`, then scales every channel.
#[derive(Debug)]
pub struct LayerNorm {
    scale: Scale,
    epsilon: f64,
}

impl LayerNorm {
    /// The layer of γ `[C]`, β `[C]` and the ε under the root.
    pub fn new(gamma: Var, beta: Option<Var>, epsilon: f64) -> LayerNorm {
        LayerNorm { scale: Scale::new("layer_norm", Channels::Last, gamma, beta), epsilon }
    }
}

impl Module for LayerNorm {
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        self.scale.forward(&normalised(input, self.epsilon, true)?)
    }
}

impl Layers for LayerNorm {
    fn layers(&self) -> Vec<(String, &dyn Layer)> {
        self.scale.layers()
    }
}
