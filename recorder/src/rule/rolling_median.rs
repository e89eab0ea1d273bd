//! Rolling median: RM3 (Zielinski, Krishnan & Chatterjee 2020, arXiv 2003.07422).

use super::{RuleError, Sgd, Step, UpdateRule};
use crate::network::{DescendMedian, Network, mean_gradient};
use candle_core::{Result, bail};
use std::collections::VecDeque;

/// w ← w − η · the coordinate-wise median of the minibatch gradients of this step and of the two before it, each taken
/// at its own parameters; the first two steps are those of [`Sgd`].
///
/// It keeps three gradients of the whole network, one of them for the next step to write to.
#[derive(Debug, Default)]
pub struct RollingMedian {
    /// Mean gradients of the steps before, the last one first, the third one spent: every layer's weights
    /// [fan_in, fan_out] and then its biases.
    earlier: VecDeque<Vec<f32>>,
}

impl UpdateRule for RollingMedian {
    fn update(&mut self, network: &mut Network, step: &Step<'_>) -> std::result::Result<(), RuleError> {
        step.ensure_finite()?;
        let parameters = parameters(network);
        if self.earlier.iter().any(|gradient| gradient.len() != parameters) {
            return Err(RuleError::State);
        }
        let mut gradient = if self.earlier.len() > 2 { self.earlier.pop_back() } else { None }.unwrap_or_default();
        gradient.resize(parameters, 0.0);
        gradient_of(step, &mut gradient)?;
        match (self.earlier.front(), self.earlier.get(1)) {
            (Some(previous), Some(oldest)) => {
                descend(network, [&gradient, previous, oldest], step.learning_rate as f32)?;
            }
            _ => Sgd.update(network, step)?,
        }
        self.earlier.push_front(gradient);
        Ok(())
    }

    fn state(&self) -> Vec<Vec<f32>> {
        self.earlier.iter().take(2).cloned().collect()
    }

    fn restore(&mut self, state: Vec<Vec<f32>>) {
        self.earlier = state.into();
    }
}

fn parameters(network: &Network) -> usize {
    network.layers().iter().map(|layer| (layer.fan_in() + 1) * layer.fan_out()).sum()
}

/// Writes the minibatch's mean gradient, layer by layer.
fn gradient_of(step: &Step<'_>, gradient: &mut [f32]) -> Result<()> {
    let mut rest = gradient;
    for (inputs, deltas) in step.pass.layer_inputs().iter().zip(step.deltas.layers()) {
        let (fan_in, fan_out) = (inputs.dims2()?.1, deltas.dims2()?.1);
        let Some((layer, others)) = rest.split_at_mut_checked((fan_in + 1) * fan_out) else {
            bail!("a pass through a network with more parameters");
        };
        let (weight, bias) = layer.split_at_mut(fan_in * fan_out);
        mean_gradient(weight, bias, inputs, deltas)?;
        rest = others;
    }
    Ok(())
}

/// Moves every parameter against the median of its three gradients.
fn descend(network: &Network, gradients: [&[f32]; 3], rate: f32) -> Result<()> {
    let mut first = 0;
    for tensor in network.layers().iter().flat_map(|layer| [layer.weight(), layer.bias()]) {
        let places = first..first + tensor.elem_count();
        first = places.end;
        let gradients = gradients.map(|gradient| &gradient[places.clone()]);
        tensor.inplace_op1(&DescendMedian { rate, gradients })?;
    }
    Ok(())
}
