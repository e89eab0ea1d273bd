//! Times of a training step, a recording and an evaluation.
//!
//! `--threads` of divan is about something else: set `RAYON_NUM_THREADS`.

mod images;

use cograd_recorder::network::{Network, Pixels, Weight, sampled_gradients};
use cograd_recorder::rule::{Sgd, Step, UpdateRule};
use divan::Bencher;
use images::IMAGES;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

const LARGE: &[usize] = &[784, 2048, 10];
const SMALL: &[usize] = &[784, 256, 256, 256, 10];
const BATCH: u32 = 100;

fn main() {
    // On a thread of the pool, as the training loop is: entering the pool anew for every operation costs more.
    rayon::scope(|_| divan::main());
}

fn network(widths: &[usize]) -> Network {
    Network::glorot_uniform(widths, &mut ChaCha8Rng::seed_from_u64(1)).expect("the widths are valid")
}

/// A whole training step: gather, forward, backward, update.
#[divan::bench(args = [LARGE, SMALL], sample_count = 300)]
fn train_step(bencher: Bencher, widths: &[usize]) {
    let mut network = network(widths);
    let batch: Vec<u32> = (0..BATCH).collect();
    let labels = &IMAGES.labels[..BATCH as usize];
    bencher.bench_local(|| {
        let pass = network.forward(&IMAGES.pixels().gather(&batch)?)?;
        let deltas = network.backward(&pass, labels)?;
        Sgd.update(&mut network, &Step { number: 0, pass: &pass, deltas: &deltas, learning_rate: 0.1 })
    });
}

/// 400 examples × 600 weights, 300 a layer: gather, forward, backward, sampled gradients.
#[divan::bench(sample_count = 100)]
fn record(bencher: Bencher) {
    let network = network(LARGE);
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let weights: Vec<Weight> = (0..600)
        .map(|place| {
            let layer = place / 300;
            let [columns, rows] = [LARGE[layer as usize], LARGE[layer as usize + 1]].map(|width| width as u32);
            Weight { layer, row: rng.next_u32() % rows, column: rng.next_u32() % columns }
        })
        .collect();
    let examples: Vec<u32> = (0..400).collect();
    bencher.bench_local(|| {
        let pass = network.forward(&IMAGES.pixels().gather(&examples)?)?;
        let deltas = network.backward(&pass, &IMAGES.labels[..400])?;
        sampled_gradients(&pass, &deltas, &weights)
    });
}

/// Losses and predictions of 10 000 examples.
#[divan::bench(args = [LARGE, SMALL], sample_count = 20)]
fn evaluate(bencher: Bencher, widths: &[usize]) {
    let network = network(widths);
    let examples = Pixels { values: &IMAGES.pixels[..10_000 * 784], ..IMAGES.pixels() };
    bencher.bench_local(|| network.evaluate(examples, &IMAGES.labels[..10_000]));
}
