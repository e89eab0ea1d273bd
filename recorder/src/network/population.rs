//! What every example contributes to the full gradient, over all parameters, in two passes over the examples [S 2].
//!
//! The gradient of example i with respect to a layer is the outer product δ_i a_iᵀ for its weights and δ_i for its biases.
//! The first pass sums them to G and b. The second has every example's contribution in closed form, δ_iᵀ (G a_i + b),
//! where G a_i + b is a forward step through the layer with the gradient in place of its parameters. No example's
//! gradient is ever formed.

use super::kernels::{Activation, Affine, add_square_norms, row_dots, summed_gradient};
use super::{Deltas, Evaluation, Inputs, Network, Pass};
use candle_core::{Device, Result, Tensor};
use rayon::prelude::*;

/// Contributions and self terms of some examples, in their order.
#[derive(Clone, Debug, PartialEq)]
pub struct Population {
    /// The layers, the one next to the input first.
    pub layers: Vec<LayerPopulation>,
    /// Losses and predictions of the examples; not all finite if the network diverged, and nothing else is then either.
    pub evaluation: Evaluation,
}

/// Those of one layer, over its weights and biases.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerPopulation {
    /// ⟨g_i, g⟩ of each example i, g being the sum of the gradients of all examples.
    pub contributions: Vec<f64>,
    /// ‖g_i‖² of each example i.
    pub self_terms: Vec<f64>,
    /// ‖g‖².
    pub gradient_norm_sq: f64,
}

/// Values of the widest activations of a chunk of examples: 16 MiB.
const CHUNK_VALUES: usize = 1 << 22;

/// Most examples of a chunk.
const CHUNK: usize = 1024;

/// Values that a task sums.
const BLOCK: usize = 1 << 14;

impl Network {
    /// Contributions and self terms of `examples` with `labels`, whose gradients add up to the full one.
    ///
    /// # Errors
    /// Examples that are not the input width, not one label an example, or a label that is no class.
    pub fn population<'a>(&self, examples: impl Into<Inputs<'a>>, labels: &[u8]) -> Result<Population> {
        let examples = examples.into();
        self.check_labels(labels, examples.len())?;
        let mut evaluation = Evaluation::default();
        let mut sums: Vec<Sum> = self.layers.iter().map(|layer| Sum::new(layer.fan_in(), layer.fan_out())).collect();
        self.for_each_chunk(examples, labels, |_, pass, deltas| {
            evaluation.append(deltas.evaluation());
            let layers = pass.layer_inputs().iter().zip(deltas.layers());
            sums.iter_mut().zip(layers).try_for_each(|(sum, (inputs, deltas))| sum.add(inputs, deltas))
        })?;

        let empty = |sum: &Sum| LayerPopulation {
            contributions: vec![0.0; labels.len()],
            self_terms: vec![0.0; labels.len()],
            gradient_norm_sq: sum.norm_sq(),
        };
        let mut layers: Vec<LayerPopulation> = sums.iter().map(empty).collect();
        let gradients = sums.into_iter().map(Sum::tensors).collect::<Result<Vec<_>>>()?;
        self.for_each_chunk(examples, labels, |first, pass, deltas| {
            let layers = layers.iter_mut().zip(&gradients).zip(pass.layer_inputs().iter().zip(deltas.layers()));
            for ((layer, (weight, bias)), (inputs, deltas)) in layers {
                let rows = first..first + pass.batch();
                let along = inputs.apply_op3_no_bwd(weight, bias, &Affine { activation: Activation::Identity })?;
                row_dots(&mut layer.contributions[rows.clone()], deltas, &along)?;
                add_square_norms(&mut layer.self_terms[rows], inputs, deltas)?;
            }
            Ok(())
        })?;
        Ok(Population { layers, evaluation })
    }

    /// Takes the examples through the network in chunks, whose size depends on the network alone: `work` is given the
    /// place of a chunk's first example.
    fn for_each_chunk(
        &self,
        examples: Inputs<'_>,
        labels: &[u8],
        mut work: impl FnMut(usize, &Pass, &Deltas) -> Result<()>,
    ) -> Result<()> {
        let widest = self.widths().into_iter().max().unwrap_or(1);
        let size = (CHUNK_VALUES / widest).clamp(1, CHUNK);
        for (chunk, labels) in labels.chunks(size).enumerate() {
            let first = chunk * size;
            let pass = self.forward(&examples.gather_range(first..first + labels.len())?)?;
            let deltas = self.backward(&pass, labels)?;
            work(first, &pass, &deltas)?;
        }
        Ok(())
    }
}

/// The gradient of one layer summed over chunks of examples: each chunk in f32, the chunks in f64.
struct Sum {
    fan_in: usize,
    fan_out: usize,
    weight: Vec<f64>,
    bias: Vec<f64>,
    /// The sum over one chunk.
    chunk: (Vec<f32>, Vec<f32>),
}

impl Sum {
    fn new(fan_in: usize, fan_out: usize) -> Sum {
        let (weights, biases) = (fan_in * fan_out, fan_out);
        let chunk = (vec![0.0; weights], vec![0.0; biases]);
        Sum { fan_in, fan_out, weight: vec![0.0; weights], bias: vec![0.0; biases], chunk }
    }

    fn add(&mut self, inputs: &Tensor, deltas: &Tensor) -> Result<()> {
        let (weight, bias) = &mut self.chunk;
        summed_gradient(weight, bias, inputs, deltas)?;
        for (total, chunk) in [(&mut self.weight, weight), (&mut self.bias, bias)] {
            total.par_chunks_mut(BLOCK).zip(chunk.par_chunks(BLOCK)).for_each(|(total, chunk)| {
                total.iter_mut().zip(chunk).for_each(|(total, &value)| *total += f64::from(value));
            });
        }
        Ok(())
    }

    fn norm_sq(&self) -> f64 {
        let block = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>();
        // Blocks of one size, added up in order: the same sum for any number of threads.
        let blocks: Vec<f64> = self.weight.par_chunks(BLOCK).map(block).collect();
        blocks.iter().sum::<f64>() + block(&self.bias)
    }

    /// Weight `[fan_in, fan_out]` and bias `[fan_out]`, as a layer has them.
    fn tensors(self) -> Result<(Tensor, Tensor)> {
        let rounded = |values: Vec<f64>| values.into_iter().map(|value| value as f32).collect::<Vec<_>>();
        drop(self.chunk);
        let weight = Tensor::from_vec(rounded(self.weight), (self.fan_in, self.fan_out), &Device::Cpu)?;
        Ok((weight, Tensor::from_vec(rounded(self.bias), self.fan_out, &Device::Cpu)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Pixels;
    use crate::network::reference::{Reference, Trail};
    use crate::network::testing::network;
    use proptest::prelude::*;

    /// Examples of one byte a value, a `density` of which is not zero, and labels.
    fn examples(network: &Network, examples: usize, density: f64, seed: u64) -> (Vec<u8>, Vec<u8>) {
        let widths = network.widths();
        let (width, classes) = (widths[0], widths[widths.len() - 1]);
        let mixed =
            |place: usize| (place as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(seed).rotate_left(31);
        let value = |place: usize| {
            let bits = mixed(place).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            if (bits >> 32) as f64 / f64::from(u32::MAX) < density { (bits >> 16) as u8 | 1 } else { 0 }
        };
        let labels = (0..examples).map(|example| (mixed(example) % classes as u64) as u8).collect();
        ((0..examples * width).map(value).collect(), labels)
    }

    fn pixels<'a>(values: &'a [u8], network: &Network) -> Pixels<'a> {
        Pixels { values, width: network.widths()[0], maximum: 255.0 }
    }

    /// Each example's gradient of one layer, materialised: all weights, row by row, then the biases.
    fn materialised(trail: &Trail, layer: usize) -> Vec<f64> {
        let (inputs, deltas) = (&trail.inputs[layer], &trail.deltas[layer]);
        let weights = deltas.iter().flat_map(|delta| inputs.iter().map(move |input| delta * input));
        weights.chain(deltas.iter().copied()).collect()
    }

    fn dot(left: &[f64], right: &[f64]) -> f64 {
        left.iter().zip(right).map(|(left, right)| left * right).sum()
    }

    /// What f32 may lose of a gradient's norm.
    const RELATIVE: f64 = 1e-5;
    /// The same where the deltas are almost 0: they are differences of probabilities that are not.
    const ABSOLUTE: f64 = 1e-6;

    /// Fails unless the closed form gives what the definition does; false if f32 and f64 may differ in a ReLU.
    fn check(network: &Network, values: &[u8], labels: &[u8]) -> bool {
        let population = network.population(pixels(values, network), labels).unwrap();
        let reference = Reference::new(network);
        let inputs = values.chunks(network.widths()[0]);
        let input = |values: &[u8]| values.iter().map(|&value| f32::from(value) / 255.0).collect::<Vec<f32>>();
        let trails: Vec<Trail> =
            inputs.zip(labels).map(|(values, &label)| reference.trail(&input(values), label)).collect();
        if trails.iter().any(|trail| trail.is_on_the_edge) {
            return false;
        }
        for (index, layer) in population.layers.iter().enumerate() {
            let gradients: Vec<Vec<f64>> = trails.iter().map(|trail| materialised(trail, index)).collect();
            let full: Vec<f64> =
                (0..gradients[0].len()).map(|place| gradients.iter().map(|gradient| gradient[place]).sum()).collect();
            let norm_sq = dot(&full, &full);
            // What f32 may put into a gradient, and into the sum of all of them.
            let error = |gradient: &[f64]| RELATIVE * dot(gradient, gradient).sqrt() + ABSOLUTE;
            let error_of_full = RELATIVE * norm_sq.sqrt() + ABSOLUTE * gradients.len() as f64;
            for (i, gradient) in gradients.iter().enumerate() {
                let (s, q) = (dot(gradient, &full), dot(gradient, gradient));
                let (contribution, self_term) = (layer.contributions[i], layer.self_terms[i]);
                let tolerance = error(gradient) * norm_sq.sqrt() + q.sqrt() * error_of_full + 1e-12;
                assert!((contribution - s).abs() <= tolerance, "layer {index}, {i}: {contribution} {s}");
                let tolerance = 2.0 * error(gradient) * q.sqrt() + 1e-12;
                assert!((self_term - q).abs() <= tolerance, "layer {index}, {i}: {self_term} {q}");
            }
            let tolerance = 2.0 * error_of_full * norm_sq.sqrt() + 1e-12;
            let (sum, recorded): (f64, f64) = (layer.contributions.iter().sum(), layer.gradient_norm_sq);
            assert!((recorded - norm_sq).abs() <= tolerance, "layer {index}: {recorded} {norm_sq}");
            let terms: f64 = layer.contributions.iter().map(|s| s.abs()).sum();
            assert!((sum - recorded).abs() <= 1e-5 * terms + 1e-12, "layer {index}: {sum} {recorded}");
        }
        true
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn equals_gradients_materialised_one_by_one(
            widths in prop::collection::vec(2usize..40, 2..5), count in 1usize..30, density in 0.05..1.0f64,
            seed in any::<u32>(),
        ) {
            let network = network(&widths, seed.into());
            let (values, labels) = examples(&network, count, density, seed.into());
            prop_assume!(check(&network, &values, &labels));
        }
    }

    #[test]
    fn examples_of_several_chunks_all_count() {
        let network = network(&[6, 5, 3], 1);
        let (values, labels) = examples(&network, 2 * CHUNK + 7, 0.5, 3);
        // Some of so many examples are on the edge of a ReLU: the sums tell whether all were counted.
        let population = network.population(pixels(&values, &network), &labels).unwrap();
        let whole =
            network.forward(&Inputs::from(pixels(&values, &network)).gather_range(0..labels.len()).unwrap()).unwrap();
        let deltas = network.backward(&whole, &labels).unwrap();
        assert_eq!(&population.evaluation, deltas.evaluation());
        for (layer, (inputs, deltas)) in population.layers.iter().zip(whole.layer_inputs().iter().zip(deltas.layers()))
        {
            let gradient = inputs.t().unwrap().matmul(deltas).unwrap();
            let square =
                |tensor: Tensor| f64::from(tensor.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap());
            let norm_sq = square(gradient) + square(deltas.sum(0).unwrap());
            let sum: f64 = layer.contributions.iter().sum();
            assert!((layer.gradient_norm_sq / norm_sq - 1.0).abs() < 1e-4, "{} {norm_sq}", layer.gradient_norm_sq);
            assert!((sum / layer.gradient_norm_sq - 1.0).abs() < 1e-6, "{sum} {}", layer.gradient_norm_sq);
        }
    }

    #[test]
    fn one_example_contributes_its_own_square_norm() {
        let network = network(&[20, 30, 10], 2);
        let (values, labels) = examples(&network, 1, 0.4, 5);
        for layer in network.population(pixels(&values, &network), &labels).unwrap().layers {
            let (s, q) = (layer.contributions[0], layer.self_terms[0]);
            assert!((s / q - 1.0).abs() < 1e-6 && (layer.gradient_norm_sq / q - 1.0).abs() < 1e-6, "{s} {q}");
        }
    }

    #[test]
    fn opposite_gradients_contribute_nothing_and_have_self_terms() {
        // One input and equal logits for both classes: the gradients are those of two labels and cancel.
        let mut layers = network(&[4, 2], 1).layer_parameters().unwrap();
        layers[0].weight.fill(0.0);
        layers[0].bias.fill(0.0);
        let network = Network::from_layers(&layers).unwrap();
        let values = [255, 0, 0, 255, 255, 0, 0, 255];
        let population = network.population(pixels(&values, &network), &[0, 1]).unwrap();
        let layer = &population.layers[0];
        // δ = ±(½, −½), ‖a‖² = 2: ‖δ‖² (‖a‖² + 1) = ½ · 3.
        assert_eq!((&layer.contributions[..], &layer.self_terms[..]), (&[0.0, 0.0][..], &[1.5, 1.5][..]));
        assert_eq!(layer.gradient_norm_sq, 0.0);
    }

    #[test]
    fn no_examples_contribute_nothing() {
        let population =
            network(&[4, 3, 2], 1).population(Pixels { values: &[], width: 4, maximum: 1.0 }, &[]).unwrap();
        assert!(population.layers.iter().all(|layer| layer.contributions.is_empty() && layer.gradient_norm_sq == 0.0));
    }

    #[test]
    fn the_number_of_threads_changes_no_bit() {
        let network = network(&[50, 130, 40, 10], 4);
        let (values, labels) = examples(&network, CHUNK + 300, 0.3, 6);
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| network.population(pixels(&values, &network), &labels)).unwrap()
        };
        let alone = on(1);
        assert!((2..=4).all(|threads| on(threads) == alone));
    }

    #[test]
    fn a_network_that_diverged_is_seen_in_the_losses() {
        let mut layers = network(&[5, 20, 3], 1).layer_parameters().unwrap();
        layers[0].bias[7] = f32::NAN;
        let network = Network::from_layers(&layers).unwrap();
        let population = network.population(pixels(&[1; 10], &network), &[0, 1]).unwrap();
        assert_eq!(population.evaluation.first_non_finite(), Some(0));
    }

    #[test]
    fn labels_and_pixels_that_do_not_fit_are_errors() {
        let network = network(&[5, 3], 1);
        assert!(network.population(pixels(&[1; 10], &network), &[0]).is_err());
        assert!(network.population(pixels(&[1; 10], &network), &[0, 3]).is_err());
        assert!(network.population(Pixels { values: &[1; 8], width: 4, maximum: 1.0 }, &[0, 1]).is_err());
    }
}
