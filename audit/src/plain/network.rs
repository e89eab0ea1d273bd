//! A fully connected network with ReLU and softmax cross-entropy, one example at a time, forward and backward in f64.
//!
//! Beside every value stands its *size*, the same sum over absolute terms: what the rounding of a recorder that works in
//! f32 is proportional to. A hidden unit whose input is within rounding of zero is *on the edge*: a recorder may have
//! seen it on either side, so that its gradients may be those with the unit on or off.

use cograd_trace::{Parameter, Tensor};

/// A unit's input this close to zero, relative to its size, may be on either side in f32.
const EDGE: f64 = 4e-6;

/// Weights of one layer.
pub(crate) struct Layer {
    pub fan_in: usize,
    pub fan_out: usize,
    /// `[fan_out, fan_in]`, row by row.
    pub weight: Vec<f64>,
    pub bias: Vec<f64>,
}

/// The network of a snapshot.
pub(crate) struct Network {
    pub layers: Vec<Layer>,
}

/// One example's way through the network.
pub(crate) struct Forward {
    /// Inputs of each layer, with their sizes.
    pub inputs: Vec<Vec<f64>>,
    pub input_sizes: Vec<Vec<f64>>,
    /// Units of each hidden layer that are on.
    on: Vec<Vec<bool>>,
    pub logits: Logits,
    /// Hidden layer and unit of those on the edge.
    pub edges: Vec<(usize, usize)>,
}

/// What a network answers, with sizes.
#[derive(Default)]
pub(crate) struct Logits {
    pub values: Vec<f64>,
    pub sizes: Vec<f64>,
}

/// ∂ℓ/∂z of every layer, with sizes.
pub(crate) struct Backward {
    pub deltas: Vec<Vec<f64>>,
    pub sizes: Vec<Vec<f64>>,
}

/// Where a parameter's value stands in the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WeightPosition {
    pub layer: usize,
    /// Output unit.
    pub row: usize,
    /// Input unit; `None` of a bias.
    pub column: Option<usize>,
}

impl WeightPosition {
    /// Of the value at `index` of `layer.N.weight` or `layer.N.bias`; `None` of any other.
    pub(crate) fn new(parameter: &Parameter, index: u64) -> Option<WeightPosition> {
        let (layer, of) = parameter.name.strip_prefix("layer.")?.split_once('.')?;
        let (layer, index) = (layer.parse().ok()?, usize::try_from(index).ok()?);
        match (of, &parameter.shape[..]) {
            ("weight", &[_, width]) => {
                let width = usize::try_from(width).ok().filter(|width| *width > 0)?;
                Some(WeightPosition { layer, row: index / width, column: Some(index % width) })
            }
            ("bias", [_]) => Some(WeightPosition { layer, row: index, column: None }),
            _ => None,
        }
    }
}

impl Network {
    /// Of a snapshot's `layer.N.weight` and `layer.N.bias`; `None` if they are not those of a network of these widths.
    pub(crate) fn new(snapshot: &[Tensor], widths: &[usize]) -> Option<Network> {
        let values = |name: String, shape: &[usize]| {
            let tensor = snapshot.iter().find(|tensor| tensor.name == name && tensor.shape == shape)?;
            Some(tensor.values.iter().map(|&value| f64::from(value)).collect::<Vec<f64>>())
        };
        let layer = |(layer, pair): (usize, &[usize])| {
            let (fan_in, fan_out) = (pair[0], pair[1]);
            let weight = values(format!("layer.{layer}.weight"), &[fan_out, fan_in])?;
            Some(Layer { fan_in, fan_out, weight, bias: values(format!("layer.{layer}.bias"), &[fan_out])? })
        };
        let layers: Option<Vec<Layer>> = widths.windows(2).enumerate().map(layer).collect();
        Some(Network { layers: layers.filter(|layers| !layers.is_empty())? })
    }

    /// Takes one example forward.
    pub(crate) fn forward(&self, input: &[f32]) -> Forward {
        let mut values: Vec<f64> = input.iter().map(|&value| f64::from(value)).collect();
        let mut sizes: Vec<f64> = values.iter().map(|value| value.abs()).collect();
        let mut forward = Forward {
            inputs: Vec::new(),
            input_sizes: Vec::new(),
            on: Vec::new(),
            logits: Logits::default(),
            edges: Vec::new(),
        };
        for (place, layer) in self.layers.iter().enumerate() {
            let (sums, sum_sizes) = layer.sums(&values, &sizes);
            forward.inputs.push(values);
            forward.input_sizes.push(sizes);
            if place + 1 == self.layers.len() {
                forward.logits = Logits { values: sums, sizes: sum_sizes };
                break;
            }
            let is_edge = |unit: &usize| sums[*unit].abs() <= EDGE * sum_sizes[*unit] && sum_sizes[*unit] > 0.0;
            forward.edges.extend((0..sums.len()).filter(is_edge).map(|unit| (place, unit)));
            forward.on.push(sums.iter().map(|&sum| sum > 0.0).collect());
            values = sums.iter().map(|&sum| sum.max(0.0)).collect();
            sizes = sum_sizes;
        }
        forward
    }

    /// Takes the loss against `label` backward, with the hidden units `flipped` on the other side of zero.
    pub(crate) fn backward(&self, forward: &Forward, label: usize, flipped: &[(usize, usize)]) -> Backward {
        let (delta, size) = loss_delta(forward, label);
        let (mut deltas, mut sizes) = (vec![delta], vec![size]);
        for place in (1..self.layers.len()).rev() {
            let layer = &self.layers[place];
            let (mut below, mut below_size) = (vec![0.0; layer.fan_in], vec![0.0; layer.fan_in]);
            let (above, above_size) = (&deltas[deltas.len() - 1], &sizes[sizes.len() - 1]);
            for unit in 0..layer.fan_out {
                let row = &layer.weight[unit * layer.fan_in..(unit + 1) * layer.fan_in];
                for (column, weight) in row.iter().enumerate() {
                    below[column] += weight * above[unit];
                    below_size[column] += weight.abs() * above_size[unit];
                }
            }
            for (unit, value) in below.iter_mut().enumerate() {
                let on = forward.on[place - 1][unit] != flipped.contains(&(place - 1, unit));
                if !on {
                    *value = 0.0;
                }
            }
            deltas.push(below);
            sizes.push(below_size);
        }
        deltas.reverse();
        sizes.reverse();
        Backward { deltas, sizes }
    }
}

impl Logits {
    /// −ln softmax of the label, and what its rounding is proportional to; NaN if there is no such class.
    pub(crate) fn loss(&self, label: usize) -> (f64, f64) {
        let largest = self.values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = self.values.iter().map(|logit| (logit - largest).exp()).sum();
        let of_label = self.values.get(label).copied().unwrap_or(f64::NAN);
        (largest - of_label + sum.ln(), 1.0 + 2.0 * self.sizes.iter().copied().fold(0.0, f64::max))
    }

    /// The class of the largest logit, and by how much it leads the next, in units of what f32 may be off by.
    pub(crate) fn prediction(&self) -> (usize, f64) {
        let values = &self.values;
        let best = (1..values.len()).fold(0, |best, c| if values[c] > values[best] { c } else { best });
        let mut lead = f64::INFINITY;
        for class in (0..values.len()).filter(|&class| class != best) {
            let size = self.sizes[best] + self.sizes[class];
            lead = lead.min((values[best] - values[class]) / (EDGE * size));
        }
        (best, lead)
    }
}

/// softmax − one-hot, and its size: an error e of a logit changes it by about e of itself.
fn loss_delta(forward: &Forward, label: usize) -> (Vec<f64>, Vec<f64>) {
    let logits = &forward.logits.values;
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let exponentials: Vec<f64> = logits.iter().map(|logit| (logit - largest).exp()).collect();
    let total: f64 = exponentials.iter().sum();
    let others: f64 = (0..logits.len()).filter(|&class| class != label).map(|class| exponentials[class]).sum();
    let mut delta: Vec<f64> = exponentials.iter().map(|exponential| exponential / total).collect();
    if let Some(of_label) = delta.get_mut(label) {
        // Not p − 1, which cancels.
        *of_label = -others / total;
    }
    let logit_size = forward.logits.sizes.iter().copied().fold(0.0, f64::max);
    let size = delta.iter().map(|delta| delta.abs() * (1.0 + 2.0 * logit_size)).collect();
    (delta, size)
}

impl Layer {
    /// W a + b, and |W| |a| + |b|.
    fn sums(&self, values: &[f64], sizes: &[f64]) -> (Vec<f64>, Vec<f64>) {
        // Most pixels are black: their columns add nothing.
        let columns: Vec<usize> = (0..values.len().min(self.fan_in)).filter(|&column| sizes[column] != 0.0).collect();
        let (mut sums, mut sum_sizes) = (Vec::new(), Vec::new());
        for unit in 0..self.fan_out {
            let row = &self.weight[unit * self.fan_in..(unit + 1) * self.fan_in];
            let (mut sum, mut size) = (self.bias[unit], self.bias[unit].abs());
            for &column in &columns {
                sum += row[column] * values[column];
                size += row[column].abs() * sizes[column];
            }
            sums.push(sum);
            sum_sizes.push(size);
        }
        (sums, sum_sizes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(widths: &[usize]) -> Vec<Tensor> {
        let layer = |(layer, pair): (usize, &[usize])| {
            let weight = |k: usize| ((k * 7 + layer + 1) % 11) as f32 / 5.0 - 1.0;
            let bias = |k: usize| k as f32 / 10.0 - 0.1;
            let tensor = |name, shape: &[usize], value: &dyn Fn(usize) -> f32| Tensor {
                name: format!("layer.{layer}.{name}"),
                shape: shape.to_vec(),
                values: (0..shape.iter().product()).map(value).collect(),
            };
            [tensor("bias", &[pair[1]], &bias), tensor("weight", &[pair[1], pair[0]], &weight)]
        };
        widths.windows(2).enumerate().flat_map(layer).collect()
    }

    fn loss(network: &Network, input: &[f32], label: usize) -> f64 {
        let logits = network.forward(input).logits.values;
        logits.iter().map(|logit| logit.exp()).sum::<f64>().ln() - logits[label]
    }

    #[test]
    fn gradients_are_the_differences_of_the_loss() {
        let (input, label) = ([0.5, 0.0, 0.25], 1);
        let widths = [3, 5, 4, 3];
        let mut network = Network::new(&snapshot(&widths), &widths).unwrap();
        let forward = network.forward(&input);
        let backward = network.backward(&forward, label, &[]);
        let step = 1e-6;
        for layer in 0..3 {
            let fan_in = network.layers[layer].fan_in;
            for place in 0..network.layers[layer].weight.len() {
                let kept = network.layers[layer].weight[place];
                network.layers[layer].weight[place] = kept + step;
                let above = loss(&network, &input, label);
                network.layers[layer].weight[place] = kept - step;
                let below = loss(&network, &input, label);
                network.layers[layer].weight[place] = kept;
                let expected = (above - below) / (2.0 * step);
                let found = backward.deltas[layer][place / fan_in] * forward.inputs[layer][place % fan_in];
                assert!((found - expected).abs() < 1e-8, "{layer} {place}: {found} {expected}");
            }
        }
    }

    #[test]
    fn tensors_of_other_names_or_shapes_are_no_network() {
        assert!(Network::new(&snapshot(&[3, 5, 2]), &[3, 4, 2]).is_none());
        assert!(Network::new(&snapshot(&[3, 5])[..1], &[3, 5]).is_none());
        assert!(Network::new(&[], &[]).is_none());
    }

    #[test]
    fn a_value_of_a_matrix_stands_in_its_row_and_column() {
        let parameter = |name: &str, shape: &[u64]| Parameter {
            name: name.into(),
            shape: shape.to_vec(),
            layer: "layer.1".into(),
            kind: None,
        };
        let place = |layer, row, column| Some(WeightPosition { layer, row, column });
        assert_eq!(WeightPosition::new(&parameter("layer.1.weight", &[5, 3]), 7), place(1, 2, Some(1)));
        assert_eq!(WeightPosition::new(&parameter("layer.0.bias", &[5]), 4), place(0, 4, None));
        assert_eq!(WeightPosition::new(&parameter("conv1.weight", &[5, 3]), 0), None);
    }
}
