//! The backward pass, derived layer by layer.

use super::kernels::{BackPropagate, cross_entropy, with_values};
use super::{Evaluation, Network, Pass};
use candle_core::{Device, Result, Tensor};

/// δ_{l,i} = ∂ℓ_i/∂z_{l,i} for every layer l and example i, z being the layer's output before its activation.
#[derive(Debug)]
pub struct Deltas {
    layers: Vec<Tensor>,
    evaluation: Evaluation,
}

impl Deltas {
    /// One tensor a layer, [b, fan_out], first layer first. They are of each example's own loss: not divided by b.
    pub fn layers(&self) -> &[Tensor] {
        &self.layers
    }

    /// Losses and predictions of the batch, which come with the deltas.
    pub fn evaluation(&self) -> &Evaluation {
        &self.evaluation
    }

    /// These alone.
    pub(crate) fn into_evaluation(self) -> Evaluation {
        self.evaluation
    }
}

impl Network {
    /// The deltas of a pass through this network, for cross-entropy against `labels`, one an example.
    ///
    /// # Errors
    /// Not one label an example, a label that is no class, or a pass through a network of another shape.
    pub fn backward(&self, pass: &Pass, labels: &[u8]) -> Result<Deltas> {
        self.check_labels(labels, pass.batch())?;
        let classes = self.classes();
        let mut output = vec![0.0; labels.len() * classes];
        let outcomes = with_values(pass.logits(), |logits| cross_entropy(logits, classes, labels, Some(&mut output)))?;
        let mut layers = vec![Tensor::from_vec(output, (labels.len(), classes), &Device::Cpu)?];
        // From the last layer down to the second: the input layer's deltas nobody needs.
        for (layer, inputs) in self.layers.iter().zip(pass.layer_inputs()).skip(1).rev() {
            let above = &layers[layers.len() - 1];
            layers.push(above.apply_op3_no_bwd(&layer.weight, inputs, &BackPropagate)?);
        }
        layers.reverse();
        Ok(Deltas { layers, evaluation: Evaluation::new(outcomes) })
    }
}

#[cfg(test)]
mod tests {
    use crate::network::Network;
    use crate::network::reference::{Reference, candle_gradients};
    use crate::network::testing::{assert_near, batch, network};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn losses_logits_and_deltas_equal_the_plain_network(
            widths in prop::collection::vec(1usize..70, 2..5), examples in 1usize..12, density in 0.05..1.0f64,
            seed in any::<u32>(),
        ) {
            let network = network(&widths, seed.into());
            let (inputs, labels) = batch(&network, examples, density, seed.into());
            let pass = network.forward(&inputs).unwrap();
            let deltas = network.backward(&pass, &labels).unwrap();
            let reference = Reference::new(&network);
            let (rows, logits) = (inputs.to_vec2::<f32>().unwrap(), pass.logits().to_vec2::<f32>().unwrap());
            for (i, (input, &label)) in rows.iter().zip(&labels).enumerate() {
                let trail = reference.trail(input, label);
                prop_assume!(!trail.is_on_the_edge);
                assert_near(&logits[i], &trail.logits);
                prop_assert!((deltas.evaluation().losses[i] - trail.loss).abs() < 1e-5);
                for (deltas, expected) in deltas.layers().iter().zip(&trail.deltas) {
                    assert_near(&deltas.get(i).unwrap().to_vec1::<f32>().unwrap(), expected);
                }
            }
        }
    }

    /// Gradients of the summed loss from our deltas: aᵀδ and the sum of δ.
    fn assert_gradients_equal_candles(network: &Network, examples: usize) {
        let (inputs, labels) = batch(network, examples, 0.5, 5);
        let pass = network.forward(&inputs).unwrap();
        let deltas = network.backward(&pass, &labels).unwrap();
        let expected = candle_gradients(network, &inputs, &labels);
        for ((inputs, deltas), (weight, bias)) in pass.layer_inputs().iter().zip(deltas.layers()).zip(&expected) {
            let ours = inputs.t().unwrap().matmul(deltas).unwrap();
            let largest = |tensor: candle_core::Result<candle_core::Tensor>| {
                tensor.unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap()
            };
            assert!(largest(&ours - weight) < 1e-4);
            assert!(largest(deltas.sum(0).unwrap() - bias) < 1e-4);
        }
    }

    #[test]
    fn gradients_equal_those_of_candles_autograd() {
        assert_gradients_equal_candles(&network(&[50, 130, 10], 1), 100);
        assert_gradients_equal_candles(&network(&[20, 33, 17, 40, 3], 2), 7);
        assert_gradients_equal_candles(&network(&[20, 4], 3), 1);
    }

    #[test]
    fn gradients_equal_central_finite_differences_of_the_loss() {
        let network = network(&[9, 20, 18, 4], 3);
        let (inputs, labels) = batch(&network, 3, 0.7, 8);
        let pass = network.forward(&inputs).unwrap();
        let deltas = network.backward(&pass, &labels).unwrap();
        let (rows, reference, step) = (inputs.to_vec2::<f32>().unwrap(), Reference::new(&network), 1e-6);
        for (l, (activations, deltas)) in pass.layer_inputs().iter().zip(deltas.layers()).enumerate() {
            let activations = activations.to_vec2::<f32>().unwrap();
            for (i, deltas) in deltas.to_vec2::<f32>().unwrap().iter().enumerate() {
                for (row, delta) in deltas.iter().enumerate() {
                    for (column, activation) in activations[i].iter().enumerate() {
                        let loss = |change: f64| {
                            let mut moved = reference.clone();
                            moved.layers[l].weight[row][column] += change;
                            moved.loss(&rows[i], labels[i])
                        };
                        let slope = (loss(step) - loss(-step)) / (2.0 * step);
                        let gradient = f64::from(delta * activation);
                        assert!((slope - gradient).abs() < 1e-5, "layer {l}, {row}, {column}: {slope} {gradient}");
                    }
                }
            }
        }
    }

    #[test]
    fn labels_that_do_not_fit_are_errors() {
        let network = network(&[5, 3], 1);
        let (inputs, _) = batch(&network, 2, 1.0, 1);
        let pass = network.forward(&inputs).unwrap();
        assert!(network.backward(&pass, &[0]).is_err());
        assert!(network.backward(&pass, &[0, 3]).unwrap_err().to_string().contains("label 3 of example 1"));
    }

    #[test]
    fn a_network_that_diverged_is_seen_in_the_losses() {
        let mut layers = network(&[5, 20, 3], 1).layer_parameters().unwrap();
        layers[0].bias[7] = f32::NAN;
        let network = Network::from_layers(&layers).unwrap();
        let (inputs, labels) = batch(&network, 2, 1.0, 1);
        let deltas = network.backward(&network.forward(&inputs).unwrap(), &labels).unwrap();
        assert_eq!(deltas.evaluation().first_non_finite(), Some(0));
    }
}
