//! A matrix that grows row by row and is read column by column: in memory while it is small, in a file from there on.
//!
//! Rows are gathered in blocks. The columns of a block are stored one after the other, so that a column is read in a piece a block.

use std::io;
use std::ops::Range;
use std::path::Path;

use crate::AnalysisError;
use crate::spool::Spool;

/// Numbers of a block, about.
const BLOCK: usize = 1 << 20;

/// Numbers in rows and columns.
#[derive(Debug)]
pub(crate) struct Matrix {
    /// Numbers of a block.
    block: usize,
    width: usize,
    rows: usize,
    /// The rows after the last whole block, one after the other.
    last: Vec<f64>,
    /// The whole blocks.
    blocks: Spool,
}

impl Matrix {
    /// Without a row; what does not fit into memory is kept in `directory`.
    pub(crate) fn new(directory: &Path) -> Matrix {
        Matrix::with(Spool::new(directory), BLOCK)
    }

    fn with(blocks: Spool, block: usize) -> Matrix {
        Matrix { block, width: 0, rows: 0, last: Vec::new(), blocks }
    }

    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Adds a row, as long as those before it.
    ///
    /// # Errors
    /// It has another length, or cannot be written.
    pub(crate) fn push(&mut self, row: &[f64]) -> Result<(), AnalysisError> {
        if self.rows == 0 {
            self.width = row.len();
        }
        if row.len() != self.width {
            let message = format!("a step has {} numbers, those before it have {}", row.len(), self.width);
            return Err(self.blocks.error("keep the numbers of the steps in", io::Error::other(message)));
        }
        self.rows += 1;
        self.last.extend_from_slice(row);
        if self.rows.is_multiple_of(self.height()) {
            let column = |column: usize| self.last[column..].iter().step_by(self.width);
            self.blocks.append((0..self.width).flat_map(column).map(|number| number.to_bits()))?;
            self.last.clear();
        }
        Ok(())
    }

    /// These columns, one after the other, in these rows.
    ///
    /// # Errors
    /// They cannot be read.
    pub(crate) fn columns(&self, columns: Range<usize>, rows: Range<usize>) -> Result<Vec<f64>, AnalysisError> {
        let mut found = vec![0.0; columns.len() * rows.len()];
        if found.is_empty() {
            return Ok(found);
        }
        for first in (rows.start / self.height() * self.height()..rows.end).step_by(self.height()) {
            let block = self.of_block(first, columns.clone())?;
            let height = block.len() / columns.len();
            let (start, end) = (rows.start.max(first), rows.end.min(first + height));
            for (column, found) in block.chunks_exact(height).zip(found.chunks_exact_mut(rows.len())) {
                found[start - rows.start..end - rows.start].copy_from_slice(&column[start - first..end - first]);
            }
        }
        Ok(found)
    }

    /// Rows of a block.
    fn height(&self) -> usize {
        (self.block / self.width.max(1)).max(1)
    }

    /// These columns of the block whose first row is `first`, one after the other.
    fn of_block(&self, first: usize, columns: Range<usize>) -> Result<Vec<f64>, AnalysisError> {
        let height = self.height();
        if first + height > self.rows {
            return Ok(columns.flat_map(|column| self.last[column..].iter().step_by(self.width)).copied().collect());
        }
        let words = self.blocks.read(first * self.width + columns.start * height, columns.len() * height)?;
        Ok(words.into_iter().map(f64::from_bits).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_columns_of_any_rows_are_those_that_were_pushed() {
        let directory = tempfile::tempdir().unwrap();
        let number = |row: usize, column: usize| (row * 10 + column) as f64 + 0.1;
        for (block, in_memory) in [(1, 0), (15, 100), (15, 1 << 20), (1 << 20, 0)] {
            let mut matrix = Matrix::with(Spool::with(directory.path(), in_memory), block);
            for row in 0..11 {
                matrix.push(&(0..5).map(|column| number(row, column)).collect::<Vec<_>>()).unwrap();
            }
            for columns in [0..0, 0..1, 2..5, 0..5] {
                for rows in [0..11, 0..1, 2..9, 6..6, 9..11] {
                    let due = columns.clone().flat_map(|column| rows.clone().map(move |row| number(row, column)));
                    let found = matrix.columns(columns.clone(), rows.clone()).unwrap();
                    assert_eq!(found, due.collect::<Vec<_>>(), "columns {columns:?} of rows {rows:?}");
                }
            }
        }
    }

    #[test]
    fn a_row_of_another_length_is_refused() {
        let mut matrix = Matrix::new(Path::new("."));
        matrix.push(&[1.0, 2.0]).unwrap();
        assert!(matrix.push(&[1.0]).is_err());
        assert_eq!(matrix.rows(), 1);
    }

    #[test]
    fn rows_without_numbers_are_counted() {
        let mut matrix = Matrix::new(Path::new("."));
        matrix.push(&[]).unwrap();
        assert_eq!((matrix.rows(), matrix.columns(0..0, 0..1).unwrap()), (1, Vec::new()));
    }
}
