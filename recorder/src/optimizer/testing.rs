//! What the tests of the optimizers share.

use super::{Optimizer, Part};

const WEIGHTS: [f32; 3] = [1.0, -2.0, 0.5];
const GRADIENTS: [[f32; 3]; 3] = [[0.5, -0.2, 0.0], [1.0, -0.7, -0.5], [0.5, 0.3, 0.25]];
const RATE: f64 = 0.1;

/// Three steps from [`WEIGHTS`] with [`GRADIENTS`], held against PyTorch's and against `twin`, which returns what becomes of one
/// weight.
pub(super) fn assert_moves(optimizer: &dyn Optimizer, pytorch: [[f32; 3]; 3], twin: impl Fn(&[f64], f64, f64) -> f64) {
    let mut parameters = WEIGHTS;
    let mut memories = vec![[0.0; 3]; optimizer.memories()];
    for (number, gradient) in GRADIENTS.iter().enumerate() {
        let memories = memories.iter_mut().map(|memory| &mut memory[..]).collect();
        optimizer.step(Part { parameters: &mut parameters, gradient, memories }, number as u64, RATE);
        for (place, parameter) in parameters.into_iter().enumerate() {
            let gradients: Vec<f64> = GRADIENTS[..=number].iter().map(|gradient| gradient[place].into()).collect();
            let expected = twin(&gradients, WEIGHTS[place].into(), RATE);
            let is_near = |other: f64| (f64::from(parameter) - other).abs() < 3e-7 * (1.0 + other.abs());
            assert!(is_near(expected), "step {number}, place {place}: {parameter}, by definition {expected}");
            let pytorch = pytorch[number][place].into();
            assert!(is_near(pytorch), "step {number}, place {place}: {parameter}, PyTorch's {pytorch}");
        }
    }
}
