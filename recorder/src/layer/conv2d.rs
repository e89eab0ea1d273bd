//! A convolution of images, with any stride, padding, dilation and groups.

use std::ops::Range;

use candle_core::{Module, Result, Tensor, Var, bail};
use rayon::prelude::*;

use super::unfold::Unfold;
use super::{Layer, Tap, Use, materialised, sums, values, weight_and_bias};

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

    /// The convolution without a bias: kernels times patches.
    fn convolved(&self, input: &Tensor, weight: &Tensor) -> Result<Tensor> {
        let Conv2dSettings { stride, padding, dilation, groups } = self.settings;
        if !input.device().is_cpu() {
            return input.conv2d(weight, padding, stride, dilation, groups);
        }
        let (unfold, examples, outputs) = (Unfold::new(input, weight, self.settings)?, input.dim(0)?, weight.dim(0)?);
        let patches = input.contiguous()?.apply_op1(unfold)?.flatten_from(2)?;
        let kernels = weight.reshape((groups, outputs / groups, unfold.values()))?;
        let output = kernels.matmul(&patches)?.reshape((outputs, examples, unfold.outputs(0), unfold.outputs(1)))?;
        output.transpose(0, 1)?.contiguous()
    }

    fn unfold(&self, taken: &Use) -> Result<Unfold> {
        Unfold::new(&taken.input, &self.weight, self.settings)
    }

    /// The patches, `[B · groups, values, positions]`, and the gradients at outputs, `[B · groups, outputs of a group,
    /// positions]`.
    fn unfolded(&self, taken: &Use) -> Result<(Tensor, Tensor)> {
        let unfold = self.unfold(taken)?;
        let patches = taken.input.contiguous()?.apply_op1_no_bwd(&unfold)?.permute((2, 0, 1, 3))?.contiguous()?;
        let lines = taken.examples()? * self.settings.groups;
        let deltas = taken.output_gradient.contiguous()?.reshape((lines, (), unfold.positions()))?;
        Ok((patches.flatten_to(1)?, deltas))
    }

    /// Of one example, the gradient at the weight's coordinate.
    fn gradient_at(&self, unfold: &Unfold, input: &[f32], deltas: &[f32], coordinate: usize) -> f64 {
        let [kernel_rows, kernel_columns] = unfold.kernel;
        let (output, value) = (coordinate / unfold.values(), coordinate % unfold.values());
        let (row, column) = (value / kernel_columns % kernel_rows, value % kernel_columns);
        let group = output / (self.weight.dims()[0] / self.settings.groups);
        let channel = group * (unfold.channels / self.settings.groups) + value / (kernel_rows * kernel_columns);
        let [height, width] = unfold.image;
        let image = &input[channel * height * width..][..height * width];
        let deltas = &deltas[output * unfold.positions()..][..unfold.positions()];
        let mut sum = 0.0;
        for (position, delta) in deltas.iter().enumerate() {
            let (down, right) = (position / unfold.outputs(1), position % unfold.outputs(1));
            if let (Some(y), Some(x)) = (unfold.pixel(0, row, down), unfold.pixel(1, column, right)) {
                sum += f64::from(*delta) * f64::from(image[y * width + x]);
            }
        }
        sum
    }
}

impl Module for Conv2d {
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        let output = self.convolved(input, &self.weight)?;
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
        let (patches, deltas) = self.unfolded(taken)?;
        let (examples, outputs) = (taken.examples()?, taken.output_gradient.dim(1)?);
        let shape = [&[examples, outputs], &self.weight.dims()[1..]].concat();
        deltas.matmul(&patches.transpose(1, 2)?.contiguous()?)?.reshape(shape)
    }

    fn gradients_of_rows(&self, taken: &Use, parameter: usize, rows: Range<usize>) -> Result<Tensor> {
        match self.settings.groups {
            1 => self.gradients(&taken.narrowed(1, rows)?, parameter),
            // The rows of one group see its channels alone.
            _ => self.gradients(taken, parameter)?.narrow(1, rows.start, rows.len()),
        }
    }

    fn gradients_at(&self, taken: &Use, parameter: usize, coordinates: &[usize]) -> Result<Vec<f64>> {
        if parameter != WEIGHT {
            return materialised::gradients_at(&self.gradients(taken, parameter)?, coordinates);
        }
        let unfold = self.unfold(taken)?;
        let (inputs, deltas) = (values(&taken.input)?, values(&taken.output_gradient)?);
        let examples = taken.examples()?.max(1);
        let lines = inputs
            .par_chunks((inputs.len() / examples).max(1))
            .zip(deltas.par_chunks((deltas.len() / examples).max(1)));
        let of_example = |(input, deltas): (&[f32], &[f32])| {
            coordinates.iter().map(|&it| self.gradient_at(&unfold, input, deltas, it)).collect::<Vec<f64>>()
        };
        Ok(lines.map(of_example).collect::<Vec<_>>().concat())
    }

    /// ⟨δ, conv(a; G)⟩: one forward pass with weights G.
    fn contributions(&self, taken: &Use, parameter: usize, total: &Tensor) -> Result<Vec<f64>> {
        match parameter {
            WEIGHT => sums(&(self.convolved(&taken.input, total)? * &taken.output_gradient)?),
            _ => materialised::contributions(&self.gradients(taken, parameter)?, total),
        }
    }

    /// By group, the Gram matrices of patches and of δ over positions, or g itself, whichever is smaller.
    fn self_terms(&self, taken: &Use, parameter: usize) -> Result<Vec<f64>> {
        let (unfold, groups) = (self.unfold(taken)?, self.settings.groups);
        let gram_values = 2 * unfold.positions() * unfold.positions();
        if parameter != WEIGHT || gram_values >= unfold.values() * (self.weight.dim(0)? / groups) {
            return materialised::self_terms(&self.gradients(taken, parameter)?);
        }
        let (patches, deltas) = self.unfolded(taken)?;
        let gram = |tensor: &Tensor| tensor.transpose(1, 2)?.contiguous()?.matmul(tensor);
        let by_group = sums(&(gram(&patches)? * gram(&deltas)?)?)?;
        Ok(by_group.chunks(groups).map(|groups| groups.iter().sum()).collect())
    }
}
