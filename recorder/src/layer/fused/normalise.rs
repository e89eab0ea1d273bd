//! (x − mean) / √(variance + ε) of rows.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::{beside, output, sum_of, values, vectorised, with_all};

/// Rows of this length, in a tensor of any shape, each normalised; without the mean if not `centred`.
pub(in crate::layer) struct Normalise {
    pub length: usize,
    pub epsilon: f64,
    pub centred: bool,
}

impl Normalise {
    /// The mean that is taken off a row, and 1 / √(variance + ε).
    #[inline(always)]
    fn scale(&self, row: &[f32]) -> [f64; 2] {
        let count = row.len() as f64;
        let mean = if self.centred { sum_of(row, row, |value, _| value) / count } else { 0.0 };
        let squares = sum_of(row, row, |value, _| (value - mean) * (value - mean));
        [mean, 1.0 / (squares / count + self.epsilon).sqrt()]
    }
}

impl CustomOp1 for Normalise {
    fn name(&self) -> &'static str {
        "normalise"
    }

    fn cpu_fwd(&self, input: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let input = values(input, layout)?;
        let mut normalised = Vec::with_capacity(input.len());
        vectorised(|| {
            for row in input.chunks(self.length.max(1)) {
                let [mean, scale] = self.scale(row);
                normalised.extend(row.iter().map(|&value| ((f64::from(value) - mean) * scale) as f32));
            }
        });
        output(normalised, layout.shape())
    }

    /// (δ − mean of δ − x̂ · mean of δ x̂) times the scale; without the mean of δ if not centred.
    fn bwd(&self, input: &Tensor, result: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let (gradient, length) = (gradient.contiguous()?, self.length.max(1));
        let product = with_all([input, result, &gradient], |[input, result, gradient]| {
            let mut product = Vec::with_capacity(input.len());
            let rows = input.chunks(length).zip(result.chunks(length)).zip(gradient.chunks(length));
            vectorised(|| {
                for ((row, result), gradient) in rows {
                    let ([_, scale], count) = (self.scale(row), row.len() as f64);
                    let mean = if self.centred { sum_of(gradient, gradient, |it, _| it) / count } else { 0.0 };
                    let along = sum_of(result, gradient, |result, gradient| result * gradient) / count;
                    let pairs = result.iter().zip(gradient).map(|(&result, &it)| (f64::from(result), f64::from(it)));
                    product.extend(pairs.map(|(result, it)| ((it - mean - result * along) * scale) as f32));
                }
            });
            product
        })?;
        Ok(Some(beside(product, input.shape(), input)?))
    }
}
