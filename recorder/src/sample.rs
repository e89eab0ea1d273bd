//! Which examples and which weights a run records, chosen once and kept for all its steps (paper §2.4).

use crate::network::Weight;
use crate::random::{Purpose, sample, stream};

/// `amount` of `train_examples` examples, uniformly without replacement, ascending.
pub(crate) fn sample_examples(train_examples: usize, amount: usize, seed: u64) -> Vec<u32> {
    sample(train_examples as u32, amount, &mut stream(seed, Purpose::Examples, 0))
}

/// `amount` of the examples of a data set to train on, uniformly without replacement, ascending.
pub(crate) fn sample_training_set(examples: usize, amount: usize, seed: u64) -> Vec<u32> {
    sample(examples as u32, amount, &mut stream(seed, Purpose::Subset, 0))
}

/// `per_layer` weights of each weight matrix (no biases) of a network of these widths, uniformly without replacement
/// within each matrix, ordered by layer, row and column.
pub(crate) fn sample_weights(widths: &[usize], per_layer: usize, seed: u64) -> Vec<Weight> {
    let mut weights = Vec::with_capacity(per_layer * widths.len().saturating_sub(1));
    for (layer, pair) in widths.windows(2).enumerate() {
        let (fan_in, fan_out) = (pair[0] as u32, pair[1] as u32);
        let generator = &mut stream(seed, Purpose::Coordinates, layer as u64);
        for weight in sample(fan_in * fan_out, per_layer, generator) {
            weights.push(Weight { layer: layer as u32, row: weight / fan_in, column: weight % fan_in });
        }
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_ordered_distinct_and_inside_their_matrix() {
        let weights = sample_weights(&[7, 5, 3], 12, 1);
        let places: Vec<_> = weights.iter().map(|w| (w.layer, w.row, w.column)).collect();
        assert_eq!(places.len(), 24);
        assert!(places.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(places.iter().all(|&(layer, row, column)| match layer {
            0 => row < 5 && column < 7,
            _ => row < 3 && column < 5,
        }));
        assert_eq!(places.iter().filter(|place| place.0 == 0).count(), 12);
    }

    #[test]
    fn all_weights_can_be_sampled() {
        let weights = sample_weights(&[2, 2], 4, 9);
        let places: Vec<_> = weights.iter().map(|w| (w.row, w.column)).collect();
        assert_eq!(places, [(0, 0), (0, 1), (1, 0), (1, 1)]);
    }

    #[test]
    fn every_weight_is_as_likely_as_another() {
        let mut counts = [0; 6];
        for seed in 0..3000 {
            sample_weights(&[3, 2], 2, seed).iter().for_each(|w| counts[(w.row * 3 + w.column) as usize] += 1);
        }
        // Expectation 1000, standard deviation 26.
        assert!(counts.iter().all(|count| (870..=1130).contains(count)), "{counts:?}");
    }

    #[test]
    fn the_sample_is_a_function_of_the_seed() {
        assert_eq!(sample_examples(1000, 10, 1), sample_examples(1000, 10, 1));
        assert_ne!(sample_examples(1000, 10, 1), sample_examples(1000, 10, 2));
    }
}
