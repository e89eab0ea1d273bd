//! x Wᵀ + b for every row of x.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};

use super::product::{Matrix, product};
use super::{beside, output, values, with_all};
use crate::layer::tap::Kept;

/// Inputs `[…, in]`, weight `[out, in]` and bias `[out]` to `[…, out]`. If the gradient at the output is kept, that of the parameters
/// is not computed.
pub(in crate::layer) struct Affine {
    pub kept: Option<Kept>,
}

impl CustomOp3 for Affine {
    fn name(&self) -> &'static str {
        "affine"
    }

    fn cpu_fwd(
        &self,
        inputs: &CpuStorage,
        inputs_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (fan_out, fan_in) = weight_layout.shape().dims2()?;
        let mut shape = inputs_layout.shape().dims().to_vec();
        let (inputs, bias) = (values(inputs, inputs_layout)?, values(bias, bias_layout)?);
        if shape.pop() != Some(fan_in) || bias.len() != fan_out {
            candle_core::bail!("weights [{fan_out}, {fan_in}] cannot take {:?}", inputs_layout.shape());
        }
        let rows = shape.iter().product();
        shape.push(fan_out);
        let mut outputs = bias.repeat(rows);
        let weight = Matrix::transposed(values(weight, weight_layout)?, fan_in);
        product((&mut outputs, fan_out), [rows, fan_in, fan_out], Matrix::rows(inputs, fan_in), weight, true);
        output(outputs, shape)
    }

    fn bwd(
        &self,
        inputs: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        let (fan_out, fan_in) = weight.dims2()?;
        let input_gradient = |[weight, deltas]: [&[f32]; 2]| {
            let rows = deltas.len() / fan_out.max(1);
            let mut gradients = vec![0.0; rows * fan_in];
            let factors = (Matrix::rows(deltas, fan_out), Matrix::rows(weight, fan_in));
            product((&mut gradients, fan_in), [rows, fan_out, fan_in], factors.0, factors.1, false);
            gradients
        };
        let input_gradient = match inputs.track_op() {
            true => Some(beside(with_all([weight, &gradient], input_gradient)?, inputs.shape(), inputs)?),
            false => None,
        };
        if let Some(kept) = &self.kept {
            kept.keep(&gradient);
            return Ok((input_gradient, None, None));
        }
        let of_bias = gradient.reshape(((), fan_out))?.sum(0)?;
        let mut of_weight = vec![0.0; weight.elem_count()];
        add_sum(inputs, &gradient, &mut of_weight)?;
        Ok((input_gradient, Some(beside(of_weight, weight.shape(), weight)?), bias.track_op().then_some(of_bias)))
    }
}

/// Adds the gradient of the weight, summed over all rows, to `sum`.
pub(in crate::layer) fn add_sum(inputs: &Tensor, deltas: &Tensor, sum: &mut [f32]) -> Result<()> {
    let (fan_in, fan_out) = (inputs.dim(inputs.rank() - 1)?, deltas.dim(deltas.rank() - 1)?);
    with_all([inputs, deltas], |[inputs, deltas]| {
        let factors = (Matrix::transposed(deltas, fan_out), Matrix::rows(inputs, fan_in));
        product((sum, fan_in), [fan_out, inputs.len() / fan_in.max(1), fan_in], factors.0, factors.1, true);
    })
}
