//! Update rules: what becomes of a minibatch's gradients. One file a rule, described in `docs/update-rules.md`.

mod median_of_means;
mod norm_clipped;
mod rolling_median;
mod sgd;
#[cfg(test)]
mod testing;
mod winsorized;

pub use median_of_means::MedianOfMeans;
pub use norm_clipped::NormClipped;
pub use rolling_median::RollingMedian;
pub use sgd::Sgd;
pub use winsorized::Winsorized;

use candle_core::Tensor;

use crate::network::{Deltas, Layer, Network, Pass, first_non_finite_row};

/// What an update is made from.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// Number of the update, t: 0 for the first.
    pub number: u64,
    /// The minibatch's forward pass at w_t.
    pub pass: &'a Pass,
    /// Its deltas.
    pub deltas: &'a Deltas,
    /// Learning rate η.
    pub learning_rate: f64,
}

impl Step<'_> {
    /// The layers of `network` at w_t, first one first, each with its inputs [b, fan_in] and its deltas [b, fan_out].
    pub(crate) fn layers<'a>(
        &'a self,
        network: &'a Network,
    ) -> impl Iterator<Item = (&'a Layer, &'a Tensor, &'a Tensor)> {
        let of_batch = self.pass.layer_inputs().iter().zip(self.deltas.layers());
        network.layers().iter().zip(of_batch).map(|(layer, (inputs, deltas))| (layer, inputs, deltas))
    }

    /// η/b: what a sum of the minibatch's gradients is scaled by.
    pub(crate) fn scale(&self) -> f32 {
        (self.learning_rate / self.pass.batch() as f64) as f32
    }

    /// Checks that every activation and delta is a number.
    ///
    /// # Errors
    /// The first layer and example of which one is NaN or infinite.
    pub fn ensure_finite(&self) -> Result<(), RuleError> {
        for (layer, (inputs, deltas)) in self.pass.layer_inputs().iter().zip(self.deltas.layers()).enumerate() {
            for (what, tensor) in [("activations", inputs), ("deltas", deltas)] {
                if let Some(example) = first_non_finite_row(tensor)? {
                    return Err(RuleError::NotFinite { what, layer, example });
                }
            }
        }
        Ok(())
    }
}

/// How a minibatch changes the parameters.
pub trait UpdateRule: Send {
    /// Makes one update: `network` holds w_t, which the step's pass and deltas were computed at, and afterwards w_{t+1}.
    ///
    /// # Errors
    /// A pass or deltas that do not belong to the network; gradients that are not finite, for rules that order them. The
    /// network is then as it was, or of no use.
    fn update(&mut self, network: &mut Network, step: &Step<'_>) -> Result<(), RuleError>;

    /// What the rule carries from step to step besides the parameters, for a checkpoint: nothing, for most.
    fn state(&self) -> Vec<Vec<f32>> {
        Vec::new()
    }

    /// Continues from the `state` of a rule with the same settings.
    fn restore(&mut self, state: Vec<Vec<f32>>) {
        let _ = state;
    }
}

/// Why an update could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// The tensor library refused.
    #[error("the network cannot be computed: {0}")]
    Network(#[from] candle_core::Error),
    /// The restored state is that of another network.
    #[error("the rule was restored with the gradients of a network of another size")]
    State,
    /// Values that have no order.
    #[error("the {what} of layer {layer} are not finite for example {example} of the minibatch")]
    NotFinite {
        /// `activations` (what the layer was given) or `deltas`.
        what: &'static str,
        /// The layer, from 0.
        layer: usize,
        /// Row of the minibatch.
        example: usize,
    },
}
