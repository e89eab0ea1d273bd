//! Pooling of images `[B, C, height, width]`, over squares that do not overlap. It has no parameters.

use candle_core::{Module, Result, Tensor};

use super::{Layer, Layers, fused};

/// The largest value of every square of this side; what is left at the edge is dropped. Of several largest ones the first takes the gradient,
/// as in PyTorch: candle's own maximum gives the whole gradient to each, which is no derivative where a plain background makes all
/// four alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxPool(pub usize);

/// The mean of every square of this side; what is left at the edge is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AveragePool(pub usize);

/// The mean of a channel over the whole image: `[B, C, height, width]` to `[B, C]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GlobalAverage;

/// The image in squares, `[B, C, rows, side, columns, side]`. (candle's pooling cannot derive images with an edge left.)
fn squares(input: &Tensor, side: usize) -> Result<Tensor> {
    let (examples, channels, height, width) = input.dims4()?;
    let (rows, columns) = (height / side, width / side);
    let whole = input.narrow(2, 0, rows * side)?.narrow(3, 0, columns * side)?.contiguous()?;
    whole.reshape(&[examples, channels, rows, side, columns, side])
}

impl Module for MaxPool {
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        if fused::fits(input) && self.0 > 0 {
            return input.contiguous()?.apply_op1(fused::Largest { side: self.0 });
        }
        let squares = squares(input, self.0)?.transpose(3, 4)?.contiguous()?.flatten_from(4)?;
        squares.gather(&squares.argmax_keepdim(4)?, 4)?.squeeze(4)
    }
}

impl Module for AveragePool {
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        squares(input, self.0)?.mean((3, 5))
    }
}

impl Module for GlobalAverage {
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        input.mean((2, 3))
    }
}

impl Layers for GlobalAverage {
    fn layers(&self) -> Vec<(String, &dyn Layer)> {
        Vec::new()
    }
}

impl Layers for MaxPool {
    fn layers(&self) -> Vec<(String, &dyn Layer)> {
        Vec::new()
    }
}

impl Layers for AveragePool {
    fn layers(&self) -> Vec<(String, &dyn Layer)> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    #[test]
    fn one_of_several_largest_values_takes_the_gradient() {
        // A plain background, two equal corners, and a column that is dropped.
        let values = [[2.0_f32, 2.0, 1.0, 5.0, 9.0], [2.0, 2.0, 5.0, 0.0, 9.0]];
        let input = Var::new(&[[values]], &Device::Cpu).unwrap();
        let pooled = MaxPool(2).forward(&input).unwrap();
        assert_eq!(pooled.flatten_all().unwrap().to_vec1::<f32>().unwrap(), [2.0, 5.0]);
        let gradients = pooled.sum_all().unwrap().backward().unwrap();
        let gradient = gradients.get(&input).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(gradient, [1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    }
}
