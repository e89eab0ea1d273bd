//! Times of a training step, a recording and an evaluation.
//!
//! On MNIST's pixels if its files are in `$COGRAD_MNIST` or in `../shared/data/mnist` beside the workspace, on synthetic
//! images of the same density otherwise. `--threads` of divan is about something else: set `RAYON_NUM_THREADS`.

use cograd_recorder::network::{Network, Pixels, sampled_gradients};
use cograd_recorder::rule::{Sgd, UpdateRule};
use cograd_trace::Coordinate;
use divan::Bencher;
use flate2::read::GzDecoder;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

const LARGE: &[usize] = &[784, 2048, 10];
const SMALL: &[usize] = &[784, 256, 256, 256, 10];
const BATCH: u32 = 100;

fn main() {
    // On a thread of the pool, as the training loop is: entering the pool anew for every operation costs more.
    rayon::scope(|_| divan::main());
}

struct Images {
    pixels: Vec<u8>,
    labels: Vec<u8>,
}

static IMAGES: LazyLock<Images> = LazyLock::new(|| mnist().unwrap_or_else(synthetic));

impl Images {
    fn pixels(&self) -> Pixels<'_> {
        Pixels { values: &self.pixels, width: 784, maximum: 255.0 }
    }
}

fn mnist() -> Option<Images> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/mnist");
    let directory = std::env::var_os("COGRAD_MNIST").map_or(beside, PathBuf::from);
    let read = |name: &str, header: usize| {
        let mut bytes = Vec::new();
        GzDecoder::new(File::open(directory.join(name)).ok()?).read_to_end(&mut bytes).ok()?;
        Some(bytes.split_off(header))
    };
    let images =
        Images { pixels: read("train-images-idx3-ubyte.gz", 16)?, labels: read("train-labels-idx1-ubyte.gz", 8)? };
    Some(images)
}

fn synthetic() -> Images {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let pixel = |bits: u32| if bits % 100 < 19 { (bits >> 24) as u8 | 1 } else { 0 };
    Images {
        pixels: (0..10_000 * 784).map(|_| pixel(rng.next_u32())).collect(),
        labels: (0..10_000).map(|_| (rng.next_u32() % 10) as u8).collect(),
    }
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
        Sgd.update(&mut network, &pass, &deltas, 0.1)
    });
}

/// 400 examples × 600 weights, 300 a layer: gather, forward, backward, sampled gradients.
#[divan::bench(sample_count = 100)]
fn record(bencher: Bencher) {
    let network = network(LARGE);
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let coordinates: Vec<Coordinate> = (0..600)
        .map(|coordinate| {
            let layer = coordinate / 300;
            let [columns, rows] = [LARGE[layer as usize], LARGE[layer as usize + 1]].map(|width| width as u32);
            Coordinate { coordinate, layer, row: rng.next_u32() % rows, column: rng.next_u32() % columns }
        })
        .collect();
    let examples: Vec<u32> = (0..400).collect();
    bencher.bench_local(|| {
        let pass = network.forward(&IMAGES.pixels().gather(&examples)?)?;
        let deltas = network.backward(&pass, &IMAGES.labels[..400])?;
        sampled_gradients(&pass, &deltas, &coordinates)
    });
}

/// Losses and predictions of 10 000 examples.
#[divan::bench(args = [LARGE, SMALL], sample_count = 20)]
fn evaluate(bencher: Bencher, widths: &[usize]) {
    let network = network(widths);
    let examples = Pixels { values: &IMAGES.pixels[..10_000 * 784], ..IMAGES.pixels() };
    bencher.bench_local(|| network.evaluate(examples, &IMAGES.labels[..10_000]));
}
