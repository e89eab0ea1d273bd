//! What the tests of the rules share: one step, and per-example gradients to hold it against.

use super::{Step, UpdateRule};
use crate::network::testing::{batch, network};
use crate::network::{LayerParameters, Network};
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

/// All parameters: layer by layer, weights [fan_out, fan_in] and then biases.
pub(crate) fn parameters(network: &Network) -> Vec<f32> {
    let layers = network.layer_parameters().unwrap();
    layers.into_iter().flat_map(|LayerParameters { weight, bias, .. }| [weight, bias]).flatten().collect()
}

/// The gradient of each example with respect to all parameters, in the order of [`parameters`].
pub(crate) fn gradients(network: &Network, inputs: &Tensor, labels: &[u8]) -> Vec<Vec<f64>> {
    let pass = network.forward(inputs).unwrap();
    let deltas = network.backward(&pass, labels).unwrap();
    let mut gradients = vec![vec![]; labels.len()];
    for (inputs, deltas) in pass.layer_inputs().iter().zip(deltas.layers()) {
        let rows = inputs.to_vec2::<f32>().unwrap().into_iter().zip(deltas.to_vec2::<f32>().unwrap());
        for (gradient, (inputs, deltas)) in gradients.iter_mut().zip(rows) {
            let of_inputs = |delta: &f32| inputs.iter().map(|&input| f64::from(*delta) * f64::from(input)).collect();
            gradient.extend(deltas.iter().flat_map(|delta| -> Vec<f64> { of_inputs(delta) }));
            gradient.extend(deltas.iter().map(|&delta| f64::from(delta)));
        }
    }
    gradients
}

/// The values of one coordinate over the examples.
pub(crate) fn coordinate(gradients: &[Vec<f64>], coordinate: usize) -> Vec<f64> {
    gradients.iter().map(|gradient| gradient[coordinate]).collect()
}

/// Fails unless one step of `rule` moves every parameter by −0.5 times the statistic of its per-example gradients.
pub(crate) fn assert_steps(
    rule: &mut dyn UpdateRule,
    widths: &[usize],
    examples: usize,
    seed: u64,
    statistic: impl Fn(&[Vec<f64>]) -> Vec<f64>,
) {
    let mut network = network(widths, seed);
    let (inputs, labels) = batch(&network, examples, 0.5, seed);
    let before = parameters(&network);
    let statistics = statistic(&gradients(&network, &inputs, &labels));
    update(rule, &mut network, &inputs, &labels, 0.5, 0);
    for (place, (after, (before, statistic))) in
        parameters(&network).into_iter().zip(before.into_iter().zip(statistics)).enumerate()
    {
        let expected = f64::from(before) - 0.5 * statistic;
        assert!((f64::from(after) - expected).abs() < 1e-6 * (1.0 + expected.abs()), "{after} {expected} at {place}");
    }
}

/// Parameters after ten steps on changing batches, the last one short, which must be the same bits on one to four threads.
pub(crate) fn train_on_any_number_of_threads<R: UpdateRule>(rule: impl Fn() -> R + Sync) -> Vec<f32> {
    let train = || {
        let (mut network, mut rule) = (network(&[150, 300, 70, 10], 1), rule());
        for number in 0..10 {
            let (inputs, labels) = batch(&network, if number == 9 { 31 } else { 100 }, 0.2, number);
            update(&mut rule, &mut network, &inputs, &labels, 0.1, number);
        }
        parameters(&network)
    };
    let on = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(train);
    let alone = on(1);
    for threads in 2..=4 {
        assert!(on(threads) == alone, "{threads} threads");
    }
    alone
}
