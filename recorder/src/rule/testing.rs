//! One step of a rule, for tests.

use super::{Step, UpdateRule};
use crate::network::Network;
use candle_core::Tensor;

/// Forward, backward and update on one batch.
pub(crate) fn update(
    rule: &mut dyn UpdateRule,
    network: &mut Network,
    inputs: &Tensor,
    labels: &[u8],
    learning_rate: f64,
    number: u64,
) {
    let pass = network.forward(inputs).unwrap();
    let deltas = network.backward(&pass, labels).unwrap();
    rule.update(network, &Step { number, pass: &pass, deltas: &deltas, learning_rate }).unwrap();
}
