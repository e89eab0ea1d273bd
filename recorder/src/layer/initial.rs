//! Layers with initial weights: Glorot's uniform ones, zero biases, scales of one.

use candle_core::{Device, Result, Tensor, Var};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::{Conv2d, Conv2dSettings, Dense, Embedding, GroupNorm, LayerNorm, PositionEmbedding};
use crate::random::{Purpose, stream};

/// Makes layers one after the other; the same seed makes the same network.
pub struct Initial {
    generator: ChaCha8Rng,
    device: Device,
}

/// ε under the root of normalisations.
const EPSILON: f64 = 1e-5;

impl Initial {
    /// From a seed, on a device.
    pub fn new(seed: u64, device: &Device) -> Initial {
        Initial { generator: stream(seed, Purpose::Initialisation, 0), device: device.clone() }
    }

    /// A dense layer from `fan_in` to `fan_out` units.
    ///
    /// # Errors
    /// The tensor library refuses.
    pub fn dense(&mut self, fan_in: usize, fan_out: usize) -> Result<Dense> {
        let weight = self.glorot(&[fan_out, fan_in], fan_in + fan_out)?;
        Ok(Dense::new(weight, Some(self.constant(0.0, fan_out)?)))
    }

    /// A convolution from `channels` to `outputs` channels with a square kernel.
    ///
    /// # Errors
    /// Channels are no multiple of the groups, or the tensor library refuses.
    pub fn conv2d(
        &mut self,
        channels: usize,
        outputs: usize,
        kernel: usize,
        settings: Conv2dSettings,
    ) -> Result<Conv2d> {
        let (seen, area) = (channels / settings.groups.max(1), kernel * kernel);
        let fans = (seen + outputs / settings.groups.max(1)) * area;
        let weight = self.glorot(&[outputs, seen, kernel, kernel], fans)?;
        Conv2d::new(weight, Some(self.constant(0.0, outputs)?), settings)
    }

    /// An embedding of so many tokens.
    ///
    /// # Errors
    /// The tensor library refuses.
    pub fn embedding(&mut self, vocabulary: usize, width: usize) -> Result<Embedding> {
        Ok(Embedding::new(self.glorot(&[vocabulary, width], 2 * width)?))
    }

    /// An embedding of so many positions.
    ///
    /// # Errors
    /// The tensor library refuses.
    pub fn position_embedding(&mut self, longest: usize, width: usize) -> Result<PositionEmbedding> {
        Ok(PositionEmbedding::new(self.glorot(&[longest, width], 2 * width)?))
    }

    /// A layer normalisation of so many channels.
    ///
    /// # Errors
    /// The tensor library refuses.
    pub fn layer_norm(&self, channels: usize) -> Result<LayerNorm> {
        Ok(LayerNorm::new(self.constant(1.0, channels)?, Some(self.constant(0.0, channels)?), EPSILON))
    }

    /// A group normalisation of so many channels.
    ///
    /// # Errors
    /// Channels are no multiple of the groups.
    pub fn group_norm(&self, channels: usize, groups: usize) -> Result<GroupNorm> {
        GroupNorm::new(self.constant(1.0, channels)?, Some(self.constant(0.0, channels)?), groups, EPSILON)
    }

    /// Uniform in ±√(6 / fans) (Glorot & Bengio 2010), `fans` being the sum of both.
    fn glorot(&mut self, shape: &[usize], fans: usize) -> Result<Var> {
        let bound = (6.0 / fans.max(1) as f64).sqrt();
        let uniform = std::iter::repeat_with(|| f64::from(self.generator.next_u32() >> 8) / f64::from(1 << 24));
        let values: Vec<f32> =
            uniform.map(|uniform| (bound * (2.0 * uniform - 1.0)) as f32).take(shape.iter().product()).collect();
        Var::from_vec(values, shape, &self.device)
    }

    fn constant(&self, value: f32, length: usize) -> Result<Var> {
        Var::from_tensor(&Tensor::full(value, length, &self.device)?)
    }
}
