//! Recorded gradients against those recomputed from a weight snapshot.

use crate::plain::network::{Backward, Forward, Network, WeightPosition};
use crate::tally::{Number, Tally};

/// What f32 may lose, of the sizes that the network's values are proportional to.
const ROUNDING: f64 = 1e-6;
/// Below this f32 has no more digits.
const SMALLEST: f64 = 1e-30;
/// What is lost of a value that is stored as f16: half a unit of the last of its 11 digits, and of the smallest number.
const HALF: f64 = 1.0 / 2048.0;
const SMALLEST_HALF: f64 = 1.0 / 33_554_432.0;
/// Bits of f32 that f16 has not.
const NOT_IN_HALF: u32 = (1 << 13) - 1;
/// Units on the edge of which both sides are tried.
const MOST_EDGES: usize = 8;

/// Compares one example's recorded gradient, whose values are those at `places`, and may have been stored as f16.
pub(crate) fn check(
    network: &Network,
    forward: &Forward,
    label: usize,
    (recorded, is_half): (&[f32], bool),
    places: &[Option<WeightPosition>],
    example: usize,
    tally: &mut Tally,
) {
    let best = best_side(network, forward, label, |backward| {
        let mut tally = Tally::default();
        for (coordinate, (place, &found)) in places.iter().zip(recorded).enumerate() {
            let expected = gradient(forward, backward, *place);
            let expected = if is_half { stored_as_half(expected) } else { expected };
            tally.close(f64::from(found), expected, || format!("example {example}, coordinate {coordinate}"));
        }
        tally
    });
    tally.add(best);
}

/// Whether all of these can be f16, in which a trace may store gradients.
pub(crate) fn are_halves(values: &[f32]) -> bool {
    values.iter().all(|value| value.to_bits() & NOT_IN_HALF == 0)
}

/// By how much the squares of so many values that are stored as f16 may add up to more than those of the values themselves, if they
/// add up to `squares`.
pub(crate) fn half_squares(values: usize, squares: f64) -> f64 {
    let smallest = SMALLEST_HALF * (values as f64).sqrt();
    2.0 * squares.sqrt() * (HALF * squares.sqrt() + smallest) + smallest * smallest
}

fn stored_as_half(number: Number) -> Number {
    let lost = number.scale * number.allowed + HALF * number.value.abs() + SMALLEST_HALF;
    Number { value: number.value, scale: lost, allowed: 1.0 }
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
