//! Adam (Kingma & Ba 2015) and AdamW (Loshchilov & Hutter 2019).

use super::{Optimizer, Part};

/// m ← β₁ m + (1 − β₁) g and v ← β₂ v + (1 − β₂) g², then w ← w − η m̂ / (√v̂ + ε), m̂ = m / (1 − β₁^{t+1}) and
/// v̂ = v / (1 − β₂^{t+1}) being without the bias of their start at 0.
///
/// Weight decay λ is part of the gradient, g + λ w, or, as AdamW has it, apart from it: w ← (1 − η λ) w before.
#[derive(Clone, Copy, Debug)]
pub struct Adam {
    /// β₁.
    pub beta1: f64,
    /// β₂.
    pub beta2: f64,
    /// ε.
    pub epsilon: f64,
    /// λ.
    pub weight_decay: f64,
    /// Whether the decay is apart from the gradient: AdamW.
    pub decoupled: bool,
}

impl Optimizer for Adam {
    fn memories(&self) -> usize {
        2
    }

    fn divisor(&self, memories: &[f32], number: u64) -> f32 {
        match memories {
            [_, second] if *second > 0.0 => {
                let root = unbiased(self.beta2, number).sqrt() as f32;
                second.sqrt() / root + self.epsilon as f32
            }
            _ => f32::INFINITY,
        }
    }

    fn step(&self, mut part: Part<'_>, number: u64, learning_rate: f64) {
        let (Some(second), Some(first)) = (part.memories.pop(), part.memories.pop()) else { return };
        let (unbiased1, unbiased2) = (unbiased(self.beta1, number), unbiased(self.beta2, number));
        let (rate, root, epsilon) = ((learning_rate / unbiased1) as f32, unbiased2.sqrt() as f32, self.epsilon as f32);
        let [kept1, kept2] = [self.beta1 as f32, self.beta2 as f32];
        let [new1, new2] = [(1.0 - self.beta1) as f32, (1.0 - self.beta2) as f32];
        let (coupled, left) = match self.decoupled {
            true => (0.0, (1.0 - learning_rate * self.weight_decay) as f32),
            false => (self.weight_decay as f32, 1.0),
        };
        let moments = first.iter_mut().zip(second);
        for ((parameter, gradient), (first, second)) in part.parameters.iter_mut().zip(part.gradient).zip(moments) {
            let gradient = gradient + coupled * *parameter;
            *first = kept1 * *first + new1 * gradient;
            *second = kept2 * *second + new2 * gradient * gradient;
            *parameter = left * *parameter - rate * *first / (second.sqrt() / root + epsilon);
        }
    }
}

/// 1 − β^{t+1}.
fn unbiased(beta: f64, number: u64) -> f64 {
    // Beyond a float's exponents a power of β is 0.
    1.0 - beta.powi((number + 1).min(1 << 30) as i32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimizer::testing::assert_moves;

    /// The definition, in f64.
    fn twin(optimizer: Adam) -> impl Fn(&[f64], f64, f64) -> f64 {
        move |gradients, mut weight, rate| {
            let Adam { beta1, beta2, epsilon, weight_decay, decoupled } = optimizer;
            let (mut first, mut second, mut powers) = (0.0, 0.0, (1.0, 1.0));
            for gradient in gradients {
                let gradient = if decoupled { *gradient } else { gradient + weight_decay * weight };
                first = beta1 * first + (1.0 - beta1) * gradient;
                second = beta2 * second + (1.0 - beta2) * gradient * gradient;
                powers = (powers.0 * beta1, powers.1 * beta2);
                weight -= if decoupled { rate * weight_decay * weight } else { 0.0 };
                weight -= rate * (first / (1.0 - powers.0)) / ((second / (1.0 - powers.1)).sqrt() + epsilon);
            }
            weight
        }
    }

    const PLAIN: Adam = Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0, decoupled: false };

    #[test]
    fn steps_are_those_of_the_definition_and_of_pytorch() {
        let decayed = Adam { beta1: 0.8, beta2: 0.95, epsilon: 1e-3, weight_decay: 0.1, decoupled: false };
        let decoupled = Adam { weight_decay: 0.1, decoupled: true, ..PLAIN };
        for (optimizer, pytorch) in [(PLAIN, ADAM), (decayed, DECAYED), (decoupled, ADAMW)] {
            assert_moves(&optimizer, pytorch, twin(optimizer));
        }
    }

    #[test]
    fn the_first_step_is_the_rate_against_the_sign_by_pencil_and_paper() {
        let (mut parameters, mut first, mut second) = ([1.0, 1.0, 1.0], [0.0; 3], [0.0; 3]);
        let memories = vec![&mut first[..], &mut second[..]];
        // m̂ = g and v̂ = g², so that m̂ / √v̂ is the sign; a gradient of 0 moves nothing.
        PLAIN.step(Part { parameters: &mut parameters, gradient: &[4.0, -0.25, 0.0], memories }, 0, 0.125);
        assert!((parameters[0] - 0.875).abs() < 1e-6 && (parameters[1] - 1.125).abs() < 1e-6, "{parameters:?}");
        assert_eq!(parameters[2], 1.0);
    }

    #[test]
    fn gradients_are_divided_as_the_step_divided_them() {
        let (mut parameters, mut first, mut second) = ([1.0, 1.0, 1.0], [0.0; 3], [0.0; 3]);
        for (number, gradient) in [[4.0, -0.25, 0.0], [2.0, 0.0, 0.0]].iter().enumerate() {
            let memories = vec![&mut first[..], &mut second[..]];
            PLAIN.step(Part { parameters: &mut parameters, gradient, memories }, number as u64, 0.125);
        }
        let divisor = |place: usize| PLAIN.divisor(&[first[place], second[place]], 1);
        // v̂ = (β₂ g₀² + g₁²)/(1 + β₂).
        for (place, expected) in [(0, (19.984_f32 / 1.999).sqrt()), (1, (0.0624375_f32 / 1.999).sqrt())] {
            assert!((divisor(place) / expected - 1.0).abs() < 1e-5, "{} {expected}", divisor(place));
        }
        assert_eq!(divisor(2), f32::INFINITY, "it was not moved");
    }

    #[test]
    fn after_very_many_steps_nothing_is_left_of_the_bias() {
        let (mut parameters, mut first, mut second) = ([1.0], [0.5], [0.25]);
        let memories = vec![&mut first[..], &mut second[..]];
        PLAIN.step(Part { parameters: &mut parameters, gradient: &[0.5], memories }, u64::MAX - 1, 0.125);
        assert!((parameters[0] - 0.875).abs() < 1e-6, "{parameters:?}");
    }

    const ADAM: [[f32; 3]; 3] =
        [[0.90000004, -1.9, 0.5], [0.8034818, -1.8100474, 0.57441366], [0.7092879, -1.7701133, 0.5972777]];
    const DECAYED: [[f32; 3]; 3] =
        [[0.9001664, -1.9002494, 0.4019608], [0.80181193, -1.8037785, 0.47218442], [0.7069399, -1.7423688, 0.47712132]];
    const ADAMW: [[f32; 3]; 3] =
        [[0.89000005, -1.88, 0.495], [0.78458184, -1.7712474, 0.5644637], [0.6825421, -1.7136009, 0.5816831]];
}
