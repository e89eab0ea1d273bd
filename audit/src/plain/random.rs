//! The random streams of a study, drawn again from their description.
//!
//! A stream is ChaCha with 8 rounds; a whole number below b is drawn by Lemire's method: with x = word·b, take the next
//! word while x mod 2³² < 2³² mod b, else the number is ⌊x/2³²⌋. A uniform sample is the front of a Fisher–Yates shuffle.
//! Source: docs/statistics.md [S 3], docs/audit.md.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

const WORDS: u64 = 1 << 32;

/// The generator of the analysis for `purpose`, its seed and a run: keyed with the SHA-256 of the three.
pub(crate) fn of_analysis(purpose: &str, seed: u64, run: &str) -> ChaCha8Rng {
    let mut key = Sha256::new();
    key.update(purpose.as_bytes());
    key.update(seed.to_le_bytes());
    key.update(run.as_bytes());
    ChaCha8Rng::from_seed(key.finalize().into())
}

/// The recorder's generator: its key is the seed of the run and zeros, its stream the purpose and an index.
pub(crate) fn of_recorder(seed: u64, purpose: u64, index: u64) -> ChaCha8Rng {
    let mut key = [0_u8; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    let mut generator = ChaCha8Rng::from_seed(key);
    generator.set_stream(purpose + 256 * index);
    generator
}

/// A uniform whole number below `bound`.
pub(crate) fn below(generator: &mut ChaCha8Rng, bound: usize) -> usize {
    let bound = bound as u64;
    loop {
        let product = u64::from(generator.next_u32()) * bound;
        if product % WORDS >= WORDS % bound {
            return (product / WORDS) as usize;
        }
    }
}

/// Puts a uniform ordered sample of `amount` items into the first places.
pub(crate) fn shuffle_front<T>(items: &mut [T], amount: usize, generator: &mut ChaCha8Rng) {
    for place in 0..amount {
        let other = place + below(generator, items.len() - place);
        items.swap(place, other);
    }
}
