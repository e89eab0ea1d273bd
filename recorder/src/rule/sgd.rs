//! Plain stochastic gradient descent.

use candle_core::Tensor;

use super::{RuleError, Step, UpdateRule};
use crate::model::Gradients;
use crate::network::{DescendBias, DescendWeight, Layer};

/// w ← w − η/b · Σ_i g_i: no momentum, no regulariser.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sgd;

impl UpdateRule for Sgd {
    /// Passes what is not finite on to the loss of the next step.
    fn begin(&mut self, _: &Step<'_>) -> Result<(), RuleError> {
        Ok(())
    }

    fn descend(&mut self, layer: &Layer, index: usize, step: &Step<'_>) -> Result<(), RuleError> {
        let ((inputs, deltas), scale) = (step.layer(index)?, step.scale());
        layer.weight().inplace_op3(inputs, deltas, &DescendWeight { scale })?;
        Ok(layer.bias().inplace_op2(deltas, &DescendBias { scale })?)
    }

    fn direction(&mut self, _: u64, gradients: &Gradients<'_>) -> Result<Vec<Tensor>, RuleError> {
        Ok(gradients.mean()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::reference::Reference;
    use crate::network::testing::{assert_near, batch, network};
    use crate::rule::testing::update;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn steps_equal_those_of_the_plain_network(
            widths in prop::collection::vec(1usize..50, 2..5), examples in 1usize..12, seed in any::<u32>(),
        ) {
            let mut network = network(&widths, seed.into());
            let mut reference = Reference::new(&network);
            for number in 0..3 {
                let (inputs, labels) = batch(&network, examples, 0.5, u64::from(seed) + number);
                let rows = inputs.to_vec2::<f32>().unwrap();
                let trails: Vec<_> =
                    rows.iter().zip(&labels).map(|(input, &label)| reference.trail(input, label)).collect();
                prop_assume!(!trails.iter().any(|trail| trail.is_on_the_edge));
                reference.descend(&trails, 0.3);
                update(&mut Sgd, &mut network, &inputs, &labels, 0.3, number);
            }
            for (layer, expected) in network.layer_parameters().unwrap().iter().zip(&reference.layers) {
                assert_near(&layer.weight, &expected.weight.concat());
                assert_near(&layer.bias, &expected.bias);
            }
        }
    }

    #[test]
    fn a_training_run_gives_the_same_bits_on_any_number_of_threads() {
        let train = |threads: usize| {
            rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| {
                let mut network = network(&[150, 300, 70, 10], 1);
                for number in 0..10 {
                    let (inputs, labels) = batch(&network, 100, 0.2, number);
                    update(&mut Sgd, &mut network, &inputs, &labels, 0.1, number);
                }
                network.layer_parameters().unwrap()
            })
        };
        let alone = train(1);
        for threads in 2..=4 {
            assert!(train(threads) == alone, "{threads} threads");
        }
    }

    #[test]
    fn descending_on_one_batch_makes_its_loss_small() {
        let mut network = network(&[20, 64, 4], 1);
        let (inputs, labels) = batch(&network, 16, 0.5, 1);
        let mut losses = vec![];
        for _ in 0..400 {
            let pass = network.forward(&inputs).unwrap();
            let deltas = network.backward(&pass, &labels).unwrap();
            losses.push(deltas.evaluation().losses.iter().sum::<f64>() / 16.0);
            let step = Step { number: 0, pass: &pass, deltas: &deltas, learning_rate: 0.5 };
            Sgd.update(&mut network, &step).unwrap();
        }
        assert!(losses[399] < 0.05 * losses[0], "{} to {}", losses[0], losses[399]);
    }
}
