//! A slow, plain network in f64 and candle's own autograd, to hold the kernels against.

use super::{LayerParameters, Network};
use candle_core::{Device, Tensor, Var};

/// The textbook's multilayer perceptron: weight[row][column], row the output unit.
#[derive(Clone, Debug)]
pub(crate) struct Reference {
    pub(crate) layers: Vec<ReferenceLayer>,
}

#[derive(Clone, Debug)]
pub(crate) struct ReferenceLayer {
    pub(crate) weight: Vec<Vec<f64>>,
    pub(crate) bias: Vec<f64>,
}

/// One example's inputs and deltas of every layer, its logits and its loss.
pub(crate) struct Trail {
    pub(crate) inputs: Vec<Vec<f64>>,
    pub(crate) deltas: Vec<Vec<f64>>,
    pub(crate) logits: Vec<f64>,
    pub(crate) loss: f64,
    /// Whether some ReLU's input is so near zero that f32 may round it to the other side.
    pub(crate) is_on_the_edge: bool,
}

impl Reference {
    pub(crate) fn new(network: &Network) -> Reference {
        let layers =
            network.layer_parameters().unwrap().into_iter().map(|LayerParameters { fan_in, weight, bias, .. }| {
                let numbers = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<_>>();
                ReferenceLayer { weight: weight.chunks(fan_in).map(numbers).collect(), bias: numbers(&bias) }
            });
        Reference { layers: layers.collect() }
    }

    pub(crate) fn loss(&self, input: &[f32], label: u8) -> f64 {
        let (_, logits) = self.forward(input);
        let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = logits.iter().map(|logit| (logit - largest).exp()).sum();
        total.ln() + largest - logits[usize::from(label)]
    }

    fn forward(&self, input: &[f32]) -> (Vec<Vec<f64>>, Vec<f64>) {
        let mut current: Vec<f64> = input.iter().map(|&value| f64::from(value)).collect();
        let mut inputs = Vec::new();
        for (index, layer) in self.layers.iter().enumerate() {
            let sums = layer.sums(&current);
            let last = index + 1 == self.layers.len();
            let next = if last { sums } else { sums.into_iter().map(|z| z.max(0.0)).collect() };
            inputs.push(std::mem::replace(&mut current, next));
        }
        (inputs, current)
    }

    pub(crate) fn trail(&self, input: &[f32], label: u8) -> Trail {
        let (inputs, logits) = self.forward(input);
        let hidden = &self.layers[..self.layers.len() - 1];
        let mut sums = hidden.iter().zip(&inputs).flat_map(|(layer, input)| layer.sums(input));
        let is_on_the_edge = sums.any(|z| z != 0.0 && z.abs() < 1e-5);
        let total: f64 = logits.iter().map(|logit| logit.exp()).sum();
        let mut delta: Vec<f64> = logits.iter().map(|logit| logit.exp() / total).collect();
        delta[usize::from(label)] -= 1.0;
        let mut deltas = vec![delta];
        for (layer, input) in self.layers.iter().zip(&inputs).skip(1).rev() {
            let above = deltas.last().unwrap();
            let below = (0..input.len()).map(|column| {
                let sum: f64 = layer.weight.iter().zip(above).map(|(row, delta)| row[column] * delta).sum();
                if input[column] > 0.0 { sum } else { 0.0 }
            });
            deltas.push(below.collect());
        }
        deltas.reverse();
        Trail { inputs, deltas, logits, loss: self.loss(input, label), is_on_the_edge }
    }

    /// One step of plain SGD on the mean loss.
    pub(crate) fn descend(&mut self, trails: &[Trail], learning_rate: f64) {
        let rate = learning_rate / trails.len() as f64;
        for (index, layer) in self.layers.iter_mut().enumerate() {
            for trail in trails {
                for (row, delta) in trail.deltas[index].iter().enumerate() {
                    layer.bias[row] -= rate * delta;
                    for (weight, input) in layer.weight[row].iter_mut().zip(&trail.inputs[index]) {
                        *weight -= rate * delta * input;
                    }
                }
            }
        }
    }
}

impl ReferenceLayer {
    fn sums(&self, input: &[f64]) -> Vec<f64> {
        self.weight.iter().zip(&self.bias).map(|(row, bias)| bias + dot(row, input)).collect()
    }
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

/// Gradients of the summed loss by candle's autograd: a pair a layer, weight [fan_in, fan_out] and bias `[fan_out]`.
pub(crate) fn candle_gradients(network: &Network, inputs: &Tensor, labels: &[u8]) -> Vec<(Tensor, Tensor)> {
    let variables: Vec<(Var, Var)> = network
        .layers()
        .iter()
        .map(|layer| (Var::from_tensor(layer.weight()).unwrap(), Var::from_tensor(layer.bias()).unwrap()))
        .collect();
    let mut current = inputs.clone();
    for (index, (weight, bias)) in variables.iter().enumerate() {
        current = current.matmul(weight).unwrap().broadcast_add(bias).unwrap();
        if index + 1 < variables.len() {
            current = current.relu().unwrap();
        }
    }
    let labels: Vec<u32> = labels.iter().map(|&label| u32::from(label)).collect();
    let labels = Tensor::from_vec(labels, (inputs.dims()[0], 1), &Device::Cpu).unwrap();
    let largest = current.max_keepdim(1).unwrap().detach();
    let shifted = current.broadcast_sub(&largest).unwrap();
    let normaliser = shifted.exp().unwrap().sum_keepdim(1).unwrap().log().unwrap();
    let loss = (normaliser - shifted.gather(&labels, 1).unwrap()).unwrap().sum_all().unwrap();
    let gradients = loss.backward().unwrap();
    let gradient = |variable: &Var| gradients.get(variable).unwrap().clone();
    variables.iter().map(|(weight, bias)| (gradient(weight), gradient(bias))).collect()
}
