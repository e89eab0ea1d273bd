//! Recorded gradients against those recomputed from a weight snapshot.

use crate::plain::network::{Backward, Forward, Network, WeightPosition};
use crate::tally::{Number, Tally};

/// What f32 may lose, of the sizes that the network's values are proportional to.
const ROUNDING: f64 = 1e-6;
/// Below this f32 has no more digits.
const SMALLEST: f64 = 1e-30;
/// Units on the edge of which both sides are tried.
const MOST_EDGES: usize = 8;

/// Compares one example's recorded gradient, whose values are those at `places`.
pub(crate) fn check(
    network: &Network,
    forward: &Forward,
    label: usize,
    recorded: &[f32],
    places: &[Option<WeightPosition>],
    example: usize,
    tally: &mut Tally,
) {
    let best = best_side(network, forward, label, |backward| {
        let mut tally = Tally::default();
        for (coordinate, (place, &found)) in places.iter().zip(recorded).enumerate() {
            let expected = gradient(forward, backward, *place);
            tally.close(f64::from(found), expected, || format!("example {example}, coordinate {coordinate}"));
        }
        tally
    });
    tally.add(best);
}

/// Compares an example's recorded self term of each layer: ‖δ‖² (‖a‖² + 1).
pub(crate) fn check_self_terms(
    network: &Network,
    forward: &Forward,
    label: usize,
    recorded: &[f64],
    example: usize,
    tally: &mut Tally,
) {
    let best = best_side(network, forward, label, |backward| {
        let mut tally = Tally::default();
        for (layer, &found) in recorded.iter().enumerate() {
            let expected = self_term(forward, backward, layer);
            tally.close(found, expected, || format!("self term of example {example} in layer {layer}"));
        }
        tally
    });
    tally.add(best);
}

/// The comparison with the fewest failures over the sides that units on the edge may be on.
fn best_side(network: &Network, forward: &Forward, label: usize, compare: impl Fn(&Backward) -> Tally) -> Tally {
    let edges = &forward.edges[..forward.edges.len().min(MOST_EDGES)];
    let mut best: Option<Tally> = None;
    for sides in 0..1_u32 << edges.len() {
        let flipped: Vec<(usize, usize)> =
            edges.iter().enumerate().filter(|(place, _)| sides >> place & 1 == 1).map(|(_, edge)| *edge).collect();
        let tally = compare(&network.backward(forward, label, &flipped));
        if tally.failed() == 0 {
            return tally;
        }
        if best.as_ref().is_none_or(|best| tally.failed() < best.failed()) {
            best = Some(tally);
        }
    }
    best.unwrap_or_default()
}

fn gradient(forward: &Forward, backward: &Backward, place: Option<WeightPosition>) -> Number {
    let at = |values: &[Vec<f64>], unit: usize| values.get(place?.layer)?.get(unit).copied();
    let product = |deltas: &[Vec<f64>], inputs: &[Vec<f64>]| {
        let input = place?.column.map_or(Some(1.0), |column| at(inputs, column))?;
        Some(at(deltas, place?.row)? * input)
    };
    // A value that the network does not have is not close to anything.
    let value = product(&backward.deltas, &forward.inputs).unwrap_or(f64::NAN);
    let size = product(&backward.sizes, &forward.input_sizes).unwrap_or(0.0);
    Number { value, scale: size.max(SMALLEST), allowed: ROUNDING }
}

fn self_term(forward: &Forward, backward: &Backward, layer: usize) -> Number {
    let squares = |values: &[Vec<f64>]| values.get(layer).map_or(f64::NAN, |of| of.iter().map(|v| v * v).sum::<f64>());
    let value = squares(&backward.deltas) * (squares(&forward.inputs) + 1.0);
    let size =
        squares(&backward.sizes).sqrt() * squares(&backward.deltas).sqrt() * (squares(&forward.input_sizes) + 1.0);
    Number { value, scale: size.max(SMALLEST), allowed: 2.0 * ROUNDING }
}
