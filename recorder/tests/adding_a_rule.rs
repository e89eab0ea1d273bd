//! The rule that `docs/update-rules.md` adds as an example.

mod sign_descent;

use candle_core::{Device, Tensor};
use cograd_recorder::network::{LayerParameters, Network};
use cograd_recorder::rule::{Step, UpdateRule};
use sign_descent::SignDescent;

#[test]
fn the_example_is_the_one_of_the_documentation() {
    let documentation = include_str!("../../docs/update-rules.md");
    let example = include_str!("sign_descent/mod.rs").replace("cograd_recorder::", "crate::");
    assert!(documentation.contains(&format!("```rust\n{example}```")));
}

#[test]
fn the_example_moves_every_parameter_against_the_sign_of_its_gradient() {
    let layer = LayerParameters { fan_in: 1, fan_out: 2, weight: vec![0.0; 2], bias: vec![0.0; 2] };
    let mut network = Network::from_layers(&[layer]).unwrap();
    let pass = network.forward(&Tensor::new(&[[2f32], [5.0]], &Device::Cpu).unwrap()).unwrap();
    let deltas = network.backward(&pass, &[0, 1]).unwrap();
    SignDescent.update(&mut network, &Step { number: 0, pass: &pass, deltas: &deltas, learning_rate: 0.25 }).unwrap();
    let layer = network.layer_parameters().unwrap().remove(0);
    // Gradients of the weights: -1 + 2.5 and its negative; of the biases: -0.5 + 0.5.
    assert_eq!((layer.weight, layer.bias), (vec![-0.25, 0.25], vec![0.0, 0.0]));
}
