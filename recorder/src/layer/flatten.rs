//! From images to vectors.

use candle_core::{Module, Result, Tensor};

use super::{Layer, Layers};

/// All values of an example in one row: `[B, …]` to `[B, values]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flatten;

impl Module for Flatten {
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        input.flatten_from(1)
    }
}

impl Layers for Flatten {
    fn layers(&self) -> Vec<(String, &dyn Layer)> {
        Vec::new()
    }
}
