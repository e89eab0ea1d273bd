//! Update rules: how a minibatch's gradients become one. One file a rule, described in `docs/update-rules.md`.

mod median_of_means;
mod norm_clipped;
mod rolling_median;
mod sgd;
#[cfg(test)]
pub(crate) mod testing;
mod winsorized;

pub use median_of_means::MedianOfMeans;
pub use norm_clipped::NormClipped;
pub use rolling_median::RollingMedian;
pub use sgd::Sgd;
pub use winsorized::Winsorized;

use candle_core::Tensor;

use crate::model::Gradients;
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
    /// What a layer was given, [b, fan_in], and its deltas, [b, fan_out].
    ///
    /// # Errors
    /// A pass through a network of fewer layers.
    pub fn layer(&self, index: usize) -> Result<(&Tensor, &Tensor), RuleError> {
        let layer = self.pass.layer_inputs().get(index).zip(self.deltas.layers().get(index));
        layer.ok_or(RuleError::OtherNetwork)
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

/// How a minibatch's gradients become one, layer by layer.
///
/// A rule does not return that gradient: it takes η times it from a layer. The layer is the network's own for plain SGD,
/// which so needs no memory for a gradient; for any other optimizer it is a layer of zeros and η is −1, so that the gradient is
/// what is there afterwards ([`crate::optimizer`]).
pub trait UpdateRule: Send {
    /// Sees the step as a whole, before its layers.
    ///
    /// # Errors
    /// Gradients that are not finite, for rules that order them; state of another network.
    fn begin(&mut self, step: &Step<'_>) -> Result<(), RuleError> {
        step.ensure_finite()
    }

    /// layer ← layer − η · the gradient of layer `index` that the rule makes of the minibatch's. To be called once for every
    /// layer of a step that has begun.
    ///
    /// # Errors
    /// A pass or deltas that do not belong to the layer, which is then as it was, or of no use.
    fn descend(&mut self, layer: &Layer, index: usize, step: &Step<'_>) -> Result<(), RuleError>;

    /// Makes one update of plain SGD: `network` holds w_t, which the step's pass and deltas were computed at, and afterwards
    /// w_{t+1}.
    ///
    /// # Errors
    /// Those of [`UpdateRule::begin`] and [`UpdateRule::descend`].
    fn update(&mut self, network: &mut Network, step: &Step<'_>) -> Result<(), RuleError> {
        self.begin(step)?;
        network.layers().iter().enumerate().try_for_each(|(index, layer)| self.descend(layer, index, step))
    }

    /// The gradient that the rule makes of the minibatch's of update `number`, of a network of any layers: a tensor for each
    /// parameter. Of a multilayer perceptron it is the gradient that [`UpdateRule::descend`] steps against.
    ///
    /// # Errors
    /// Gradients that are not finite, for rules that order them; state of another network.
    fn direction(&mut self, number: u64, gradients: &Gradients<'_>) -> Result<Vec<Tensor>, RuleError>;

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
    #[error("it was restored with the state of a network of another size")]
    State,
    /// The step is of another network.
    #[error("the step is of a network of fewer layers")]
    OtherNetwork,
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
