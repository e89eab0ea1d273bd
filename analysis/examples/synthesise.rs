//! Writes a study of one synthetic run, to time analyses on: 400 examples × 600 coordinates, 55 % of them pristine.
//! With POPULATION, of so many training examples instead, with a population record of them at 200 steps.
//!
//!     cargo run --release -p cograd-analysis --example synthesise -- STUDY [STEPS] [POPULATION]

use std::path::Path;
use std::process::ExitCode;

use cograd_trace::{
    Coordinate, Example, Metric, PopulationLayer, PopulationRows, RunDescription, RunWriter, Split, Subset, TraceError,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

const EXAMPLES: u32 = 400;
const COORDINATES: u32 = 600;
const POPULATION_STEPS: i64 = 200;

/// Writes run `sgd_noise-0.5_seed-SEED` of `steps` steps to `study`: normal noise plus a common direction, stronger in
/// pristine examples. With a `population` of more than the 400 sampled examples, it is recorded too.
pub fn synthesise(study: &Path, steps: i64, seed: u64, population: u32) -> Result<(), TraceError> {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    let examples = population.max(EXAMPLES);
    let pristine: Vec<bool> = (0..examples).map(|_| uniform(&mut generator) < 0.55).collect();
    let common: Vec<f32> = (0..COORDINATES).map(|_| normal(&mut generator)).collect();
    let mut writer = RunWriter::create(study, description(steps, seed, examples))?;
    let mut gradients = Vec::new();
    for step in 0..steps {
        gradients.clear();
        for &is_pristine in &pristine[..EXAMPLES as usize] {
            let strength = if is_pristine { 0.2 } else { 0.05 };
            gradients.extend(common.iter().map(|direction| normal(&mut generator) + strength * direction));
        }
        writer.write_gradients(step, &gradients)?;
    }
    let population_steps = if population > EXAMPLES { POPULATION_STEPS } else { 0 };
    (0..population_steps).try_for_each(|step| write_population(&mut writer, step, &pristine, &mut generator))?;
    let example = |(&pristine, example_id): (&bool, u32)| Example {
        example_id,
        label: 0,
        original_label: u8::from(!pristine),
        pristine,
        sampled: example_id < EXAMPLES,
        learned_step: Some(0),
    };
    let examples: Vec<Example> = pristine.iter().zip(0..).map(example).collect();
    writer.finish(&examples, &[metric(0, 2.3), metric(steps, 0.1)]).map(|_| ())
}

/// Two layers; contributions and self terms as if gradients were noise about a common direction.
fn write_population(
    writer: &mut RunWriter,
    step: i64,
    pristine: &[bool],
    generator: &mut ChaCha8Rng,
) -> Result<(), TraceError> {
    let mut values = |offset: f32| -> Vec<f64> {
        let value = |&is: &bool| f64::from(normal(generator) + offset + if is { 0.02 } else { 0.0 });
        pristine.iter().map(value).collect()
    };
    let layers = [(values(1.0), values(5.0)), (values(0.5), values(5.0))];
    let norms = layers.each_ref().map(|(contributions, _)| contributions.iter().sum());
    let layers = layers.each_ref().map(|(contributions, self_terms)| PopulationLayer { contributions, self_terms });
    writer.write_population(step, &PopulationRows { layers: &layers, gradient_norms_sq: &norms })
}

fn description(steps: i64, seed: u64, examples: u32) -> RunDescription {
    RunDescription {
        run: format!("sgd_noise-0.5_seed-{seed}"),
        rule: "sgd".into(),
        noise: 0.5,
        seed,
        network: vec![20, 30, 10],
        steps: steps.max(POPULATION_STEPS).unsigned_abs(),
        writer: "synthesise".into(),
        train_examples: examples as usize,
        example_ids: (0..EXAMPLES).collect(),
        coordinates: (0..COORDINATES)
            .map(|coordinate| Coordinate { coordinate, layer: 0, row: coordinate / 20, column: coordinate % 20 })
            .collect(),
    }
}

fn metric(step: i64, loss: f64) -> Metric {
    Metric { step, split: Split::Train, subset: Subset::All, examples: EXAMPLES, loss, accuracy: 0.5 }
}

fn uniform(generator: &mut ChaCha8Rng) -> f32 {
    (generator.next_u32() >> 8) as f32 / 16_777_216.0
}

/// One normal number, by Box and Muller.
fn normal(generator: &mut ChaCha8Rng) -> f32 {
    (-2.0 * (1.0 - uniform(generator)).ln()).sqrt() * (std::f32::consts::TAU * uniform(generator)).cos()
}

#[allow(dead_code)] // The benchmarks use this file as a module.
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let steps = arguments.get(1).map_or(Some(500), |text| text.parse().ok());
    let population = arguments.get(2).map_or(Some(0), |text| text.parse().ok());
    let (Some(study), Some(steps), Some(population)) = (arguments.first(), steps, population) else {
        eprintln!("usage: synthesise STUDY [STEPS] [POPULATION]");
        return ExitCode::from(2);
    };
    match synthesise(Path::new(study), steps, 1, population) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
