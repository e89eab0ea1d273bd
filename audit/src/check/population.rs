//! The record of the whole training set against itself, the full gradient's norm, and the sample.

use cograd_trace::{GradientNorm, PopulationStep};

use crate::tally::{Number, Tally};

/// Contributions come from kernels in f32: so much of rounding that averages out, as that of unlike examples does.
const ROUNDING: f64 = 1e-6;
/// The rounding of one addition in f32, of which there are as many as examples: where they are alike, each may go the same way.
const EACH: f64 = 6e-8;

/// Checks one population step: layers add up to totals; Σ_i s = ‖g‖² of each layer; |s| ≤ √q ‖g‖; q ≥ 0.
pub(crate) fn check(step: &PopulationStep<'_>, norms: &[GradientNorm], tally: &mut Tally) {
    let number = step.step;
    let norm_of = |layer: usize| {
        let of = |norm: &&GradientNorm| norm.step == number && norm.layer as usize == layer;
        norms.iter().find(of).map(|norm| norm.gradient_norm_sq)
    };
    for (layer, of_layer) in step.layers.iter().enumerate() {
        let Some(norm) = norm_of(layer) else {
            tally.check(false, || format!("step {number} lacks the gradient norm of layer {layer}"));
            continue;
        };
        let (mut sum, mut size) = (0.0, 0.0);
        for (place, s) in of_layer.contributions.iter().enumerate() {
            sum += s;
            size += s.abs();
            let Some(q) = of_layer.self_terms.map(|self_terms| self_terms[place]) else { continue };
            let (bound, example) = ((q * norm).sqrt(), step.example_ids[place]);
            tally.check(q >= 0.0 && s.abs() <= bound * (1.0 + ROUNDING) + f64::MIN_POSITIVE, || {
                format!("step {number}, example {example}, layer {layer}: |{s:e}| is more than √q‖g‖ = {bound:e}")
            });
        }
        let expected = Number { value: norm, scale: size, allowed: ROUNDING };
        tally.close_or_odd(sum, expected, EACH * step.example_ids.len() as f64, || {
            format!("sum of the contributions of layer {layer} at step {number}")
        });
    }
    for (place, example) in step.example_ids.iter().enumerate() {
        let s: Vec<f64> = step.layers.iter().map(|layer| layer.contributions[place]).collect();
        adds_up(step.contributions[place], &s, tally, || format!("contribution of example {example} at step {number}"));
        let q: Option<Vec<f64>> = step.layers.iter().map(|layer| Some(layer.self_terms?[place])).collect();
        if let Some((q, total)) = q.zip(step.self_terms) {
            adds_up(total[place], &q, tally, || format!("self term of example {example} at step {number}"));
        }
    }
}

fn adds_up(total: f64, layers: &[f64], tally: &mut Tally, place: impl Fn() -> String) {
    let size: f64 = layers.iter().map(|value| value.abs()).sum();
    tally.close(total, Number::near(layers.iter().sum(), size), place);
}

/// An example's self term over some weights of a layer is no larger than that over all of them, but for what was `lost` in storing
/// the gradients.
pub(crate) fn check_sample(sampled: f64, whole: f64, lost: f64, place: impl FnOnce() -> String, tally: &mut Tally) {
    tally.check(sampled <= whole * (1.0 + ROUNDING) + f64::MIN_POSITIVE + lost, || {
        format!("{}: {sampled:e} over the sampled weights, but {whole:e} over all of the layer", place())
    });
}
