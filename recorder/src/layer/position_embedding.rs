//! A position embedding: each position of a sequence adds its own row of the table.

use candle_core::{Module, Result, Tensor, Var, bail};

use super::{Embedding, Layer, Layers};

/// A table `[longest, width]`, whose first T rows are added to sequences `[B, T, width]`: an embedding of the numbers of
/// the positions.
#[derive(Debug)]
pub struct PositionEmbedding(Embedding);

impl PositionEmbedding {
    /// The layer of this table.
    pub fn new(weight: Var) -> PositionEmbedding {
        PositionEmbedding(Embedding::of_kind("position_embedding", weight))
    }
}

impl Module for PositionEmbedding {
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        let (examples, length, _) = input.dims3()?;
        if length > self.0.rows()? {
            bail!("a sequence of {length} positions, but only {} have an embedding", self.0.rows()?);
        }
        let positions = Tensor::arange(0, length as u32, input.device())?.unsqueeze(0)?;
        input + self.0.forward(&positions.repeat((examples, 1))?)?
    }
}

impl Layers for PositionEmbedding {
    fn layers(&self) -> Vec<(String, &dyn Layer)> {
        self.0.layers()
    }
}
