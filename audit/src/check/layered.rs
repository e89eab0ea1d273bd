//! Recorded gradients and self terms of networks of other kinds than a multilayer perceptron, against those computed a second time from
//! a weight snapshot.

use std::collections::BTreeMap;

use cograd_recorder::NetworkKind;
use rayon::prelude::*;

use crate::check::learned_steps;
use crate::claim::Claim;
use crate::plain::layered::{Gradient, Layered};
use crate::tally::{Number, Tally};
use crate::trace::Trace;

/// What f32 may lose of the norm of an example's gradient.
const ROUNDING: f64 = 1e-4;
/// The same where a unit may be on the other side of zero, or another value be the largest of a pooling.
const OTHER_SIDE: f64 = 0.05;
/// Parts of an example's gradient that are so small are rounded as the whole is.
pub(super) const SMALL: f64 = 1e-2;

/// Of a run of `kind`.
pub(crate) fn check(trace: &Trace, kind: &NetworkKind, subject: &str) -> Vec<Claim> {
    let gradients = "recorded gradients are those of the snapshots";
    let learned = "learned steps agree with the snapshots";
    let self_terms = "the population's self terms are those of the snapshots";
    match at_snapshots(trace, kind) {
        Err(why) => [learned, gradients].map(|claim| Claim::unchecked(claim, subject, why.clone())).to_vec(),
        Ok([of_learned, of_gradients, of_population]) => {
            let of_gradients = match trace.preconditioned() {
                Some(why) => Claim::unchecked(gradients, subject, why),
                None => of_gradients.into_claim(gradients, subject),
            };
            let mut claims = vec![of_learned.into_claim(learned, subject), of_gradients];
            if !trace.manifest().population_steps.is_empty() {
                claims.push(of_population.into_claim(self_terms, subject));
            }
            claims
        }
    }
}

/// Learned steps, gradients and self terms.
fn at_snapshots(trace: &Trace, kind: &NetworkKind) -> Result<[Tally; 3], String> {
    let inputs =
        trace.inputs.as_ref().ok_or("the run has no inputs.parquet, which holds those of the sampled examples")?;
    let sampled = &trace.examples.sampled;
    let mut gradients: BTreeMap<i64, Vec<Gradient>> = BTreeMap::new();
    for step in trace.run.snapshots() {
        let network = trace.run.weights(step).map_err(|error| error.to_string())?;
        let network = Layered::new(kind, &network).map_err(|error| error.to_string())?;
        let of_example = |(example, input): (&usize, &Vec<f32>)| {
            let label = trace.examples.class(*example).ok_or("an example has no class")?;
            network.gradient(input, label).map_err(|error| error.to_string())
        };
        let of_step: Result<Vec<Gradient>, String> = sampled.par_iter().zip(inputs).map(of_example).collect();
        gradients.insert(step, of_step?);
    }
    let (mut learned, evaluated) = (Tally::default(), learned_steps::evaluated(&trace.metrics));
    for (&step, of_step) in &gradients {
        for (example, gradient) in sampled.iter().zip(of_step) {
            let is_told = evaluated.contains(&step);
            learned_steps::check(&trace.examples, *example, step, &gradient.logits, is_told, &mut learned);
        }
    }
    let mut tally = Tally::default();
    let steps = trace.run.map_steps(|of_step| {
        let found = gradients.get(&of_step.step)?;
        let mut tally = Tally::default();
        let rows = of_step.values.chunks_exact(of_step.coordinates.max(1));
        for ((gradient, row), example) in found.iter().zip(rows).zip(sampled) {
            of_gradient(trace, gradient, row, (of_step.step, *example), &mut tally);
        }
        Some(tally)
    });
    steps.map_err(|error| error.to_string())?.into_iter().flatten().for_each(|of_step| tally.add(of_step));
    let mut population = Tally::default();
    let steps = trace.run.map_population(|of_step| {
        let found = gradients.get(&of_step.step)?;
        let mut tally = Tally::default();
        for (gradient, example) in found.iter().zip(sampled) {
            let Ok(place) = trace.examples.population.binary_search(example) else { continue };
            let whole = gradient.norm_sq(|_| true);
            for (layer, of_layer) in of_step.layers.iter().zip(&trace.layers).map(|(of, layer)| (layer, of)) {
                let Some(self_terms) = of_layer.self_terms else { continue };
                let is_of_layer = |name: &str| name.rsplit_once('.').is_some_and(|(of, _)| of == layer.name);
                let value = gradient.norm_sq(is_of_layer);
                let allowed = 2.0 * allowed(gradient);
                let expected = Number { value, scale: value.max(SMALL * whole).max(f64::MIN_POSITIVE), allowed };
                let at = || format!("self term of example {example} in {} at step {}", layer.name, of_step.step);
                tally.close(self_terms[place], expected, at);
            }
        }
        Some(tally)
    });
    steps.map_err(|error| error.to_string())?.into_iter().flatten().for_each(|of_step| population.add(of_step));
    Ok([learned, tally, population])
}

/// What the norm of an example's recorded gradient may be off by, as a part of it.
pub(super) fn allowed(gradient: &Gradient) -> f64 {
    if gradient.is_on_edge { OTHER_SIDE } else { ROUNDING }
}

/// The distance of an example's recorded gradient from the one computed here, parameter by parameter.
fn of_gradient(trace: &Trace, gradient: &Gradient, row: &[f32], (step, example): (i64, usize), tally: &mut Tally) {
    // By parameter: squared distance, and squared norm of what is expected.
    let mut sums: BTreeMap<usize, [f64; 2]> = BTreeMap::new();
    for ((parameter, index), &found) in trace.coordinates.iter().zip(row) {
        let values = gradient.values.get(&trace.parameters[*parameter].name);
        let expected = values.and_then(|values| values.get(*index as usize)).copied().unwrap_or(f64::NAN);
        let [distance, norm] = sums.entry(*parameter).or_default();
        *distance += (f64::from(found) - expected).powi(2);
        *norm += expected * expected;
    }
    let whole: f64 = sums.values().map(|[_, norm]| norm).sum();
    for (parameter, [distance, norm]) in sums {
        let scale = norm.max(SMALL * SMALL * whole).sqrt().max(f64::MIN_POSITIVE);
        let name = &trace.parameters[parameter].name;
        let at = || format!("distance of the gradient of example {example} at {name}, step {step}, of norm {scale:e}:");
        let expected = Number { value: 0.0, scale, allowed: allowed(gradient) };
        tally.close(distance.sqrt(), expected, at);
    }
}
