//! The sum of the gradients of many examples, and how each contributes to it: s_i = ⟨g_i, Σ_j g_j⟩ [S 2].
//!
//! Beside every value stands its size, the same sum over absolute terms, and its slack: by how much it may be another because
//! hidden units on the edge may be on the other side.

use rayon::prelude::*;

use crate::plain::network::{Backward, Forward, Network};
use crate::tally::Number;

/// What f32 may lose, of the sizes that the values are proportional to.
const ROUNDING: f64 = 1e-6;
/// Units on the edge that are looked at.
const MOST_EDGES: usize = 8;

/// A value, its size and its slack.
#[derive(Clone, Copy, Debug, Default)]
struct Term {
    value: f64,
    size: f64,
    slack: f64,
}

/// One example forward and backward, and by how much its deltas may be others.
pub(crate) struct Example {
    pub forward: Forward,
    pub backward: Backward,
    slack: Vec<Vec<f64>>,
}

impl Example {
    pub(crate) fn new(network: &Network, input: &[f32], label: usize) -> Example {
        let forward = network.forward(input);
        let backward = network.backward(&forward, label, &[]);
        let mut slack: Vec<Vec<f64>> = backward.deltas.iter().map(|deltas| vec![0.0; deltas.len()]).collect();
        for edge in forward.edges.iter().take(MOST_EDGES) {
            let other = network.backward(&forward, label, &[*edge]);
            for ((slack, deltas), others) in slack.iter_mut().zip(&backward.deltas).zip(&other.deltas) {
                slack
                    .iter_mut()
                    .zip(deltas)
                    .zip(others)
                    .for_each(|((slack, own), other)| *slack += (own - other).abs());
            }
        }
        Example { forward, backward, slack }
    }

    /// Its gradient of a weight, or of a bias: value, size and slack.
    pub(crate) fn gradient(&self, layer: usize, row: usize, column: Option<usize>) -> [f64; 3] {
        let input = |inputs: &[Vec<f64>]| column.map_or(1.0, |column| inputs[layer][column]);
        let (input, size) = (input(&self.forward.inputs), input(&self.forward.input_sizes));
        let (delta, delta_size) = (self.backward.deltas[layer][row], self.backward.sizes[layer][row]);
        [delta * input, delta_size * size, self.slack[layer][row] * size]
    }
}

/// Σ_i g_i, layer by layer: weights row by row, then the biases.
pub(crate) struct FullGradient(Vec<Vec<Term>>);

impl FullGradient {
    /// Of some examples, each made by `example`.
    pub(crate) fn new(network: &Network, count: usize, example: impl Fn(usize) -> Example + Sync) -> FullGradient {
        let zeros = || -> Vec<Vec<Term>> {
            network.layers.iter().map(|of| vec![Term::default(); of.weight.len() + of.bias.len()]).collect()
        };
        let add = |mut sums: Vec<Vec<Term>>, block: &[usize]| {
            for example in block.iter().map(|place| example(*place)) {
                for (layer, sums) in sums.iter_mut().enumerate() {
                    let Layer { fan_in, rows } = Layer::new(network, layer);
                    for row in 0..rows {
                        for column in 0..=fan_in {
                            let (place, column) = Layer::position(fan_in, rows, row, column);
                            let [value, size, slack] = example.gradient(layer, row, column);
                            let sum = &mut sums[place];
                            *sum = Term { value: sum.value + value, size: sum.size + size, slack: sum.slack + slack };
                        }
                    }
                }
            }
            sums
        };
        // Blocks in order, so that the sums are the same for any number of threads.
        let places: Vec<usize> = (0..count).collect();
        let blocks: Vec<Vec<Vec<Term>>> =
            places.par_chunks(count.div_ceil(16).max(1)).map(|block| add(zeros(), block)).collect();
        let mut total = zeros();
        for (layer, values) in blocks.iter().flat_map(|block| block.iter().enumerate()) {
            for (sum, value) in total[layer].iter_mut().zip(values) {
                sum.value += value.value;
                sum.size += value.size;
                sum.slack += value.slack;
            }
        }
        FullGradient(total)
    }

    /// The contribution of an example over a layer.
    pub(crate) fn contribution(&self, network: &Network, example: &Example, layer: usize) -> Number {
        let Layer { fan_in, rows } = Layer::new(network, layer);
        let (mut sum, mut allowed) = (0.0, 0.0);
        for row in 0..rows {
            for column in 0..=fan_in {
                let (place, column) = Layer::position(fan_in, rows, row, column);
                let [value, size, slack] = example.gradient(layer, row, column);
                let of = self.0[layer][place];
                sum += value * of.value;
                allowed += ROUNDING * size * of.size + slack * (of.value.abs() + of.slack) + size * of.slack;
            }
        }
        Number { value: sum, scale: allowed.max(f64::MIN_POSITIVE), allowed: 1.0 }
    }
}

/// The shape of a layer.
struct Layer {
    fan_in: usize,
    rows: usize,
}

impl Layer {
    fn new(network: &Network, layer: usize) -> Layer {
        Layer { fan_in: network.layers[layer].fan_in, rows: network.layers[layer].fan_out }
    }

    /// Where a value stands, the bias being the column after the last.
    fn position(fan_in: usize, rows: usize, row: usize, column: usize) -> (usize, Option<usize>) {
        match column < fan_in {
            true => (row * fan_in + column, Some(column)),
            false => (rows * fan_in + row, None),
        }
    }
}
