//! What layers share whose parameter is a table of rows, each picked by a number: embeddings of tokens and of positions.

use std::collections::BTreeMap;
use std::ops::Range;

use candle_core::{DType, Result, Tensor};
use rayon::prelude::*;

use super::{Use, sums, values};

/// The picked rows `[B, T]` of a use, and the gradients at them, `[B, T, width]`, both row-major.
struct Picks {
    length: usize,
    width: usize,
    rows: Vec<u32>,
    deltas: Vec<f32>,
}

impl Picks {
    fn new(taken: &Use) -> Result<Picks> {
        let rows = taken.input.flatten_from(1)?;
        let (examples, length) = rows.dims2()?;
        let deltas = taken.output_gradient.contiguous()?.reshape((examples, length, ()))?;
        let rows = rows.to_dtype(DType::U32)?.flatten_all()?.to_vec1()?;
        Ok(Picks { length, width: deltas.dim(2)?, rows, deltas: values(&deltas)? })
    }

    /// Of each example, the gradient of the rows that it picks.
    fn gradients(&self) -> Vec<BTreeMap<usize, Vec<f64>>> {
        let positions = self.deltas.par_chunks((self.length * self.width).max(1));
        self.rows
            .par_chunks(self.length.max(1))
            .zip(positions)
            .map(|(rows, deltas)| self.gradient(rows, deltas))
            .collect()
    }

    fn gradient(&self, rows: &[u32], deltas: &[f32]) -> BTreeMap<usize, Vec<f64>> {
        let mut gradient = BTreeMap::new();
        for (&row, delta) in rows.iter().zip(deltas.chunks(self.width.max(1))) {
            let sum = gradient.entry(row as usize).or_insert_with(|| vec![0.0; self.width]);
            sum.iter_mut().zip(delta).for_each(|(sum, value)| *sum += f64::from(*value));
        }
        gradient
    }
}

/// Row v: Σ_{t: x_t = v} δ_t. Of these rows of the table, `[B, rows, width]`.
pub(super) fn gradients(taken: &Use, rows: Range<usize>) -> Result<Tensor> {
    let picks = Picks::new(taken)?;
    let sparse = picks.gradients();
    let mut dense = vec![0.0_f32; sparse.len() * rows.len() * picks.width];
    for (example, gradient) in sparse.iter().enumerate() {
        for (row, sum) in gradient.range(rows.clone()) {
            let start = (example * rows.len() + row - rows.start) * picks.width;
            dense[start..start + picks.width].iter_mut().zip(sum).for_each(|(value, sum)| *value = *sum as f32);
        }
    }
    Tensor::from_vec(dense, (sparse.len(), rows.len(), picks.width), taken.input.device())
}

pub(super) fn gradients_at(taken: &Use, coordinates: &[usize]) -> Result<Vec<f64>> {
    let picks = Picks::new(taken)?;
    let at = |gradient: &BTreeMap<usize, Vec<f64>>, coordinate: usize| {
        gradient.get(&(coordinate / picks.width)).map_or(0.0, |row| row[coordinate % picks.width])
    };
    let sparse = picks.gradients();
    Ok(sparse.iter().flat_map(|gradient| coordinates.iter().map(move |&coordinate| at(gradient, coordinate))).collect())
}

/// Σ_t δ_t · G[x_t].
pub(super) fn contributions(taken: &Use, total: &Tensor) -> Result<Vec<f64>> {
    let picked = total.index_select(&taken.input.flatten_all()?, 0)?.reshape(taken.output_gradient.shape())?;
    sums(&(picked * &taken.output_gradient)?)
}

/// Σ_{t,t'} [x_t = x_t'] δ_t·δ_t'.
pub(super) fn self_terms(taken: &Use) -> Result<Vec<f64>> {
    let squares = |gradient: BTreeMap<usize, Vec<f64>>| gradient.values().flatten().map(|value| value * value).sum();
    Ok(Picks::new(taken)?.gradients().into_iter().map(squares).collect())
}
