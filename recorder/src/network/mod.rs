//! Fully connected networks: ReLU between layers, softmax cross-entropy at the end.
//!
//! [`Network::forward`] keeps what each layer was given, [`Network::backward`] derives every layer's deltas from it, and
//! those two are all that anything else needs: an update rule ([`crate::rule`]) turns them into new parameters, and the
//! gradient of example i with respect to the weight from unit c to unit r of layer l is δ_{l,i,r} · a_{l,i,c}
//! ([`sampled_gradients`]). Gradients of a whole network for one example are never formed, not even for what every
//! example contributes over all parameters ([`Network::population`]).
//!
//! Everything runs on the current rayon pool and gives the same bits for any number of threads.

mod backward;
mod evaluate;
mod forward;
mod inputs;
mod kernels;
mod population;
#[cfg(test)]
pub(crate) mod reference;
mod sampled;
#[cfg(test)]
pub(crate) mod testing;
mod tokens;

pub use backward::Deltas;
pub use evaluate::Evaluation;
pub use forward::Pass;
pub use inputs::{Inputs, Pixels};
pub(crate) use kernels::{
    AddGaussian, DescendBias, DescendBy, DescendMedian, DescendWeight, MedianOfMeans, Winsorized, add_square_norms,
    first_non_finite_row, mean_gradient, scaled_rows, values, with_parameters, with_values,
};
pub use population::{LayerPopulation, Population};
pub use sampled::{Weight, sampled_gradients};
pub use tokens::{Text, Tokens};

use candle_core::{Device, Result, Tensor, bail};
use kernels::CLASSES;
use rand::Rng;
use rayon::prelude::*;

/// A multilayer perceptron. Its parameters are updated in place, and a clone would share them: there is none.
#[derive(Debug)]
pub struct Network {
    layers: Vec<Layer>,
}

/// One layer's parameters.
#[derive(Debug)]
pub struct Layer {
    weight: Tensor,
    bias: Tensor,
}

/// A copy of one layer's parameters, in the layout of the trace.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerParameters {
    /// Input units.
    pub fan_in: usize,
    /// Output units.
    pub fan_out: usize,
    /// [fan_out, fan_in], row-major.
    pub weight: Vec<f32>,
    /// `[fan_out]`.
    pub bias: Vec<f32>,
}

impl Network {
    /// A network of the given widths, input first, with weights uniform in ±√(6 / (fan_in + fan_out)) and biases zero
    /// (Glorot & Bengio 2010). Draws one u32 a weight, layer by layer, [fan_out, fan_in] row-major.
    ///
    /// # Errors
    /// Fewer than two widths, a width of zero, or more than 256 classes.
    pub fn glorot_uniform(widths: &[usize], rng: &mut impl Rng) -> Result<Network> {
        let mut layers = Vec::new();
        for (&fan_in, &fan_out) in widths.iter().zip(widths.iter().skip(1)) {
            let bound = (6.0 / (fan_in + fan_out).max(1) as f64).sqrt();
            // The top 24 bits of a u32 are a uniform f32 in [0, 1) without rounding.
            let weight = std::iter::repeat_with(|| f64::from(rng.next_u32() >> 8) / f64::from(1 << 24))
                .map(|uniform| (bound * (2.0 * uniform - 1.0)) as f32)
                .take(fan_in * fan_out)
                .collect();
            layers.push(LayerParameters { fan_in, fan_out, weight, bias: vec![0.0; fan_out] });
        }
        Network::from_layers(&layers)
    }

    /// The network of these parameters, first layer first: the inverse of [`Network::layer_parameters`].
    ///
    /// # Errors
    /// No layer, a width of zero, layers that do not fit together, a wrong number of values, more than 256 classes.
    pub fn from_layers(layers: &[LayerParameters]) -> Result<Network> {
        let Some(last) = layers.last() else { bail!("a network needs at least an input and an output width") };
        if last.fan_out > CLASSES {
            bail!("a network of {} outputs, but labels tell at most {CLASSES} classes apart", last.fan_out);
        }
        for (index, pair) in layers.windows(2).enumerate() {
            if pair[0].fan_out != pair[1].fan_in {
                bail!("layer {index} has {} outputs, layer {} {} inputs", pair[0].fan_out, index + 1, pair[1].fan_in);
            }
        }
        Ok(Network { layers: layers.iter().map(Layer::new).collect::<Result<_>>()? })
    }

    /// The widths, input first.
    pub fn widths(&self) -> Vec<usize> {
        let input = self.layers.first().map(Layer::fan_in);
        input.into_iter().chain(self.layers.iter().map(Layer::fan_out)).collect()
    }

    /// The layers, first one first.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Copies of all parameters.
    ///
    /// # Errors
    /// None that a network built by this crate can cause.
    pub fn layer_parameters(&self) -> Result<Vec<LayerParameters>> {
        self.layers.iter().map(Layer::parameters).collect()
    }

    fn classes(&self) -> usize {
        self.layers[self.layers.len() - 1].fan_out()
    }
}

impl Layer {
    fn new(parameters: &LayerParameters) -> Result<Layer> {
        let LayerParameters { fan_in, fan_out, weight, bias } = parameters;
        if *fan_in == 0 || *fan_out == 0 {
            bail!("a layer of {fan_in} inputs and {fan_out} outputs: every width must be at least 1");
        }
        if weight.len() != fan_in * fan_out || bias.len() != *fan_out {
            bail!("{} weights and {} biases for a layer of {fan_in} × {fan_out}", weight.len(), bias.len());
        }
        let weight = Tensor::from_vec(transposed(weight, *fan_in), (*fan_in, *fan_out), &Device::Cpu)?;
        Ok(Layer { weight, bias: Tensor::new(&bias[..], &Device::Cpu)? })
    }

    /// The weights, [fan_in, fan_out].
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// The biases, `[fan_out]`.
    pub fn bias(&self) -> &Tensor {
        &self.bias
    }

    /// Input units.
    pub fn fan_in(&self) -> usize {
        self.weight.dims()[0]
    }

    /// Output units.
    pub fn fan_out(&self) -> usize {
        self.weight.dims()[1]
    }

    /// A layer of this shape and all zeros, its tensors being the front of `buffer`.
    pub(crate) fn zeros_in(&self, buffer: &Tensor) -> Result<Layer> {
        let (fan_in, fan_out) = (self.fan_in(), self.fan_out());
        let weight = buffer.narrow(0, 0, fan_in * fan_out)?.reshape((fan_in, fan_out))?;
        let bias = buffer.narrow(0, fan_in * fan_out, fan_out)?;
        with_parameters(&weight, |values| values.par_chunks_mut(1 << 14).for_each(|values| values.fill(0.0)))?;
        with_parameters(&bias, |values| values.fill(0.0))?;
        Ok(Layer { weight, bias })
    }

    fn parameters(&self) -> Result<LayerParameters> {
        let (fan_in, fan_out) = (self.fan_in(), self.fan_out());
        let weight = with_values(&self.weight, |weight| transposed(weight, fan_out))?;
        Ok(LayerParameters { fan_in, fan_out, weight, bias: self.bias.to_vec1()? })
    }
}

/// The transpose of a row-major matrix of rows of `columns` values.
fn transposed(matrix: &[f32], columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|column| matrix.iter().skip(column).step_by(columns).copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    #[test]
    fn glorot_weights_fill_their_interval_and_biases_are_zero() {
        let network = Network::glorot_uniform(&[30, 50, 10], &mut ChaCha8Rng::seed_from_u64(1)).unwrap();
        assert_eq!(network.widths(), [30, 50, 10]);
        for layer in network.layer_parameters().unwrap() {
            let bound = (6.0 / (layer.fan_in + layer.fan_out) as f32).sqrt();
            let largest = layer.weight.iter().fold(0.0f32, |largest, weight| largest.max(weight.abs()));
            assert!(largest <= bound && largest > 0.98 * bound, "{largest} of {bound}");
            let mean = layer.weight.iter().sum::<f32>() / layer.weight.len() as f32;
            assert!(mean.abs() < 0.1 * bound, "{mean}");
            assert!(layer.bias.iter().all(|&bias| bias == 0.0));
        }
    }

    #[test]
    fn parameters_survive_the_way_into_tensors_and_back() {
        let layers = [
            LayerParameters { fan_in: 2, fan_out: 3, weight: vec![1., 2., 3., 4., 5., 6.], bias: vec![7., 8., 9.] },
            LayerParameters { fan_in: 3, fan_out: 1, weight: vec![10., 11., 12.], bias: vec![13.] },
        ];
        let network = Network::from_layers(&layers).unwrap();
        assert_eq!(network.layers()[0].weight().to_vec2::<f32>().unwrap(), [[1., 3., 5.], [2., 4., 6.]]);
        assert_eq!(network.layer_parameters().unwrap(), layers);
    }

    #[test]
    fn impossible_shapes_are_errors() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for widths in [&[][..], &[784], &[784, 0, 10], &[0, 10], &[4, 257]] {
            assert!(Network::glorot_uniform(widths, &mut rng).is_err(), "{widths:?}");
        }
        let layer = |fan_in, fan_out, weights| LayerParameters {
            fan_in,
            fan_out,
            weight: vec![0.0; weights],
            bias: vec![0.0; fan_out],
        };
        assert!(Network::from_layers(&[layer(2, 3, 5)]).is_err());
        assert!(Network::from_layers(&[layer(2, 3, 6), layer(4, 2, 8)]).is_err());
    }
}
