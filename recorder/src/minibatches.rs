//! Which examples each step trains on.

use crate::experiment::Batch;
use crate::random::{Purpose, shuffle, stream};

/// A fresh uniform permutation of the training set every epoch, cut into consecutive slices.
///
/// Where the minibatch size does not divide the training set, the last slice of an epoch is shorter. The examples of a
/// step depend on the seed and the step alone: this struct only keeps the order of the epoch last asked for.
#[derive(Debug)]
pub(crate) struct Minibatches {
    seed: u64,
    size: usize,
    shuffled: bool,
    order: Vec<u32>,
    epoch: Option<u64>,
}

impl Minibatches {
    /// Minibatches of a training set of `examples` examples.
    pub fn new(batch: Batch, examples: usize, seed: u64) -> Minibatches {
        let (size, shuffled) = match batch {
            Batch::Size(size) => (size, true),
            Batch::Full => (examples, false),
        };
        Minibatches { seed, size, shuffled, order: (0..examples as u32).collect(), epoch: None }
    }

    /// The examples of step `step`; for the full batch always all, in their own order.
    pub fn of_step(&mut self, step: u64) -> &[u32] {
        let steps_an_epoch = self.order.len().div_ceil(self.size) as u64;
        self.enter_epoch(step / steps_an_epoch);
        let start = (step % steps_an_epoch) as usize * self.size;
        &self.order[start..self.order.len().min(start + self.size)]
    }

    fn enter_epoch(&mut self, epoch: u64) {
        if !self.shuffled || self.epoch == Some(epoch) {
            return;
        }
        for (place, example) in self.order.iter_mut().enumerate() {
            *example = place as u32;
        }
        shuffle(&mut self.order, &mut stream(self.seed, Purpose::Minibatches, epoch));
        self.epoch = Some(epoch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch_of(minibatches: &mut Minibatches, steps: std::ops::Range<u64>) -> Vec<u32> {
        steps.flat_map(|step| minibatches.of_step(step).to_vec()).collect()
    }

    #[test]
    fn every_epoch_visits_every_example_once_in_a_fresh_order() {
        let mut minibatches = Minibatches::new(Batch::Size(10), 100, 1);
        let first = epoch_of(&mut minibatches, 0..10);
        let second = epoch_of(&mut minibatches, 10..20);
        assert_ne!(first, second);
        for mut order in [first, second] {
            order.sort_unstable();
            assert!(order.into_iter().eq(0..100));
        }
    }

    #[test]
    fn the_last_slice_of_an_epoch_is_what_is_left() {
        let mut minibatches = Minibatches::new(Batch::Size(4), 10, 1);
        let sizes: Vec<_> = (0..6).map(|step| minibatches.of_step(step).len()).collect();
        assert_eq!(sizes, [4, 4, 2, 4, 4, 2]);
    }

    #[test]
    fn a_step_can_be_entered_from_anywhere() {
        let mut onwards = Minibatches::new(Batch::Size(3), 10, 5);
        let all: Vec<_> = (0..30).map(|step| onwards.of_step(step).to_vec()).collect();
        for step in [29, 3, 17] {
            assert_eq!(Minibatches::new(Batch::Size(3), 10, 5).of_step(step), all[step as usize]);
        }
    }

    #[test]
    fn the_full_batch_is_everything_every_time() {
        let mut minibatches = Minibatches::new(Batch::Full, 5, 1);
        assert_eq!(minibatches.of_step(0), [0, 1, 2, 3, 4]);
        assert_eq!(minibatches.of_step(7), [0, 1, 2, 3, 4]);
    }
}
