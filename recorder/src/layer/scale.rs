//! The last step of every normalisation: output = γ x̂ + β, channel by channel.

use candle_core::{Result, Tensor, Var};

use super::{Tap, Use};

/// γ and β of C channels, and the tap behind them. The tap keeps x̂, the normalised values.
#[derive(Debug)]
pub(super) struct Scale {
    gamma: Var,
    beta: Option<Var>,
    pub tap: Tap,
}

impl Scale {
    pub fn new(gamma: Var, beta: Option<Var>) -> Scale {
        Scale { gamma, beta, tap: Tap::default() }
    }

    /// Number of channels.
    pub fn channels(&self) -> Result<usize> {
        self.gamma.dim(0)
    }

    /// Scales values whose channels lie along dimension `axis`.
    pub fn forward(&self, normalised: &Tensor, axis: usize) -> Result<Tensor> {
        let mut shape = vec![1; normalised.rank()];
        shape[axis] = self.channels()?;
        let scaled = normalised.broadcast_mul(&self.gamma.reshape(shape.as_slice())?)?;
        let output = match &self.beta {
            Some(beta) => scaled.broadcast_add(&beta.reshape(shape.as_slice())?)?,
            None => scaled,
        };
        self.tap.pass(normalised, output)
    }

    pub fn parameters(&self) -> Vec<(&'static str, &Var)> {
        let beta = self.beta.iter().map(|beta| ("bias", beta));
        std::iter::once(("weight", &self.gamma)).chain(beta).collect()
    }

    /// γ: Σ_t δ_t ⊙ x̂_t; β: Σ_t δ_t, both `[B, C]`.
    pub fn gradients(&self, taken: &Use, parameter: usize, axis: usize) -> Result<Tensor> {
        let terms = match parameter {
            0 => (&taken.output_gradient * &taken.input)?,
            _ => taken.output_gradient.clone(),
        };
        let others: Vec<usize> = (1..terms.rank()).filter(|&dimension| dimension != axis).collect();
        terms.sum(others)
    }
}

/// (x − mean) / √(variance + ε) over the last dimension; without the mean if not `centred`.
pub(super) fn normalised(input: &Tensor, epsilon: f64, centred: bool) -> Result<Tensor> {
    let last = input.rank() - 1;
    let centre = if centred { input.broadcast_sub(&input.mean_keepdim(last)?)? } else { input.clone() };
    let deviation = (centre.sqr()?.mean_keepdim(last)? + epsilon)?.sqrt()?;
    centre.broadcast_div(&deviation)
}
