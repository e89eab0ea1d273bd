//! A dense layer, of plain vectors or of every position of a sequence: output = W a + b.

use std::ops::Range;

use candle_core::{DType, Module, Result, Tensor, Var};
use rayon::prelude::*;

use super::{Layer, Tap, Use, fused, materialised, sums, values, weight_and_bias};

const WEIGHT: usize = 0;

/// A dense layer of inputs `[B, …, in]`. With a its input and δ the gradient at its output at position t,
/// g = Σ_t δ_t a_tᵀ and, of the bias, Σ_t δ_t.
#[derive(Debug)]
pub struct Dense {
    weight: Var,
    bias: Option<Var>,
    tap: Tap,
}

impl Dense {
    /// The layer of these parameters, `[out, in]` and `[out]`.
    pub fn new(weight: Var, bias: Option<Var>) -> Dense {
        Dense { weight, bias, tap: Tap::default() }
    }
}

impl Module for Dense {
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        let (fan_out, fan_in) = self.weight.dims2()?;
        if fused::fits(input) && fused::fits(&self.weight) {
            let (input, kept) = (input.contiguous()?, self.tap.note(input));
            let bias = match &self.bias {
                Some(bias) => bias.as_tensor().clone(),
                None => Tensor::zeros(fan_out, DType::F32, input.device())?,
            };
            return input.apply_op3(&self.weight, &bias, fused::Affine { kept });
        }
        let mut shape = input.dims().to_vec();
        if let Some(last) = shape.last_mut() {
            *last = fan_out;
        }
        let output = input.reshape(((), fan_in))?.matmul(&self.weight.t()?)?;
        let output = match &self.bias {
            Some(bias) => output.broadcast_add(bias)?,
            None => output,
        };
        self.tap.pass(input, output.reshape(shape)?)
    }
}

/// Inputs and gradients at outputs of a use, `[B, T, in]` and `[B, T, out]`.
fn positions(taken: &Use) -> Result<(Tensor, Tensor)> {
    let examples = taken.examples()?;
    let by_position = |tensor: &Tensor| {
        let width = tensor.dim(tensor.rank() - 1)?;
        tensor.contiguous()?.reshape((examples, (), width))
    };
    Ok((by_position(&taken.input)?, by_position(&taken.output_gradient)?))
}

impl Layer for Dense {
    fn kind(&self) -> &'static str {
        "linear"
    }

    fn parameters(&self) -> Vec<(&'static str, &Var)> {
        weight_and_bias(&self.weight, &self.bias)
    }

    fn tap(&self) -> &Tap {
        &self.tap
    }

    fn gradients(&self, taken: &Use, parameter: usize) -> Result<Tensor> {
        let (inputs, deltas) = positions(taken)?;
        match parameter {
            WEIGHT => deltas.transpose(1, 2)?.contiguous()?.matmul(&inputs),
            _ => deltas.sum(1),
        }
    }

    fn add_sum(&self, taken: &Use, parameter: usize, sum: &mut [f32]) -> Result<()> {
        let fits = fused::fits(&taken.input) && fused::fits(&taken.output_gradient);
        match parameter {
            WEIGHT if fits => fused::add_dense(&taken.input.contiguous()?, &taken.output_gradient.contiguous()?, sum),
            _ => materialised::add_sum(&self.gradients(taken, parameter)?, sum),
        }
    }

    fn gradients_of_rows(&self, taken: &Use, parameter: usize, rows: Range<usize>) -> Result<Tensor> {
        let outputs = taken.output_gradient.rank() - 1;
        self.gradients(&taken.narrowed(outputs, rows)?, parameter)
    }

    fn gradients_at(&self, taken: &Use, parameter: usize, coordinates: &[usize]) -> Result<Vec<f64>> {
        if parameter != WEIGHT {
            return materialised::gradients_at(&self.gradients(taken, parameter)?, coordinates);
        }
        let (inputs, deltas) = positions(taken)?;
        let ((_, length, fan_in), fan_out) = (inputs.dims3()?, deltas.dim(2)?);
        let (inputs, deltas) = (values(&inputs)?, values(&deltas)?);
        let of_example = |(inputs, deltas): (&[f32], &[f32])| {
            let at = |&coordinate: &usize| {
                let (row, column) = (coordinate / fan_in, coordinate % fan_in);
                let position = |t: usize| f64::from(deltas[t * fan_out + row]) * f64::from(inputs[t * fan_in + column]);
                (0..length).map(position).sum::<f64>()
            };
            coordinates.iter().map(at).collect::<Vec<f64>>()
        };
        let examples = inputs.par_chunks((length * fan_in).max(1)).zip(deltas.par_chunks((length * fan_out).max(1)));
        Ok(examples.map(of_example).collect::<Vec<_>>().concat())
    }

    /// Σ_t δ_tᵀ G a_t: one forward pass of the layer with weights G.
    fn contributions(&self, taken: &Use, parameter: usize, total: &Tensor) -> Result<Vec<f64>> {
        if parameter != WEIGHT {
            return materialised::contributions(&self.gradients(taken, parameter)?, total);
        }
        let (inputs, deltas) = positions(taken)?;
        let outputs = inputs.flatten_to(1)?.matmul(&total.t()?)?.reshape(deltas.shape())?;
        sums(&(outputs * deltas)?)
    }

    /// ‖δ‖²‖a‖² of one position; of a sequence Σ_{t,t'} (δ_t·δ_t')(a_t·a_t'), or from g itself if that is smaller.
    fn self_terms(&self, taken: &Use, parameter: usize) -> Result<Vec<f64>> {
        if parameter != WEIGHT {
            return materialised::self_terms(&self.gradients(taken, parameter)?);
        }
        let (inputs, deltas) = positions(taken)?;
        let (length, size) = (inputs.dim(1)?, inputs.dim(2)? * deltas.dim(2)?);
        if length == 1 {
            let squares = |tensor: &Tensor| materialised::self_terms(tensor);
            let products = squares(&inputs)?.into_iter().zip(squares(&deltas)?).map(|(input, delta)| input * delta);
            return Ok(products.collect());
        }
        if 2 * length * length >= size {
            return materialised::self_terms(&self.gradients(taken, parameter)?);
        }
        let gram = |tensor: &Tensor| tensor.matmul(&tensor.transpose(1, 2)?.contiguous()?);
        sums(&(gram(&inputs)? * gram(&deltas)?)?)
    }
}
