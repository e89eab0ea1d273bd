//! Layers whose per-example gradients are known in closed form, one file a kind.
//!
//! A layer is ordinary candle code (a [`Module`]) with a [`Tap`] at its output. From what the tap kept of a pass over a
//! batch, the layer states the gradient of each example at chosen coordinates, its contribution ⟨g_i, G⟩ and its self
//! term ‖g_i‖², in general without forming any g_i. The formulas are those of Goodfellow (2015) and their extensions to
//! sequences, convolutions and embeddings; every one is tested against candle's autograd, one example at a time.

mod activation;
mod attention;
mod conv2d;
mod dense;
mod embedding;
mod flatten;
mod fused;
mod group_norm;
mod initial;
mod layer_norm;
mod pool;
mod position_embedding;
mod residual;
mod rms_norm;
mod rows;
mod scale;
mod sequential;
mod tap;
mod unfold;

use std::ops::Range;

use candle_core::{DType, Module, Result, Tensor, Var};

pub use self::activation::Activation;
pub use self::attention::MultiHeadAttention;
pub use self::conv2d::{Conv2d, Conv2dSettings};
pub use self::dense::Dense;
pub use self::embedding::Embedding;
pub use self::flatten::Flatten;
pub use self::group_norm::GroupNorm;
pub use self::initial::Initial;
pub use self::layer_norm::LayerNorm;
pub use self::pool::{AveragePool, GlobalAverage, MaxPool};
pub use self::position_embedding::PositionEmbedding;
pub use self::residual::Residual;
pub use self::rms_norm::RmsNorm;
pub use self::sequential::Sequential;
pub use self::tap::{Tap, Use};

/// A layer with parameters. `parameter` is a place among [`Layer::parameters`] everywhere, B the examples of a use.
pub trait Layer: Send + Sync {
    /// What traces call its kind: `linear`, `conv2d`, `embedding`, …
    fn kind(&self) -> &'static str;

    /// Its parameters and their names within the layer: `weight`, `bias`.
    fn parameters(&self) -> Vec<(&'static str, &Var)>;

    /// Where its uses are kept.
    fn tap(&self) -> &Tap;

    /// The gradient of every example, `[B, …]` with the shape of the parameter: materialised, so only for small
    /// parameters or a few examples.
    ///
    /// # Errors
    /// The tensor library refuses.
    fn gradients(&self, taken: &Use, parameter: usize) -> Result<Tensor>;

    /// Adds the sum of these examples' gradients to `sum`, which has the values of the parameter, row-major.
    ///
    /// # Errors
    /// The tensor library refuses.
    fn add_sum(&self, taken: &Use, parameter: usize, sum: &mut [f32]) -> Result<()> {
        materialised::add_sum(&self.gradients(taken, parameter)?, sum)
    }

    /// The gradient of every example in some rows of the parameter, `[B, rows, …]`, rows being what its first dimension
    /// counts: so that large parameters need not be materialised whole.
    ///
    /// # Errors
    /// The tensor library refuses.
    fn gradients_of_rows(&self, taken: &Use, parameter: usize, rows: Range<usize>) -> Result<Tensor> {
        self.gradients(taken, parameter)?.narrow(1, rows.start, rows.len())
    }

    /// The gradient of every example at `coordinates` (row-major places in the parameter), `[B, coordinates]` row-major.
    ///
    /// # Errors
    /// The tensor library refuses.
    fn gradients_at(&self, taken: &Use, parameter: usize, coordinates: &[usize]) -> Result<Vec<f64>> {
        materialised::gradients_at(&self.gradients(taken, parameter)?, coordinates)
    }

    /// ⟨g_i, G⟩ of every example; G has the shape of the parameter.
    ///
    /// # Errors
    /// The tensor library refuses.
    fn contributions(&self, taken: &Use, parameter: usize, total: &Tensor) -> Result<Vec<f64>> {
        materialised::contributions(&self.gradients(taken, parameter)?, total)
    }

    /// ‖g_i‖² of every example.
    ///
    /// # Errors
    /// The tensor library refuses.
    fn self_terms(&self, taken: &Use, parameter: usize) -> Result<Vec<f64>> {
        materialised::self_terms(&self.gradients(taken, parameter)?)
    }
}

/// What holds layers: a layer itself, or a block of them. Names are joined by dots, as in a state dict.
pub trait Layers {
    /// Every layer with its name; a layer by itself has the empty name.
    fn layers(&self) -> Vec<(String, &dyn Layer)>;
}

impl<L: Layer> Layers for L {
    fn layers(&self) -> Vec<(String, &dyn Layer)> {
        vec![(String::new(), self)]
    }
}

/// A part of a network from one tensor to one tensor.
pub trait Block: Module + Layers + Send + Sync {}

impl<B: Module + Layers + Send + Sync> Block for B {}

/// The layers of a named part, under its name.
pub fn named<'a>(name: &str, part: &'a dyn Layers) -> Vec<(String, &'a dyn Layer)> {
    let joined = |inner: String| if inner.is_empty() { name.to_string() } else { format!("{name}.{inner}") };
    part.layers().into_iter().map(|(inner, layer)| (joined(inner), layer)).collect()
}

/// A weight and, where there is one, a bias: the parameters of most layers.
pub(crate) fn weight_and_bias<'a>(weight: &'a Var, bias: &'a Option<Var>) -> Vec<(&'static str, &'a Var)> {
    std::iter::once(("weight", weight)).chain(bias.iter().map(|bias| ("bias", bias))).collect()
}

/// All values of a tensor, row-major.
pub(crate) fn values(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.flatten_all()?.to_vec1()
}

/// Sums of each example's values in f64: `[B, …]` to B numbers.
pub(crate) fn sums(tensor: &Tensor) -> Result<Vec<f64>> {
    tensor.to_dtype(DType::F64)?.flatten_from(1)?.sum(1)?.to_vec1()
}

/// The statements of a layer from its gradients in full.
pub(crate) mod materialised {
    use super::{DType, Result, Tensor, sums};

    pub(crate) fn gradients_at(gradients: &Tensor, coordinates: &[usize]) -> Result<Vec<f64>> {
        let rows = gradients.flatten_from(1)?.to_dtype(DType::F64)?.to_vec2::<f64>()?;
        Ok(rows.iter().flat_map(|row| coordinates.iter().map(|&coordinate| row[coordinate])).collect())
    }

    pub(crate) fn add_sum(gradients: &Tensor, sum: &mut [f32]) -> Result<()> {
        let of_these = super::values(&gradients.sum(0)?)?;
        sum.iter_mut().zip(of_these).for_each(|(sum, value)| *sum += value);
        Ok(())
    }

    pub(crate) fn contributions(gradients: &Tensor, total: &Tensor) -> Result<Vec<f64>> {
        sums(&gradients.to_dtype(DType::F64)?.broadcast_mul(&total.to_dtype(DType::F64)?.unsqueeze(0)?)?)
    }

    pub(crate) fn self_terms(gradients: &Tensor) -> Result<Vec<f64>> {
        sums(&gradients.to_dtype(DType::F64)?.sqr()?)
    }
}
