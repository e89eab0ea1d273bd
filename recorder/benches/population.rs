//! A population step of MNIST's 784-2048-10 beside two full-batch forward-backward passes of the same code: the step
//! should cost at most 1.2 times as much.
//!
//!     cargo bench --profile release --workspace --bench population
//!
//! `--threads` of divan is about something else: set `RAYON_NUM_THREADS`.

mod images;

use candle_core::Result;
use cograd_recorder::network::{Inputs, Network, Pixels};
use cograd_recorder::rule::{RuleError, Sgd, Step, UpdateRule};
use divan::Bencher;
use images::IMAGES;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

const WIDTHS: &[usize] = &[784, 2048, 10];

/// As a population step takes the examples.
const CHUNK: usize = 1024;

fn main() {
    // On a thread of the pool, as the training loop is: entering the pool anew for every operation costs more.
    rayon::scope(|_| divan::main());
}

fn network() -> Network {
    Network::glorot_uniform(WIDTHS, &mut ChaCha8Rng::seed_from_u64(1)).expect("the widths are valid")
}

/// Forward, backward and the summed gradient, which becomes an update by nothing, for `size` examples at a time.
fn passes(
    network: &mut Network,
    examples: Pixels<'_>,
    labels: &[u8],
    size: usize,
) -> std::result::Result<(), RuleError> {
    for _ in 0..2 {
        for first in (0..labels.len()).step_by(size) {
            let rows = first..(first + size).min(labels.len());
            let pass = network.forward(&Inputs::from(examples).gather_range(rows.clone())?)?;
            let deltas = network.backward(&pass, &labels[rows])?;
            Sgd.update(network, &Step { number: 0, pass: &pass, deltas: &deltas, learning_rate: 0.0 })?;
        }
    }
    Ok(())
}

/// Two forward-backward passes over the whole training set, as one batch.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn two_passes_of_one_batch(bencher: Bencher) {
    let mut network = network();
    bencher.bench_local(|| passes(&mut network, IMAGES.pixels(), &IMAGES.labels, IMAGES.labels.len()));
}

/// The same in chunks, which is faster: the stricter measure.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn two_passes_in_chunks(bencher: Bencher) {
    let mut network = network();
    bencher.bench_local(|| passes(&mut network, IMAGES.pixels(), &IMAGES.labels, CHUNK));
}

/// Contributions and self terms of the whole training set.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn population_step(bencher: Bencher) {
    let network = network();
    bencher.bench_local(|| -> Result<_> { network.population(IMAGES.pixels(), &IMAGES.labels) });
}
