//! The gradients of one step: held whole, or read block by block of their coordinates where they are too many for memory.
//!
//! Everything of a step is a sum over coordinates, once the gradients of all examples are known in them. How a step is cut into
//! blocks is a function of its sizes alone, and so are the bits of its sums.

use std::borrow::Cow;

use cograd_trace::{GradientStep, TraceError};

use crate::kernel::contribution::{Products, StepContributions};
use crate::selection::Selection;

/// Numbers of a block, 128 MiB in f32. A step of no more is held whole, and a parameter of no more is one block.
pub(crate) const BLOCK: usize = 1 << 25;
/// Blocks are multiples of what the kernels take at a time, so that they take the same ones.
const WIDTH: usize = 64;

/// Coordinates of a block of `examples` examples.
pub(crate) fn block_width(examples: usize, block: usize) -> usize {
    (block / examples.max(1) / WIDTH).max(1) * WIDTH
}

/// The gradients of one step in the chosen coordinates, of the chosen examples.
pub(crate) struct Gradients<'a, 's, 'f> {
    selection: &'a Selection,
    step: GradientStep<'s, 'f>,
    /// Coordinates of a block.
    width: usize,
    /// `[n, d]`, row-major; `None` if that is more than a block.
    whole: Option<Vec<f32>>,
}

impl<'a, 's, 'f> Gradients<'a, 's, 'f> {
    /// Of a step, whole if it has no more numbers than a `block`.
    pub(crate) fn new(
        mut step: GradientStep<'s, 'f>,
        selection: &'a Selection,
        block: usize,
    ) -> Result<Gradients<'a, 's, 'f>, TraceError> {
        let width = block_width(step.example_ids().len(), block);
        let whole = match selection.coordinates() <= width {
            true => {
                let read = step.read(selection.columns.as_deref())?;
                Some(selection.of_examples(read, selection.coordinates()).into_owned())
            }
            false => None,
        };
        Ok(Gradients { selection, step, width, whole })
    }

    /// Coordinates of a block, a multiple of 64.
    pub(crate) fn block_width(&self) -> usize {
        self.width
    }

    /// Contributions and self terms.
    pub(crate) fn contributions(&mut self) -> Result<StepContributions, TraceError> {
        let mut products = Products::new(self.selection.sampled.len());
        let columns: Vec<usize> = (0..self.selection.coordinates()).collect();
        for block in columns.chunks(self.width) {
            products.add(&self.read(block)?);
        }
        Ok(products.finish())
    }

    /// The gradients `[n, columns]`, row-major, in these of the chosen coordinates; no more than a block of them.
    pub(crate) fn read(&mut self, columns: &[usize]) -> Result<Cow<'_, [f32]>, TraceError> {
        let d = self.selection.coordinates();
        if let Some(whole) = &self.whole {
            let all = columns.iter().copied().eq(0..d);
            return Ok(if all { Cow::Borrowed(whole) } else { Cow::Owned(gather(whole, d, columns)) });
        }
        let recorded = |&column: &usize| self.selection.columns.as_ref().map_or(column, |chosen| chosen[column]);
        let recorded: Vec<usize> = columns.iter().map(recorded).collect();
        Ok(self.selection.of_examples(self.step.read(Some(&recorded))?, columns.len()))
    }
}

/// The chosen columns of a matrix `[n, d]`, row-major.
fn gather(matrix: &[f32], d: usize, columns: &[usize]) -> Vec<f32> {
    let are_neighbours = columns.windows(2).all(|pair| pair[0] + 1 == pair[1]);
    let mut gathered = Vec::with_capacity(matrix.len().checked_div(d).unwrap_or(0) * columns.len());
    for row in matrix.chunks_exact(d.max(1)) {
        match columns {
            [first, ..] if are_neighbours => gathered.extend_from_slice(&row[*first..first + columns.len()]),
            _ => gathered.extend(columns.iter().map(|&column| row[column])),
        }
    }
    gathered
}
