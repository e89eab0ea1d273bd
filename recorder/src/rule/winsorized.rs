//! Winsorized SGD: every coordinate's most extreme per-example gradients are clipped (paper §3).

use candle_core::Tensor;

use super::{RuleError, Sgd, Step, UpdateRule};
use crate::model::Gradients;
use crate::network::{self, DescendBy, Layer};

/// w ← w − η/b · Σ_i clip(x_i, l, u), independently for every coordinate, biases included: x_i is the coordinate's gradient
/// of example i, and of the b sorted values l is the (k+1)-th and u the (b−k)-th, k = ⌊percent · b / 100⌋.
///
/// b is the size of the minibatch at hand, so that the short one at the end of an epoch has its own k. Where k is 0 the
/// update is that of [`Sgd`], bit by bit.
#[derive(Clone, Copy, Debug)]
pub struct Winsorized {
    /// Winsorization level c, in percent: at least 0, below 50.
    pub percent: f64,
}

impl Winsorized {
    /// k for a minibatch of `examples`.
    fn clipped(&self, examples: usize) -> usize {
        // 0.57 · 10 000 / 100 is 56.99… in binary: a level is meant as the decimal that it is written as.
        let clipped = (self.percent * examples as f64 / 100.0 + 1e-9).floor() as usize;
        clipped.min(examples.saturating_sub(1) / 2)
    }
}

impl UpdateRule for Winsorized {
    fn descend(&mut self, layer: &Layer, index: usize, step: &Step<'_>) -> Result<(), RuleError> {
        let clipped = self.clipped(step.pass.batch());
        if clipped == 0 {
            return Sgd.descend(layer, index, step);
        }
        let descend = DescendBy { scale: step.scale(), rule: network::Winsorized { clipped } };
        let (inputs, deltas) = step.layer(index)?;
        layer.weight().inplace_op3(inputs, deltas, &descend)?;
        Ok(layer.bias().inplace_op2(deltas, &descend)?)
    }

    fn direction(&mut self, number: u64, gradients: &Gradients<'_>) -> Result<Vec<Tensor>, RuleError> {
        gradients.ensure_finite()?;
        match self.clipped(gradients.examples()) {
            0 => Sgd.direction(number, gradients),
            clipped => Ok(gradients.by_coordinate(|values| clipped_mean(values, clipped))?),
        }
    }
}

/// The mean of values of which so many at either end are clipped to the nearest one kept. Their order is not kept.
fn clipped_mean(values: &mut [f32], clipped: usize) -> f32 {
    let last = values.len() - 1 - clipped;
    let (_, low, rest) = values.select_nth_unstable_by(clipped, f32::total_cmp);
    let low = *low;
    let high = if last == clipped { low } else { *rest.select_nth_unstable_by(last - clipped - 1, f32::total_cmp).1 };
    // What is clipped is one of the bounds, and what is between them stands between them.
    let kept: f64 = values[clipped..=last].iter().map(|&value| f64::from(value)).sum();
    ((clipped as f64 * (f64::from(low) + f64::from(high)) + kept) / values.len() as f64) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::testing::{batch, network};
    use crate::rule::testing::{assert_steps, coordinate, train_on_any_number_of_threads};
    use proptest::prelude::*;

    /// The definition: sort, clip, mean.
    fn clipped_mean(mut gradients: Vec<f64>, clipped: usize) -> f64 {
        gradients.sort_by(f64::total_cmp);
        let (low, high) = (gradients[clipped], gradients[gradients.len() - 1 - clipped]);
        gradients.iter().map(|gradient| gradient.clamp(low, high)).sum::<f64>() / gradients.len() as f64
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn steps_against_the_clipped_mean_of_per_example_gradients(
            widths in prop::collection::vec(1usize..40, 2..5), examples in 1usize..60, percent in 0.0..49.9f64,
            seed in any::<u32>(),
        ) {
            let clipped = (percent * examples as f64 / 100.0).floor() as usize;
            assert_steps(&mut Winsorized { percent }, &widths, examples, seed.into(), |gradients| {
                (0..gradients[0].len()).map(|place| clipped_mean(coordinate(gradients, place), clipped)).collect()
            });
        }
    }

    #[test]
    fn the_number_of_clipped_values_is_rounded_down_of_the_decimal_level() {
        for (percent, examples, clipped) in [
            (0.0, 100, 0),
            (1.0, 100, 1),
            (1.0, 99, 0),
            (8.0, 100, 8),
            (8.0, 31, 2),
            (0.57, 10_000, 57),
            (2.5, 100, 2),
            (49.0, 1000, 490),
            (49.9, 1000, 499),
            (49.999_999_999_9, 1000, 499),
            (40.0, 1, 0),
            (49.0, 3, 1),
        ] {
            assert_eq!(Winsorized { percent }.clipped(examples), clipped, "{percent} % of {examples}");
        }
    }

    #[test]
    fn a_level_that_clips_nothing_makes_the_steps_of_sgd_bit_by_bit() {
        let sgd = train_on_any_number_of_threads(|| Sgd);
        assert!(train_on_any_number_of_threads(|| Winsorized { percent: 0.0 }) == sgd);
        assert!(train_on_any_number_of_threads(|| Winsorized { percent: 0.99 }) == sgd);
        assert!(train_on_any_number_of_threads(|| Winsorized { percent: 1.0 }) != sgd);
    }

    #[test]
    fn a_training_run_gives_the_same_bits_on_any_number_of_threads() {
        train_on_any_number_of_threads(|| Winsorized { percent: 4.0 });
        train_on_any_number_of_threads(|| Winsorized { percent: 25.0 });
    }

    #[test]
    fn values_that_have_no_order_are_errors_that_name_layer_and_example() {
        let mut network = network(&[5, 20, 3], 1);
        let (inputs, labels) = batch(&network, 6, 1.0, 1);
        let mut rows = inputs.to_vec2::<f32>().unwrap();
        rows[4][2] = f32::INFINITY;
        let broken = candle_core::Tensor::new(rows, inputs.device()).unwrap();
        let deltas = network.backward(&network.forward(&inputs).unwrap(), &labels).unwrap();
        let pass = network.forward(&broken).unwrap();
        let before = network.layer_parameters().unwrap();
        for percent in [0.0, 20.0] {
            let step = Step { number: 3, pass: &pass, deltas: &deltas, learning_rate: 0.1 };
            let error = Winsorized { percent }.update(&mut network, &step).unwrap_err();
            let RuleError::NotFinite { what, layer, example } = error else { panic!("{error}") };
            assert_eq!((what, layer, example), ("activations", 0, 4));
        }
        let pass = network.forward(&inputs).unwrap();
        let deltas = network.backward(&network.forward(&broken).unwrap(), &labels).unwrap();
        let step = Step { number: 3, pass: &pass, deltas: &deltas, learning_rate: 0.1 };
        let error = Winsorized { percent: 20.0 }.update(&mut network, &step).unwrap_err();
        assert_eq!(error.to_string(), "the deltas of layer 0 are not finite for example 4 of the minibatch");
        assert_eq!(network.layer_parameters().unwrap(), before);
    }
}
