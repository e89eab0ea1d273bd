//! Products of small matrices, by the gemm crate.

use gemm::{Parallelism, gemm};

/// Values of a matrix, and how many lie between its rows and between its columns.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    pub values: &'a [f32],
    pub row: usize,
    pub column: usize,
}

impl<'a> Matrix<'a> {
    /// Row-major, with rows of this length.
    pub fn rows(values: &'a [f32], length: usize) -> Matrix<'a> {
        Matrix { values, row: length, column: 1 }
    }

    /// The transpose of a row-major matrix with rows of this length.
    pub fn transposed(values: &'a [f32], length: usize) -> Matrix<'a> {
        Matrix { values, row: 1, column: length }
    }

    fn holds(&self, rows: usize, columns: usize) -> bool {
        (rows - 1) * self.row + (columns - 1) * self.column < self.values.len()
    }
}

/// out ← left · right, or out + left · right if `adds`: `[rows, columns]` from `[rows, inner]` and `[inner, columns]`. Rows of out begin
/// `out_row` values apart.
pub(super) fn product(
    (out, out_row): (&mut [f32], usize),
    [rows, inner, columns]: [usize; 3],
    left: Matrix<'_>,
    right: Matrix<'_>,
    adds: bool,
) {
    if rows == 0 || columns == 0 || (inner == 0 && adds) {
        return;
    }
    if inner == 0 {
        return out.chunks_mut(out_row).take(rows).for_each(|row| row[..columns].fill(0.0));
    }
    assert!(left.holds(rows, inner) && right.holds(inner, columns) && out_row >= columns);
    assert!((rows - 1) * out_row + columns <= out.len());
    let strides = [out_row, left.row, left.column, right.row, right.column].map(|stride| stride as isize);
    let [out_row, left_row, left_column, right_row, right_column] = strides;
    // SAFETY: the assertions above keep every element of the three matrices within its slice, `out` is borrowed mutably, and
    // its rows do not overlap.
    unsafe {
        gemm(
            rows,
            columns,
            inner,
            out.as_mut_ptr(),
            1,
            out_row,
            adds,
            left.values.as_ptr(),
            left_column,
            left_row,
            right.values.as_ptr(),
            right_column,
            right_row,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}
