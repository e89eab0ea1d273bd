//! Times of the networks of `benches/peers/networks.py`, on the same sizes and data: training steps, recordings of 400 examples × 300
//! coordinates a parameter, population steps of 2 000 examples, evaluations. One table; least milliseconds.
//!
//!     RAYON_NUM_THREADS=1 CANDLE_NUM_THREADS=1 cargo bench --profile release -p cograd-recorder --bench networks [-- NAME…]

use std::time::Instant;

use cograd_recorder::NetworkKind;
use cograd_recorder::architecture::{Trainable, network};
use cograd_recorder::data::{Dataset, Examples, Values};
use cograd_recorder::network::Tokens;
use cograd_recorder::optimizer::{Adam, Optimizer, Update};
use cograd_recorder::rule::Sgd;
use cograd_trace::Coordinate;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

const EXAMPLES: usize = 2000;

type Error = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Error> {
    // On a thread of the pool, as the training loop is.
    let mut result = Ok(());
    rayon::scope(|_| result = all());
    result
}

fn all() -> Result<(), Error> {
    let lenet = NetworkKind::Convnet { channels: vec![6, 16], kernel: 5, hidden: vec![120, 84] };
    let resnet = NetworkKind::Resnet { channels: vec![16, 32, 64], blocks: 1, groups: 8 };
    let transformer = NetworkKind::Transformer { width: 64, depth: 2, heads: 4, context: 32 };
    let adam = Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0, decoupled: false };
    let perceptron = |hidden: &[usize]| NetworkKind::Mlp { hidden: hidden.to_vec() };
    measure("784-2048-10", &perceptron(&[2048]), &images(&[1, 28, 28], 19), None, 100)?;
    measure("784-256-256-256-10", &perceptron(&[256; 3]), &images(&[1, 28, 28], 19), None, 100)?;
    measure("lenet", &lenet, &images(&[1, 28, 28], 100), None, 100)?;
    measure("resnet", &resnet, &images(&[3, 32, 32], 100), None, 100)?;
    measure("transformer", &transformer, &texts(), Some(Box::new(adam)), 64)
}

/// Images of noise, so many in a hundred of whose pixels are not black.
fn images(shape: &[usize], percent: u32) -> Dataset {
    let mut generator = ChaCha8Rng::seed_from_u64(1);
    let mut pixel = || {
        let bits = generator.next_u32();
        if bits % 100 < percent { (bits >> 24) as u8 | 1 } else { 0 }
    };
    let values = (0..EXAMPLES * shape.iter().product::<usize>()).map(|_| pixel()).collect();
    dataset(Values::Bytes { values, maximum: 255 }, shape, 10)
}

/// Sentences of 4 to 23 words.
fn texts() -> Dataset {
    let mut values = vec![0; EXAMPLES * 32];
    for (example, row) in values.chunks_mut(32).enumerate() {
        for (place, token) in row.iter_mut().take(4 + example * 7 % 20).enumerate() {
            *token = 1 + ((example * 7919 + place * 104_729) % 8699) as u32;
        }
    }
    dataset(Values::Tokens { values: Tokens::padded(&values, 32), vocabulary: 8700 }, &[32], 6)
}

fn dataset(values: Values, shape: &[usize], classes: usize) -> Dataset {
    let labels = (0..EXAMPLES).map(|example| (example % classes) as u8).collect();
    let train = Examples { values, shape: shape.to_vec(), labels };
    let class_names = (0..classes).map(|class| class.to_string()).collect();
    Dataset { test: train.clone(), train, classes, class_names, noise_file: None }
}

fn measure(
    name: &str,
    kind: &NetworkKind,
    data: &Dataset,
    optimizer: Option<Box<dyn Optimizer>>,
    batch: u32,
) -> Result<(), Error> {
    let mut named = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).peekable();
    if named.peek().is_some() && !named.any(|it| it == name) {
        return Ok(());
    }
    let mut network = network(kind, data, 1)?;
    let (inputs, labels) = (data.train.inputs(), &data.train.labels[..]);
    let coordinates = coordinates(network.as_ref());
    let sample = inputs.gather_range(0..400)?;
    let of_batch = inputs.gather(&(0..batch).collect::<Vec<u32>>())?;
    let mut update = Update::new(Box::new(Sgd), optimizer);

    let evaluate = least(5, || network.evaluate(inputs, labels))?;
    let record = least(7, || network.gradients_at(&sample, &labels[..400], &coordinates))?;
    let population = least(1, || network.population(inputs, labels))?;
    let mut number = 0;
    let step = least(40, || {
        number += 1;
        network.update((&of_batch, &labels[..batch as usize]), &mut update, number, 0.001)
    })?;
    println!(
        "{name:20} step {step:8.2} ms, record {record:8.1} ms, population {population:8.1} ms, evaluate {evaluate:8.1} ms"
    );
    Ok(())
}

/// 300 of each weight, all of those that have fewer.
fn coordinates(network: &dyn Trainable) -> Vec<Coordinate> {
    let weights =
        network.parameters().into_iter().enumerate().filter(|(_, parameter)| !parameter.name.ends_with("bias"));
    weights
        .flat_map(|(place, parameter)| {
            let (size, amount) = (parameter.size(), parameter.size().min(300));
            (0..amount).map(move |nth| Coordinate { parameter: place as u32, index: nth * size / amount })
        })
        .collect()
}

/// Milliseconds of the fastest of so many runs, after one.
fn least<T, E>(runs: usize, mut work: impl FnMut() -> Result<T, E>) -> Result<f64, Error>
where
    Error: From<E>,
{
    work()?;
    let mut least = f64::INFINITY;
    for _ in 0..runs {
        let start = Instant::now();
        work()?;
        least = least.min(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(least)
}
