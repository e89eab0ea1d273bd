//! The networks of experiments, one file a kind, and what the training loop asks of each.
//!
//! A multilayer perceptron has its own kernels ([`crate::network`]). Every other kind is a [`crate::model::Model`] of tapped
//! layers, which `Layered` trains and records.

mod convnet;
mod layered;
mod mlp;
mod resnet;
mod transformer;

use candle_core::{Device, Result, Tensor};
use cograd_trace::{Coordinate, Parameter};

use self::layered::Layered;
use crate::data::{Dataset, Values};
use crate::experiment::{NetworkKind, Problem};
use crate::layer::{Block, Initial};
use crate::network::{Evaluation, Inputs, Network, Population};
use crate::optimizer::Update;
use crate::random::{Purpose, stream};
use crate::rule::RuleError;

/// A network as the training loop knows it. Everything is asked at its present weights.
pub trait Trainable {
    /// Its parameters, as the trace describes them.
    fn parameters(&self) -> Vec<Parameter>;

    /// Their values, in the same order.
    fn weights(&self) -> Result<Vec<cograd_trace::Tensor>>;

    /// Begins at other weights: values of every parameter, row-major, in the same order.
    fn set_weights(&mut self, values: Vec<Vec<f32>>) -> Result<()>;

    /// Losses and predictions.
    fn evaluate(&self, examples: Inputs<'_>, labels: &[u8]) -> Result<Evaluation>;

    /// Losses, and the gradient of every example at the coordinates, which are of no biases, a row an example.
    fn gradients_at(
        &self,
        inputs: &Tensor,
        labels: &[u8],
        coordinates: &[Coordinate],
    ) -> Result<(Evaluation, Vec<f32>)>;

    /// What every example contributes to the full gradient.
    fn population(&self, examples: Inputs<'_>, labels: &[u8]) -> Result<Population>;

    /// Makes an update, number `number` of the run, from a minibatch, unless one of its losses, which are returned, is not
    /// finite.
    fn update(
        &mut self,
        minibatch: (&Tensor, &[u8]),
        update: &mut Update,
        number: u64,
        learning_rate: f64,
    ) -> std::result::Result<Evaluation, RuleError>;
}

/// Number of parameters of a network of this kind for these data.
///
/// # Errors
/// The key of the experiment that does not fit the data, and why.
pub(crate) fn size(kind: &NetworkKind, data: &Dataset) -> std::result::Result<u128, Problem> {
    let classes = data.classes;
    match kind {
        NetworkKind::Mlp { hidden } => {
            if let Values::Tokens { .. } = data.train.values {
                return Err((
                    "network.kind",
                    "mlp: it reads numbers, and these data are words: use transformer".into(),
                ));
            }
            let widths = mlp::widths(hidden, data);
            Ok(widths.windows(2).map(|pair| (pair[0] as u128 + 1) * pair[1] as u128).sum())
        }
        NetworkKind::Convnet { channels, kernel, hidden } => {
            convnet::size(image(kind, data)?, channels, *kernel, hidden, classes)
        }
        NetworkKind::Resnet { channels, blocks, .. } => {
            Ok(resnet::size(image(kind, data)?[0], channels, *blocks, classes))
        }
        NetworkKind::Transformer { width, depth, context, .. } => {
            Ok(transformer::size(vocabulary(data)?, *width, *depth, *context, classes))
        }
    }
}

/// The network at the start of a run of this seed.
///
/// # Errors
/// A kind that does not fit the data, which `size` tells before.
pub fn network(kind: &NetworkKind, data: &Dataset, seed: u64) -> Result<Box<dyn Trainable>> {
    let unfit = |(_, problem): Problem| candle_core::Error::Msg(problem);
    let (mut initial, classes) = (Initial::new(seed, &Device::Cpu), data.classes);
    let block: Box<dyn Block> = match kind {
        NetworkKind::Mlp { hidden } => {
            let generator = &mut stream(seed, Purpose::Initialisation, 0);
            return Ok(Box::new(Network::glorot_uniform(&mlp::widths(hidden, data), generator)?));
        }
        NetworkKind::Convnet { channels, kernel, hidden } => {
            let image = image(kind, data).map_err(unfit)?;
            Box::new(convnet::network(image, channels, *kernel, hidden, classes, &mut initial)?)
        }
        NetworkKind::Resnet { channels, blocks, groups } => {
            let image = image(kind, data).map_err(unfit)?;
            Box::new(resnet::network(image[0], channels, *blocks, *groups, classes, &mut initial)?)
        }
        NetworkKind::Transformer { width, depth, heads, context } => {
            let vocabulary = vocabulary(data).map_err(unfit)?;
            let sizes = transformer::Sizes { width: *width, depth: *depth, heads: *heads, context: *context };
            Box::new(transformer::Transformer::new(vocabulary, &sizes, classes, &mut initial)?)
        }
    };
    Ok(Box::new(Layered::new(block, &data.train.shape)))
}

/// Channels, height and width of the images.
fn image(kind: &NetworkKind, data: &Dataset) -> std::result::Result<[usize; 3], Problem> {
    let problem = || ("network.kind", format!("{}: it reads images, and these data are none", kind.name()));
    match (&data.train.values, data.train.shape.as_slice()) {
        (Values::Bytes { .. }, &[channels, height, width]) => Ok([channels, height, width]),
        _ => Err(problem()),
    }
}

/// Number of words, padding among them.
fn vocabulary(data: &Dataset) -> std::result::Result<usize, Problem> {
    match data.train.values {
        Values::Tokens { vocabulary, .. } => Ok(vocabulary),
        _ => Err(("network.kind", "transformer: it reads words, and these data are numbers".into())),
    }
}

#[cfg(test)]
mod tests;
