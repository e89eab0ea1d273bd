//! One update of a network: the rule makes a gradient, the optimizer a step of it, as long as the learning rate says.

use candle_core::{DType, Device, Tensor, Var};
use rayon::prelude::*;

use super::{Decayed, Optimizer, Part};
use crate::model::Gradients;
use crate::network::{Network, with_parameters, with_values};
use crate::rule::{RuleError, Step, UpdateRule};

/// Parameters of one task.
const CHUNK: usize = 1 << 13;

/// A rule with an optimizer, and what that one remembers.
pub struct Update {
    rule: Box<dyn UpdateRule>,
    /// `None` for plain SGD, which the rules are themselves.
    optimizer: Option<Box<dyn Optimizer>>,
    /// Whole networks: of a multilayer perceptron every layer's weights [fan_in, fan_out] and then its biases; of any other all
    /// parameters in their order. None before the first step.
    memories: Vec<Vec<f32>>,
    /// Room for the gradient of the largest layer.
    buffer: Option<Tensor>,
}

impl Update {
    /// At the start of a run; without an optimizer, plain SGD.
    pub fn new(rule: Box<dyn UpdateRule>, optimizer: Option<Box<dyn Optimizer>>) -> Update {
        Update { rule, optimizer, memories: Vec::new(), buffer: None }
    }

    /// Makes an update: `network` holds w_t, which the step's pass and deltas were computed at, and afterwards w_{t+1}.
    ///
    /// # Errors
    /// Those of the rule; a network of another size than before. The network is then as it was, or of no use.
    pub fn make(&mut self, network: &mut Network, step: &Step<'_>) -> Result<(), RuleError> {
        let Some(optimizer) = &self.optimizer else { return self.rule.update(network, step) };
        let sizes = network.layers().iter().map(|layer| (layer.fan_in() + 1) * layer.fan_out());
        let (parameters, largest) = sizes.fold((0, 0), |(sum, most), size| (sum + size, most.max(size)));
        let mut memories = begun(&mut self.memories, optimizer.as_ref(), parameters)?;
        let buffer = match self.buffer.take().filter(|buffer| buffer.elem_count() == largest) {
            Some(buffer) => buffer,
            None => Tensor::zeros(largest, DType::F32, &Device::Cpu)?,
        };
        self.rule.begin(step)?;
        for (index, layer) in network.layers().iter().enumerate() {
            let gradient = layer.zeros_in(&buffer)?;
            // 0 − (−1) · the gradient.
            self.rule.descend(&gradient, index, &Step { learning_rate: -1.0, ..*step })?;
            for (parameters, gradient) in [(layer.weight(), gradient.weight()), (layer.bias(), gradient.bias())] {
                let of_tensor = split_off(&mut memories, parameters.elem_count());
                move_all(optimizer.as_ref(), parameters, gradient, of_tensor, (step.number, step.learning_rate))?;
            }
        }
        self.buffer = Some(buffer);
        Ok(())
    }

    /// Makes update `number` of a network of any layers, whose parameters hold w_t and afterwards w_{t+1}.
    ///
    /// # Errors
    /// As [`Update::make`].
    pub(crate) fn make_of_model(
        &mut self,
        parameters: &[&Var],
        gradients: &Gradients<'_>,
        number: u64,
        learning_rate: f64,
    ) -> Result<(), RuleError> {
        let direction = self.rule.direction(number, gradients)?;
        let optimizer = self.optimizer.as_deref().unwrap_or(&Decayed { weight_decay: 0.0 });
        let sizes = parameters.iter().map(|var| var.elem_count()).sum();
        let mut memories = begun(&mut self.memories, optimizer, sizes)?;
        for (var, gradient) in parameters.iter().zip(&direction) {
            let of_tensor = split_off(&mut memories, var.elem_count());
            move_all(optimizer, var.as_tensor(), gradient, of_tensor, (number, learning_rate))?;
        }
        Ok(())
    }

    /// What update `number`, the last one made, divided gradients by at these places of what is remembered: 1 without an optimizer that divides.
    pub(crate) fn divisors(&self, places: &[usize], number: u64) -> Vec<f32> {
        let Some(optimizer) = &self.optimizer else { return vec![1.0; places.len()] };
        let remembered = |&place: &usize| self.memories.iter().map(|memory| memory[place]).collect::<Vec<f32>>();
        places.iter().map(|place| optimizer.divisor(&remembered(place), number)).collect()
    }

    /// What is carried from step to step besides the parameters, for a checkpoint: the rule's and the optimizer's.
    pub fn state(&self) -> [Vec<Vec<f32>>; 2] {
        [self.rule.state(), self.memories.clone()]
    }

    /// Continues from the `state` of an update with the same settings.
    pub fn restore(&mut self, [rule, optimizer]: [Vec<Vec<f32>>; 2]) {
        self.rule.restore(rule);
        self.memories = optimizer;
    }
}

/// What an optimizer remembers of so many parameters: zeros at the start.
fn begun<'a>(
    memories: &'a mut Vec<Vec<f32>>,
    optimizer: &dyn Optimizer,
    parameters: usize,
) -> Result<Vec<&'a mut [f32]>, RuleError> {
    if memories.is_empty() {
        *memories = vec![vec![0.0; parameters]; optimizer.memories()];
    }
    if memories.len() != optimizer.memories() || memories.iter().any(|memory| memory.len() != parameters) {
        return Err(RuleError::State);
    }
    Ok(memories.iter_mut().map(|memory| &mut memory[..]).collect())
}

/// Takes the first `length` numbers off every memory.
fn split_off<'a>(memories: &mut [&'a mut [f32]], length: usize) -> Vec<&'a mut [f32]> {
    let split = |memory: &mut &'a mut [f32]| {
        let (first, rest) = std::mem::take(memory).split_at_mut(length);
        *memory = rest;
        first
    };
    memories.iter_mut().map(split).collect()
}

/// Moves all parameters of a tensor, on the current rayon pool.
fn move_all(
    optimizer: &dyn Optimizer,
    parameters: &Tensor,
    gradient: &Tensor,
    mut memories: Vec<&mut [f32]>,
    (number, learning_rate): (u64, f64),
) -> candle_core::Result<()> {
    with_values(gradient, |gradient| {
        with_parameters(parameters, |parameters| {
            let chunks = parameters.chunks_mut(CHUNK).zip(gradient.chunks(CHUNK));
            let parts = chunks.map(|(parameters, gradient)| {
                let memories = split_off(&mut memories, gradient.len());
                Part { parameters, gradient, memories }
            });
            let parts: Vec<Part<'_>> = parts.collect();
            parts.into_par_iter().for_each(|part| optimizer.step(part, number, learning_rate));
        })
    })?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::testing::{batch, network};
    use crate::optimizer::{Adam, Momentum};
    use crate::rule::testing::{coordinate, gradients, parameters};
    use crate::rule::{MedianOfMeans, NormClipped, RollingMedian, Sgd, Winsorized};

    fn rules() -> [Box<dyn UpdateRule>; 6] {
        [
            Box::new(Sgd),
            Box::new(Winsorized { percent: 10.0 }),
            Box::new(MedianOfMeans { groups: 3 }),
            Box::<RollingMedian>::default(),
            Box::new(NormClipped::new(0.5, 0.0, 1)),
            Box::new(NormClipped::new(0.5, 0.1, 1)),
        ]
    }

    fn optimizers() -> [Option<Box<dyn Optimizer>>; 5] {
        let momentum = |nesterov| Momentum { momentum: 0.9, nesterov, weight_decay: 0.01 };
        [
            None,
            Some(Box::new(Decayed { weight_decay: 0.1 })),
            Some(Box::new(momentum(false))),
            Some(Box::new(momentum(true))),
            Some(Box::new(Adam { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weight_decay: 0.1, decoupled: true })),
        ]
    }

    /// Every rule with every optimizer.
    fn all() -> impl Iterator<Item = Update> {
        let places = (0..6).flat_map(|rule| (0..5).map(move |optimizer| (rule, optimizer)));
        places.map(|(rule, optimizer)| {
            let rule = rules().into_iter().nth(rule).expect("there are so many");
            Update::new(rule, optimizers().into_iter().nth(optimizer).expect("there are so many"))
        })
    }

    fn make(update: &mut Update, network: &mut Network, examples: usize, number: u64) {
        let (inputs, labels) = batch(network, examples, 0.4, number);
        let pass = network.forward(&inputs).unwrap();
        let deltas = network.backward(&pass, &labels).unwrap();
        update.make(network, &Step { number, pass: &pass, deltas: &deltas, learning_rate: 0.01 }).unwrap();
    }

    #[test]
    fn an_update_that_was_interrupted_is_the_one_that_was_not_bit_by_bit() {
        for (whole, mut interrupted) in all().zip(all()) {
            let mut networks = [network(&[20, 30, 5], 1), network(&[20, 30, 5], 1)];
            let (mut whole, mut fresh) = (whole, all());
            for number in 0..6 {
                make(&mut whole, &mut networks[0], 20, number);
                let state = interrupted.state();
                let settings = std::mem::replace(&mut interrupted, fresh.next().expect("there are more than six"));
                interrupted = Update { memories: Vec::new(), buffer: None, ..settings };
                interrupted.restore(state);
                make(&mut interrupted, &mut networks[1], 20, number);
            }
            assert!(parameters(&networks[0]) == parameters(&networks[1]));
        }
    }

    #[test]
    fn every_rule_with_every_optimizer_gives_the_same_bits_on_any_number_of_threads() {
        let train = || {
            let of_update = |mut update: Update| {
                let mut network = network(&[150, 120, 10], 1);
                (0..4).for_each(|number| make(&mut update, &mut network, 31, number));
                parameters(&network)
            };
            all().map(of_update).collect::<Vec<_>>()
        };
        let on = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(train);
        let alone = on(1);
        assert!((2..=4).all(|threads| on(threads) == alone));
        for (place, update) in alone.iter().enumerate() {
            assert!(!alone[..place].contains(update), "update {place} is as one before");
        }
    }

    #[test]
    fn the_gradient_of_the_rule_is_what_the_optimizer_moves_by() {
        let mut network = network(&[30, 40, 4], 3);
        let (inputs, labels) = batch(&network, 25, 0.5, 4);
        let of_examples = gradients(&network, &inputs, &labels);
        let before = parameters(&network);
        let momentum = Momentum { momentum: 0.9, nesterov: true, weight_decay: 0.5 };
        let mut update = Update::new(Box::new(MedianOfMeans { groups: 5 }), Some(Box::new(momentum)));
        let pass = network.forward(&inputs).unwrap();
        let deltas = network.backward(&pass, &labels).unwrap();
        update.make(&mut network, &Step { number: 0, pass: &pass, deltas: &deltas, learning_rate: 0.25 }).unwrap();
        for (place, (&before, after)) in before.iter().zip(parameters(&network)).enumerate() {
            let of_groups = coordinate(&of_examples, place);
            let mut means: Vec<f64> = of_groups.chunks(5).map(|group| group.iter().sum::<f64>() / 5.0).collect();
            means.sort_by(f64::total_cmp);
            let expected = f64::from(before) - 0.25 * 1.9 * (means[2] + 0.5 * f64::from(before));
            assert!((f64::from(after) - expected).abs() < 1e-6 * (1.0 + expected.abs()), "{place}: {after} {expected}");
        }
    }

    #[test]
    fn the_state_of_another_network_is_an_error() {
        let mut network = network(&[5, 3], 1);
        let (inputs, labels) = batch(&network, 2, 1.0, 1);
        let pass = network.forward(&inputs).unwrap();
        let deltas = network.backward(&pass, &labels).unwrap();
        let step = Step { number: 1, pass: &pass, deltas: &deltas, learning_rate: 0.1 };
        for memories in [vec![vec![0.0; 17]], vec![vec![0.0; 18]; 2]] {
            let momentum = Momentum { momentum: 0.9, nesterov: false, weight_decay: 0.0 };
            let mut update = Update::new(Box::new(Sgd), Some(Box::new(momentum)));
            update.restore([Vec::new(), memories]);
            assert!(matches!(update.make(&mut network, &step), Err(RuleError::State)));
        }
    }
}
