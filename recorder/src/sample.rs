//! Which examples and which weights a run records, chosen once and kept for all its steps (paper §2.4).

use cograd_trace::{Coordinate, Parameter};

use crate::random::{Purpose, sample, stream};

/// `amount` of `train_examples` examples, uniformly without replacement, ascending.
pub(crate) fn sample_examples(train_examples: usize, amount: usize, seed: u64) -> Vec<u32> {
    sample(train_examples as u32, amount, &mut stream(seed, Purpose::Examples, 0))
}

/// `amount` of the examples of a data set to train on, uniformly without replacement, ascending.
pub(crate) fn sample_training_set(examples: usize, amount: usize, seed: u64) -> Vec<u32> {
    sample(examples as u32, amount, &mut stream(seed, Purpose::Subset, 0))
}

/// `most` values of each of these parameters but biases, or all of one that has fewer, uniformly without replacement, in
/// their order. The index of a parameter's stream is its place among those that are no biases: of a multilayer perceptron the
/// layer.
pub(crate) fn sample_coordinates(parameters: &[Parameter], most: usize, seed: u64) -> Vec<Coordinate> {
    let weights = parameters.iter().enumerate().filter(|(_, parameter)| !is_bias(parameter));
    let of_parameter = |(stream_index, (place, parameter)): (usize, (usize, &Parameter))| {
        let generator = &mut stream(seed, Purpose::Coordinates, stream_index as u64);
        let places = sample(parameter.size() as u32, most, generator).into_iter();
        places.map(move |index| Coordinate { parameter: place as u32, index: index.into() }).collect::<Vec<_>>()
    };
    weights.enumerate().flat_map(of_parameter).collect()
}

/// Whether a parameter is added to what a layer makes of its input.
fn is_bias(parameter: &Parameter) -> bool {
    parameter.name.rsplit('.').next() == Some("bias")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A weight and a bias for each pair of widths.
    fn parameters(widths: &[u64]) -> Vec<Parameter> {
        let layer = |pair: &[u64]| {
            [("a.weight", vec![pair[1], pair[0]]), ("a.bias", vec![pair[1]])]
                .map(|(name, shape)| Parameter::new(name, &shape, None))
        };
        widths.windows(2).flat_map(layer).collect()
    }

    fn sampled(widths: &[u64], most: usize, seed: u64) -> Vec<(u32, u64)> {
        let drawn = sample_coordinates(&parameters(widths), most, seed);
        drawn.into_iter().map(|coordinate| (coordinate.parameter, coordinate.index)).collect()
    }

    #[test]
    fn coordinates_are_ordered_distinct_and_inside_their_weights() {
        let places = sampled(&[7, 5, 3], 12, 1);
        assert_eq!(places.len(), 24);
        assert!(places.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(places.iter().all(|&(parameter, index)| match parameter {
            0 => index < 35,
            2 => index < 15,
            _ => false,
        }));
        assert_eq!(places.iter().filter(|place| place.0 == 0).count(), 12);
    }

    #[test]
    fn of_a_parameter_with_fewer_values_all_are_taken() {
        assert_eq!(sampled(&[2, 2], 4, 9), [(0, 0), (0, 1), (0, 2), (0, 3)]);
        assert_eq!(sampled(&[2, 2], 300, 9), sampled(&[2, 2], 4, 9));
    }

    #[test]
    fn every_weight_is_as_likely_as_another() {
        let mut counts = [0; 6];
        for seed in 0..3000 {
            sampled(&[3, 2], 2, seed).iter().for_each(|(_, index)| counts[*index as usize] += 1);
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
