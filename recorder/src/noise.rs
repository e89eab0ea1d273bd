//! Label noise: the labels of a random part of the training set become others (paper §2.1).

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::random::{below, shuffle};

/// What becomes of the labels of the picked examples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoiseKind {
    /// They are permuted among themselves, so that label counts are kept exactly: the paper's.
    #[default]
    Permuted,
    /// Each becomes one of the other classes, uniformly.
    Symmetric,
    /// Each becomes the next class, the last one the first.
    PairFlipped,
    /// Each becomes the label that a file has for its example, as human annotators gave them (Wei et al. 2022: CIFAR-N).
    File,
}

impl NoiseKind {
    /// Whether it is the paper's.
    pub fn is_permuted(&self) -> bool {
        *self == NoiseKind::Permuted
    }

    /// Its name in experiments and conditions.
    pub(crate) fn name(self) -> &'static str {
        match self {
            NoiseKind::Permuted => "permuted",
            NoiseKind::Symmetric => "symmetric",
            NoiseKind::PairFlipped => "pair-flipped",
            NoiseKind::File => "file",
        }
    }
}

/// The labels that a run trains on: `round(noise * m)` of the m examples are picked uniformly, and theirs become others.
///
/// `labels` are the original ones, `others` those of the noise file, and `noise` is in [0, 1]. An example whose label is the
/// same afterwards is *pristine*, whether or not it was picked; the others are *corrupt*. With the same generator, the
/// examples picked at a lower noise are among those picked at a higher one.
pub(crate) fn noisy_labels(
    kind: NoiseKind,
    labels: &[u8],
    others: Option<&[u8]>,
    classes: usize,
    noise: f64,
    generator: &mut ChaCha8Rng,
) -> Vec<u8> {
    let mut order: Vec<u32> = (0..labels.len() as u32).collect();
    shuffle(&mut order, generator);
    let picked = &order[..(noise * labels.len() as f64).round() as usize];
    let originals = picked.iter().map(|&example| labels[example as usize]);
    let changed: Vec<u8> = match kind {
        NoiseKind::Permuted => {
            let mut permuted: Vec<u8> = originals.collect();
            shuffle(&mut permuted, generator);
            permuted
        }
        NoiseKind::Symmetric => {
            let mut other = |label: u8| {
                let drawn = below(generator, classes as u32 - 1) as u8;
                drawn + u8::from(drawn >= label)
            };
            originals.map(&mut other).collect()
        }
        NoiseKind::PairFlipped => originals.map(|label| ((usize::from(label) + 1) % classes) as u8).collect(),
        NoiseKind::File => {
            let others = others.unwrap_or(labels);
            picked.iter().map(|&example| others[example as usize]).collect()
        }
    };
    let mut noisy = labels.to_vec();
    for (&example, label) in picked.iter().zip(changed) {
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
        of_kind(NoiseKind::Permuted, labels, noise, seed)
    }

    /// Of five classes, the file having class 4 for all.
    fn of_kind(kind: NoiseKind, labels: &[u8], noise: f64, seed: u64) -> Vec<u8> {
        let others = vec![4; labels.len()];
        noisy_labels(kind, labels, Some(&others), 5, noise, &mut stream(seed, Purpose::Noise, 0))
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
    fn symmetric_noise_makes_every_other_class_alike_often_and_never_keeps_one() {
        let after = of_kind(NoiseKind::Symmetric, &[2; 8000], 0.5, 1);
        let counts = counts(&after);
        assert_eq!(counts[2], 4000);
        // 1000 expected, standard deviation 27: five of them.
        assert!([0, 1, 3, 4].iter().all(|&class: &usize| counts[class].abs_diff(1000) < 137), "{:?}", &counts[..5]);
    }

    #[test]
    fn pair_flipped_labels_are_the_next_class_and_those_of_a_file_the_files() {
        let labels: Vec<u8> = (0..100).map(|example| example % 5).collect();
        let flipped = of_kind(NoiseKind::PairFlipped, &labels, 1.0, 1);
        assert!(flipped.iter().zip(&labels).all(|(after, before)| *after == (before + 1) % 5));
        assert_eq!(of_kind(NoiseKind::File, &labels, 1.0, 1), [4; 100]);
        assert_eq!(changed(&labels, &of_kind(NoiseKind::PairFlipped, &labels, 0.3, 1)), 30);
    }

    #[test]
    fn every_kind_picks_the_same_examples() {
        let labels = [0; 100];
        let picked = |kind| -> Vec<bool> { of_kind(kind, &labels, 0.4, 3).iter().map(|label| *label > 0).collect() };
        assert_eq!(picked(NoiseKind::Symmetric), picked(NoiseKind::PairFlipped));
        assert_eq!(picked(NoiseKind::Symmetric), picked(NoiseKind::File));
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
