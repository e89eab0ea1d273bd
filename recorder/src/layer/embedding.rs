//! An embedding: each token picks a row of the table.

use std::ops::Range;

use candle_core::{DType, Module, Result, Tensor, Var};

use super::{Layer, Tap, Use, fused, materialised, rows};

/// A table `[vocabulary, width]` whose rows tokens `[B, …]` (u32) pick.
#[derive(Debug)]
pub struct Embedding {
    kind: &'static str,
    weight: Var,
    tap: Tap,
}

impl Embedding {
    /// The layer of this table.
    pub fn new(weight: Var) -> Embedding {
        Embedding::of_kind("embedding", weight)
    }

    /// The layer of a table that something else picks from.
    pub(super) fn of_kind(kind: &'static str, weight: Var) -> Embedding {
        Embedding { kind, weight, tap: Tap::default() }
    }

    /// Number of rows.
    pub(super) fn rows(&self) -> Result<usize> {
        self.weight.dim(0)
    }
}

impl Module for Embedding {
    fn forward(&self, tokens: &Tensor) -> Result<Tensor> {
        if fused::fits(&self.weight) && tokens.dtype() == DType::U32 {
            let kept = self.tap.note(tokens);
            return self.weight.apply_op1(fused::Lookup { picked: tokens.clone(), kept });
        }
        let mut shape = tokens.dims().to_vec();
        shape.push(self.weight.dim(1)?);
        self.tap.pass(tokens, self.weight.index_select(&tokens.flatten_all()?, 0)?.reshape(shape)?)
    }
}

impl Layer for Embedding {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn parameters(&self) -> Vec<(&'static str, &Var)> {
        vec![("weight", &self.weight)]
    }

    fn tap(&self) -> &Tap {
        &self.tap
    }

    fn gradients(&self, taken: &Use, _: usize) -> Result<Tensor> {
        rows::gradients(taken, 0..self.rows()?)
    }

    fn add_sum(&self, taken: &Use, parameter: usize, sum: &mut [f32]) -> Result<()> {
        match fused::fits(&taken.output_gradient) && taken.input.dtype() == DType::U32 {
            true => fused::add_rows(&taken.input, &taken.output_gradient.contiguous()?, sum),
            false => materialised::add_sum(&self.gradients(taken, parameter)?, sum),
        }
    }

    fn gradients_of_rows(&self, taken: &Use, _: usize, rows: Range<usize>) -> Result<Tensor> {
        rows::gradients(taken, rows)
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
