//! Null worlds: uniform permutations of the designations.
//!
//! World k of a run is a pure function of the analysis seed, the run id and k: a ChaCha8 generator keyed with
//! SHA-256(`"cograd null worlds"`, seed as 8 little-endian bytes, run id), stream k, draws the smaller group by a partial
//! Fisher–Yates shuffle. The sizes of both groups are kept, and a world's designation is the same at every step. World 0 is
//! the actual designation and has no permutation. Source: §2.4, rows 2–4 of Figures 2 and 3; [S 3].

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

use super::designation::Designation;

/// The null worlds of one run.
#[derive(Clone, Debug)]
pub struct NullWorlds {
    generator: ChaCha8Rng,
    examples: usize,
    pristine: usize,
}

impl NullWorlds {
    /// The null worlds of the run with the given id and actual designation.
    pub fn new(seed: u64, run: &str, actual: &Designation) -> NullWorlds {
        let key = Sha256::new()
            .chain_update("cograd null worlds")
            .chain_update(seed.to_le_bytes())
            .chain_update(run)
            .finalize();
        let generator = ChaCha8Rng::from_seed(key.into());
        NullWorlds { generator, examples: actual.examples(), pristine: actual.pristine() }
    }

    /// The designation of world `world`, 1 or more.
    pub fn designation(&self, world: u64) -> Designation {
        let mut mask = vec![0.0; self.examples];
        self.fill_mask(world, &mut mask, &mut Vec::new());
        Designation::new(mask.into_iter().map(|entry| entry == 1.0).collect())
    }

    /// Sets `mask`, one entry an example, to 1 where world `world` designates pristine and to 0 elsewhere.
    ///
    /// `order` is scratch space, kept between calls.
    pub fn fill_mask(&self, world: u64, mask: &mut [f64], order: &mut Vec<u32>) {
        let mut generator = self.generator.clone();
        generator.set_stream(world);
        let corrupt = self.examples - self.pristine;
        let (drawn, drawn_entry) = if self.pristine <= corrupt { (self.pristine, 1.0) } else { (corrupt, 0.0) };
        mask.fill(1.0 - drawn_entry);
        order.clear();
        order.extend(0..self.examples as u32);
        for place in 0..drawn {
            let other = place + below(&mut generator, (self.examples - place) as u32) as usize;
            order.swap(place, other);
            mask[order[place] as usize] = drawn_entry;
        }
    }
}

/// A uniform integer in 0..bound, by Lemire's multiplication with rejection (2019). Written out here because a library's
/// choice of algorithm may change between its versions, and the worlds must not.
pub(super) fn below(generator: &mut ChaCha8Rng, bound: u32) -> u32 {
    let rejected = bound.wrapping_neg() % bound;
    loop {
        let product = u64::from(generator.next_u32()) * u64::from(bound);
        if product as u32 >= rejected {
            return (product >> 32) as u32;
        }
    }
}
