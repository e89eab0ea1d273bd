//! Layer normalisation (Ba, Kiros & Hinton 2016).

use candle_core::{Module, Result, Tensor, Var};

use super::scale::{Scale, normalised};
use super::{Layer, Tap, Use};

/// Normalises the last dimension of each position of its input `[B, …, C]`, then scales every channel.
#[derive(Debug)]
pub struct LayerNorm {
    scale: Scale,
    epsilon: f64,
}

impl LayerNorm {
    /// The layer of γ `[C]`, β `[C]` and the ε under the root.
    pub fn new(gamma: Var, beta: Option<Var>, epsilon: f64) -> LayerNorm {
        LayerNorm { scale: Scale::new(gamma, beta), epsilon }
    }
}

impl Module for LayerNorm {
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        self.scale.forward(&normalised(input, self.epsilon, true)?, input.rank() - 1)
    }
}

impl Layer for LayerNorm {
    fn kind(&self) -> &'static str {
        "layer_norm"
    }

    fn parameters(&self) -> Vec<(&'static str, &Var)> {
        self.scale.parameters()
    }

    fn tap(&self) -> &Tap {
        &self.scale.tap
    }

    fn gradients(&self, taken: &Use, parameter: usize) -> Result<Tensor> {
        self.scale.gradients(taken, parameter, taken.input.rank() - 1)
    }
}
