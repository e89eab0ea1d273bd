//! SGD with weight decay.

use super::{Optimizer, Part};

/// w ← w − η (g + λ w).
#[derive(Clone, Copy, Debug)]
pub struct Decayed {
    /// λ.
    pub weight_decay: f64,
}

impl Optimizer for Decayed {
    fn memories(&self) -> usize {
        0
    }

    fn step(&self, part: Part<'_>, _: u64, learning_rate: f64) {
        let (rate, decay) = (learning_rate as f32, self.weight_decay as f32);
        for (parameter, gradient) in part.parameters.iter_mut().zip(part.gradient) {
            *parameter -= rate * (gradient + decay * *parameter);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimizer::testing::assert_moves;

    #[test]
    fn steps_are_those_of_the_definition_and_of_pytorch() {
        let pytorch = [[0.949, -1.978, 0.4995], [0.848051, -1.9060221, 0.5490005], [0.79720294, -1.934116, 0.5234515]];
        assert_moves(&Decayed { weight_decay: 0.01 }, pytorch, |gradients, weight, rate| {
            gradients.iter().fold(weight, |weight, gradient| weight - rate * (gradient + 0.01 * weight))
        });
    }
}
