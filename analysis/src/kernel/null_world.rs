//! Null worlds: uniform permutations of the examples over the groups.
//!
//! World k of a run is a pure function of the analysis seed, the run id, the sizes of the groups and k: a ChaCha8 generator
//! keyed with SHA-256(`"cograd null worlds"`, seed as 8 little-endian bytes, run id), stream k, draws the groups in ascending
//! order of size (equal ones in the order of the groups), all but the last, one after the other by one partial Fisher–Yates
//! shuffle; the last is the rest. Sizes are kept, and a world's groups are the same at every step. World 0 is the actual one
//! and has no permutation. Source: §2.4, rows 2–4 of Figures 2 and 3; [S 3].

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

use super::grouping::Grouping;

/// The null worlds of one run.
#[derive(Clone, Debug)]
pub struct NullWorlds {
    generator: ChaCha8Rng,
    actual: Grouping,
    /// The groups in ascending order of size.
    by_size: Vec<usize>,
}

impl NullWorlds {
    /// The null worlds of the run with the given id and actual grouping.
    pub fn new(seed: u64, run: &str, actual: &Grouping) -> NullWorlds {
        let key = Sha256::new()
            .chain_update("cograd null worlds")
            .chain_update(seed.to_le_bytes())
            .chain_update(run)
            .finalize();
        let mut by_size: Vec<usize> = (0..actual.groups()).collect();
        by_size.sort_by_key(|&group| actual.sizes()[group]);
        NullWorlds { generator: ChaCha8Rng::from_seed(key.into()), actual: actual.clone(), by_size }
    }

    /// The actual grouping, world 0.
    pub fn actual(&self) -> &Grouping {
        &self.actual
    }

    /// The grouping of world `world`, 1 or more.
    pub fn grouping(&self, world: u64) -> Grouping {
        let rest = self.by_size.last().copied().unwrap_or(0) as u8;
        let mut of_example = vec![rest; self.actual.examples()];
        self.draw(world, &mut Vec::new(), |place, example| of_example[example] = self.by_size[place] as u8);
        Grouping::new(self.actual.names().to_vec(), of_example)
    }

    /// The groups that are drawn, in order; the one that is left over is not.
    pub(super) fn drawn_groups(&self) -> &[usize] {
        self.by_size.split_last().map_or(&[], |(_, drawn)| drawn)
    }

    /// Calls `take(place, example)` for every example that world `world` draws into the group at that place of those drawn.
    ///
    /// `order` is scratch space, kept between calls.
    pub(super) fn draw(&self, world: u64, order: &mut Vec<u32>, mut take: impl FnMut(usize, usize)) {
        let mut generator = self.generator.clone();
        generator.set_stream(world);
        let examples = self.actual.examples();
        order.clear();
        order.extend(0..examples as u32);
        let mut next = 0;
        for (place, &group) in self.drawn_groups().iter().enumerate() {
            for here in next..next + self.actual.sizes()[group] {
                let other = here + below(&mut generator, (examples - here) as u32) as usize;
                order.swap(here, other);
                take(place, order[here] as usize);
            }
            next += self.actual.sizes()[group];
        }
    }
}

/// A uniform integer in 0..bound, by Lemire's multiplication with rejection (2019). Written out here because a library's
/// choice of algorithm may change between its versions, and the worlds must not.
pub(super) fn below(generator: &mut ChaCha8Rng, bound: u32) -> u32 {
    loop {
        let product = u64::from(generator.next_u32()) * u64::from(bound);
        // What is rejected is less than `bound`: the division is seldom needed.
        if product as u32 >= bound || product as u32 >= bound.wrapping_neg() % bound {
            return (product >> 32) as u32;
        }
    }
}
