//! Norms and products of the rows of matrices, and rows scaled one by one.

use super::with_values;
use candle_core::{Device, Result, Tensor, bail};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Adds to `totals`, one an example, the squared l2 norm of the example's gradient with respect to one layer, of `inputs`
/// [b, fan_in] and `deltas` [b, fan_out]: ‖δ‖² (‖a‖² + 1), the weights' and the biases' together.
pub(crate) fn add_square_norms(totals: &mut [f64], inputs: &Tensor, deltas: &Tensor) -> Result<()> {
    let (fan_in, fan_out) = (inputs.dims2()?.1, deltas.dims2()?.1);
    if [inputs.dims()[0], deltas.dims()[0]] != [totals.len(); 2] {
        bail!("{} norms of {inputs:?} and {deltas:?}", totals.len());
    }
    with_values(inputs, |inputs| {
        with_values(deltas, |deltas| {
            let rows = (inputs.par_chunks(fan_in), deltas.par_chunks(fan_out));
            let work = (totals.par_iter_mut(), rows).into_par_iter().with_min_len(8);
            let arch = Arch::new();
            work.for_each(|(total, (input, deltas))| {
                *total += arch.dispatch(SquareNorm(deltas)) * (arch.dispatch(SquareNorm(input)) + 1.0);
            });
        })
    })?
}

/// Partial sums of a norm, so that they need not wait for each other.
const SUMS: usize = 16;

struct SquareNorm<'a>(&'a [f32]);

impl WithSimd for SquareNorm<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f64 {
        let mut sums = [0.0; SUMS];
        let (whole, rest) = self.0.as_chunks::<SUMS>();
        for values in whole {
            for (sum, &value) in sums.iter_mut().zip(values) {
                *sum += f64::from(value) * f64::from(value);
            }
        }
        for (sum, &value) in sums.iter_mut().zip(rest) {
            *sum += f64::from(value) * f64::from(value);
        }
        sums.iter().sum()
    }
}

/// Writes into `dots`, one a row, the inner products of the rows of two matrices of one shape.
pub(crate) fn row_dots(dots: &mut [f64], left: &Tensor, right: &Tensor) -> Result<()> {
    let (rows, columns) = left.dims2()?;
    if right.dims2()? != (rows, columns) || dots.len() != rows {
        bail!("{} inner products of {left:?} and {right:?}", dots.len());
    }
    with_values(left, |left| {
        with_values(right, |right| {
            let work = (dots.par_iter_mut(), (left.par_chunks(columns), right.par_chunks(columns)));
            let arch = Arch::new();
            work.into_par_iter()
                .with_min_len(8)
                .for_each(|(dot, (left, right))| *dot = arch.dispatch(Dot { left, right }));
        })
    })?
}

struct Dot<'a> {
    left: &'a [f32],
    right: &'a [f32],
}

impl WithSimd for Dot<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f64 {
        let mut sums = [0.0; SUMS];
        let ((lefts, left), (rights, right)) = (self.left.as_chunks::<SUMS>(), self.right.as_chunks::<SUMS>());
        for (lefts, rights) in lefts.iter().zip(rights) {
            for (sum, (&left, &right)) in sums.iter_mut().zip(lefts.iter().zip(rights)) {
                *sum += f64::from(left) * f64::from(right);
            }
        }
        for (sum, (&left, &right)) in sums.iter_mut().zip(left.iter().zip(right)) {
            *sum += f64::from(left) * f64::from(right);
        }
        sums.iter().sum()
    }
}

/// `matrix` with each row multiplied by its factor.
pub(crate) fn scaled_rows(matrix: &Tensor, factors: &[f32]) -> Result<Tensor> {
    let (rows, columns) = matrix.dims2()?;
    if factors.len() != rows {
        bail!("{} factors for {matrix:?}", factors.len());
    }
    let mut scaled = vec![0.0; rows * columns];
    with_values(matrix, |values| {
        let work = (scaled.par_chunks_mut(columns), values.par_chunks(columns), factors.par_iter());
        work.into_par_iter().with_min_len(16).for_each(|(scaled, values, factor)| {
            scaled.iter_mut().zip(values).for_each(|(scaled, value)| *scaled = factor * value);
        });
    })?;
    Tensor::from_vec(scaled, (rows, columns), &Device::Cpu)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: &[[f32; 2]]) -> Tensor {
        Tensor::from_slice(rows.as_flattened(), (rows.len(), 2), &Device::Cpu).unwrap()
    }

    #[test]
    fn square_norms_are_those_of_the_outer_product_and_the_deltas() {
        let mut totals = [1.0, 0.0];
        add_square_norms(&mut totals, &matrix(&[[3.0, 4.0], [0.0, 0.0]]), &matrix(&[[1.0, -2.0], [5.0, 0.0]])).unwrap();
        assert_eq!(totals, [1.0 + 5.0 * 26.0, 25.0]);
    }

    #[test]
    fn neither_large_nor_small_values_leave_the_range_of_a_norm() {
        let mut totals = [0.0];
        add_square_norms(&mut totals, &matrix(&[[1e30, 0.0]]), &matrix(&[[1e-30, 0.0]])).unwrap();
        assert!((totals[0] - 1.0).abs() < 1e-6, "{totals:?}");
    }

    #[test]
    fn inner_products_are_those_of_the_rows_and_in_double_precision() {
        let columns = SUMS + 3;
        let left: Vec<f32> = (0..2 * columns).map(|place| place as f32 + 0.5).collect();
        let right: Vec<f32> = (0..2 * columns).map(|place| 1e8 - place as f32 * 16.0).collect();
        let tensor = |values: &[f32]| Tensor::from_slice(values, (2, columns), &Device::Cpu).unwrap();
        let mut dots = [f64::NAN; 2];
        row_dots(&mut dots, &tensor(&left), &tensor(&right)).unwrap();
        let expected = |row: usize| -> f64 {
            (row * columns..(row + 1) * columns).map(|place| f64::from(left[place]) * f64::from(right[place])).sum()
        };
        assert_eq!(dots, [expected(0), expected(1)]);
        assert!(row_dots(&mut dots[..1], &tensor(&left), &tensor(&right)).is_err());
    }

    #[test]
    fn rows_are_scaled_by_their_own_factor() {
        let scaled = scaled_rows(&matrix(&[[3.0, 4.0], [1.0, -1.0]]), &[2.0, 0.5]).unwrap();
        assert_eq!(scaled.to_vec2::<f32>().unwrap(), [[6.0, 8.0], [0.5, -0.5]]);
    }
}
