//! Every operation against candle's own operations, of which layers are composed for numbers of 64 bits: outputs, and gradients of
//! inputs and parameters. (`model/tests.rs` has the finite differences.)

use candle_core::{DType, Device, Result, Tensor, Var};
use proptest::prelude::*;
use rand::Rng;

use super::super::{
    Activation, Block, Conv2d, Conv2dSettings, Dense, Embedding, GroupNorm, Layer, LayerNorm, Layers, MaxPool,
    MultiHeadAttention, RmsNorm, named,
};
use crate::random::{Purpose, stream};

/// Values in ±1, of which some are equal.
fn random(shape: &[usize], seed: u64, dtype: DType) -> Tensor {
    let mut generator = stream(seed, Purpose::Initialisation, 0);
    let mut value = || (f64::from(generator.next_u32() % 2001) / 1000.0 - 1.0) as f32;
    let values: Vec<f32> = (0..shape.iter().product::<usize>()).map(|_| value()).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
}

fn var(shape: &[usize], seed: u64, dtype: DType) -> Var {
    Var::from_tensor(&random(shape, seed, dtype)).unwrap()
}

fn flat(tensor: &Tensor) -> Vec<f64> {
    tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// Output and gradients of Σ w_j y_j, of the input if it is a number.
fn passed(block: &dyn Block, input: &Tensor) -> Vec<Vec<f64>> {
    let input = if input.dtype() == DType::U32 { None } else { Some(Var::from_tensor(input).unwrap()) }.ok_or(input);
    let output = block.forward(input.as_ref().map_or_else(|tokens| *tokens, Var::as_tensor)).unwrap();
    let places = Tensor::arange(1, output.elem_count() as u32 + 1, &Device::Cpu).unwrap();
    let weights = places.to_dtype(output.dtype()).unwrap().cos().unwrap().reshape(output.shape()).unwrap();
    let gradients = (&output * weights).unwrap().sum_all().unwrap().backward().unwrap();
    let parameters = block.layers().into_iter().flat_map(|(_, layer)| layer.parameters()).map(|(_, var)| var.clone());
    let vars = input.ok().into_iter().chain(parameters.collect::<Vec<Var>>());
    std::iter::once(flat(&output)).chain(vars.map(|var| flat(gradients.get(&var).unwrap()))).collect()
}

fn agrees(block: impl Fn(DType) -> Box<dyn Block>, input: impl Fn(DType) -> Tensor) {
    let [fused, composed] = [DType::F32, DType::F64].map(|dtype| passed(block(dtype).as_ref(), &input(dtype)));
    assert_eq!(fused.len(), composed.len());
    for (place, (fused, composed)) in fused.iter().zip(&composed).enumerate() {
        assert_eq!(fused.len(), composed.len());
        let scale = composed.iter().fold(1.0, |most: f64, value| most.max(value.abs()));
        for (fused, composed) in fused.iter().zip(composed) {
            assert!((fused - composed).abs() <= 3e-6 * scale, "{place}: {fused} is not {composed}");
        }
    }
}

/// Attention with a mask that closes the last position to all.
struct Masked(MultiHeadAttention);

impl candle_core::Module for Masked {
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        let length = input.dim(1)?;
        let mask: Vec<f64> =
            (0..length).map(|place| if place + 1 == length && place > 0 { -1e9 } else { 0.0 }).collect();
        let mask = Tensor::new(mask, &Device::Cpu)?.to_dtype(input.dtype())?.reshape((1, 1, 1, length))?;
        self.0.forward_masked(input, Some(&mask))
    }
}

impl Layers for Masked {
    fn layers(&self) -> Vec<(String, &dyn Layer)> {
        named("attention", &self.0)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn dense_layers_and_embeddings(
        [fan_in, fan_out, length] in [1..9_usize, 1..9_usize, 1..5_usize], has_bias: bool, seed in 0..1000_u64,
    ) {
        let bias = |dtype| has_bias.then(|| var(&[fan_out], seed + 1, dtype));
        agrees(
            |dtype| Box::new(Dense::new(var(&[fan_out, fan_in], seed, dtype), bias(dtype))),
            |dtype| random(&[3, length, fan_in], seed + 2, dtype),
        );
        let tokens: Vec<u32> = (0..length * 2).map(|place| (place * place) as u32 % fan_in as u32).collect();
        agrees(
            |dtype| Box::new(Embedding::new(var(&[fan_in, fan_out], seed, dtype))),
            |_| Tensor::from_vec(tokens.clone(), (2, length), &Device::Cpu).unwrap(),
        );
    }

    #[test]
    fn convolutions(
        groups in 1..3_usize, [seen, outputs] in [1..3_usize, 1..4_usize], [rows, columns] in [1..4_usize, 1..4_usize],
        [padding, stride, further] in [0..2_usize, 1..3_usize, 0..3_usize], seed in 0..1000_u64,
    ) {
        // candle's own derivative is right only where the stride leaves no edge, equal in both directions.
        prop_assume!(rows == columns && rows + further * stride > 2 * padding);
        let side = rows + further * stride - 2 * padding;
        let settings = Conv2dSettings { stride, padding, dilation: 1, groups };
        agrees(
            |dtype| {
                let weight = var(&[outputs * groups, seen, rows, columns], seed, dtype);
                Box::new(Conv2d::new(weight, Some(var(&[outputs * groups], seed + 1, dtype)), settings).unwrap())
            },
            |dtype| random(&[2, seen * groups, side, side], seed + 2, dtype),
        );
    }

    #[test]
    fn normalisations(groups in 1..4_usize, [channels, length] in [1..12_usize, 2..6_usize], seed in 0..1000_u64) {
        let (channels, groups) = (channels * groups, groups);
        let scales = |dtype| [1, 2].map(|place| var(&[channels], seed + place, dtype));
        let input = |dtype| random(&[3, channels, length, 2], seed, dtype);
        agrees(
            |dtype| {
                let [gamma, beta] = scales(dtype);
                Box::new(GroupNorm::new(gamma, Some(beta), groups, 1e-2).unwrap())
            },
            input,
        );
        let sequences = |dtype| random(&[3, length, channels], seed, dtype);
        agrees(
            |dtype| {
                let [gamma, beta] = scales(dtype);
                Box::new(LayerNorm::new(gamma, Some(beta), 1e-2))
            },
            sequences,
        );
        agrees(|dtype| Box::new(RmsNorm::new(scales(dtype)[0].clone(), 1e-2)), sequences);
    }

    #[test]
    fn attention([heads, head, length] in [1..4_usize, 1..5_usize, 1..7_usize], is_masked: bool, seed in 0..1000_u64) {
        let width = heads * head;
        let attention = |dtype| {
            let dense = |place| Dense::new(var(&[width, width], seed + place, dtype), Some(var(&[width], seed, dtype)));
            MultiHeadAttention::new(dense(1), dense(2), dense(3), dense(4), heads)
        };
        agrees(
            |dtype| if is_masked { Box::new(Masked(attention(dtype))) } else { Box::new(attention(dtype)) },
            |dtype| random(&[2, length, width], seed, dtype),
        );
    }

    #[test]
    fn activations_and_pooling([height, width, side] in [1..9_usize, 1..9_usize, 1..4_usize], seed in 0..1000_u64) {
        let input = |dtype| (random(&[2, 3, height, width], seed, dtype) * 6.0).unwrap();
        agrees(|_| Box::new(Activation::Relu), input);
        agrees(|_| Box::new(Activation::Gelu), input);
        if height >= side && width >= side {
            agrees(|_| Box::new(MaxPool(side)), input);
        }
    }
}
