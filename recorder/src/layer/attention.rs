//! Multi-head attention (Vaswani et al. 2017). Its parameters are those of four dense layers; softmax and mask have none.

use std::sync::OnceLock;

use candle_core::{D, Module, Result, Tensor, bail};

use super::{Dense, Layer, Layers, fused, named};

/// Attention of every position of a sequence `[B, T, width]` to all positions that the mask allows.
#[derive(Debug)]
pub struct MultiHeadAttention {
    query: Dense,
    key: Dense,
    value: Dense,
    output: Dense,
    heads: usize,
}

impl MultiHeadAttention {
    /// The attention of these projections, each `[width, width]`, in so many heads.
    pub fn new(query: Dense, key: Dense, value: Dense, output: Dense, heads: usize) -> MultiHeadAttention {
        MultiHeadAttention { query, key, value, output, heads }
    }

    /// The output `[B, T, width]`. `mask` is added to the scores `[B, heads, T, T]` (query, key) and may have a 1 for any
    /// of these dimensions: 0 where a position is seen, −∞ (or −10⁹) where it is not.
    ///
    /// # Errors
    /// The width is no multiple of the heads, or shapes do not fit.
    pub fn forward_masked(&self, input: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
        let (examples, length, width) = input.dims3()?;
        if self.heads == 0 || width % self.heads != 0 {
            bail!("a width of {width} cannot be divided among {} heads", self.heads);
        }
        let head_width = width / self.heads;
        let is_constant = mask.is_none_or(|mask| !mask.track_op());
        if fused::fits(input) && is_constant && input.elem_count() > 0 {
            let square = (examples, self.heads, length, length);
            let mask = mask.map(|mask| mask.broadcast_as(square)).transpose()?;
            let attention = fused::Attention { heads: self.heads, mask, weights: OnceLock::new() };
            let [query, key, value] = [&self.query, &self.key, &self.value].map(|it| it.forward(input));
            return self.output.forward(&query?.apply_op3(&key?, &value?, attention)?);
        }
        let heads = |projected: Tensor| {
            projected.reshape((examples, length, self.heads, head_width))?.transpose(1, 2)?.contiguous()
        };
        let (query, key) = (heads(self.query.forward(input)?)?, heads(self.key.forward(input)?)?);
        let value = heads(self.value.forward(input)?)?;
        let scores = (query.matmul(&key.transpose(2, 3)?.contiguous()?)? / (head_width as f64).sqrt())?;
        let scores = match mask {
            Some(mask) => scores.broadcast_add(mask)?,
            None => scores,
        };
        let attended = softmax(&scores)?.matmul(&value)?.transpose(1, 2)?.reshape((examples, length, width))?;
        self.output.forward(&attended)
    }
}

/// The softmax of the last dimension, of operations that candle can derive.
fn softmax(scores: &Tensor) -> Result<Tensor> {
    let exponentials = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?.detach())?.exp()?;
    exponentials.broadcast_div(&exponentials.sum_keepdim(D::Minus1)?)
}

impl Module for MultiHeadAttention {
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        self.forward_masked(input, None)
    }
}

impl Layers for MultiHeadAttention {
    fn layers(&self) -> Vec<(String, &dyn Layer)> {
        let projections =
            [("query", &self.query), ("key", &self.key), ("value", &self.value), ("output", &self.output)];
        projections.into_iter().flat_map(|(name, projection)| named(name, projection)).collect()
    }
}
