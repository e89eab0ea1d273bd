//! Activations and their derivatives.

use std::f32::consts::FRAC_1_SQRT_2;

use candle_core::cpu::erf::erf_f32;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::{beside, output, values, with_all};

/// max(x, 0); NaN stays NaN. Its derivative at 0 is 0.
pub(in crate::layer) struct Relu;

impl CustomOp1 for Relu {
    fn name(&self) -> &'static str {
        "relu"
    }

    fn cpu_fwd(&self, input: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let relu = |&value: &f32| if value < 0.0 { 0.0 } else { value };
        output(values(input, layout)?.iter().map(relu).collect(), layout.shape())
    }

    fn bwd(&self, _: &Tensor, result: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let gradient = gradient.contiguous()?;
        let product = with_all([result, &gradient], |[result, gradient]| {
            let pairs = result.iter().zip(gradient);
            pairs.map(|(&result, &gradient)| if result > 0.0 { gradient } else { 0.0 }).collect()
        })?;
        Ok(Some(beside(product, result.shape(), result)?))
    }
}

/// x Φ(x), Φ being the distribution function of the normal distribution.
pub(in crate::layer) struct Gelu;

/// 1/√(2π), the density of the normal distribution at 0.
const DENSITY: f32 = 0.398_942_3;

fn distribution(value: f32) -> f32 {
    0.5 * (1.0 + erf_f32(value * FRAC_1_SQRT_2))
}

impl CustomOp1 for Gelu {
    fn name(&self) -> &'static str {
        "gelu"
    }

    fn cpu_fwd(&self, input: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        output(values(input, layout)?.iter().map(|&value| value * distribution(value)).collect(), layout.shape())
    }

    /// Φ(x) + x φ(x), times the gradient; Φ(x) is the result over x.
    fn bwd(&self, input: &Tensor, result: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let gradient = gradient.contiguous()?;
        let product = with_all([input, result, &gradient], |[input, result, gradient]| {
            let derivative = |(&value, &result): (&f32, &f32)| {
                let distribution = if value == 0.0 { 0.5 } else { result / value };
                distribution + value * DENSITY * (-0.5 * value * value).exp()
            };
            input.iter().zip(result).map(derivative).zip(gradient).map(|(derivative, it)| derivative * it).collect()
        })?;
        Ok(Some(beside(product, result.shape(), result)?))
    }
}
