//! A network of tapped layers in the training loop.

use candle_core::{Device, Result, Tensor};
use cograd_trace::{Coordinate, Parameter};
use rayon::prelude::*;

use super::Trainable;
use crate::layer::{Block, Layer, Layers};
use crate::model::{Model, Probe, cross_entropy, part};
use crate::network::{Evaluation, Inputs, Population};
use crate::optimizer::Update;
use crate::rule::RuleError;

/// Examples of a pass but for minibatches and the sample: bounds the memory.
const BATCH: usize = 64;

/// A network from inputs to logits, with the cross-entropy as its loss.
pub(super) struct Layered {
    network: Box<dyn Block>,
    /// Shape of an example.
    shape: Vec<usize>,
}

impl Layers for Layered {
    fn layers(&self) -> Vec<(String, &dyn Layer)> {
        self.network.layers()
    }
}

impl Model for Layered {
    fn losses(&self, inputs: &Tensor, labels: &Tensor) -> Result<Tensor> {
        cross_entropy(&self.network.forward(inputs)?, labels)
    }
}

impl Layered {
    pub fn new(network: Box<dyn Block>, shape: &[usize]) -> Layered {
        Layered { network, shape: shape.to_vec() }
    }

    /// Examples in their shape, from rows.
    fn shaped(&self, rows: &Tensor) -> Result<Tensor> {
        rows.reshape([&[rows.dim(0)?], self.shape.as_slice()].concat())
    }

    /// All examples in batches of so many.
    fn batches<'a>(
        &'a self,
        examples: Inputs<'a>,
        labels: &'a [u8],
    ) -> impl Iterator<Item = Result<(Tensor, Tensor)>> + 'a {
        labels.chunks(BATCH).enumerate().map(move |(batch, labels)| {
            let first = batch * BATCH;
            Ok((self.shaped(&examples.gather_range(first..first + labels.len())?)?, numbers(labels)?))
        })
    }
}

fn numbers(labels: &[u8]) -> Result<Tensor> {
    Tensor::from_iter(labels.iter().map(|&label| u32::from(label)), &Device::Cpu)
}

impl Trainable for Layered {
    fn parameters(&self) -> Vec<Parameter> {
        Probe::new(self).parameters()
    }

    fn weights(&self) -> Result<Vec<cograd_trace::Tensor>> {
        Probe::new(self).weights()
    }

    fn set_weights(&mut self, values: Vec<Vec<f32>>) -> Result<()> {
        for (var, values) in Probe::new(self).vars().into_iter().zip(values) {
            var.set(&Tensor::from_vec(values, var.shape(), &Device::Cpu)?)?;
        }
        Ok(())
    }

    fn evaluate(&self, examples: Inputs<'_>, labels: &[u8]) -> Result<Evaluation> {
        let part = part(self.shape.iter().product());
        let of_part = |(place, labels): (usize, &[u8])| {
            let rows = place * part..place * part + labels.len();
            let logits = self.network.forward(&self.shaped(&examples.gather_range(rows)?)?)?.detach();
            Evaluation::of_logits(&logits, labels)
        };
        let parts = labels.par_chunks(part).enumerate().map(of_part).collect::<Result<Vec<Evaluation>>>()?;
        let mut evaluation = Evaluation::default();
        parts.iter().for_each(|part| evaluation.append(part));
        Ok(evaluation)
    }

    fn gradients_at(
        &self,
        inputs: &Tensor,
        labels: &[u8],
        coordinates: &[Coordinate],
    ) -> Result<(Evaluation, Vec<f32>)> {
        let probe = Probe::new(self);
        let mut places = vec![Vec::new(); probe.vars().len()];
        coordinates.iter().for_each(|it| places[it.parameter as usize].push(it.index as usize));
        let (mut losses, mut rows) = (Vec::new(), Vec::with_capacity(labels.len() * coordinates.len()));
        for (batch, labels) in labels.chunks(BATCH).enumerate() {
            let inputs = self.shaped(&inputs.narrow(0, batch * BATCH, labels.len())?)?;
            let (of_batch, gradients) = probe.gradients_at(&inputs, &numbers(labels)?, &places)?;
            losses.extend(of_batch);
            rows.extend(gradients);
        }
        Ok((Evaluation { losses, predictions: Vec::new() }, rows))
    }

    fn population(&self, examples: Inputs<'_>, labels: &[u8]) -> Result<Population> {
        let found = Probe::new(self).population(|| self.batches(examples, labels))?;
        let evaluation = Evaluation { losses: found.losses.clone(), predictions: Vec::new() };
        Ok(Population { layers: found.by_layer(&self.parameters()), evaluation })
    }

    fn update(
        &mut self,
        (inputs, labels): (&Tensor, &[u8]),
        update: &mut Update,
        number: u64,
        learning_rate: f64,
    ) -> std::result::Result<Evaluation, RuleError> {
        let probe = Probe::new(self);
        let gradients = probe.minibatch(&self.shaped(inputs)?, &numbers(labels)?)?;
        let evaluation = Evaluation { losses: gradients.losses(), predictions: Vec::new() };
        if evaluation.first_non_finite().is_none() {
            update.make_of_model(&probe.vars(), &gradients, number, learning_rate)?;
        }
        Ok(evaluation)
    }
}
