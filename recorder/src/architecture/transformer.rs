//! A transformer's encoder (Vaswani et al. 2017), normalised before each part (Xiong et al. 2020), that classifies by the mean
//! over its words.
//!
//! Token 0 is padding: no position attends to it, and it is no part of the mean, so that no loss depends on it.

use candle_core::{DType, Module, Result, Tensor};

use crate::layer::{
    Activation, Dense, Embedding, Initial, Layer, LayerNorm, Layers, MultiHeadAttention, PositionEmbedding, named,
};

/// What is added to the score of a position that is not seen.
const UNSEEN: f64 = -1e9;

/// Widths of the dense part of a block, in widths of a position.
const INNER: usize = 4;

/// Its settings.
pub(super) struct Sizes {
    pub width: usize,
    pub depth: usize,
    pub heads: usize,
    pub context: usize,
}

/// A network from tokens `[B, T]` to logits `[B, classes]`.
pub(super) struct Transformer {
    words: Embedding,
    positions: PositionEmbedding,
    blocks: Vec<EncoderBlock>,
    norm: LayerNorm,
    head: Dense,
    context: usize,
}

struct EncoderBlock {
    attention_norm: LayerNorm,
    attention: MultiHeadAttention,
    dense_norm: LayerNorm,
    inner: Dense,
    outer: Dense,
}

impl EncoderBlock {
    fn new(width: usize, heads: usize, initial: &mut Initial) -> Result<EncoderBlock> {
        let mut projection = || initial.dense(width, width);
        let (query, key, value, output) = (projection()?, projection()?, projection()?, projection()?);
        Ok(EncoderBlock {
            attention_norm: initial.layer_norm(width)?,
            attention: MultiHeadAttention::new(query, key, value, output, heads),
            dense_norm: initial.layer_norm(width)?,
            inner: initial.dense(width, INNER * width)?,
            outer: initial.dense(INNER * width, width)?,
        })
    }

    fn forward(&self, input: &Tensor, mask: &Tensor) -> Result<Tensor> {
        let attended = (input + self.attention.forward_masked(&self.attention_norm.forward(input)?, Some(mask))?)?;
        let inner = Activation::Gelu.forward(&self.inner.forward(&self.dense_norm.forward(&attended)?)?)?;
        attended + self.outer.forward(&inner)?
    }
}

impl Layers for EncoderBlock {
    fn layers(&self) -> Vec<(String, &dyn Layer)> {
        let parts: [(&str, &dyn Layers); 5] = [
            ("attention_norm", &self.attention_norm),
            ("attention", &self.attention),
            ("dense_norm", &self.dense_norm),
            ("inner", &self.inner),
            ("outer", &self.outer),
        ];
        parts.into_iter().flat_map(|(name, part)| named(name, part)).collect()
    }
}

impl Transformer {
    pub fn new(vocabulary: usize, sizes: &Sizes, classes: usize, initial: &mut Initial) -> Result<Transformer> {
        let &Sizes { width, depth, heads, context } = sizes;
        Ok(Transformer {
            words: initial.embedding(vocabulary, width)?,
            positions: initial.position_embedding(context, width)?,
            blocks: (0..depth).map(|_| EncoderBlock::new(width, heads, initial)).collect::<Result<_>>()?,
            norm: initial.layer_norm(width)?,
            head: initial.dense(width, classes)?,
            context,
        })
    }

    /// The tokens without what all examples of the batch have as padding, and without those beyond the context.
    fn read(&self, tokens: &Tensor) -> Result<Tensor> {
        let rows = tokens.to_vec2::<u32>()?;
        let words = |row: &Vec<u32>| row.iter().rposition(|&token| token != 0).map_or(0, |last| last + 1);
        let longest = rows.iter().map(words).max().unwrap_or(0).clamp(1, self.context).min(tokens.dim(1)?);
        tokens.narrow(1, 0, longest)?.contiguous()
    }
}

impl Module for Transformer {
    fn forward(&self, tokens: &Tensor) -> Result<Tensor> {
        let tokens = self.read(tokens)?;
        let is_word = tokens.ne(0u32)?.to_dtype(DType::F32)?;
        let mask = ((1.0 - &is_word)? * UNSEEN)?.unsqueeze(1)?.unsqueeze(1)?;
        let mut states = self.positions.forward(&self.words.forward(&tokens)?)?;
        for block in &self.blocks {
            states = block.forward(&states, &mask)?;
        }
        // An example without a word is all zeros: its mean is that of none.
        let counts = is_word.sum_keepdim(1)?.maximum(1.0)?;
        let sum = self.norm.forward(&states)?.broadcast_mul(&is_word.unsqueeze(2)?)?.sum(1)?;
        self.head.forward(&sum.broadcast_div(&counts)?)
    }
}

impl Layers for Transformer {
    fn layers(&self) -> Vec<(String, &dyn Layer)> {
        let mut parts: Vec<(String, &dyn Layers)> =
            vec![("words".to_string(), &self.words), ("positions".to_string(), &self.positions)];
        for (place, block) in self.blocks.iter().enumerate() {
            parts.push((format!("block{}", place + 1), block));
        }
        parts.extend([("norm".to_string(), &self.norm as &dyn Layers), ("head".to_string(), &self.head)]);
        parts.into_iter().flat_map(|(name, part)| named(&name, part)).collect()
    }
}

/// Number of parameters.
pub(super) fn size(vocabulary: usize, width: usize, depth: usize, context: usize, classes: usize) -> u128 {
    let [vocabulary, width, depth, context, classes] =
        [vocabulary, width, depth, context, classes].map(|size| size as u128);
    let dense = |fan_in: u128, fan_out: u128| (fan_in + 1) * fan_out;
    let inner = INNER as u128 * width;
    let block = 4 * dense(width, width) + dense(width, inner) + dense(inner, width) + 4 * width;
    (vocabulary + context) * width + depth * block + 2 * width + dense(width, classes)
}
