//! Times of the update rules on the paper's network for winsorization, 784-256-256-256-10, minibatch 100.
//!
//! `--threads` of divan is about something else: set `RAYON_NUM_THREADS`.

mod images;

use cograd_recorder::network::Network;
use cograd_recorder::rule::{MedianOfMeans, NormClipped, RollingMedian, Sgd, Step, UpdateRule, Winsorized};
use divan::Bencher;
use images::IMAGES;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

const WIDTHS: &[usize] = &[784, 256, 256, 256, 10];
const BATCH: u32 = 100;

const RULES: &[&str] = &[
    "sgd",
    "winsorized-1",
    "winsorized-2",
    "winsorized-4",
    "winsorized-8",
    "winsorized-20",
    "median-of-means-3",
    "rolling-median",
    "norm-clipped-1",
    "norm-clipped-1-noise-1",
];

fn main() {
    // On a thread of the pool, as the training loop is: entering the pool anew for every operation costs more.
    rayon::scope(|_| divan::main());
}

fn rule(name: &str) -> Box<dyn UpdateRule> {
    match name.rsplit_once('-') {
        Some(("winsorized", percent)) => Box::new(Winsorized { percent: percent.parse().expect("a level") }),
        Some(("median-of-means", groups)) => Box::new(MedianOfMeans { groups: groups.parse().expect("groups") }),
        Some(("norm-clipped", _)) => Box::new(NormClipped::new(1.0, 0.0, 1)),
        Some(("norm-clipped-1-noise", _)) => Box::new(NormClipped::new(1.0, 1.0, 1)),
        Some(_) => Box::new(RollingMedian::default()),
        None => Box::new(Sgd),
    }
}

fn network() -> Network {
    Network::glorot_uniform(WIDTHS, &mut ChaCha8Rng::seed_from_u64(1)).expect("the widths are valid")
}

/// A whole training step: gather, forward, backward, update.
#[divan::bench(args = RULES, sample_count = 200)]
fn train_step(bencher: Bencher, name: &str) {
    let (mut network, mut rule) = (network(), rule(name));
    let batch: Vec<u32> = (0..BATCH).collect();
    let labels = &IMAGES.labels[..BATCH as usize];
    bencher.bench_local(|| {
        let pass = network.forward(&IMAGES.pixels().gather(&batch).unwrap()).unwrap();
        let deltas = network.backward(&pass, labels).unwrap();
        rule.update(&mut network, &Step { number: 0, pass: &pass, deltas: &deltas, learning_rate: 0.1 })
    });
}

/// The update alone, of the first step.
#[divan::bench(args = RULES, sample_count = 200)]
fn update(bencher: Bencher, name: &str) {
    let (mut network, mut rule) = (network(), rule(name));
    let batch: Vec<u32> = (0..BATCH).collect();
    let pass = network.forward(&IMAGES.pixels().gather(&batch).unwrap()).unwrap();
    let deltas = network.backward(&pass, &IMAGES.labels[..BATCH as usize]).unwrap();
    let step = Step { number: 0, pass: &pass, deltas: &deltas, learning_rate: 0.0001 };
    bencher.bench_local(|| rule.update(&mut network, &step));
}
