//! Label noise: labels permuted among a random part of the training set (paper §2.1).

use rand_chacha::ChaCha8Rng;

use crate::random::shuffle;

/// The labels that a run trains on: `round(noise * m)` examples are picked uniformly and their labels permuted among
/// themselves, uniformly; every other label stays.
///
/// `labels` are the m original labels and `noise` is in [0, 1]. An example whose label is the same afterwards is
/// *pristine*, whether or not it was picked; the others are *corrupt*. Label counts are kept exactly. With the same
/// generator, the examples picked at a lower noise are among those picked at a higher one.
pub(crate) fn permute_labels(labels: &[u8], noise: f64, generator: &mut ChaCha8Rng) -> Vec<u8> {
    let mut order: Vec<u32> = (0..labels.len() as u32).collect();
    shuffle(&mut order, generator);
    let picked = &order[..(noise * labels.len() as f64).round() as usize];

    let mut permuted: Vec<u8> = picked.iter().map(|&example| labels[example as usize]).collect();
    shuffle(&mut permuted, generator);

    let mut noisy = labels.to_vec();
    for (&example, label) in picked.iter().zip(permuted) {
        noisy[example as usize] = label;
    }
    noisy
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::random::{Purpose, stream};

    fn noisy(labels: &[u8], noise: f64, seed: u64) -> Vec<u8> {
        permute_labels(labels, noise, &mut stream(seed, Purpose::Noise, 0))
    }

    fn counts(labels: &[u8]) -> [usize; 256] {
        let mut counts = [0; 256];
        labels.iter().for_each(|&label| counts[label as usize] += 1);
        counts
    }

    fn changed(before: &[u8], after: &[u8]) -> usize {
        before.iter().zip(after).filter(|(before, after)| before != after).count()
    }

    proptest! {
        #[test]
        fn label_counts_are_kept_and_no_more_than_the_picked_change(
            labels in prop::collection::vec(0_u8..=255, 0..300), noise in 0.0..=1.0_f64, seed: u64,
        ) {
            let after = noisy(&labels, noise, seed);
            prop_assert_eq!(counts(&labels), counts(&after));
            prop_assert!(changed(&labels, &after) <= (noise * labels.len() as f64).round() as usize);
            prop_assert_eq!(&after, &noisy(&labels, noise, seed));
        }

        #[test]
        fn the_proper_accuracy_is_what_the_class_frequencies_predict(noise in 0.0..=1.0_f64, seed: u64) {
            // Unbalanced on purpose: p = 1/2, 1/4, 1/8, 1/8.
            let labels: Vec<u8> = (0..8000_u32).map(|example| [0, 0, 0, 0, 1, 1, 2, 3][example as usize % 8]).collect();
            let pristine = 1.0 - changed(&labels, &noisy(&labels, noise, seed)) as f64 / 8000.0;
            let squares = 0.25 + 0.0625 + 2.0 / 64.0;
            let expected = (1.0 - noise) + noise * squares;
            // At most 0.006 standard deviation: six of them.
            prop_assert!((pristine - expected).abs() < 0.036, "{pristine} {expected}");
        }
    }

    #[test]
    fn no_noise_changes_nothing() {
        let labels: Vec<u8> = (0..100).collect();
        assert_eq!(noisy(&labels, 0.0, 1), labels);
    }

    #[test]
    fn full_noise_permutes_all_labels() {
        let labels: Vec<u8> = (0..200).collect();
        let after = noisy(&labels, 1.0, 1);
        // A permutation keeps one label in expectation.
        assert!(changed(&labels, &after) > 190);
    }

    #[test]
    fn the_number_picked_is_rounded() {
        // Two distinct labels picked from two either swap or stay; one picked can only stay.
        let swapped = |noise| (0..100).filter(|&seed| noisy(&[0, 1], noise, seed) == [1, 0]).count();
        assert_eq!(swapped(0.74), 0);
        assert!((30..70).contains(&swapped(0.75)));
    }

    #[test]
    fn seeds_give_different_noise() {
        let labels: Vec<u8> = (0..100).collect();
        assert_ne!(noisy(&labels, 0.5, 1), noisy(&labels, 0.5, 2));
    }
}
