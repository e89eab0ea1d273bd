//! Matrix products, with the bounds of every operand checked.

/// A matrix in a slice: entry (row, column) is at row·row_stride + column·column_stride.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a, T> {
    values: &'a [T],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a, T> Matrix<'a, T> {
    /// Rows of `columns` values, each `stride` values after the one before.
    pub(super) fn new(values: &'a [T], rows: usize, columns: usize, stride: usize) -> Matrix<'a, T> {
        assert!(columns <= stride && fits(values.len(), rows, columns, stride), "a matrix must lie in its slice");
        Matrix { values, rows, columns, row_stride: stride, column_stride: 1 }
    }

    pub(super) fn transposed(self) -> Matrix<'a, T> {
        Matrix {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

fn fits(length: usize, rows: usize, columns: usize, stride: usize) -> bool {
    rows == 0 || columns == 0 || (rows - 1) * stride + columns <= length
}

/// A number that products are made of.
pub(super) trait Number: Copy + 'static {
    const ZERO: Self;
    const ONE: Self;
}

impl Number for f32 {
    const ZERO: f32 = 0.0;
    const ONE: f32 = 1.0;
}

impl Number for f64 {
    const ZERO: f64 = 0.0;
    const ONE: f64 = 1.0;
}

/// Writes `left` · `right` to `result`, row-major with rows `stride` values apart, on one thread.
pub(super) fn product<T: Number>(left: Matrix<'_, T>, right: Matrix<'_, T>, result: &mut [T], stride: usize) {
    assert_eq!(left.columns, right.rows, "a product must have equal inner sizes");
    assert!(right.columns <= stride && fits(result.len(), left.rows, right.columns, stride), "the result must fit");
    // SAFETY: the three matrices lie within their slices, as the assertions here and in `Matrix::new` say, and `result` is
    // not aliased.
    unsafe {
        gemm::gemm(
            left.rows,
            right.columns,
            left.columns,
            result.as_mut_ptr(),
            1,
            stride as isize,
            false,
            left.values.as_ptr(),
            left.column_stride as isize,
            left.row_stride as isize,
            right.values.as_ptr(),
            right.column_stride as isize,
            right.row_stride as isize,
            T::ZERO,
            T::ONE,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
