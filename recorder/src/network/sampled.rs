//! Per-example gradients of a sample of the weights.

use super::kernels::with_values;
use super::{Deltas, Pass};
use candle_core::{Result, bail};
use rayon::prelude::*;

/// One weight of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weight {
    /// Layer, 0 next to the input.
    pub layer: u32,
    /// Output unit.
    pub row: u32,
    /// Input unit.
    pub column: u32,
}

/// Examples a task works on: its writes go to one contiguous stretch.
const EXAMPLES: usize = 16;

/// The gradient δ_{l,i,row} · a_{l,i,column} of every example i of the pass at every weight (l, row, column): one row
/// an example, one column a weight in the order given, row-major.
///
/// # Errors
/// A weight that the network does not have, or deltas of another pass.
pub fn sampled_gradients(pass: &Pass, deltas: &Deltas, weights: &[Weight]) -> Result<Vec<f32>> {
    let mut gradients = vec![0.0; pass.batch() * weights.len()];
    for (layer, (inputs, deltas)) in pass.layer_inputs().iter().zip(deltas.layers()).enumerate() {
        let (fan_in, fan_out) = (inputs.dims()[1], deltas.dims()[1]);
        let places: Vec<(usize, &Weight)> =
            weights.iter().enumerate().filter(|(_, weight)| weight.layer as usize == layer).collect();
        if let Some((_, wrong)) = places.iter().find(|(_, c)| c.row as usize >= fan_out || c.column as usize >= fan_in)
        {
            bail!("{wrong:?}, but the weights of layer {layer} are {fan_out} × {fan_in}");
        }
        if inputs.dims()[0] != deltas.dims()[0] {
            bail!("a pass of {} examples with deltas of {}", inputs.dims()[0], deltas.dims()[0]);
        }
        with_values(inputs, |inputs| {
            with_values(deltas, |deltas| {
                fill(&mut gradients, weights.len(), &places, [inputs, deltas], [fan_in, fan_out])
            })
        })??;
    }
    match weights.iter().find(|weight| weight.layer as usize >= pass.layer_inputs().len()) {
        Some(wrong) => bail!("{wrong:?}, but the network has {} layers", pass.layer_inputs().len()),
        None => Ok(gradients),
    }
}

/// Writes one layer's columns of the gradients.
fn fill(
    gradients: &mut [f32],
    width: usize,
    places: &[(usize, &Weight)],
    [inputs, deltas]: [&[f32]; 2],
    [fan_in, fan_out]: [usize; 2],
) {
    if places.is_empty() {
        return;
    }
    let rows = (inputs.par_chunks(EXAMPLES * fan_in), deltas.par_chunks(EXAMPLES * fan_out));
    let work = (gradients.par_chunks_mut(EXAMPLES * width), rows);
    work.into_par_iter().for_each(|(gradients, (inputs, deltas))| {
        let examples = inputs.chunks_exact(fan_in).zip(deltas.chunks_exact(fan_out));
        for (gradients, (inputs, deltas)) in gradients.chunks_exact_mut(width).zip(examples) {
            for (place, weight) in places {
                gradients[*place] = deltas[weight.row as usize] * inputs[weight.column as usize];
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::reference::candle_gradients;
    use crate::network::testing::{batch, network};

    fn weight(layer: u32, row: u32, column: u32) -> Weight {
        Weight { layer, row, column }
    }

    #[test]
    fn they_equal_each_examples_own_gradient_by_candles_autograd() {
        let network = network(&[12, 40, 30, 5], 1);
        let examples = EXAMPLES + 3;
        let (inputs, labels) = batch(&network, examples, 0.5, 2);
        let pass = network.forward(&inputs).unwrap();
        let deltas = network.backward(&pass, &labels).unwrap();
        // Layers out of order, so that the columns must follow the weights.
        let weights: Vec<Weight> =
            (0..60).map(|k| weight(2 - k % 3, k * 7 % [40, 30, 5][2 - k as usize % 3], k * 5 % 12)).collect();
        let gradients = sampled_gradients(&pass, &deltas, &weights).unwrap();
        for i in 0..examples {
            let own = candle_gradients(&network, &inputs.narrow(0, i, 1).unwrap(), &labels[i..=i]);
            let own: Vec<_> = own.iter().map(|(weight, _)| weight.to_vec2::<f32>().unwrap()).collect();
            for (k, c) in weights.iter().enumerate() {
                let expected = own[c.layer as usize][c.column as usize][c.row as usize];
                let gradient = gradients[i * weights.len() + k];
                assert!((gradient - expected).abs() < 1e-5, "example {i}, {c:?}: {gradient} {expected}");
            }
        }
    }

    #[test]
    fn weights_that_the_network_lacks_are_errors() {
        let network = network(&[12, 40, 5], 1);
        let (inputs, labels) = batch(&network, 2, 0.5, 2);
        let pass = network.forward(&inputs).unwrap();
        let deltas = network.backward(&pass, &labels).unwrap();
        for wrong in [weight(2, 0, 0), weight(0, 40, 0), weight(0, 0, 12), weight(1, 5, 0)] {
            assert!(sampled_gradients(&pass, &deltas, &[wrong]).is_err());
        }
        assert!(sampled_gradients(&pass, &deltas, &[]).unwrap().is_empty());
    }
}
