//! Sign descent (Bernstein et al. 2018).

use candle_core::Tensor;

use cograd_recorder::model::Gradients;
use cograd_recorder::network::Layer;
use cograd_recorder::rule::{RuleError, Step, UpdateRule};

/// w ← w − η · sign(Σ_i g_i).
#[derive(Clone, Copy, Debug)]
pub struct SignDescent;

impl UpdateRule for SignDescent {
    fn descend(&mut self, layer: &Layer, index: usize, step: &Step<'_>) -> Result<(), RuleError> {
        let (inputs, deltas) = step.layer(index)?;
        // The gradient of example i is a_i δ_iᵀ for the weights, [fan_in, fan_out], and δ_i for the biases.
        let weight = inputs.t()?.matmul(deltas)?.sign()?;
        let bias = deltas.sum(0)?.sign()?;
        layer.weight().slice_set(&(layer.weight() - (weight * step.learning_rate)?)?, 0, 0)?;
        Ok(layer.bias().slice_set(&(layer.bias() - (bias * step.learning_rate)?)?, 0, 0)?)
    }

    fn direction(&mut self, _: u64, gradients: &Gradients<'_>) -> Result<Vec<Tensor>, RuleError> {
        Ok(gradients.mean()?.iter().map(Tensor::sign).collect::<candle_core::Result<_>>()?)
    }
}
