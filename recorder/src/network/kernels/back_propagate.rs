//! One layer's backward pass: from the deltas of its outputs to those of the layer below.

use super::product::{Finish, Product, Right};
use super::{expect_matrix, values};
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape};
use pulp::Arch;

/// deltas [b, fan_out], weight [fan_in, fan_out], activations [b, fan_in] (what the ReLU below returned)
/// → (deltas · weightᵀ) where the activations are positive, zero elsewhere, [b, fan_in].
pub(in crate::network) struct BackPropagate;

impl CustomOp3 for BackPropagate {
    fn name(&self) -> &'static str {
        "back-propagate"
    }

    fn cpu_fwd(
        &self,
        deltas: &CpuStorage,
        deltas_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        activations: &CpuStorage,
        activations_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (fan_in, fan_out) = weight_layout.shape().dims2()?;
        let (batch, _) = deltas_layout.shape().dims2()?;
        expect_matrix("a layer's deltas", deltas_layout, batch, fan_out)?;
        expect_matrix("a layer's input", activations_layout, batch, fan_in)?;
        let product = Product {
            left: values(deltas, deltas_layout)?,
            right: Right::Transposed(values(weight, weight_layout)?),
            start: None,
            finish: Finish::WherePositive(values(activations, activations_layout)?),
            rows: batch,
            inner: fan_out,
            columns: fan_in,
        };
        Ok((CpuStorage::F32(product.compute(Arch::new())), Shape::from((batch, fan_in))))
    }
}
