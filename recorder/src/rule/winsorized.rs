//! Winsorized SGD: every coordinate's most extreme per-example gradients are clipped (paper §3).

use super::{RuleError, Sgd, Step, UpdateRule};
use crate::network::{self, DescendBy, Network};

/// w ← w − η/b · Σ_i clip(x_i, l, u), independently for every coordinate, biases included: x_i is the coordinate's gradient
/// of example i, and of the b sorted values l is the (k+1)-th and u the (b−k)-th, k = ⌊percent · b / 100⌋.
///
/// b is the size of the minibatch at hand, so that the short one at the end of an epoch has its own k. Where k is 0 the
/// update is that of [`Sgd`], bit by bit.
#[derive(Clone, Copy, Debug)]
pub struct Winsorized {
    /// Winsorization level c, in percent: at least 0, below 50.
    pub percent: f64,
}

impl Winsorized {
    /// k for a minibatch of `examples`.
    fn clipped(&self, examples: usize) -> usize {
        // 0.57 · 10 000 / 100 is 56.99… in binary: a level is meant as the decimal that it is written as.
        let clipped = (self.percent * examples as f64 / 100.0 + 1e-9).floor() as usize;
        clipped.min(examples.saturating_sub(1) / 2)
    }
}

impl UpdateRule for Winsorized {
    fn update(&mut self, network: &mut Network, step: &Step<'_>) -> Result<(), RuleError> {
        step.ensure_finite()?;
        let clipped = self.clipped(step.pass.batch());
        if clipped == 0 {
            return Sgd.update(network, step);
        }
        let descend = DescendBy { scale: step.scale(), rule: network::Winsorized { clipped } };
        for ((layer, inputs), deltas) in network.layers().iter().zip(step.pass.layer_inputs()).zip(step.deltas.layers())
        {
            layer.weight().inplace_op3(inputs, deltas, &descend)?;
            layer.bias().inplace_op2(deltas, &descend)?;
        }
        Ok(())
    }
}
