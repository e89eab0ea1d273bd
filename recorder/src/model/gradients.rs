//! The gradients of a minibatch's examples with respect to every parameter of a model, as update rules ask for them.

use candle_core::{Device, Result, Tensor, bail};
use rayon::prelude::*;

use super::probe::{Pass, Probe};
use crate::rule::RuleError;

/// Per-example gradients that are materialised at a time: 16 MiB.
const CHUNK_VALUES: usize = 1 << 22;

/// The gradients g_i of b examples. What is returned has a tensor for each parameter, in the shape of the parameter.
pub struct Gradients<'a> {
    pub(super) probe: &'a Probe<'a>,
    /// One after the other.
    pub(super) parts: Vec<Pass>,
}

impl Gradients<'_> {
    /// Number of examples, b.
    pub fn examples(&self) -> usize {
        self.parts.iter().map(|part| part.losses.len()).sum()
    }

    /// The loss of every example.
    pub fn losses(&self) -> Vec<f64> {
        self.parts.iter().flat_map(|part| &part.losses).copied().collect()
    }

    /// Checks that every activation and gradient at an output is a number.
    ///
    /// # Errors
    /// The first layer and example of which one is NaN or infinite.
    pub fn ensure_finite(&self) -> std::result::Result<(), RuleError> {
        match self.probe.first_not_finite(&self.parts)? {
            None => Ok(()),
            Some((what, layer, example)) => Err(RuleError::NotFinite { what, layer, example }),
        }
    }

    /// Σ_i g_i / b.
    ///
    /// # Errors
    /// The tensor library refuses.
    pub fn mean(&self) -> Result<Vec<Tensor>> {
        self.divided(self.probe.sum(&self.parts, None)?)
    }

    /// Σ_i f_i g_i / b, f_i being a factor an example.
    ///
    /// # Errors
    /// Not one factor an example.
    pub fn weighted_mean(&self, factors: &[f32]) -> Result<Vec<Tensor>> {
        if factors.len() != self.examples() {
            bail!("{} factors for {} examples", factors.len(), self.examples());
        }
        self.divided(self.probe.sum(&self.parts, Some(factors))?)
    }

    fn divided(&self, sums: Vec<Tensor>) -> Result<Vec<Tensor>> {
        let share = 1.0 / self.examples().max(1) as f64;
        sums.iter().map(|sum| sum * share).collect()
    }

    /// ‖g_i‖² over all parameters.
    ///
    /// # Errors
    /// The tensor library refuses.
    pub fn norms_sq(&self) -> Result<Vec<f64>> {
        self.probe.norms_sq(&self.parts)
    }

    /// A statistic of each coordinate by itself: `of` is given its b gradients, in the order of the examples.
    ///
    /// So many rows of a parameter are materialised at a time that memory is bounded.
    ///
    /// # Errors
    /// The tensor library refuses.
    pub fn by_coordinate(&self, of: impl Fn(&mut [f32]) -> f32 + Sync) -> Result<Vec<Tensor>> {
        let vars = self.probe.vars();
        let of_parameter = |(parameter, shape): (usize, &[usize])| {
            let rows = shape.first().copied().unwrap_or(1);
            let of_row = shape.iter().skip(1).product::<usize>() * self.examples();
            let at_once = (CHUNK_VALUES / of_row.max(1)).max(1);
            let mut values = Vec::with_capacity(shape.iter().product());
            for first in (0..rows).step_by(at_once) {
                let rows = first..rows.min(first + at_once);
                let gradients = self.probe.gradients_of_rows(&self.parts, parameter, rows)?;
                let mut columns: Vec<f32> = gradients.t()?.flatten_all()?.to_vec1()?;
                values.par_extend(columns.par_chunks_mut(self.examples().max(1)).map(&of));
            }
            Tensor::from_vec(values, shape, &Device::Cpu)
        };
        vars.iter().map(|var| var.dims()).enumerate().map(of_parameter).collect()
    }
}
