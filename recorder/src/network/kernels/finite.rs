//! Where a tensor holds NaN or an infinity.

use super::with_values;
use candle_core::{Result, Tensor};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// The first row of a matrix that holds a value that is not finite.
pub(crate) fn first_non_finite_row(matrix: &Tensor) -> Result<Option<usize>> {
    let columns = matrix.dims2()?.1.max(1);
    with_values(matrix, |values| {
        let arch = Arch::new();
        values.par_chunks(columns).with_min_len(32).position_first(|row| !arch.dispatch(AllFinite(row)))
    })
}

struct AllFinite<'a>(&'a [f32]);

impl WithSimd for AllFinite<'_> {
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> bool {
        // No early end, so that whole registers are looked at.
        self.0.iter().fold(true, |all, value| all & value.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn the_first_row_with_a_value_that_is_not_finite_is_found() {
        let mut values = vec![f32::MAX; 300 * 7];
        values[0] = f32::MIN_POSITIVE / 2.0;
        let row = |values: &[f32]| {
            first_non_finite_row(&Tensor::from_slice(values, (300, 7), &Device::Cpu).unwrap()).unwrap()
        };
        assert_eq!(row(&values), None);
        for (place, bad) in [(299 * 7 + 6, f32::NAN), (170 * 7, f32::NEG_INFINITY), (3, f32::INFINITY)] {
            values[place] = bad;
            assert_eq!(row(&values), Some(place / 7));
        }
    }
}
