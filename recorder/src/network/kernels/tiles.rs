//! A matrix that several threads write at once, each its own tile.

use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ops::Range;

/// A row-major matrix lent to tasks that write disjoint tiles of it.
pub(super) struct Tiles<'a> {
    data: *mut f32,
    rows: usize,
    columns: usize,
    lent: PhantomData<&'a mut [f32]>,
}

// SAFETY: the pointer stands for an exclusive borrow of plain numbers; `segment` makes its callers promise that no two
// threads touch the same element.
unsafe impl Send for Tiles<'_> {}
// SAFETY: as above.
unsafe impl Sync for Tiles<'_> {}

impl<'a> Tiles<'a> {
    /// Lends out `matrix`, of rows of `columns` values.
    pub(super) fn new(matrix: &'a mut [f32], columns: usize) -> Tiles<'a> {
        let rows = matrix.len() / columns.max(1);
        Tiles { data: matrix.as_mut_ptr(), rows, columns, lent: PhantomData }
    }

    /// Values of a row.
    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// The given columns of one row.
    ///
    /// # Safety
    /// While the slice lives, no other slice may hold any of its elements.
    #[allow(clippy::mut_from_ref, reason = "that the tiles are disjoint is what callers promise")]
    #[inline(always)]
    pub(super) unsafe fn segment(&self, row: usize, columns: Range<usize>) -> &mut [f32] {
        assert!(row < self.rows && columns.start <= columns.end && columns.end <= self.columns);
        // SAFETY: the assertion keeps the segment inside the matrix that `new` borrowed exclusively for 'a; the caller
        // promises that it overlaps no other.
        unsafe { std::slice::from_raw_parts_mut(self.data.add(row * self.columns + columns.start), columns.len()) }
    }
}

/// A new matrix every element of which `fill` writes.
///
/// # Safety
/// `fill` must write every element: the memory is not initialised before.
pub(super) unsafe fn filled_matrix(rows: usize, columns: usize, fill: impl FnOnce(&Tiles<'_>)) -> Vec<f32> {
    let mut matrix: Vec<MaybeUninit<f32>> = Vec::with_capacity(rows * columns);
    let tiles = Tiles { data: matrix.as_mut_ptr().cast(), rows, columns, lent: PhantomData };
    fill(&tiles);
    let (pointer, capacity) = (matrix.as_mut_ptr().cast::<f32>(), matrix.capacity());
    std::mem::forget(matrix);
    // SAFETY: pointer and capacity come from a vector of the same layout, which is forgotten; the caller promises that
    // all rows * columns elements have been written.
    unsafe { Vec::from_raw_parts(pointer, rows * columns, capacity) }
}
