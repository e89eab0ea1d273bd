//! Median of means: M3 for three groups (Zielinski, Krishnan & Chatterjee 2020, arXiv 2003.07422).

use candle_core::Tensor;

use super::{RuleError, Step, UpdateRule};
use crate::model::Gradients;
use crate::network::{self, DescendBy, Layer};

/// w ← w − η · the coordinate-wise median of the mean gradients of groups of the minibatch.
///
/// Groups are consecutive examples and differ in size by at most one; an even number of them has two medians, whose mean
/// is taken. A minibatch of fewer examples than groups has a group an example.
#[derive(Clone, Copy, Debug)]
pub struct MedianOfMeans {
    /// Groups, at least 1.
    pub groups: usize,
}

impl UpdateRule for MedianOfMeans {
    fn descend(&mut self, layer: &Layer, index: usize, step: &Step<'_>) -> Result<(), RuleError> {
        let groups = self.groups.clamp(1, step.pass.batch().max(1));
        let descend = DescendBy { scale: step.learning_rate as f32, rule: network::MedianOfMeans { groups } };
        let (inputs, deltas) = step.layer(index)?;
        layer.weight().inplace_op3(inputs, deltas, &descend)?;
        Ok(layer.bias().inplace_op2(deltas, &descend)?)
    }

    fn direction(&mut self, _: u64, gradients: &Gradients<'_>) -> Result<Vec<Tensor>, RuleError> {
        gradients.ensure_finite()?;
        let groups = self.groups.clamp(1, gradients.examples().max(1));
        Ok(gradients.by_coordinate(|values| median_of_means(values, groups))?)
    }
}

/// The median of the means of so many groups.
fn median_of_means(values: &[f32], groups: usize) -> f32 {
    let mean = |group: usize| {
        let members = &values[group * values.len() / groups..(group + 1) * values.len() / groups];
        members.iter().map(|&value| f64::from(value)).sum::<f64>() / members.len() as f64
    };
    let mut means: Vec<f64> = (0..groups).map(mean).collect();
    means.sort_by(f64::total_cmp);
    ((means[(groups - 1) / 2] + means[groups / 2]) / 2.0) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::testing::{assert_near, batch, network};
    use crate::network::{LayerParameters, Network};
    use crate::rule::Sgd;
    use crate::rule::testing::{assert_steps, coordinate, parameters, train_on_any_number_of_threads, update};
    use candle_core::{Device, Tensor};
    use proptest::prelude::*;

    fn mean(values: &[f64]) -> f64 {
        values.iter().sum::<f64>() / values.len() as f64
    }

    /// The definition, group by group.
    fn median_of_means(values: &[f64], groups: usize) -> f64 {
        let groups = groups.min(values.len());
        let cut = |group: usize| group * values.len() / groups;
        let mut means: Vec<f64> = (0..groups).map(|group| mean(&values[cut(group)..cut(group + 1)])).collect();
        means.sort_by(f64::total_cmp);
        mean(&means[(groups - 1) / 2..=groups / 2])
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn steps_against_the_median_of_the_groups_means(
            widths in prop::collection::vec(1usize..40, 2..5), examples in 1usize..40, groups in 1usize..12,
            seed in any::<u32>(),
        ) {
            assert_steps(&mut MedianOfMeans { groups }, &widths, examples, seed.into(), |gradients| {
                (0..gradients[0].len()).map(|place| median_of_means(&coordinate(gradients, place), groups)).collect()
            });
        }
    }

    #[test]
    fn wide_layers_and_large_batches_are_stepped_too() {
        assert_steps(&mut MedianOfMeans { groups: 3 }, &[30, 300, 4], 300, 1, |gradients| {
            (0..gradients[0].len()).map(|place| median_of_means(&coordinate(gradients, place), 3)).collect()
        });
    }

    #[test]
    fn three_groups_by_pencil_and_paper() {
        // One weight, one bias to each of two classes: logits are equal, so every delta is ±½, − for the label.
        let layer = LayerParameters { fan_in: 1, fan_out: 2, weight: vec![0.0; 2], bias: vec![0.0; 2] };
        let mut network = Network::from_layers(&[layer]).unwrap();
        let inputs = Tensor::new(&[[2f32], [4.0], [0.0], [8.0]], &Device::Cpu).unwrap();
        // Gradients of class 0's weight: -1, 2, 0, 4; groups of 1, 1 and 2 examples: means -1, 2, 2.
        update(&mut MedianOfMeans { groups: 3 }, &mut network, &inputs, &[0, 1, 1, 1], 1.0, 0);
        let layer = network.layer_parameters().unwrap().remove(0);
        assert_eq!(layer.weight, [-2.0, 2.0]);
        // Of the bias: -½, ½, ½.
        assert_eq!(layer.bias, [-0.5, 0.5]);
    }

    #[test]
    fn one_group_is_the_mean() {
        let mut networks = [network(&[20, 64, 4], 1), network(&[20, 64, 4], 1)];
        let (inputs, labels) = batch(&networks[0], 16, 0.5, 1);
        update(&mut MedianOfMeans { groups: 1 }, &mut networks[0], &inputs, &labels, 0.1, 0);
        update(&mut Sgd, &mut networks[1], &inputs, &labels, 0.1, 0);
        let expected: Vec<f64> = parameters(&networks[1]).into_iter().map(f64::from).collect();
        assert_near(&parameters(&networks[0]), &expected);
    }

    #[test]
    fn a_training_run_gives_the_same_bits_on_any_number_of_threads() {
        train_on_any_number_of_threads(|| MedianOfMeans { groups: 3 });
        train_on_any_number_of_threads(|| MedianOfMeans { groups: 50 });
    }
}
