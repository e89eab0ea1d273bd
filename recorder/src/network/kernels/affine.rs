//! One layer's forward pass.

use super::product::{Finish, Product, Right};
use super::{expect_matrix, values};
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, bail};
use pulp::Arch;

/// What follows the affine map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::network) enum Activation {
    /// Nothing: the output layer's logits.
    Identity,
    /// max(0, z); NaN stays NaN.
    Relu,
}

/// inputs [b, fan_in], weight [fan_in, fan_out], bias `[fan_out]` → activation(inputs · weight + bias), [b, fan_out].
pub(in crate::network) struct Affine {
    pub(in crate::network) activation: Activation,
}

impl CustomOp3 for Affine {
    fn name(&self) -> &'static str {
        "affine"
    }

    fn cpu_fwd(
        &self,
        inputs: &CpuStorage,
        inputs_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (fan_in, fan_out) = weight_layout.shape().dims2()?;
        let (batch, _) = inputs_layout.shape().dims2()?;
        expect_matrix("a layer's input", inputs_layout, batch, fan_in)?;
        if bias_layout.shape().dims() != [fan_out] {
            bail!("a bias is {:?} where [{fan_out}] is needed", bias_layout.shape());
        }
        let product = Product {
            left: values(inputs, inputs_layout)?,
            right: Right::Plain(values(weight, weight_layout)?),
            start: Some(values(bias, bias_layout)?),
            finish: match self.activation {
                Activation::Identity => Finish::Keep,
                Activation::Relu => Finish::Relu,
            },
            rows: batch,
            inner: fan_in,
            columns: fan_out,
        };
        Ok((CpuStorage::F32(product.compute(Arch::new())), Shape::from((batch, fan_out))))
    }
}
