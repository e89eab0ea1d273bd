//! A multilayer perceptron in the training loop, by the kernels of [`crate::network`].

use candle_core::{Result, Tensor};
use cograd_trace::{Coordinate, Parameter};

use super::Trainable;
use crate::data::Dataset;
use crate::network::{Evaluation, Inputs, LayerParameters, Network, Population, Weight, sampled_gradients};
use crate::optimizer::Update;
use crate::rule::{RuleError, Step};

/// Widths of all layers, input first, for these data: `[784, 2048, 10]`.
pub(super) fn widths(hidden: &[usize], data: &Dataset) -> Vec<usize> {
    [&[data.train.width()], hidden, &[data.classes]].concat()
}

impl Trainable for Network {
    fn parameters(&self) -> Vec<Parameter> {
        let named = |part: &str, layer: usize, shape: &[u64]| {
            Parameter::new(&format!("layer.{layer}.{part}"), shape, Some("linear"))
        };
        let parameters = self.layers().iter().enumerate().flat_map(|(place, layer)| {
            let [fan_in, fan_out] = [layer.fan_in() as u64, layer.fan_out() as u64];
            [named("weight", place, &[fan_out, fan_in]), named("bias", place, &[fan_out])]
        });
        parameters.collect()
    }

    fn weights(&self) -> Result<Vec<cograd_trace::Tensor>> {
        let layers = self.layer_parameters()?.into_iter().enumerate().flat_map(|(layer, parameters)| {
            let shape = vec![parameters.fan_out, parameters.fan_in];
            let tensor =
                |part, shape, values| cograd_trace::Tensor { name: format!("layer.{layer}.{part}"), shape, values };
            [tensor("weight", shape, parameters.weight), tensor("bias", vec![parameters.fan_out], parameters.bias)]
        });
        Ok(layers.collect())
    }

    fn set_weights(&mut self, values: Vec<Vec<f32>>) -> Result<()> {
        let widths = self.widths();
        let mut values = values.into_iter();
        let mut next = || values.next().unwrap_or_default();
        let layers = widths.windows(2).map(|pair| LayerParameters {
            fan_in: pair[0],
            fan_out: pair[1],
            weight: next(),
            bias: next(),
        });
        *self = Network::from_layers(&layers.collect::<Vec<_>>())?;
        Ok(())
    }

    fn evaluate(&self, examples: Inputs<'_>, labels: &[u8]) -> Result<Evaluation> {
        Network::evaluate(self, examples, labels)
    }

    fn gradients_at(
        &self,
        inputs: &Tensor,
        labels: &[u8],
        coordinates: &[Coordinate],
    ) -> Result<(Evaluation, Vec<f32>)> {
        let pass = self.forward(inputs)?;
        let deltas = self.backward(&pass, labels)?;
        let weight = |coordinate: &Coordinate| {
            let layer = coordinate.parameter / 2;
            let fan_in = self.layers()[layer as usize].fan_in() as u64;
            let [row, column] = [coordinate.index / fan_in, coordinate.index % fan_in].map(|place| place as u32);
            Weight { layer, row, column }
        };
        let weights: Vec<Weight> = coordinates.iter().map(weight).collect();
        let gradients = sampled_gradients(&pass, &deltas, &weights)?;
        Ok((deltas.into_evaluation(), gradients))
    }

    fn population(&self, examples: Inputs<'_>, labels: &[u8]) -> Result<Population> {
        Network::population(self, examples, labels)
    }

    fn update(
        &mut self,
        (inputs, labels): (&Tensor, &[u8]),
        update: &mut Update,
        number: u64,
        learning_rate: f64,
    ) -> std::result::Result<Evaluation, RuleError> {
        let pass = self.forward(inputs)?;
        let deltas = self.backward(&pass, labels)?;
        if deltas.evaluation().first_non_finite().is_none() {
            update.make(self, &Step { number, pass: &pass, deltas: &deltas, learning_rate })?;
        }
        Ok(deltas.into_evaluation())
    }
}
