//! Softmax cross-entropy: losses, predictions and the deltas of the output layer.

use rayon::prelude::*;

/// The most classes a network may tell apart: labels are bytes.
pub(in crate::network) const CLASSES: usize = 256;

/// What one example's logits say.
pub(in crate::network) struct Outcome {
    /// −log `softmax(logits)[label]`; not finite if a logit is not.
    pub(in crate::network) loss: f64,
    /// The class of the largest logit, the lowest on ties.
    pub(in crate::network) prediction: u8,
}

/// The outcome of every example of `logits`, [b, classes] row-major, and with `deltas` of the same shape also
/// ∂loss/∂logits = softmax(logits) − one-hot(label), not averaged over the examples.
///
/// Labels must be below `classes`, and those at most [`CLASSES`]. All in f64, from the largest logit down, so that
/// nothing overflows.
pub(in crate::network) fn cross_entropy(
    logits: &[f32],
    classes: usize,
    labels: &[u8],
    deltas: Option<&mut [f32]>,
) -> Vec<Outcome> {
    let examples = logits.par_chunks(classes).zip(labels).with_min_len(64);
    match deltas {
        None => examples.map(|(logits, &label)| outcome(logits, label, None)).collect(),
        Some(deltas) => examples
            .zip(deltas.par_chunks_mut(classes))
            .map(|((logits, &label), deltas)| outcome(logits, label, Some(deltas)))
            .collect(),
    }
}

fn outcome(logits: &[f32], label: u8, deltas: Option<&mut [f32]>) -> Outcome {
    let label = usize::from(label);
    let prediction = (1..logits.len()).fold(0, |best, class| if logits[class] > logits[best] { class } else { best });
    let largest = f64::from(logits[prediction]);
    let mut exponentials = [0.0; CLASSES];
    for (exponential, &logit) in exponentials.iter_mut().zip(logits) {
        *exponential = (f64::from(logit) - largest).exp();
    }
    let exponentials = &exponentials[..logits.len()];
    // The largest logit's exponential is 1: leaving it out until the logarithm keeps losses far below f64's epsilon.
    let others: f64 = (0..logits.len()).filter(|&class| class != prediction).map(|class| exponentials[class]).sum();
    let total = exponentials[prediction] + others;
    if let Some(deltas) = deltas {
        for (delta, exponential) in deltas.iter_mut().zip(exponentials) {
            *delta = (exponential / total) as f32;
        }
        let all_but_label: f64 =
            (0..logits.len()).filter(|&class| class != label).map(|class| exponentials[class]).sum();
        deltas[label] = -(all_but_label / total) as f32;
    }
    let loss = others.ln_1p() - (f64::from(logits[label]) - largest);
    Outcome { loss, prediction: prediction as u8 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(logits: &[f32], label: u8) -> (Outcome, Vec<f32>) {
        let mut deltas = vec![f32::NAN; logits.len()];
        let outcome = cross_entropy(logits, logits.len(), &[label], Some(&mut deltas)).remove(0);
        (outcome, deltas)
    }

    #[test]
    fn two_equal_logits_cost_log_two_and_pull_by_a_half() {
        let (outcome, deltas) = one(&[3.0, 3.0], 1);
        assert_eq!(outcome.loss, 2.0f64.ln());
        assert_eq!(deltas, [0.5, -0.5]);
        assert_eq!(outcome.prediction, 0, "the lowest class wins a tie");
    }

    #[test]
    fn huge_logits_do_not_overflow_and_tiny_losses_do_not_vanish() {
        let (outcome, deltas) = one(&[1e30, -1e30], 1);
        assert_eq!(outcome.loss, f64::from(1e30f32) * 2.0);
        assert_eq!(deltas, [1.0, -1.0]);
        let (outcome, deltas) = one(&[30.0, 0.0], 0);
        assert!((outcome.loss / (-30.0f64).exp() - 1.0).abs() < 1e-12, "{}", outcome.loss);
        assert!((f64::from(deltas[0]) / -(-30.0f64).exp() - 1.0).abs() < 1e-6, "{deltas:?}");
    }

    #[test]
    fn a_logit_that_is_not_finite_makes_the_loss_so() {
        for bad in [f32::NAN, f32::INFINITY] {
            for position in 0..3 {
                let mut logits = [0.0, 1.0, 2.0];
                logits[position] = bad;
                assert!(!one(&logits, 0).0.loss.is_finite(), "{logits:?}");
            }
        }
    }
}
