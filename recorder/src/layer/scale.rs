//! The last step of every normalisation, and the layer that it is to the recorder: output = γ x̂ + β, channel by channel.

use candle_core::{Result, Tensor, Var};

use super::{Layer, Tap, Use, fused, weight_and_bias};

/// Where the channels of x̂ lie.
#[derive(Clone, Copy, Debug)]
pub(super) enum Channels {
    /// Along the dimension after that of the examples.
    Second,
    /// Along the last dimension.
    Last,
}

impl Channels {
    fn axis(self, tensor: &Tensor) -> usize {
        match self {
            Channels::Second => 1,
            Channels::Last => tensor.rank() - 1,
        }
    }
}

/// γ and β of C channels, and the tap behind them. The tap keeps x̂, the normalised values.
#[derive(Debug)]
pub(super) struct Scale {
    kind: &'static str,
    channels: Channels,
    gamma: Var,
    beta: Option<Var>,
    tap: Tap,
}

impl Scale {
    pub fn new(kind: &'static str, channels: Channels, gamma: Var, beta: Option<Var>) -> Scale {
        Scale { kind, channels, gamma, beta, tap: Tap::default() }
    }

    /// Number of channels.
    pub fn channels(&self) -> Result<usize> {
        self.gamma.dim(0)
    }

    /// Scales normalised values.
    pub fn forward(&self, normalised: &Tensor) -> Result<Tensor> {
        if fused::fits(normalised) && fused::fits(&self.gamma) {
            let (input, kept) = (normalised.contiguous()?, self.tap.note(normalised));
            let beta = match &self.beta {
                Some(beta) => beta.as_tensor().clone(),
                None => self.gamma.detach().zeros_like()?,
            };
            let run = input.dims().iter().skip(self.channels.axis(&input) + 1).product();
            return input.apply_op3(&self.gamma, &beta, fused::Scaled { run, kept });
        }
        let mut shape = vec![1; normalised.rank()];
        shape[self.channels.axis(normalised)] = self.channels()?;
        let scaled = normalised.broadcast_mul(&self.gamma.reshape(shape.as_slice())?)?;
        let output = match &self.beta {
            Some(beta) => scaled.broadcast_add(&beta.reshape(shape.as_slice())?)?,
            None => scaled,
        };
        self.tap.pass(normalised, output)
    }
}

impl Layer for Scale {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn parameters(&self) -> Vec<(&'static str, &Var)> {
        weight_and_bias(&self.gamma, &self.beta)
    }

    fn tap(&self) -> &Tap {
        &self.tap
    }

    /// γ: Σ_t δ_t ⊙ x̂_t; β: Σ_t δ_t, both `[B, C]`.
    fn gradients(&self, taken: &Use, parameter: usize) -> Result<Tensor> {
        let terms = match parameter {
            0 => (&taken.output_gradient * &taken.input)?,
            _ => taken.output_gradient.clone(),
        };
        let axis = self.channels.axis(&terms);
        let others: Vec<usize> = (1..terms.rank()).filter(|&dimension| dimension != axis).collect();
        terms.sum(others)
    }
}

/// (x − mean) / √(variance + ε) over the last dimension; without the mean if not `centred`.
pub(super) fn normalised(input: &Tensor, epsilon: f64, centred: bool) -> Result<Tensor> {
    let last = input.rank() - 1;
    if fused::fits(input) {
        return input.contiguous()?.apply_op1(fused::Normalise { length: input.dim(last)?, epsilon, centred });
    }
    let centre = if centred { input.broadcast_sub(&input.mean_keepdim(last)?)? } else { input.clone() };
    let deviation = (centre.sqr()?.mean_keepdim(last)? + epsilon)?.sqrt()?;
    centre.broadcast_div(&deviation)
}
