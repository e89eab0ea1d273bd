//! What the seed of a run drew, drawn again: noisy labels, sampled examples, sampled weights, initial weights.
//!
//! Only of runs that cograd recorded: other programs have other generators.

use cograd_trace::{Coordinate, Example, Manifest, OwnedLayerWeights};
use rand_chacha::rand_core::Rng;

use crate::claim::Claim;
use crate::plain::random::{of_recorder, shuffle_front};
use crate::tally::Tally;

/// Numbers of the recorder's purposes.
const NOISE: u64 = 0;
const INITIALISATION: u64 = 1;
const EXAMPLES: u64 = 2;
const COORDINATES: u64 = 3;

/// Whether the run is cograd's own.
pub(crate) fn is_ours(manifest: &Manifest) -> bool {
    manifest.writer.starts_with("cograd-recorder ")
}

pub(crate) fn check(
    manifest: &Manifest,
    examples: &[Example],
    coordinates: &[Coordinate],
    initial: Option<&[OwnedLayerWeights]>,
    subject: &str,
) -> Vec<Claim> {
    let claims = [
        "the seed draws the noisy labels",
        "the seed draws the sampled examples",
        "the seed draws the sampled weights",
        "the seed draws the initial weights",
    ];
    if !is_ours(manifest) {
        let why = format!("written by `{}`, whose generator the audit does not know", manifest.writer);
        return claims.iter().map(|claim| Claim::unchecked(claim, subject, why.clone())).collect();
    }
    let initially = match initial {
        Some(layers) => initial_weights(manifest, layers).into_claim(claims[3], subject),
        None => Claim::unchecked(claims[3], subject, "there is no snapshot at step 0"),
    };
    vec![
        labels(manifest, examples).into_claim(claims[0], subject),
        sample(manifest, examples).into_claim(claims[1], subject),
        weights(manifest, coordinates).into_claim(claims[2], subject),
        initially,
    ]
}

/// round(ε m) examples in the order of a shuffle; their labels, shuffled on with the same generator.
fn labels(manifest: &Manifest, examples: &[Example]) -> Tally {
    let mut generator = of_recorder(manifest.seed, NOISE, 0);
    let mut order: Vec<usize> = (0..examples.len()).collect();
    // The last place has nothing left to swap with, and takes no word.
    shuffle_front(&mut order, examples.len().saturating_sub(1), &mut generator);
    order.truncate((manifest.noise * examples.len() as f64).round() as usize);
    let mut permuted: Vec<u8> = order.iter().map(|&example| examples[example].original_label).collect();
    let places = permuted.len().saturating_sub(1);
    shuffle_front(&mut permuted, places, &mut generator);
    let mut expected: Vec<u8> = examples.iter().map(|example| example.original_label).collect();
    for (&example, &label) in order.iter().zip(&permuted) {
        expected[example] = label;
    }
    let mut tally = Tally::default();
    for (example, expected) in examples.iter().zip(expected) {
        let (id, found) = (example.example_id, example.label);
        tally.check(found == expected, || format!("example {id} has the label {found}, drawn is {expected}"));
    }
    tally
}

fn sample(manifest: &Manifest, examples: &[Example]) -> Tally {
    let drawn = drawn(examples.len(), manifest.sampled_examples, manifest.seed, EXAMPLES, 0);
    let mut tally = Tally::default();
    for (place, example) in examples.iter().enumerate() {
        let is_drawn = drawn.binary_search(&place).is_ok();
        tally.check(example.sampled == is_drawn, || {
            format!("example {place} is {}sampled", if is_drawn { "not " } else { "" })
        });
    }
    tally
}

fn weights(manifest: &Manifest, coordinates: &[Coordinate]) -> Tally {
    let mut tally = Tally::default();
    for (layer, widths) in manifest.network.windows(2).enumerate() {
        let found: Vec<usize> = coordinates
            .iter()
            .filter(|coordinate| coordinate.layer as usize == layer)
            .map(|coordinate| coordinate.row as usize * widths[0] + coordinate.column as usize)
            .collect();
        let drawn = drawn(widths[0] * widths[1], found.len(), manifest.seed, COORDINATES, layer as u64);
        for (found, drawn) in found.iter().zip(drawn) {
            tally.check(*found == drawn, || format!("layer {layer} has weight {found} where {drawn} is drawn"));
        }
    }
    tally
}

/// `amount` of the numbers below `population`, ascending.
fn drawn(population: usize, amount: usize, seed: u64, purpose: u64, index: u64) -> Vec<usize> {
    let mut numbers: Vec<usize> = (0..population).collect();
    let amount = amount.min(population);
    let places = amount.min(population.saturating_sub(1));
    shuffle_front(&mut numbers, places, &mut of_recorder(seed, purpose, index));
    numbers.truncate(amount);
    numbers.sort_unstable();
    numbers
}

/// Glorot's uniform weights, ±√(6/(fan_in + fan_out)), from the top 24 bits of a word each; biases 0.
fn initial_weights(manifest: &Manifest, layers: &[OwnedLayerWeights]) -> Tally {
    let mut generator = of_recorder(manifest.seed, INITIALISATION, 0);
    let mut tally = Tally::default();
    let widths: Vec<usize> = layers.iter().map(|layer| layer.fan_in).chain(layers.last().map(|l| l.fan_out)).collect();
    tally.check(widths == manifest.network, || format!("the snapshot is of a network {widths:?}"));
    for (place, layer) in layers.iter().enumerate() {
        let bound = (6.0 / (layer.fan_in + layer.fan_out) as f64).sqrt();
        for (weight, &found) in layer.weight.iter().enumerate() {
            let uniform = f64::from(generator.next_u32() >> 8) / f64::from(1 << 24);
            let expected = (bound * (2.0 * uniform - 1.0)) as f32;
            tally.check(found == expected, || {
                format!("weight {weight} of layer {place} is {found}, drawn is {expected}")
            });
        }
        for (unit, &found) in layer.bias.iter().enumerate() {
            tally.check(found == 0.0, || format!("bias {unit} of layer {place} is {found}, not 0"));
        }
    }
    tally
}
