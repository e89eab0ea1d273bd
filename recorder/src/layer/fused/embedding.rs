//! Rows of a table, picked by number.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};

use super::{beside, output, values, with_all};
use crate::layer::tap::Kept;

/// A table `[rows, width]` to the rows that are picked, `[…, width]`. If the gradient at the output is kept, that of the table is not
/// computed.
pub(in crate::layer) struct Lookup {
    pub picked: Tensor,
    pub kept: Option<Kept>,
}

impl CustomOp1 for Lookup {
    fn name(&self) -> &'static str {
        "lookup"
    }

    fn cpu_fwd(&self, table: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let ((rows, width), table) = (layout.shape().dims2()?, values(table, layout)?);
        let picked = self.picked.flatten_all()?.to_vec1::<u32>()?;
        if let Some(row) = picked.iter().find(|row| **row as usize >= rows) {
            bail!("row {row} of a table of {rows}");
        }
        let mut found = Vec::with_capacity(picked.len() * width);
        picked.iter().for_each(|&row| found.extend_from_slice(&table[row as usize * width..][..width]));
        output(found, [self.picked.dims(), &[width]].concat())
    }

    fn bwd(&self, table: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let gradient = gradient.contiguous()?;
        match &self.kept {
            Some(kept) => {
                kept.keep(&gradient);
                Ok(None)
            }
            None => {
                let mut sum = vec![0.0; table.elem_count()];
                add_sum(&self.picked, &gradient, &mut sum)?;
                Ok(Some(beside(sum, table.shape(), table)?))
            }
        }
    }
}

/// Adds the gradient of the table, summed over all picks, to `sum`.
pub(in crate::layer) fn add_sum(picked: &Tensor, deltas: &Tensor, sum: &mut [f32]) -> Result<()> {
    let (width, picked) = (deltas.dim(deltas.rank() - 1)?, picked.flatten_all()?.to_vec1::<u32>()?);
    with_all([deltas], |[deltas]| {
        for (&row, delta) in picked.iter().zip(deltas.chunks(width.max(1))) {
            let row = &mut sum[row as usize * width..][..width];
            row.iter_mut().zip(delta).for_each(|(sum, value)| *sum += value);
        }
    })
}
