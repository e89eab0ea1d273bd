//! Group normalisation (Wu & He 2018).

use candle_core::{Module, Result, Tensor, Var, bail};

use super::scale::{Channels, Scale, normalised};
use super::{Layer, Layers};

/// Normalises groups of channels of its input `[B, C, …]`, then scales every channel.
#[derive(Debug)]
pub struct GroupNorm {
    scale: Scale,
    groups: usize,
    epsilon: f64,
}

impl GroupNorm {
    /// The layer of γ `[C]`, β `[C]`, so many groups, and the ε under the root.
    ///
    /// # Errors
    /// C is no multiple of the groups.
    pub fn new(gamma: Var, beta: Option<Var>, groups: usize, epsilon: f64) -> Result<GroupNorm> {
        let scale = Scale::new("group_norm", Channels::Second, gamma, beta);
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
        self.scale.forward(&normalised(&grouped, self.epsilon, true)?.reshape(input.shape())?)
    }
}

impl Layers for GroupNorm {
    fn layers(&self) -> Vec<(String, &dyn Layer)> {
        self.scale.layers()
    }
}
