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
/// Parts of an example's gradient that are so small are rounded as the whole is.
const SMALL: f64 = 1e-2;

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

/// What an example's gradient says at a snapshot: learned step, recorded gradient, and self terms by layer.
type OfExample = (Tally, Tally, Vec<Number>);

/// Learned steps, gradients and self terms.
fn at_snapshots(trace: &Trace, kind: &NetworkKind) -> Result<[Tally; 3], String> {
    let inputs =
        trace.inputs.as_ref().ok_or("the run has no inputs.parquet, which holds those of the sampled examples")?;
    let sampled = &trace.examples.sampled;
    let evaluated = learned_steps::evaluated(&trace.metrics);
    let (mut learned, mut gradients) = (Tally::default(), Tally::default());
    let mut self_terms: BTreeMap<i64, Vec<Vec<Number>>> = BTreeMap::new();
    for step in trace.run.snapshots() {
        let network = trace.run.weights(step).map_err(|error| error.to_string())?;
        let network = Layered::new(kind, &network).map_err(|error| error.to_string())?;
        let (values, is_told) = (recorded(trace, step)?, evaluated.contains(&step));
        let has_self_terms = trace.run.population_steps().binary_search(&step).is_ok();
        let of_example = |place: usize| -> Result<OfExample, String> {
            let (example, mut learned, mut recorded) = (sampled[place], Tally::default(), Tally::default());
            let label = trace.examples.class(example).ok_or("an example has no class")?;
            let gradient = network.gradient(&inputs[place], label).map_err(|error| error.to_string())?;
            learned_steps::check(&trace.examples, example, step, &gradient.logits, is_told, &mut learned);
            let width = trace.coordinates.len();
            if let Some(row) = values.get(place * width..(place + 1) * width).filter(|row| !row.is_empty()) {
                of_gradient(trace, &gradient, row, (step, example), &mut recorded);
            }
            let layers = trace.layers.iter().filter(|_| has_self_terms);
            Ok((learned, recorded, layers.map(|layer| self_term(&gradient, &layer.name)).collect()))
        };
        let places = 0..sampled.len().min(inputs.len());
        let found: Vec<OfExample> = places.into_par_iter().map(of_example).collect::<Result<_, String>>()?;
        let at_step = self_terms.entry(step).or_default();
        for (of_learned, of_gradient, of_layers) in found {
            learned.add(of_learned);
            gradients.add(of_gradient);
            at_step.push(of_layers);
        }
    }
    Ok([learned, gradients, population(trace, &self_terms)?])
}

/// The gradients of a step, a row an example; none if the step was not recorded.
fn recorded(trace: &Trace, step: i64) -> Result<Vec<f32>, String> {
    let steps = &trace.manifest().recorded_steps;
    let Ok(place) = steps.binary_search(&step) else { return Ok(Vec::new()) };
    let values = trace.run.map_steps_at(place..place + 1, |mut step| Ok(step.read(None)?.to_vec()));
    Ok(values.map_err(|error| error.to_string())?.into_iter().flatten().collect())
}

/// The recorded self terms of the sampled examples against those of the snapshots, by step, example and layer.
fn population(trace: &Trace, self_terms: &BTreeMap<i64, Vec<Vec<Number>>>) -> Result<Tally, String> {
    let steps = trace.run.map_population(|of_step| {
        let found = self_terms.get(&of_step.step)?;
        let mut tally = Tally::default();
        for (of_example, example) in found.iter().zip(&trace.examples.sampled) {
            let Ok(place) = trace.examples.population.binary_search(example) else { continue };
            for ((of_layer, layer), expected) in of_step.layers.iter().zip(&trace.layers).zip(of_example) {
                let Some(self_terms) = of_layer.self_terms else { continue };
                let at = || format!("self term of example {example} in {} at step {}", layer.name, of_step.step);
                tally.close(self_terms[place], *expected, at);
            }
        }
        Some(tally)
    });
    let mut tally = Tally::default();
    steps.map_err(|error| error.to_string())?.into_iter().flatten().for_each(|of_step| tally.add(of_step));
    Ok(tally)
}

/// Whether a parameter is of a layer.
pub(super) fn is_of(layer: &str, parameter: &str) -> bool {
    parameter.rsplit_once('.').is_some_and(|(of, _)| of == layer)
}

/// The norm of an example's gradient over a layer, or a small part of that of all.
pub(super) fn size(gradient: &Gradient, layer: &str) -> f64 {
    let whole = gradient.norm_sq(|_| true).sqrt();
    gradient.norm_sq(|name| is_of(layer, name)).sqrt().max(SMALL * whole)
}

/// By how much f32 may have that gradient otherwise.
pub(super) fn off_by(gradient: &Gradient, layer: &str) -> f64 {
    ROUNDING * size(gradient, layer) + gradient.slack_sq(|name| is_of(layer, name)).sqrt()
}

/// The squared norm of an example's gradient over a layer.
pub(super) fn self_term(gradient: &Gradient, layer: &str) -> Number {
    let off_by = off_by(gradient, layer);
    let scale = (2.0 * size(gradient, layer) + off_by) * off_by;
    Number { value: gradient.norm_sq(|name| is_of(layer, name)), scale: scale.max(f64::MIN_POSITIVE), allowed: 1.0 }
}

/// The distance of an example's recorded gradient from the one computed here, parameter by parameter.
fn of_gradient(trace: &Trace, gradient: &Gradient, row: &[f32], (step, example): (i64, usize), tally: &mut Tally) {
    // By parameter: squared distance, squared norm of what is expected, and of its slack.
    let mut sums: BTreeMap<usize, [f64; 3]> = BTreeMap::new();
    for ((parameter, index), &found) in trace.coordinates.iter().zip(row) {
        let name = &trace.parameters[*parameter].name;
        let at = |values: &BTreeMap<String, Vec<f64>>| values.get(name)?.get(*index as usize).copied();
        let expected = at(&gradient.values).unwrap_or(f64::NAN);
        let [distance, norm, slack] = sums.entry(*parameter).or_default();
        *distance += (f64::from(found) - expected).powi(2);
        *norm += expected * expected;
        *slack += at(&gradient.slack).unwrap_or(0.0).powi(2);
    }
    let whole: f64 = sums.values().map(|[_, norm, _]| norm).sum();
    for (parameter, [distance, norm, slack]) in sums {
        let norm = norm.max(SMALL * SMALL * whole).sqrt();
        let name = &trace.parameters[parameter].name;
        let at = || format!("distance of the gradient of example {example} at {name}, step {step}, of norm {norm:e}:");
        let scale = (ROUNDING * norm + slack.sqrt()).max(f64::MIN_POSITIVE);
        tally.close(distance.sqrt(), Number { value: 0.0, scale, allowed: 1.0 }, at);
    }
}
