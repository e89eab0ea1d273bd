//! Writes a study of one synthetic run, to time analyses on: 400 examples × 600 coordinates, or as given, 55 % of them pristine.
//! With POPULATION, of so many training examples instead, with a population record of them at 200 steps; 0: none.
//!
//!     cargo run --release -p cograd-analysis --example synthesise -- STUDY [STEPS [POPULATION [EXAMPLES COORDINATES]]]

use std::path::Path;
use std::process::ExitCode;

use cograd_trace::{
    Conditions, Coordinate, ExampleColumn, Metric, Parameter, PopulationLayer, PopulationRows, RunDescription,
    RunWriter, Task, TraceError,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

const POPULATION_STEPS: i64 = 200;
const CLASSES: i64 = 10;

/// Sizes of a run.
#[derive(Clone, Copy)]
pub struct Sizes {
    /// Recorded steps.
    pub steps: i64,
    /// Training examples.
    pub population: u32,
    /// Sampled examples, and coordinates of each.
    pub sample: (u32, u64),
}

impl Default for Sizes {
    fn default() -> Sizes {
        Sizes { steps: 500, population: 0, sample: (400, 600) }
    }
}

/// Writes run `sgd_noise-0.5_seed-SEED` of these sizes to `study`: normal noise plus a common direction, stronger in
/// pristine examples. With a population of more than the sampled examples, it is recorded too.
pub fn synthesise(study: &Path, seed: u64, sizes: Sizes) -> Result<(), TraceError> {
    let Sizes { steps, population, sample: (sampled, coordinates) } = sizes;
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    let pristine: Vec<bool> = (0..population.max(sampled)).map(|_| uniform(&mut generator) < 0.55).collect();
    let common: Vec<f32> = (0..coordinates).map(|_| normal(&mut generator)).collect();
    let mut writer = RunWriter::create(study, description(seed, sizes))?;
    let mut gradients = Vec::new();
    for step in 0..steps {
        gradients.clear();
        for &is_pristine in &pristine[..sampled as usize] {
            let strength = if is_pristine { 0.2 } else { 0.05 };
            gradients.extend(common.iter().map(|direction| normal(&mut generator) + strength * direction));
        }
        writer.write_gradients(step, &gradients)?;
    }
    let population_steps = if population > sampled { POPULATION_STEPS } else { 0 };
    (0..population_steps).try_for_each(|step| write_population(&mut writer, step, &pristine, &mut generator))?;
    let label = |place: usize| Some(place as i64 % CLASSES);
    let original = |(place, is_pristine): (usize, &bool)| label(if *is_pristine { place } else { place + 1 });
    let columns = [
        ("label", ExampleColumn::Integers((0..pristine.len()).map(label).collect())),
        ("original_label", ExampleColumn::Integers(pristine.iter().enumerate().map(original).collect())),
        ("learned_step", ExampleColumn::Integers(vec![Some(0); pristine.len()])),
    ];
    let metrics =
        [(0, 2.3), (steps, 0.1)].map(|(step, loss)| [metric(step, "loss", loss), metric(step, "accuracy", 0.5)]);
    writer.finish(&columns, metrics.as_flattened()).map(|_| ())
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
    let layers = layers
        .each_ref()
        .map(|(contributions, self_terms)| PopulationLayer { contributions, self_terms: Some(self_terms) });
    writer.write_population(step, &PopulationRows { layers: &layers, gradient_norms_sq: &norms })
}

/// All weights of the first layer of a network 20-30-10, or of a wider one, and none of the second.
fn description(seed: u64, Sizes { steps, population, sample: (sampled, coordinates) }: Sizes) -> RunDescription {
    let shapes: [(&str, &[u64]); 4] = [
        ("layer.0.weight", &[coordinates.div_ceil(20), 20]),
        ("layer.0.bias", &[30]),
        ("layer.1.weight", &[10, 30]),
        ("layer.1.bias", &[10]),
    ];
    RunDescription {
        run: format!("sgd_noise-0.5_seed-{seed}"),
        conditions: Conditions::new(Some(seed)).with("rule", "sgd").with("noise", 0.5),
        task: Task { classes: Some(CLASSES as u64), ..Task::default() },
        steps: steps.max(POPULATION_STEPS).unsigned_abs(),
        writer: "synthesise".into(),
        train_examples: population.max(sampled) as usize,
        example_ids: (0..sampled).collect(),
        population_ids: None,
        parameters: shapes.map(|(name, shape)| Parameter::new(name, shape, Some("linear"))).to_vec(),
        coordinates: (0..coordinates).map(|index| Coordinate { parameter: 0, index }).collect(),
    }
}

fn metric(step: i64, metric: &str, value: f64) -> Metric {
    let [split, group, metric] = ["train", "all", metric].map(str::to_string);
    Metric { step, split, group, metric, value, examples: 400 }
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
    let usual = Sizes::default();
    let number = |place: usize, usual: i64| arguments.get(place).map_or(Some(usual), |text| text.parse().ok());
    let sizes = || {
        let sample = (number(3, usual.sample.0.into())?.try_into().ok()?, number(4, 600)?.try_into().ok()?);
        Some(Sizes { steps: number(1, usual.steps)?, population: number(2, 0)?.try_into().ok()?, sample })
    };
    let (Some(study), Some(sizes)) = (arguments.first(), sizes()) else {
        eprintln!("usage: synthesise STUDY [STEPS [POPULATION [EXAMPLES COORDINATES]]]");
        return ExitCode::from(2);
    };
    match synthesise(Path::new(study), 1, sizes) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
