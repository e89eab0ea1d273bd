//! A convolution of images, with any stride, padding, dilation and groups.

use std::ops::Range;

use candle_core::{DType, Device, Module, Result, Tensor, Var, bail};

use super::fused::Patches;
use super::unfold::Unfold;
use super::{Layer, Tap, Use, fused, materialised, weight_and_bias};

const WEIGHT: usize = 0;

/// How a kernel moves over an image; the same in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2dSettings {
    /// Pixels from one position to the next.
    pub stride: usize,
    /// Zeros around the image.
    pub padding: usize,
    /// Pixels from one value of the kernel to the next.
    pub dilation: usize,
    /// Groups of channels that do not see each other.
    pub groups: usize,
}

impl Default for Conv2dSettings {
    fn default() -> Conv2dSettings {
        Conv2dSettings { stride: 1, padding: 0, dilation: 1, groups: 1 }
    }
}

/// A convolution of images `[B, C, height, width]`. With U the patches of the input and δ the gradient at the output,
/// g = δ Uᵀ over positions and, of the bias, Σ δ.
#[derive(Debug)]
pub struct Conv2d {
    weight: Var,
    bias: Option<Var>,
    settings: Conv2dSettings,
    tap: Tap,
}

impl Conv2d {
    /// The layer of these parameters, `[out, in / groups, rows, columns]` and `[out]`.
    ///
    /// # Errors
    /// A stride, dilation or number of groups of zero, an empty kernel, or outputs that are no multiple of the groups.
    pub fn new(weight: Var, bias: Option<Var>, settings: Conv2dSettings) -> Result<Conv2d> {
        let (outputs, ..) = weight.dims4()?;
        let Conv2dSettings { stride, dilation, groups, .. } = settings;
        if stride == 0 || dilation == 0 || groups == 0 || outputs % groups != 0 || weight.elem_count() == 0 {
            bail!("a convolution of weights {:?} cannot have {settings:?}", weight.dims());
        }
        Ok(Conv2d { weight, bias, settings, tap: Tap::default() })
    }

    /// Kernels and patches of these images.
    fn patches(&self, input: &Tensor) -> Result<Patches> {
        let unfold = Unfold::new(input.dims(), self.weight.dims(), self.settings)?;
        Ok(Patches { unfold, outputs: self.weight.dim(0)? })
    }

    /// Inputs and gradients at outputs of a use, as the patches take them.
    fn images(taken: &Use) -> Result<(Tensor, Tensor)> {
        let plain = |tensor: &Tensor| tensor.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.contiguous();
        Ok((plain(&taken.input)?, plain(&taken.output_gradient)?))
    }
}

impl Module for Conv2d {
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        if fused::fits(input) && fused::fits(&self.weight) {
            let (patches, input) = (self.patches(input)?, input.contiguous()?);
            let bias = match &self.bias {
                Some(bias) => bias.as_tensor().clone(),
                None => Tensor::zeros(patches.outputs, DType::F32, input.device())?,
            };
            let kept = self.tap.note(&input);
            return input.apply_op3(&self.weight, &bias, fused::Convolution { patches, kept });
        }
        let Conv2dSettings { stride, padding, dilation, groups } = self.settings;
        let output = input.conv2d(&self.weight, padding, stride, dilation, groups)?;
        let output = match &self.bias {
            Some(bias) => output.broadcast_add(&bias.reshape((1, (), 1, 1))?)?,
            None => output,
        };
        self.tap.pass(input, output)
    }
}

impl Layer for Conv2d {
    fn kind(&self) -> &'static str {
        "conv2d"
    }

    fn parameters(&self) -> Vec<(&'static str, &Var)> {
        weight_and_bias(&self.weight, &self.bias)
    }

    fn tap(&self) -> &Tap {
        &self.tap
    }

    fn gradients(&self, taken: &Use, parameter: usize) -> Result<Tensor> {
        if parameter != WEIGHT {
            return taken.output_gradient.sum((2, 3));
        }
        let (images, deltas) = Conv2d::images(taken)?;
        let gradients = self.patches(&images)?.gradients(&images, &deltas)?.concat();
        let shape = [&[taken.examples()?], self.weight.dims()].concat();
        Tensor::from_vec(gradients, shape, taken.input.device())
    }

    fn add_sum(&self, taken: &Use, parameter: usize, sum: &mut [f32]) -> Result<()> {
        if parameter != WEIGHT {
            return materialised::add_sum(&self.gradients(taken, parameter)?, sum);
        }
        let (images, deltas) = Conv2d::images(taken)?;
        self.patches(&images)?.add_sum(&images, &deltas, sum)
    }

    fn gradients_of_rows(&self, taken: &Use, parameter: usize, rows: Range<usize>) -> Result<Tensor> {
        if parameter != WEIGHT || self.settings.groups != 1 {
            // The rows of one group see its channels alone.
            return self.gradients(taken, parameter)?.narrow(1, rows.start, rows.len());
        }
        let (images, deltas) = Conv2d::images(&taken.narrowed(1, rows.clone())?)?;
        let patches = Patches { outputs: rows.len(), ..self.patches(&images)? };
        let shape = [&[taken.examples()?, rows.len()], &self.weight.dims()[1..]].concat();
        Tensor::from_vec(patches.gradients(&images, &deltas)?.concat(), shape, taken.input.device())
    }

    fn gradients_at(&self, taken: &Use, parameter: usize, coordinates: &[usize]) -> Result<Vec<f64>> {
        if parameter != WEIGHT {
            return materialised::gradients_at(&self.gradients(taken, parameter)?, coordinates);
        }
        let (images, deltas) = Conv2d::images(taken)?;
        Ok(self.patches(&images)?.gradients_at(&images, &deltas, coordinates)?.concat())
    }

    /// ⟨δ, conv(a; G)⟩: one forward pass with weights G.
    fn contributions(&self, taken: &Use, parameter: usize, total: &Tensor) -> Result<Vec<f64>> {
        if parameter != WEIGHT {
            return materialised::contributions(&self.gradients(taken, parameter)?, total);
        }
        let (images, deltas) = Conv2d::images(taken)?;
        self.patches(&images)?.contributions(&images, &deltas, total)
    }

    /// By group, the Gram matrices of patches and of δ over positions, or g itself, whichever is less work.
    fn self_terms(&self, taken: &Use, parameter: usize) -> Result<Vec<f64>> {
        if parameter != WEIGHT {
            return materialised::self_terms(&self.gradients(taken, parameter)?);
        }
        let (images, deltas) = Conv2d::images(taken)?;
        self.patches(&images)?.self_terms(&images, &deltas)
    }
}
