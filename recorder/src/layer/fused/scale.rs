//! γ x̂ + β, channel by channel.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

use super::{beside, output, values, with_all};
use crate::layer::tap::Kept;

/// Values, γ `[C]` and β `[C]` to scaled values of the same shape. A channel has `run` values one after the other, then comes the next. If
/// the gradient at the output is kept, that of the parameters is not computed.
pub(in crate::layer) struct Scaled {
    pub run: usize,
    pub kept: Option<Kept>,
}

impl Scaled {
    /// f(γ, β, value, other value) of all values.
    fn each(&self, [gamma, beta, one, other]: [&[f32]; 4], of: impl Fn(f32, f32, f32, f32) -> f32) -> Vec<f32> {
        let mut out = Vec::with_capacity(one.len());
        if self.run == 1 {
            for (one, other) in one.chunks(gamma.len().max(1)).zip(other.chunks(gamma.len().max(1))) {
                let pairs = gamma.iter().zip(beta).zip(one.iter().zip(other));
                out.extend(pairs.map(|((&gamma, &beta), (&one, &other))| of(gamma, beta, one, other)));
            }
            return out;
        }
        let channels = gamma.iter().zip(beta).cycle();
        for ((&gamma, &beta), (one, other)) in
            channels.zip(one.chunks(self.run.max(1)).zip(other.chunks(self.run.max(1))))
        {
            out.extend(one.iter().zip(other).map(|(&one, &other)| of(gamma, beta, one, other)));
        }
        out
    }

    /// Sums of values over each channel.
    fn sums(&self, values: &[f32], channels: usize) -> Vec<f32> {
        let mut sums = vec![0.0_f64; channels];
        for (place, run) in values.chunks(self.run.max(1)).enumerate() {
            sums[place % channels] += run.iter().map(|&value| f64::from(value)).sum::<f64>();
        }
        sums.into_iter().map(|sum| sum as f32).collect()
    }
}

impl CustomOp3 for Scaled {
    fn name(&self) -> &'static str {
        "scaled"
    }

    fn cpu_fwd(
        &self,
        input: &CpuStorage,
        layout: &Layout,
        gamma: &CpuStorage,
        gamma_layout: &Layout,
        beta: &CpuStorage,
        beta_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (input, gamma, beta) = (values(input, layout)?, values(gamma, gamma_layout)?, values(beta, beta_layout)?);
        if gamma.len() != beta.len() || input.len() % (gamma.len() * self.run).max(1) != 0 {
            bail!("{} channels cannot scale {:?}", gamma.len(), layout.shape());
        }
        output(self.each([gamma, beta, input, input], |gamma, beta, value, _| gamma * value + beta), layout.shape())
    }

    fn bwd(
        &self,
        input: &Tensor,
        gamma: &Tensor,
        beta: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (gradient, channels) = (gradient.contiguous()?, gamma.elem_count());
        let product = with_all([input, gamma, &gradient], |[_, gamma, gradient]| {
            self.each([gamma, gamma, gradient, gradient], |gamma, _, value, _| gamma * value)
        })?;
        let input_gradient = Some(beside(product, input.shape(), input)?);
        if let Some(kept) = &self.kept {
            kept.keep(&gradient);
            return Ok((input_gradient, None, None));
        }
        let [of_gamma, of_beta] = with_all([input, gamma, &gradient], |[input, gamma, gradient]| {
            let products = self.each([gamma, gamma, input, gradient], |_, _, value, delta| value * delta);
            [self.sums(&products, channels), self.sums(gradient, channels)]
        })?;
        let of_beta = beta.track_op().then(|| beside(of_beta, beta.shape(), beta)).transpose()?;
        Ok((input_gradient, Some(beside(of_gamma, gamma.shape(), gamma)?), of_beta))
    }
}
