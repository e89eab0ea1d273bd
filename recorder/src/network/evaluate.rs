//! Losses and predictions.

use super::kernels::{CLASSES, Outcome, cross_entropy, with_values};
use super::{Inputs, Network};
use candle_core::{Result, Tensor, bail};

/// Losses and predictions of some examples, in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evaluation {
    /// Cross-entropy in nats, not finite where a logit was not.
    pub losses: Vec<f64>,
    /// The class of the largest logit, the lowest such class on ties.
    pub predictions: Vec<u8>,
}

impl Evaluation {
    pub(super) fn new(outcomes: Vec<Outcome>) -> Evaluation {
        let mut evaluation = Evaluation::default();
        evaluation.extend(outcomes);
        evaluation
    }

    fn extend(&mut self, outcomes: Vec<Outcome>) {
        self.losses.extend(outcomes.iter().map(|outcome| outcome.loss));
        self.predictions.extend(outcomes.iter().map(|outcome| outcome.prediction));
    }

    /// That of examples with these logits, [b, classes], and labels below the number of classes.
    ///
    /// # Errors
    /// Logits that are no such matrix, or more than 256 classes.
    pub(crate) fn of_logits(logits: &Tensor, labels: &[u8]) -> Result<Evaluation> {
        let (examples, classes) = logits.dims2()?;
        if examples != labels.len() || classes == 0 || classes > CLASSES {
            bail!("logits of the shape {:?} for {} labels", logits.dims(), labels.len());
        }
        Ok(Evaluation::new(with_values(logits, |logits| cross_entropy(logits, classes, labels, None))?))
    }

    /// Adds the losses and predictions of further examples.
    pub(crate) fn append(&mut self, further: &Evaluation) {
        self.losses.extend(&further.losses);
        self.predictions.extend(&further.predictions);
    }

    /// The place of the first example whose loss is NaN or infinite.
    pub fn first_non_finite(&self) -> Option<usize> {
        self.losses.iter().position(|loss| !loss.is_finite())
    }
}

/// Examples taken through the network at a time: bounds the memory of an evaluation.
const CHUNK: usize = 1024;

impl Network {
    /// Losses against `labels`, and predictions, of all `examples`.
    ///
    /// # Errors
    /// Examples that are not the input width, not one label an example, or a label that is no class.
    pub fn evaluate<'a>(&self, examples: impl Into<Inputs<'a>>, labels: &[u8]) -> Result<Evaluation> {
        let examples = examples.into();
        self.check_labels(labels, examples.len())?;
        let mut evaluation = Evaluation::default();
        for (chunk, labels) in labels.chunks(CHUNK).enumerate() {
            let first = chunk * CHUNK;
            let pass = self.forward(&examples.gather_range(first..first + labels.len())?)?;
            evaluation
                .extend(with_values(pass.logits(), |logits| cross_entropy(logits, self.classes(), labels, None))?);
        }
        Ok(evaluation)
    }

    pub(super) fn check_labels(&self, labels: &[u8], examples: usize) -> Result<()> {
        if labels.len() != examples {
            bail!("{} labels for {examples} examples", labels.len());
        }
        match labels.iter().position(|&label| usize::from(label) >= self.classes()) {
            Some(i) => bail!("label {} of example {i}, but the network has {} classes", labels[i], self.classes()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Pixels;
    use crate::network::testing::network;

    #[test]
    fn an_evaluation_in_chunks_is_the_evaluation_of_one_pass() {
        let network = network(&[6, 20, 4], 1);
        let examples = 2 * CHUNK + 5;
        let values: Vec<u8> = (0..examples * 6).map(|place| (place * 7919 % 251) as u8).collect();
        let labels: Vec<u8> = (0..examples).map(|example| (example % 4) as u8).collect();
        let pixels = Pixels { values: &values, width: 6, maximum: 255.0 };
        let evaluation = network.evaluate(pixels, &labels).unwrap();
        let pass = network.forward(&Inputs::from(pixels).gather_range(0..examples).unwrap()).unwrap();
        assert_eq!(&evaluation, network.backward(&pass, &labels).unwrap().evaluation());
        assert_eq!(evaluation.losses.len(), examples);
    }

    #[test]
    fn the_first_loss_that_is_not_finite_is_named() {
        let evaluation = |losses: &[f64]| Evaluation { losses: losses.to_vec(), predictions: vec![] };
        assert_eq!(evaluation(&[1.0, 0.0]).first_non_finite(), None);
        assert_eq!(evaluation(&[1.0, f64::INFINITY, f64::NAN]).first_non_finite(), Some(1));
    }
}
