//! What the seed of a run drew, drawn again: noisy labels, sampled examples, sampled weights, initial weights.
//!
//! Only of runs that cograd recorded: other programs have other generators.

use cograd_trace::{Manifest, Parameter, Tensor};
use rand_chacha::rand_core::Rng;

use crate::claim::Claim;
use crate::examples::{Examples, integers};
use crate::plain::random::{below, of_recorder, shuffle_front};
use crate::tally::Tally;
use crate::trace::Trace;

/// Numbers of the recorder's purposes.
const NOISE: u64 = 0;
const INITIALISATION: u64 = 1;
const EXAMPLES: u64 = 2;
const COORDINATES: u64 = 3;

/// Whether the run is cograd's own.
pub(crate) fn is_ours(manifest: &Manifest) -> bool {
    manifest.writer.starts_with("cograd-recorder ")
}

/// Of a run that cograd recorded.
pub(crate) fn check(trace: &Trace, subject: &str) -> Vec<Claim> {
    let manifest = trace.manifest();
    let claims = [
        "the seed draws the noisy labels",
        "the seed draws the sampled examples",
        "the seed draws the sampled weights",
        "the seed draws the initial weights",
    ];
    let (Some(seed), Some(_)) = (manifest.conditions.seed(), trace.size) else {
        let why = "the run has no seed, or does not say the sizes of its parameters";
        return claims.iter().map(|claim| Claim::unchecked(claim, subject, why)).collect();
    };
    let initially = match trace.run.weights(0) {
        Ok(_) if manifest.conditions.text("initial").is_some() => {
            Claim::unchecked(claims[3], subject, "they are those of another run's snapshot: use --replay")
        }
        Ok(weights) => initial_weights(seed, &trace.parameters, &weights).into_claim(claims[3], subject),
        Err(_) => Claim::unchecked(claims[3], subject, "there is no snapshot at step 0, which holds them"),
    };
    let noisy = match manifest.conditions.text("data.noise") {
        Some("file") => {
            Claim::unchecked(claims[0], subject, "a file has them, which is not in the study: use --replay")
        }
        _ => labels(manifest, seed, &trace.examples).into_claim(claims[0], subject),
    };
    vec![
        noisy,
        sample(manifest, seed, &trace.examples).into_claim(claims[1], subject),
        weights(trace, seed).into_claim(claims[2], subject),
        initially,
    ]
}

/// round(ε m) examples in the order of a shuffle; their labels, shuffled on with the same generator.
fn labels(manifest: &Manifest, seed: u64, examples: &Examples) -> Tally {
    let mut tally = Tally::default();
    let labels = integers(&examples.label).zip(integers(&examples.original_label));
    let (Some((labels, original)), Some(noise)) = (labels, manifest.conditions.number("noise")) else { return tally };
    let kind = manifest.conditions.text("data.noise").unwrap_or("permuted");
    let classes = manifest.task.classes.unwrap_or(u64::MAX) as i64;
    let mut generator = of_recorder(seed, NOISE, 0);
    let mut order: Vec<usize> = (0..examples.count).collect();
    // The last place has nothing left to swap with, and takes no word.
    shuffle_front(&mut order, examples.count.saturating_sub(1), &mut generator);
    order.truncate((noise * examples.count as f64).round() as usize);
    let mut permuted: Vec<Option<i64>> = order.iter().map(|&example| original[example]).collect();
    let places = permuted.len().saturating_sub(1);
    match kind {
        "symmetric" => permuted.iter_mut().flatten().for_each(|label| {
            let drawn = below(&mut generator, (classes - 1) as usize) as i64;
            *label = if drawn < *label { drawn } else { drawn + 1 };
        }),
        "pair-flipped" => {
            permuted.iter_mut().flatten().for_each(|label| *label = if *label + 1 == classes { 0 } else { *label + 1 });
        }
        _ => shuffle_front(&mut permuted, places, &mut generator),
    }
    let mut expected = original.to_vec();
    for (&example, label) in order.iter().zip(permuted) {
        expected[example] = label;
    }
    for (example, (found, drawn)) in labels.iter().zip(expected).enumerate() {
        let number = |label: Option<i64>| label.map_or("none".to_string(), |label| label.to_string());
        tally.check(*found == drawn, || {
            format!("example {example} has the label {}, drawn is {}", number(*found), number(drawn))
        });
    }
    tally
}

fn sample(manifest: &Manifest, seed: u64, examples: &Examples) -> Tally {
    let drawn = draw_sorted(examples.count, manifest.sampled_examples, seed, EXAMPLES, 0);
    let mut tally = Tally::default();
    for example in 0..examples.count {
        let is_drawn = drawn.binary_search(&example).is_ok();
        tally.check(examples.sampled.binary_search(&example).is_ok() == is_drawn, || {
            format!("example {example} is {}sampled", if is_drawn { "not " } else { "" })
        });
    }
    tally
}

/// Whether a parameter is a bias, which is neither sampled nor drawn.
pub(crate) fn is_bias(parameter: &Parameter) -> bool {
    parameter.name.rsplit('.').next() == Some("bias")
}

fn weights(trace: &Trace, seed: u64) -> Tally {
    let mut tally = Tally::default();
    let weights = trace.parameters.iter().enumerate().filter(|(_, parameter)| !is_bias(parameter));
    for (number, (place, parameter)) in weights.enumerate() {
        let found: Vec<u64> =
            trace.coordinates.iter().filter(|(of, _)| *of == place).map(|(_, index)| *index).collect();
        let drawn = draw_sorted(parameter.size() as usize, found.len(), seed, COORDINATES, number as u64);
        for (found, drawn) in found.iter().zip(drawn) {
            let name = &parameter.name;
            tally.check(*found == drawn as u64, || format!("{name} has weight {found} where {drawn} is drawn"));
        }
    }
    let biases = trace.coordinates.iter().filter(|(of, _)| is_bias(&trace.parameters[*of])).count();
    tally.check(biases == 0, || format!("{biases} biases are sampled"));
    tally
}

/// `amount` of the numbers below `population`, ascending.
pub(crate) fn draw_sorted(population: usize, amount: usize, seed: u64, purpose: u64, index: u64) -> Vec<usize> {
    let mut numbers: Vec<usize> = (0..population).collect();
    let amount = amount.min(population);
    let places = amount.min(population.saturating_sub(1));
    shuffle_front(&mut numbers, places, &mut of_recorder(seed, purpose, index));
    numbers.truncate(amount);
    numbers.sort_unstable();
    numbers
}

/// Glorot's uniform weights, ±√(6/(fan_in + fan_out)), from the top 24 bits of a word each; scales 1, biases 0.
fn initial_weights(seed: u64, parameters: &[Parameter], weights: &[Tensor]) -> Tally {
    let mut generator = of_recorder(seed, INITIALISATION, 0);
    let mut tally = Tally::default();
    for parameter in parameters {
        let name = &parameter.name;
        let Some(tensor) = weights.iter().find(|tensor| tensor.name == *name) else {
            tally.check(false, || format!("the snapshot lacks {name}"));
            continue;
        };
        let shape: Vec<u64> = tensor.shape.iter().map(|&length| length as u64).collect();
        tally.check(shape == parameter.shape, || format!("{name} has the shape {shape:?}"));
        let fans = fans(parameter);
        for (place, &found) in tensor.values.iter().enumerate() {
            let expected = match fans {
                _ if is_bias(parameter) => 0.0,
                None => 1.0,
                Some(fans) => {
                    let uniform = f64::from(generator.next_u32() >> 8) / f64::from(1 << 24);
                    ((6.0 / fans).sqrt() * (2.0 * uniform - 1.0)) as f32
                }
            };
            tally.check(found == expected, || format!("value {place} of {name} is {found}, drawn is {expected}"));
        }
    }
    tally
}

/// fan_in + fan_out of a weight; `None` of the scale of a normalisation.
fn fans(parameter: &Parameter) -> Option<f64> {
    let shape: Vec<f64> = parameter.shape.iter().map(|length| *length as f64).collect();
    match (parameter.kind.as_deref(), &shape[..]) {
        (Some("conv2d"), [outputs, seen, rows, columns]) => Some((outputs + seen) * rows * columns),
        (Some("embedding" | "position_embedding"), [_, width]) => Some(2.0 * width),
        (_, [fan_out, fan_in]) => Some(fan_out + fan_in),
        _ => None,
    }
}
