//! Random numbers: one independent stream per purpose, and draws that never change.
//!
//! Everything random of a run is a function of its seed. The generator is ChaCha with 8 rounds: its key is the seed as
//! 8 little-endian bytes followed by 24 zero bytes, its stream number is `purpose + 256 * index`. Drawing for one purpose
//! therefore never shifts another, and runs that differ in noise alone share everything but their labels. The few lines
//! below that turn words into draws are our own, so that a study recorded again years later is the same study.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What a stream of random numbers is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Which labels are permuted, and how.
    Noise = 0,
    /// Initial weights.
    Initialisation = 1,
    /// The sampled examples.
    Examples = 2,
    /// The sampled coordinates; the index is the layer.
    Coordinates = 3,
    /// The order of the training set in an epoch; the index is the epoch.
    Minibatches = 4,
    /// Noise added to clipped gradients; the index is the step.
    ClippingNoise = 5,
    /// The training examples that a run trains on, if these are not all.
    Subset = 6,
}

/// The generator of one purpose in a run of this seed.
pub(crate) fn stream(seed: u64, purpose: Purpose, index: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    let mut generator = ChaCha8Rng::from_seed(key);
    generator.set_stream(purpose as u64 | index << 8);
    generator
}

/// A uniform whole number below `bound`, which is at least 1, without bias (Lemire 2019).
pub(crate) fn below(generator: &mut impl Rng, bound: u32) -> u32 {
    let rejected = bound.wrapping_neg() % bound;
    loop {
        let product = u64::from(generator.next_u32()) * u64::from(bound);
        if product as u32 >= rejected {
            return (product >> 32) as u32;
        }
    }
}

/// Makes the first `amount` places of `items` a uniform ordered sample of all of them (Fisher and Yates, from the front).
///
/// A longer sample from the same generator state begins with the shorter one.
fn shuffle_front<T>(items: &mut [T], amount: usize, generator: &mut impl Rng) {
    for place in 0..amount.min(items.len().saturating_sub(1)) {
        let left = (items.len() - place) as u32;
        items.swap(place, place + below(generator, left) as usize);
    }
}

/// Permutes `items` uniformly.
pub(crate) fn shuffle<T>(items: &mut [T], generator: &mut impl Rng) {
    shuffle_front(items, items.len(), generator);
}

/// `amount` of the numbers `0..population`, uniformly without replacement, ascending; all of them if `amount` exceeds them.
pub(crate) fn sample(population: u32, amount: usize, generator: &mut impl Rng) -> Vec<u32> {
    let mut numbers: Vec<u32> = (0..population).collect();
    shuffle_front(&mut numbers, amount, generator);
    numbers.truncate(amount);
    numbers.sort_unstable();
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_never_change_between_versions() {
        let mut numbers: Vec<u32> = (0..10).collect();
        shuffle(&mut numbers, &mut stream(7, Purpose::Minibatches, 3));
        // Computed by another implementation of ChaCha8 and of the draws.
        assert_eq!(numbers, [2, 7, 5, 0, 4, 1, 9, 8, 6, 3]);
    }

    #[test]
    fn streams_of_different_seeds_purposes_and_indices_differ() {
        let first = |seed, purpose, index| stream(seed, purpose, index).next_u64();
        let words = [
            first(1, Purpose::Noise, 0),
            first(2, Purpose::Noise, 0),
            first(1, Purpose::Examples, 0),
            first(1, Purpose::Coordinates, 0),
            first(1, Purpose::Coordinates, 1),
        ];
        for (place, word) in words.iter().enumerate() {
            assert!(!words[..place].contains(word));
        }
    }

    #[test]
    fn every_permutation_of_three_is_equally_likely() {
        let mut counts = std::collections::BTreeMap::new();
        for seed in 0..6000 {
            let mut items = [0, 1, 2];
            shuffle(&mut items, &mut stream(seed, Purpose::Noise, 0));
            *counts.entry(items).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 6);
        // Standard deviation 29: five of them either side.
        assert!(counts.values().all(|count| (855..=1145).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_sample_is_ascending_without_repeats_and_extends_the_smaller_sample() {
        let small = sample(100, 10, &mut stream(1, Purpose::Examples, 0));
        let large = sample(100, 60, &mut stream(1, Purpose::Examples, 0));
        assert_eq!((small.len(), large.len()), (10, 60));
        assert!(large.windows(2).all(|pair| pair[0] < pair[1]) && large[59] < 100);
        assert!(small.iter().all(|number| large.contains(number)));
        assert_eq!(sample(5, 5, &mut stream(1, Purpose::Examples, 0)), [0, 1, 2, 3, 4]);
    }
}
