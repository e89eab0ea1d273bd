//! Sign descent (Bernstein et al. 2018).

use cograd_recorder::network::Network;
use cograd_recorder::rule::{RuleError, Step, UpdateRule};

/// w ← w − η · sign(Σ_i g_i).
#[derive(Clone, Copy, Debug)]
pub struct SignDescent;

impl UpdateRule for SignDescent {
    fn update(&mut self, network: &mut Network, step: &Step<'_>) -> Result<(), RuleError> {
        step.ensure_finite()?;
        let layers = network.layers().iter().zip(step.pass.layer_inputs()).zip(step.deltas.layers());
        for ((layer, inputs), deltas) in layers {
            // The gradient of example i is a_i δ_iᵀ for the weights, [fan_in, fan_out], and δ_i for the biases.
            let weight = inputs.t()?.matmul(deltas)?.sign()?;
            let bias = deltas.sum(0)?.sign()?;
            layer.weight().slice_set(&(layer.weight() - (weight * step.learning_rate)?)?, 0, 0)?;
            layer.bias().slice_set(&(layer.bias() - (bias * step.learning_rate)?)?, 0, 0)?;
        }
        Ok(())
    }
}
