//! SGD with momentum (Polyak 1964), or Nesterov's (1983; in the form of Sutskever et al. 2013).

use super::{Optimizer, Part};

/// m ← μ m + g + λ w, then w ← w − η m; with Nesterov's, w ← w − η (g + λ w + μ m).
#[derive(Clone, Copy, Debug)]
pub struct Momentum {
    /// μ.
    pub momentum: f64,
    /// Whether it is Nesterov's.
    pub nesterov: bool,
    /// λ.
    pub weight_decay: f64,
}

impl Optimizer for Momentum {
    fn memories(&self) -> usize {
        1
    }

    fn step(&self, mut part: Part<'_>, _: u64, learning_rate: f64) {
        let (rate, momentum, decay) = (learning_rate as f32, self.momentum as f32, self.weight_decay as f32);
        let Some(velocity) = part.memories.pop() else { return };
        for ((parameter, gradient), velocity) in part.parameters.iter_mut().zip(part.gradient).zip(velocity) {
            let gradient = gradient + decay * *parameter;
            *velocity = momentum * *velocity + gradient;
            *parameter -= rate * if self.nesterov { gradient + momentum * *velocity } else { *velocity };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimizer::testing::assert_moves;

    /// The definition, in f64.
    fn twin(optimizer: Momentum) -> impl Fn(&[f64], f64, f64) -> f64 {
        move |gradients, mut weight, rate| {
            let mut velocity = 0.0;
            for gradient in gradients {
                let gradient = gradient + optimizer.weight_decay * weight;
                velocity = optimizer.momentum * velocity + gradient;
                weight -= rate * if optimizer.nesterov { gradient + optimizer.momentum * velocity } else { velocity };
            }
            weight
        }
    }

    #[test]
    fn steps_are_those_of_the_definition_and_of_pytorch() {
        let optimizer = Momentum { momentum: 0.9, nesterov: false, weight_decay: 0.0 };
        assert_moves(&optimizer, HEAVY, twin(optimizer));
        let optimizer = Momentum { momentum: 0.9, nesterov: true, weight_decay: 0.01 };
        assert_moves(&optimizer, NESTEROV, twin(optimizer));
    }

    const HEAVY: [[f32; 3]; 3] = [[0.95, -1.98, 0.5], [0.805, -1.892, 0.55], [0.6245, -1.8427999, 0.57]];
    const NESTEROV: [[f32; 3]; 3] =
        [[0.9031, -1.9582, 0.49905], [0.6700741, -1.8036594, 0.5926968], [0.45489046, -1.7829083, 0.5838019]];
}
