//! Gradients as an optimizer preconditions them: what moves the weights, example by example.
//!
//! Adam divides what it remembers of the gradients by √v̂ + ε, coordinate by coordinate. So are the gradients of the sample, which are those
//! at w_t, by the v̂ that update t divides by: it has seen that update's minibatch. A coordinate whose v is 0 has not moved, and the
//! gradients there become 0.

use cograd_trace::{Coordinate, Parameter};

use crate::experiment::NetworkKind;
use crate::optimizer::Update;

/// Where an optimizer remembers what it divides the recorded coordinates by.
pub(crate) struct Preconditioned {
    places: Vec<usize>,
}

impl Preconditioned {
    /// Of the coordinates of a network's parameters.
    pub fn new(kind: &NetworkKind, parameters: &[Parameter], coordinates: &[Coordinate]) -> Preconditioned {
        let mut first = vec![0];
        first.extend(parameters.iter().scan(0, |sum, parameter| {
            *sum += parameter.size() as usize;
            Some(*sum)
        }));
        let place = |coordinate: &Coordinate| {
            let (parameter, index) = (coordinate.parameter as usize, coordinate.index as usize);
            let within = match (kind, parameters[parameter].shape.as_slice()) {
                // Its kernels have the weights the other way round.
                (NetworkKind::Mlp { .. }, &[fan_out, fan_in]) => {
                    index % fan_in as usize * fan_out as usize + index / fan_in as usize
                }
                _ => index,
            };
            first[parameter] + within
        };
        Preconditioned { places: coordinates.iter().map(place).collect() }
    }

    /// Divides gradients, a row an example, after update `number` was made.
    pub fn divide(&self, rows: &mut [f32], update: &Update, number: u64) {
        let divisors = update.divisors(&self.places, number);
        for row in rows.chunks_exact_mut(divisors.len().max(1)) {
            row.iter_mut().zip(&divisors).for_each(|(value, divisor)| *value /= divisor);
        }
    }
}
