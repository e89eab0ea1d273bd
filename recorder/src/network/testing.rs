//! Networks and batches for tests.

use super::Network;
use super::kernels::sparse_values;
use candle_core::{Device, Tensor};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// A network whose biases are not zero either.
pub(crate) fn network(widths: &[usize], seed: u64) -> Network {
    let network = Network::glorot_uniform(widths, &mut ChaCha8Rng::seed_from_u64(seed)).unwrap();
    let mut layers = network.layer_parameters().unwrap();
    for layer in &mut layers {
        layer.bias = sparse_values(layer.fan_out, 0.9, seed).iter().map(|bias| 0.2 * bias).collect();
    }
    Network::from_layers(&layers).unwrap()
}

/// Inputs in [0, 1], a `density` of them not zero, and labels.
pub(crate) fn batch(network: &Network, examples: usize, density: f64, seed: u64) -> (Tensor, Vec<u8>) {
    let widths = network.widths();
    let inputs: Vec<f32> = sparse_values(examples * widths[0], density, seed)
        .iter()
        .map(|&input| if input < 0.0 { -input } else { input })
        .collect();
    let classes = widths[widths.len() - 1];
    let labels = (0..examples).map(|example| ((example * 7 + seed as usize % 100) % classes) as u8).collect();
    (Tensor::from_vec(inputs, (examples, widths[0]), &Device::Cpu).unwrap(), labels)
}

/// Fails unless the values agree to f32's rounding in sums of moderate length.
pub(crate) fn assert_near(values: &[f32], expected: &[f64]) {
    assert_eq!(values.len(), expected.len());
    for (place, (&value, &expected)) in values.iter().zip(expected).enumerate() {
        assert!((f64::from(value) - expected).abs() <= 2e-5 * (1.0 + expected.abs()), "{value} {expected} at {place}");
    }
}
