//! The non-zero values of a matrix, listed by row or by column.

use rayon::prelude::*;
use std::cell::Cell;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

/// Where a non-zero value stands in its list's row (column), and the value.
pub(super) type Entry = (u32, f32);

thread_local! {
    /// Slots of lists gone by, for the next ones: clearing new memory for every list took a fifth of a small network's step.
    static SPARE: Cell<Vec<Entry>> = const { Cell::new(Vec::new()) };
}

/// At least `length` slots of arbitrary content.
fn slots(length: usize) -> Vec<Entry> {
    let mut slots = SPARE.take();
    if slots.len() < length {
        slots.resize(length, (0, 0.0));
    }
    slots
}

/// The non-zero values of each row of a matrix in ascending column, cut into blocks of columns. Positions in the
/// entries count from the start of the block.
pub(super) struct RowLists {
    slots: Vec<Entry>,
    ends: Vec<u32>,
    used: Vec<AtomicBool>,
    columns: usize,
    blocks: usize,
}

impl RowLists {
    /// Lists the row-major `matrix` of rows of `columns` values in blocks of `block` columns.
    pub(super) fn new(matrix: &[f32], columns: usize, block: usize) -> RowLists {
        let rows = matrix.len() / columns;
        let blocks = columns.div_ceil(block);
        let mut slots = slots(rows * columns);
        let mut ends = vec![0; rows * blocks];
        let used: Vec<AtomicBool> = (0..columns).map(|_| AtomicBool::new(false)).collect();
        let work = (matrix.par_chunks(columns), slots.par_chunks_mut(columns), ends.par_chunks_mut(blocks));
        work.into_par_iter().with_min_len(8).for_each(|(row, slots, ends)| list_row(row, block, slots, ends, &used));
        RowLists { slots, ends, used, columns, blocks }
    }

    /// The non-zero values of one row within one block of columns.
    #[inline(always)]
    pub(super) fn entries(&self, row: usize, block: usize) -> &[Entry] {
        let ends = &self.ends[row * self.blocks..][..self.blocks];
        let start = if block == 0 { 0 } else { ends[block - 1] as usize };
        &self.slots[row * self.columns..][start..ends[block] as usize]
    }

    /// Whether any row has a non-zero value in this column.
    #[inline(always)]
    pub(super) fn is_used(&self, column: usize) -> bool {
        self.used[column].load(Ordering::Relaxed)
    }
}

impl Drop for RowLists {
    fn drop(&mut self) {
        SPARE.set(std::mem::take(&mut self.slots));
    }
}

fn list_row(row: &[f32], block: usize, slots: &mut [Entry], ends: &mut [u32], used: &[AtomicBool]) {
    let mut count = 0;
    for ((values, end), used) in row.chunks(block).zip(ends).zip(used.chunks(block)) {
        let start = count;
        for (position, &value) in values.iter().enumerate() {
            // Written always and kept by counting it: a branch on the value would be mispredicted all the time.
            slots[count] = (position as u32, value);
            count += usize::from(value != 0.0);
        }
        *end = count as u32;
        for &(position, _) in &slots[start..count] {
            // Read first, so that threads share the cache line once all flags are up.
            let flag = &used[position as usize];
            if !flag.load(Ordering::Relaxed) {
                flag.store(true, Ordering::Relaxed);
            }
        }
    }
}

/// The non-zero values of each column of a matrix in ascending row.
pub(super) struct ColumnLists {
    slots: Vec<Entry>,
    lengths: Vec<u32>,
    rows: usize,
}

/// Columns listed together: their slots and the rows' cache lines stay in L1.
const COLUMNS: usize = 32;

impl ColumnLists {
    /// Lists the row-major `matrix` of rows of `columns` values.
    pub(super) fn new(matrix: &[f32], columns: usize) -> ColumnLists {
        ColumnLists::of_columns(matrix, columns, 0..columns)
    }

    /// Lists some of the columns; [`ColumnLists::entries`] counts them from the first of these.
    pub(super) fn of_columns(matrix: &[f32], columns: usize, listed: Range<usize>) -> ColumnLists {
        let rows = matrix.len() / columns;
        let mut slots = slots(rows * listed.len());
        let mut lengths = vec![0; listed.len()];
        let work = (slots.par_chunks_mut(rows * COLUMNS), lengths.par_chunks_mut(COLUMNS));
        work.into_par_iter().enumerate().for_each(|(chunk, (slots, lengths))| {
            for (row, values) in matrix.chunks_exact(columns).enumerate() {
                let values = &values[listed.start + chunk * COLUMNS..][..lengths.len()];
                for ((&value, length), slots) in values.iter().zip(&mut *lengths).zip(slots.chunks_exact_mut(rows)) {
                    slots[*length as usize] = (row as u32, value);
                    *length += u32::from(value != 0.0);
                }
            }
        });
        ColumnLists { slots, lengths, rows }
    }

    /// The non-zero values of one column.
    #[inline(always)]
    pub(super) fn entries(&self, column: usize) -> &[Entry] {
        &self.slots[column * self.rows..][..self.lengths[column] as usize]
    }
}

impl Drop for ColumnLists {
    fn drop(&mut self) {
        SPARE.set(std::mem::take(&mut self.slots));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MATRIX: [f32; 10] = [0.0, 1.0, 2.0, -0.0, 3.0, 4.0, 0.0, f32::NAN, 0.0, 5.0];

    #[test]
    fn rows_are_listed_block_by_block_with_positions_from_the_block_start() {
        let lists = RowLists::new(&MATRIX, 5, 2);
        assert_eq!(lists.entries(0, 0), [(1, 1.0)]);
        assert_eq!(lists.entries(0, 1), [(0, 2.0)]);
        assert_eq!(lists.entries(0, 2), [(0, 3.0)]);
        assert_eq!(lists.entries(1, 0), [(0, 4.0)]);
        assert_eq!(lists.entries(1, 2), [(0, 5.0)]);
        let used: Vec<bool> = (0..5).map(|column| lists.is_used(column)).collect();
        assert_eq!(used, [true, true, true, false, true]);
    }

    #[test]
    fn columns_are_listed_by_ascending_row() {
        let lists = ColumnLists::new(&MATRIX, 5);
        assert_eq!(lists.entries(0), [(1, 4.0)]);
        assert_eq!(lists.entries(3), []);
        assert_eq!(lists.entries(4), [(0, 3.0), (1, 5.0)]);
    }

    #[test]
    fn some_of_the_columns_are_listed_from_the_first_of_them_on() {
        let lists = ColumnLists::of_columns(&MATRIX, 5, 3..5);
        assert_eq!(lists.entries(0), []);
        assert_eq!(lists.entries(1), [(0, 3.0), (1, 5.0)]);
    }

    #[test]
    fn a_nan_counts_as_non_zero_so_that_it_is_seen() {
        assert!(ColumnLists::new(&MATRIX, 5).entries(2)[1].1.is_nan());
        assert!(RowLists::new(&MATRIX, 5, 4).entries(1, 0)[1].1.is_nan());
    }
}
