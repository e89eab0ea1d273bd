//! Per-example gradients clipped to a norm, and noise: DP-SGD (Abadi et al. 2016).

use candle_core::Tensor;

use super::{RuleError, Step, UpdateRule};
use crate::model::Gradients;
use crate::network::{AddGaussian, DescendBias, DescendWeight, Layer, add_square_norms, scaled_rows};
use crate::random::{Purpose, stream};

/// w ← w − η/b · (Σ_i g_i · min(1, R/‖g_i‖) + N(0, σ²R² I)), g_i being the gradient of example i with respect to the
/// whole network.
///
/// No g_i is formed: ‖g_i‖² is Σ_l ‖δ_{l,i}‖² (‖a_{l,i}‖² + 1), and the clipped sum is the sum over rescaled deltas.
/// The noise of step t is a function of the seed and of t alone.
#[derive(Clone, Debug)]
pub struct NormClipped {
    norm: f64,
    noise: f64,
    seed: u64,
    /// What each example's gradient of the step is multiplied by: min(1, R/‖g_i‖).
    factors: Vec<f32>,
}

impl NormClipped {
    /// The largest norm of an example's gradient R, the noise's standard deviation in units of R (0 for none), and the
    /// seed of the run.
    pub fn new(norm: f64, noise: f64, seed: u64) -> NormClipped {
        NormClipped { norm, noise, seed, factors: Vec::new() }
    }

    /// What gradients of these squared norms are multiplied by.
    fn factors(&self, squares: &[f64]) -> Vec<f32> {
        squares.iter().map(|square| (self.norm / square.sqrt()).min(1.0) as f32).collect()
    }

    fn add_noise(&self, layer: &Layer, index: usize, step: &Step<'_>) -> Result<(), RuleError> {
        let scale = -step.learning_rate / step.pass.batch() as f64 * self.noise * self.norm;
        let stream = stream(self.seed, Purpose::ClippingNoise, step.number);
        let mut first = 0;
        for below in 0..index {
            let (inputs, deltas) = step.layer(below)?;
            let (fan_in, fan_out) = (inputs.dims2()?.1, deltas.dims2()?.1);
            first += (fan_in * fan_out).next_multiple_of(2) + fan_out.next_multiple_of(2);
        }
        for tensor in [layer.weight(), layer.bias()] {
            tensor.inplace_op1(&AddGaussian { scale, stream: stream.clone(), first })?;
            first += tensor.elem_count().next_multiple_of(2);
        }
        Ok(())
    }
}

impl UpdateRule for NormClipped {
    fn begin(&mut self, step: &Step<'_>) -> Result<(), RuleError> {
        step.ensure_finite()?;
        let mut squares = vec![0.0; step.pass.batch()];
        for (inputs, deltas) in step.pass.layer_inputs().iter().zip(step.deltas.layers()) {
            add_square_norms(&mut squares, inputs, deltas)?;
        }
        self.factors = self.factors(&squares);
        Ok(())
    }

    fn descend(&mut self, layer: &Layer, index: usize, step: &Step<'_>) -> Result<(), RuleError> {
        let ((inputs, deltas), scale) = (step.layer(index)?, step.scale());
        let clipped = scaled_rows(deltas, &self.factors)?;
        layer.weight().inplace_op3(inputs, &clipped, &DescendWeight { scale })?;
        layer.bias().inplace_op2(&clipped, &DescendBias { scale })?;
        if self.noise > 0.0 { self.add_noise(layer, index, step) } else { Ok(()) }
    }

    fn direction(&mut self, number: u64, gradients: &Gradients<'_>) -> Result<Vec<Tensor>, RuleError> {
        gradients.ensure_finite()?;
        let factors = self.factors(&gradients.norms_sq()?);
        let direction = gradients.weighted_mean(&factors)?;
        let scale = self.noise * self.norm / gradients.examples().max(1) as f64;
        let (stream, mut first) = (stream(self.seed, Purpose::ClippingNoise, number), 0);
        for tensor in direction.iter().filter(|_| scale > 0.0) {
            tensor.inplace_op1(&AddGaussian { scale, stream: stream.clone(), first })?;
            first += tensor.elem_count().next_multiple_of(2);
        }
        Ok(direction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::testing::{batch, network};
    use crate::rule::Sgd;
    use crate::rule::testing::{assert_steps, parameters, train_on_any_number_of_threads, update};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn steps_against_the_mean_of_gradients_clipped_to_their_norm(
            widths in prop::collection::vec(1usize..40, 2..5), examples in 1usize..30, norm in 0.01..4.0f64,
            seed in any::<u32>(),
        ) {
            let mut rule = NormClipped::new(norm, 0.0, 1);
            assert_steps(&mut rule, &widths, examples, seed.into(), |gradients| {
                let mut mean = vec![0.0; gradients[0].len()];
                for gradient in gradients {
                    let length = gradient.iter().map(|value| value * value).sum::<f64>().sqrt();
                    let factor = if length > norm { norm / length } else { 1.0 };
                    for (mean, value) in mean.iter_mut().zip(gradient) {
                        *mean += factor * value / gradients.len() as f64;
                    }
                }
                mean
            });
        }
    }

    #[test]
    fn a_norm_that_no_gradient_reaches_makes_the_steps_of_sgd_bit_by_bit() {
        let free = train_on_any_number_of_threads(|| NormClipped::new(1e9, 0.0, 1));
        assert!(free == train_on_any_number_of_threads(|| Sgd));
    }

    #[test]
    fn a_training_run_with_noise_gives_the_same_bits_on_any_number_of_threads() {
        let noisy = |seed| train_on_any_number_of_threads(|| NormClipped::new(1.0, 0.1, seed));
        assert!(noisy(1) != noisy(2));
    }

    #[test]
    fn noise_has_its_standard_deviation_and_is_new_in_every_step() {
        let (rate, noise, norm, examples) = (0.5, 3.0, 0.2, 10);
        let mut quiet = network(&[100, 200, 10], 1);
        let (inputs, labels) = batch(&quiet, examples, 0.5, 1);
        update(&mut NormClipped::new(norm, 0.0, 7), &mut quiet, &inputs, &labels, rate, 0);
        let noise_of = |number: u64| -> Vec<f64> {
            let mut noisy = network(&[100, 200, 10], 1);
            update(&mut NormClipped::new(norm, noise, 7), &mut noisy, &inputs, &labels, rate, number);
            let both = parameters(&noisy).into_iter().zip(parameters(&quiet));
            both.map(|(noisy, quiet)| f64::from(noisy) - f64::from(quiet)).collect()
        };
        let (first, second) = (noise_of(0), noise_of(1));
        let product = |one: &[f64], other: &[f64]| {
            one.iter().zip(other).map(|(one, other)| one * other).sum::<f64>() / one.len() as f64
        };
        let expected = rate / examples as f64 * noise * norm;
        assert!((product(&first, &first).sqrt() / expected - 1.0).abs() < 0.03);
        assert!(product(&first, &second).abs() < 0.05 * expected * expected);
    }
}
