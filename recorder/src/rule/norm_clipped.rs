//! Per-example gradients clipped to a norm, and noise: DP-SGD (Abadi et al. 2016).

use super::{RuleError, Step, UpdateRule};
use crate::network::{AddGaussian, DescendBias, DescendWeight, Network, add_square_norms, scaled_rows};
use crate::random::{Purpose, stream};
use candle_core::Result;

/// w ← w − η/b · (Σ_i g_i · min(1, R/‖g_i‖) + N(0, σ²R² I)), g_i being the gradient of example i with respect to the
/// whole network.
///
/// No g_i is formed: ‖g_i‖² is Σ_l ‖δ_{l,i}‖² (‖a_{l,i}‖² + 1), and the clipped sum is the sum over rescaled deltas.
/// The noise of step t is a function of the seed and of t alone.
#[derive(Clone, Copy, Debug)]
pub struct NormClipped {
    /// Largest norm of an example's gradient, R.
    pub norm: f64,
    /// The noise's standard deviation in units of R, σ; 0 for none.
    pub noise: f64,
    /// Seed of the run.
    pub seed: u64,
}

impl UpdateRule for NormClipped {
    fn update(&mut self, network: &mut Network, step: &Step<'_>) -> std::result::Result<(), RuleError> {
        step.ensure_finite()?;
        let (factors, scale) = (self.factors(step)?, step.scale());
        for ((layer, inputs), deltas) in network.layers().iter().zip(step.pass.layer_inputs()).zip(step.deltas.layers())
        {
            let clipped = scaled_rows(deltas, &factors)?;
            layer.weight().inplace_op3(inputs, &clipped, &DescendWeight { scale })?;
            layer.bias().inplace_op2(&clipped, &DescendBias { scale })?;
        }
        if self.noise > 0.0 {
            self.add_noise(network, step)?;
        }
        Ok(())
    }
}

impl NormClipped {
    /// What each example's gradient is multiplied by: min(1, R/‖g_i‖).
    fn factors(&self, step: &Step<'_>) -> Result<Vec<f32>> {
        let mut squares = vec![0.0; step.pass.batch()];
        for (inputs, deltas) in step.pass.layer_inputs().iter().zip(step.deltas.layers()) {
            add_square_norms(&mut squares, inputs, deltas)?;
        }
        Ok(squares.iter().map(|square| (self.norm / square.sqrt()).min(1.0) as f32).collect())
    }

    fn add_noise(&self, network: &Network, step: &Step<'_>) -> Result<()> {
        let scale = -step.learning_rate / step.pass.batch() as f64 * self.noise * self.norm;
        let stream = stream(self.seed, Purpose::ClippingNoise, step.number);
        let mut first = 0;
        for tensor in network.layers().iter().flat_map(|layer| [layer.weight(), layer.bias()]) {
            tensor.inplace_op1(&AddGaussian { scale, stream: stream.clone(), first })?;
            first += tensor.elem_count().next_multiple_of(2);
        }
        Ok(())
    }
}
