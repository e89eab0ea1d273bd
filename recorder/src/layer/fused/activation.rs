//! Activations and their derivatives.

use std::f64::consts::FRAC_1_SQRT_2;

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::{beside, output, values, vectorised, with_all};

/// max(x, 0); NaN stays NaN. Its derivative at 0 is 0.
pub(in crate::layer) struct Relu;

impl CustomOp1 for Relu {
    fn name(&self) -> &'static str {
        "relu"
    }

    fn cpu_fwd(&self, input: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let relu = |&value: &f32| if value < 0.0 { 0.0 } else { value };
        let input = values(input, layout)?;
        output(vectorised(|| input.iter().map(relu).collect()), layout.shape())
    }

    fn bwd(&self, _: &Tensor, result: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let gradient = gradient.contiguous()?;
        let product = with_all([result, &gradient], |[result, gradient]| {
            let pairs = result.iter().zip(gradient);
            vectorised(|| pairs.map(|(&result, &gradient)| if result > 0.0 { gradient } else { 0.0 }).collect())
        })?;
        Ok(Some(beside(product, result.shape(), result)?))
    }
}

/// x Φ(x), Φ being the distribution function of the normal distribution.
pub(in crate::layer) struct Gelu;

/// 1/√(2π), the density of the normal distribution at 0.
const DENSITY: f32 = 0.398_942_3;

/// Φ(x) within 8·10⁻⁸, by a quotient of polynomials for the error function (the minimax approximation of Eigen).
#[inline(always)]
fn distribution(value: f32) -> f64 {
    const ABOVE: [f64; 5] = [
        2.290_506_586_136_465e-4,
        3.408_291_010_710_951e-3,
        5.095_569_506_238_086e-2,
        0.185_208_322_399_761_45,
        1.128_379_143_519_084,
    ];
    const BELOW: [f64; 7] = [
        -1.179_160_295_436_169_7e-7,
        2.354_796_647_131_318_5e-5,
        1.017_962_527_891_488_5e-3,
        1.407_047_017_116_766_7e-2,
        0.110_985_051_782_853_62,
        0.497_469_251_100_675_38,
        1.0,
    ];
    let x = (f64::from(value) * FRAC_1_SQRT_2).clamp(-3.743_921_162_776_799_4, 3.743_921_162_776_799_4);
    let square = x * x;
    let above = ABOVE.iter().fold(0.0, |sum, coefficient| sum * square + coefficient);
    let below = BELOW.iter().fold(0.0, |sum, coefficient| sum * square + coefficient);
    0.5 + 0.5 * (x * above / below)
}

impl CustomOp1 for Gelu {
    fn name(&self) -> &'static str {
        "gelu"
    }

    fn cpu_fwd(&self, input: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let input = values(input, layout)?;
        output(
            vectorised(|| input.iter().map(|&value| (f64::from(value) * distribution(value)) as f32).collect()),
            layout.shape(),
        )
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
