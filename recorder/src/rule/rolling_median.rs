//! Rolling median: RM3 (Zielinski, Krishnan & Chatterjee 2020, arXiv 2003.07422).

use candle_core::Tensor;

use super::{RuleError, Sgd, Step, UpdateRule};
use crate::model::Gradients;
use crate::network::{DescendMedian, Layer, mean_gradient};
use std::collections::VecDeque;

/// w ← w − η · the coordinate-wise median of the minibatch gradients of this step and of the two before it, each taken
/// at its own parameters; the first two steps are those of [`Sgd`].
///
/// It keeps three gradients of the whole network.
#[derive(Debug, Default)]
pub struct RollingMedian {
    /// Mean gradients of this step and of those before, the last one first: every layer's weights [fan_in, fan_out] and
    /// then its biases.
    gradients: VecDeque<Vec<f32>>,
}

impl UpdateRule for RollingMedian {
    fn begin(&mut self, step: &Step<'_>) -> Result<(), RuleError> {
        step.ensure_finite()?;
        let parameters = first_parameter(step, step.pass.layer_inputs().len())?;
        if self.gradients.iter().any(|gradient| gradient.len() != parameters) {
            return Err(RuleError::State);
        }
        let mut gradient = if self.gradients.len() > 2 { self.gradients.pop_back() } else { None }.unwrap_or_default();
        gradient.resize(parameters, 0.0);
        gradient_of(step, &mut gradient)?;
        self.gradients.push_front(gradient);
        Ok(())
    }

    fn descend(&mut self, layer: &Layer, index: usize, step: &Step<'_>) -> Result<(), RuleError> {
        let Some((three, _)) = self.gradients.make_contiguous().split_first_chunk::<3>() else {
            return Sgd.descend(layer, index, step);
        };
        let (mut first, rate) = (first_parameter(step, index)?, step.learning_rate as f32);
        for tensor in [layer.weight(), layer.bias()] {
            let places = first..first + tensor.elem_count();
            first = places.end;
            let [Some(last), Some(previous), Some(oldest)] = three.each_ref().map(|all| all.get(places.clone())) else {
                return Err(RuleError::OtherNetwork);
            };
            tensor.inplace_op1(&DescendMedian { rate, gradients: [last, previous, oldest] })?;
        }
        Ok(())
    }

    fn state(&self) -> Vec<Vec<f32>> {
        self.gradients.iter().take(2).cloned().collect()
    }

    fn restore(&mut self, state: Vec<Vec<f32>>) {
        self.gradients = state.into();
    }

    fn direction(&mut self, _: u64, gradients: &Gradients<'_>) -> Result<Vec<Tensor>, RuleError> {
        gradients.ensure_finite()?;
        let mean = gradients.mean()?;
        let flat =
            mean.iter().map(|tensor| tensor.flatten_all()?.to_vec1()).collect::<candle_core::Result<Vec<_>>>()?;
        let flat: Vec<f32> = flat.concat();
        if self.gradients.iter().any(|gradient| gradient.len() != flat.len()) {
            return Err(RuleError::State);
        }
        self.gradients.truncate(2);
        self.gradients.push_front(flat);
        let Some((three, _)) = self.gradients.make_contiguous().split_first_chunk::<3>() else { return Ok(mean) };
        let mut first = 0;
        let median = |tensor: &Tensor| {
            let places = first..first + tensor.elem_count();
            first = places.end;
            let median = Tensor::zeros(tensor.shape(), tensor.dtype(), tensor.device())?;
            // 0 − (−1) · the median.
            let gradients = three.each_ref().map(|all| &all[places.clone()]);
            median.inplace_op1(&DescendMedian { rate: -1.0, gradients })?;
            Ok(median)
        };
        mean.iter().map(median).collect()
    }
}

/// Parameters of the layers before this one.
fn first_parameter(step: &Step<'_>, layer: usize) -> Result<usize, RuleError> {
    let mut parameters = 0;
    for below in 0..layer {
        let (inputs, deltas) = step.layer(below)?;
        parameters += (inputs.dims2()?.1 + 1) * deltas.dims2()?.1;
    }
    Ok(parameters)
}

/// Writes the minibatch's mean gradient, layer by layer.
fn gradient_of(step: &Step<'_>, gradient: &mut [f32]) -> Result<(), RuleError> {
    let mut rest = gradient;
    for (inputs, deltas) in step.pass.layer_inputs().iter().zip(step.deltas.layers()) {
        let (fan_in, fan_out) = (inputs.dims2()?.1, deltas.dims2()?.1);
        let (layer, others) = rest.split_at_mut((fan_in + 1) * fan_out);
        let (weight, bias) = layer.split_at_mut(fan_in * fan_out);
        mean_gradient(weight, bias, inputs, deltas)?;
        rest = others;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::testing::{assert_near, batch, network};
    use crate::rule::testing::{gradients, parameters, train_on_any_number_of_threads, update};
    use proptest::prelude::*;

    fn mean_of(gradients: &[Vec<f64>]) -> Vec<f64> {
        (0..gradients[0].len())
            .map(|place| gradients.iter().map(|gradient| gradient[place]).sum::<f64>() / gradients.len() as f64)
            .collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]

        #[test]
        fn from_the_third_step_on_it_steps_against_the_median_of_the_last_three_gradients(
            widths in prop::collection::vec(1usize..40, 2..5), examples in 1usize..30, seed in any::<u32>(),
        ) {
            let (mut network, mut rule) = (network(&widths, seed.into()), RollingMedian::default());
            let mut means: Vec<Vec<f64>> = vec![];
            for number in 0..5 {
                let (inputs, labels) = batch(&network, examples, 0.5, u64::from(seed) + number);
                means.push(mean_of(&gradients(&network, &inputs, &labels)));
                let before = parameters(&network);
                update(&mut rule, &mut network, &inputs, &labels, 0.5, number);
                let expected: Vec<f64> = before.iter().enumerate().map(|(place, &parameter)| {
                    let mut last: Vec<f64> = means.iter().rev().take(3).map(|mean| mean[place]).collect();
                    let gradient = if last.len() < 3 { last[0] } else { last.sort_by(f64::total_cmp); last[1] };
                    f64::from(parameter) - 0.5 * gradient
                }).collect();
                assert_near(&parameters(&network), &expected);
            }
        }
    }

    #[test]
    fn the_first_two_steps_are_those_of_sgd_bit_by_bit() {
        let mut networks = [network(&[20, 64, 4], 1), network(&[20, 64, 4], 1)];
        let mut rule = RollingMedian::default();
        for number in 0..3 {
            let (inputs, labels) = batch(&networks[0], 16, 0.5, number);
            update(&mut rule, &mut networks[0], &inputs, &labels, 0.1, number);
            update(&mut Sgd, &mut networks[1], &inputs, &labels, 0.1, number);
            assert_eq!(parameters(&networks[0]) == parameters(&networks[1]), number < 2, "{number}");
        }
    }

    #[test]
    fn a_rule_restored_from_its_state_goes_on_bit_by_bit() {
        let straight = |stop: u64| {
            let (mut network, mut rule) = (network(&[20, 33, 4], 1), RollingMedian::default());
            for number in 0..7 {
                if number == stop {
                    let state = rule.state();
                    assert_eq!(state.len() as u64, stop.min(2));
                    rule = RollingMedian::default();
                    rule.restore(state);
                }
                let (inputs, labels) = batch(&network, 16, 0.5, number);
                update(&mut rule, &mut network, &inputs, &labels, 0.1, number);
            }
            parameters(&network)
        };
        let never = straight(99);
        assert!((0..7).all(|stop| straight(stop) == never));
    }

    #[test]
    fn the_state_of_another_network_is_an_error() {
        let mut network = network(&[5, 3], 1);
        let (inputs, labels) = batch(&network, 2, 1.0, 1);
        let pass = network.forward(&inputs).unwrap();
        let deltas = network.backward(&pass, &labels).unwrap();
        let mut rule = RollingMedian::default();
        rule.restore(vec![vec![0.0; 17]]);
        let step = Step { number: 1, pass: &pass, deltas: &deltas, learning_rate: 0.1 };
        assert!(matches!(rule.update(&mut network, &step), Err(RuleError::State)));
    }

    #[test]
    fn a_training_run_gives_the_same_bits_on_any_number_of_threads() {
        train_on_any_number_of_threads(RollingMedian::default);
    }
}
