//! The update of the rolling median: parameters move against the median of three gradients.

use super::values_mut;
use candle_core::{CpuStorage, InplaceOp1, Layout, Result, bail};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// parameters −= rate · the coordinate-wise median of three gradients of the parameters' length.
pub(crate) struct DescendMedian<'a> {
    pub(crate) rate: f32,
    pub(crate) gradients: [&'a [f32]; 3],
}

/// Parameters of one task.
const CHUNK: usize = 1 << 13;

impl InplaceOp1 for DescendMedian<'_> {
    fn name(&self) -> &'static str {
        "descend-median"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let parameters = values_mut(storage, layout)?;
        if self.gradients.iter().any(|gradient| gradient.len() != parameters.len()) {
            bail!("a gradient of another length than its {} parameters", parameters.len());
        }
        let arch = Arch::new();
        parameters.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, parameters)| {
            let gradients = self.gradients.map(|gradient| &gradient[chunk * CHUNK..][..parameters.len()]);
            arch.dispatch(Chunk { parameters, gradients, rate: self.rate });
        });
        Ok(())
    }
}

struct Chunk<'a> {
    parameters: &'a mut [f32],
    gradients: [&'a [f32]; 3],
    rate: f32,
}

impl WithSimd for Chunk<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let [one, two, three] = self.gradients;
        let gradients = one.iter().zip(two).zip(three);
        for (parameter, ((&one, &two), &three)) in self.parameters.iter_mut().zip(gradients) {
            *parameter -= self.rate * largest(least(one, two), least(largest(one, two), three));
        }
    }
}

// Without the care for NaN of f32::min and f32::max, so that each is one instruction.
#[inline(always)]
fn least(one: f32, other: f32) -> f32 {
    if one < other { one } else { other }
}

#[inline(always)]
fn largest(one: f32, other: f32) -> f32 {
    if one > other { one } else { other }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Tensor};

    #[test]
    fn parameters_move_against_the_median_of_any_order_of_three() {
        let orders =
            [[1.0, 2.0, 3.0], [1.0, 3.0, 2.0], [2.0, 1.0, 3.0], [2.0, 3.0, 1.0], [3.0, 1.0, 2.0], [3.0, 2.0, 1.0]];
        let copies = 3 * CHUNK / 6;
        let gradient = |place: usize| orders.map(|order| order[place]).repeat(copies);
        let gradients = [gradient(0), gradient(1), gradient(2)];
        let parameters = Tensor::ones(6 * copies, candle_core::DType::F32, &Device::Cpu).unwrap();
        let operation = DescendMedian { rate: 0.25, gradients: gradients.each_ref().map(|gradient| &gradient[..]) };
        parameters.inplace_op1(&operation).unwrap();
        assert!(parameters.to_vec1::<f32>().unwrap().iter().all(|&parameter| parameter == 0.5));
    }

    #[test]
    fn a_gradient_of_another_length_is_an_error() {
        let parameters = Tensor::ones(2, candle_core::DType::F32, &Device::Cpu).unwrap();
        let operation = DescendMedian { rate: 0.25, gradients: [&[0.0; 2], &[0.0; 2], &[0.0; 3]] };
        assert!(parameters.inplace_op1(&operation).is_err());
    }
}
