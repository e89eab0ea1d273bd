//! The forward pass.

use super::Network;
use super::kernels::{Activation, Affine};
use candle_core::{Result, Tensor};

/// What a forward pass leaves behind: each layer's input and the logits.
#[derive(Debug)]
pub struct Pass {
    inputs: Vec<Tensor>,
    logits: Tensor,
}

impl Pass {
    /// The input activations a_l of every layer, [b, fan_in] each; the first are the network's inputs.
    pub fn layer_inputs(&self) -> &[Tensor] {
        &self.inputs
    }

    /// The output layer's values before the softmax, [b, classes].
    pub fn logits(&self) -> &Tensor {
        &self.logits
    }

    /// Examples in the pass.
    pub fn batch(&self) -> usize {
        self.logits.dims()[0]
    }
}

impl Network {
    /// Runs `inputs`, f32 [b, input width], through the network.
    ///
    /// # Errors
    /// `inputs` of another shape or type.
    pub fn forward(&self, inputs: &Tensor) -> Result<Pass> {
        let mut current = inputs.contiguous()?;
        let mut kept = Vec::with_capacity(self.layers.len());
        for (index, layer) in self.layers.iter().enumerate() {
            let last = index + 1 == self.layers.len();
            let affine = Affine { activation: if last { Activation::Identity } else { Activation::Relu } };
            let next = current.apply_op3_no_bwd(&layer.weight, &layer.bias, &affine)?;
            kept.push(std::mem::replace(&mut current, next));
        }
        Ok(Pass { inputs: kept, logits: current })
    }
}

#[cfg(test)]
mod tests {
    use crate::network::testing::network;
    use crate::network::{LayerParameters, Network};
    use candle_core::{Device, Tensor};

    #[test]
    fn a_network_small_enough_for_pencil_and_paper() {
        let hidden = LayerParameters { fan_in: 2, fan_out: 2, weight: vec![1., -1., 2., 1.], bias: vec![0., 1.] };
        let output = LayerParameters { fan_in: 2, fan_out: 2, weight: vec![1., 1., 3., -1.], bias: vec![0., 5.] };
        let network = Network::from_layers(&[hidden, output]).unwrap();
        let inputs = Tensor::new(&[[1f32, 2.], [3., 1.]], &Device::Cpu).unwrap();
        let pass = network.forward(&inputs).unwrap();
        assert_eq!(pass.layer_inputs()[1].to_vec2::<f32>().unwrap(), [[0., 5.], [2., 8.]]);
        assert_eq!(pass.logits().to_vec2::<f32>().unwrap(), [[5., 0.], [10., 3.]]);
    }

    #[test]
    fn inputs_of_another_width_or_type_are_errors() {
        let network = network(&[5, 3], 1);
        assert!(network.forward(&Tensor::zeros((2, 4), candle_core::DType::F32, &Device::Cpu).unwrap()).is_err());
        assert!(network.forward(&Tensor::zeros((2, 5), candle_core::DType::F64, &Device::Cpu).unwrap()).is_err());
        assert!(network.forward(&Tensor::zeros(5, candle_core::DType::F32, &Device::Cpu).unwrap()).is_err());
    }

    #[test]
    fn inputs_that_are_not_contiguous_are_taken_as_they_read() {
        let network = network(&[2, 3], 1);
        let columns = Tensor::new(&[[1f32, 2., 3.], [4., 5., 6.]], &Device::Cpu).unwrap();
        let pass = network.forward(&columns.t().unwrap()).unwrap();
        let rows = Tensor::new(&[[1f32, 4.], [2., 5.], [3., 6.]], &Device::Cpu).unwrap();
        let expected = network.forward(&rows).unwrap();
        assert_eq!(pass.logits().to_vec2::<f32>().unwrap(), expected.logits().to_vec2::<f32>().unwrap());
    }
}
