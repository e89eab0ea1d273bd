//! Update rules: what becomes of a minibatch's gradients. One file a rule.

mod sgd;

pub use sgd::Sgd;

use crate::network::{Deltas, Network, Pass};
use candle_core::Result;

/// How a minibatch changes the parameters.
pub trait UpdateRule: Send {
    /// Takes one step: `network` holds w_t, which `pass` and `deltas` were computed at, and afterwards w_{t+1}.
    ///
    /// # Errors
    /// A pass or deltas that do not belong to the network.
    fn update(&mut self, network: &mut Network, pass: &Pass, deltas: &Deltas, learning_rate: f64) -> Result<()>;

    /// What it carries from one step to the next, for a checkpoint: most rules carry nothing.
    fn state(&self) -> Vec<Vec<f32>> {
        Vec::new()
    }

    /// Takes over what `state` returned, so that the next update is the one that would have followed.
    fn restore(&mut self, state: Vec<Vec<f32>>) {
        let _ = state;
    }
}
