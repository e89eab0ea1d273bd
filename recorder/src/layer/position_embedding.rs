//! A position embedding: each position of a sequence adds its own row of the table.

use candle_core::{Module, Result, Tensor, Var, bail};

use super::{Layer, Tap, Use, rows};

/// A table `[longest, width]`, whose first T rows are added to sequences `[B, T, width]`.
#[derive(Debug)]
pub struct PositionEmbedding {
    weight: Var,
    tap: Tap,
}

impl PositionEmbedding {
    /// The layer of this table.
    pub fn new(weight: Var) -> PositionEmbedding {
        PositionEmbedding { weight, tap: Tap::default() }
    }
}

impl Module for PositionEmbedding {
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        let (examples, length, _) = input.dims3()?;
        if length > self.weight.dim(0)? {
            bail!("a sequence of {length} positions, but only {} have an embedding", self.weight.dim(0)?);
        }
        let positions = Tensor::arange(0, length as u32, input.device())?.unsqueeze(0)?;
        let rows = self.weight.narrow(0, 0, length)?.unsqueeze(0)?.broadcast_as(input.shape())?;
        input + self.tap.pass(&positions.repeat((examples, 1))?, rows)?
    }
}

impl Layer for PositionEmbedding {
    fn kind(&self) -> &'static str {
        "position_embedding"
    }

    fn parameters(&self) -> Vec<(&'static str, &Var)> {
        vec![("weight", &self.weight)]
    }

    fn tap(&self) -> &Tap {
        &self.tap
    }

    fn gradients(&self, taken: &Use, _: usize) -> Result<Tensor> {
        rows::gradients(taken, self.weight.dim(0)?)
    }

    fn gradients_at(&self, taken: &Use, _: usize, coordinates: &[usize]) -> Result<Vec<f64>> {
        rows::gradients_at(taken, coordinates)
    }

    fn contributions(&self, taken: &Use, _: usize, total: &Tensor) -> Result<Vec<f64>> {
        rows::contributions(taken, total)
    }

    fn self_terms(&self, taken: &Use, _: usize) -> Result<Vec<f64>> {
        rows::self_terms(taken)
    }
}
