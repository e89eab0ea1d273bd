//! Activations: functions of single values, without parameters.

use candle_core::{Module, Result, Tensor};

use super::{Layer, Layers, fused};

/// A function that is applied to every value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// max(x, 0). Its derivative at 0 is 0, as in PyTorch (1 in candle's own).
    Relu,
    /// x Φ(x), Φ being the distribution function of the normal distribution (Hendrycks & Gimpel 2016).
    Gelu,
    /// The hyperbolic tangent.
    Tanh,
}

impl Module for Activation {
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        match self {
            Activation::Relu if fused::fits(input) => input.contiguous()?.apply_op1(fused::Relu),
            Activation::Gelu if fused::fits(input) => input.contiguous()?.apply_op1(fused::Gelu),
            Activation::Relu => input * input.gt(0.0)?.to_dtype(input.dtype())?,
            Activation::Gelu => input.gelu_erf(),
            Activation::Tanh => input.tanh(),
        }
    }
}

impl Layers for Activation {
    fn layers(&self) -> Vec<(String, &dyn Layer)> {
        Vec::new()
    }
}
