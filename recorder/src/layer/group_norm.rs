//! Group normalisation (Wu & He 2018).

use candle_core::{Module, Result, Tensor, Var, bail};

use super::scale::{Scale, normalised};
use super::{Layer, Tap, Use};

/// Normalises groups of channels of its input `[B, C, …]`, then scales every channel.
#[derive(Debug)]
pub struct GroupNorm {
    scale: Scale,
    groups: usize,
    epsilon: f64,
}

/// Where channels lie.
const CHANNELS: usize = 1;

impl GroupNorm {
    /// The layer of γ `[C]`, β `[C]`, so many groups, and the ε under the root.
    ///
    /// # Errors
    /// C is no multiple of the groups.
    pub fn new(gamma: Var, beta: Option<Var>, groups: usize, epsilon: f64) -> Result<GroupNorm> {
        let scale = Scale::new(gamma, beta);
        let channels = scale.channels()?;
        if groups == 0 || channels % groups != 0 {
            bail!("{channels} channels cannot be normalised in {groups} groups of equal size");
        }
        Ok(GroupNorm { scale, groups, epsilon })
    }
}

impl Module for GroupNorm {
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        let grouped = input.reshape((input.dim(0)?, self.groups, ()))?;
        self.scale.forward(&normalised(&grouped, self.epsilon, true)?.reshape(input.shape())?, CHANNELS)
    }
}

impl Layer for GroupNorm {
    fn kind(&self) -> &'static str {
        "group_norm"
    }

    fn parameters(&self) -> Vec<(&'static str, &Var)> {
        self.scale.parameters()
    }

    fn tap(&self) -> &Tap {
        &self.scale.tap
    }

    fn gradients(&self, taken: &Use, parameter: usize) -> Result<Tensor> {
        self.scale.gradients(taken, parameter, CHANNELS)
    }
}
