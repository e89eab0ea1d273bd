//! Null worlds [S 3]: uniform permutations of the groups over the examples, sizes kept, the same at every step.
//!
//! World k of a run: a ChaCha8 generator keyed with SHA-256(`cograd null worlds`, seed as 8 little-endian bytes, run id),
//! stream k. Groups in ascending order of size (ties: in their order), all but the last, are drawn one after the other by
//! one partial Fisher–Yates shuffle of the examples.

use rand_chacha::ChaCha8Rng;

use crate::plain::random::{of_analysis, shuffle_front};

/// The null worlds of one run and one grouping.
pub(crate) struct Worlds {
    generator: ChaCha8Rng,
    examples: usize,
    /// Groups in the order in which they are drawn, with their sizes; the last is what remains.
    drawn: Vec<(usize, usize)>,
}

impl Worlds {
    /// Of groups of these sizes.
    pub(crate) fn new(seed: u64, run: &str, sizes: &[usize]) -> Worlds {
        let mut drawn: Vec<(usize, usize)> = sizes.iter().copied().enumerate().collect();
        drawn.sort_by_key(|&(group, size)| (size, group));
        Worlds { generator: of_analysis("cograd null worlds", seed, run), examples: sizes.iter().sum(), drawn }
    }

    /// The group of each example in world `world`, 1 or more.
    pub(crate) fn groups(&self, world: u64) -> Vec<usize> {
        let mut generator = self.generator.clone();
        generator.set_stream(world);
        let (&(rest, _), drawn) = self.drawn.split_last().unwrap_or((&(0, 0), &[]));
        let mut order: Vec<usize> = (0..self.examples).collect();
        let amount = drawn.iter().map(|&(_, size)| size).sum();
        shuffle_front(&mut order, amount, &mut generator);
        let mut groups = vec![rest; self.examples];
        let mut places = order.iter();
        for &(group, size) in drawn {
            for &example in places.by_ref().take(size) {
                groups[example] = group;
            }
        }
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_kept_and_a_world_is_a_function_of_its_number() {
        let worlds = Worlds::new(3, "run", &[4, 2, 9]);
        let first = worlds.groups(1);
        for (group, size) in [(0, 4), (1, 2), (2, 9)] {
            assert_eq!(first.iter().filter(|&&found| found == group).count(), size);
        }
        assert_eq!(first, worlds.groups(1));
        assert_ne!(first, worlds.groups(2));
    }
}
