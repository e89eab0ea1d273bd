//! Root-mean-square normalisation (Zhang & Sennrich 2019).

use candle_core::{Module, Result, Tensor, Var};

use super::scale::{Scale, normalised};
use super::{Layer, Tap, Use};

/// Divides the last dimension of each position of its input `[B, …, C]` by its root mean square, then scales every channel.
#[derive(Debug)]
pub struct RmsNorm {
    scale: Scale,
    epsilon: f64,
}

impl RmsNorm {
    /// The layer of γ `[C]` and the ε under the root.
    pub fn new(gamma: Var, epsilon: f64) -> RmsNorm {
        RmsNorm { scale: Scale::new(gamma, None), epsilon }
    }
}

impl Module for RmsNorm {
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        self.scale.forward(&normalised(input, self.epsilon, false)?, input.rank() - 1)
    }
}

impl Layer for RmsNorm {
    fn kind(&self) -> &'static str {
        "rms_norm"
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
