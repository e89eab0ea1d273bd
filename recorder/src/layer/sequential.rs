//! Blocks one after the other.

use candle_core::{Module, Result, Tensor};

use super::{Block, Layer, Layers, named};

/// Named blocks, each given the output of the one before.
#[derive(Default)]
pub struct Sequential {
    blocks: Vec<(String, Box<dyn Block>)>,
}

impl Sequential {
    /// Without blocks: the identity.
    pub fn new() -> Sequential {
        Sequential::default()
    }

    /// The same with one more block at its end.
    #[must_use]
    pub fn then(mut self, name: &str, block: impl Block + 'static) -> Sequential {
        self.blocks.push((name.to_string(), Box::new(block)));
        self
    }
}

impl Module for Sequential {
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        self.blocks.iter().try_fold(input.clone(), |output, (_, block)| block.forward(&output))
    }
}

impl Layers for Sequential {
    fn layers(&self) -> Vec<(String, &dyn Layer)> {
        self.blocks.iter().flat_map(|(name, block)| named(name, block.as_ref())).collect()
    }
}
