//! Optimizers: what becomes of the gradient that an update rule makes of a minibatch's. One file an optimizer, described in
//! `docs/update-rules.md`. Plain SGD is none of them: its rules move the network themselves ([`crate::rule`]).

mod adam;
mod decayed;
mod momentum;
#[cfg(test)]
mod testing;
mod update;

pub use adam::Adam;
pub use decayed::Decayed;
pub use momentum::Momentum;
pub use update::Update;

/// How a gradient moves the parameters, each by itself.
pub trait Optimizer: Send + Sync {
    /// Numbers that are remembered of every parameter; they are 0 before the first step.
    fn memories(&self) -> usize;

    /// Moves the parameters of a part of the network.
    fn step(&self, part: Part<'_>, number: u64, learning_rate: f64);

    /// What step `number` divided a parameter's gradients by, from what is remembered of it since; infinite if that has not moved it. Of
    /// an optimizer that does not divide 1.
    fn divisor(&self, memories: &[f32], number: u64) -> f32 {
        let _ = (memories, number);
        1.0
    }
}

/// Parameters with their gradient and what is remembered of them, all of one length.
#[derive(Debug)]
pub struct Part<'a> {
    /// Their values: w_t before the step, w_{t+1} afterwards.
    pub parameters: &'a mut [f32],
    /// The gradient that the rule made.
    pub gradient: &'a [f32],
    /// As many as [`Optimizer::memories`].
    pub memories: Vec<&'a mut [f32]>,
}
