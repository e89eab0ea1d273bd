//! Reading the run that the speed targets are stated for: 500 steps of 400 examples × 600 coordinates, 480 MB raw.
//!
//!     cargo bench --profile release -p cograd-trace --bench gradients
//!
//! `COGRAD_BENCH_STUDY` names a directory to write the run to, and to keep it in for other programs to be timed on.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use cograd_trace::{Conditions, Coordinate, Parameter, Run, RunDescription, RunWriter, Task};
use divan::counter::BytesCount;

const STEPS: i64 = 500;
const EXAMPLES: usize = 400;
const COORDINATES: usize = 600;
const RAW_BYTES: usize = STEPS as usize * EXAMPLES * COORDINATES * size_of::<f32>();

static RUN: LazyLock<Run> = LazyLock::new(|| {
    let study = match std::env::var_os("COGRAD_BENCH_STUDY") {
        Some(study) => PathBuf::from(study),
        None => std::env::temp_dir().join(format!("cograd-bench-{}", std::process::id())),
    };
    let directory = study.join("runs").join(description().run);
    Run::open(&directory).unwrap_or_else(|_| {
        write(&study, STEPS);
        Run::open(&directory).expect("the run just written")
    })
});

fn main() {
    divan::main();
    if std::env::var_os("COGRAD_BENCH_STUDY").is_none() {
        let _ = std::fs::remove_dir_all(std::env::temp_dir().join(format!("cograd-bench-{}", std::process::id())));
    }
}

fn description() -> RunDescription {
    RunDescription {
        run: "sgd_noise-0.5_seed-0".to_string(),
        conditions: Conditions::new(Some(0)).with("rule", "sgd").with("noise", 0.5),
        task: Task::default(),
        steps: STEPS as u64,
        writer: "cograd-trace bench".to_string(),
        train_examples: EXAMPLES,
        example_ids: (0..EXAMPLES as u32).collect(),
        population_ids: None,
        parameters: vec![Parameter::new("layer.0.weight", &[2048, 784], Some("linear"))],
        coordinates: (0..COORDINATES as u64).map(|index| Coordinate { parameter: 0, index }).collect(),
    }
}

/// Standard normal gradients with a common part, larger for pristine examples: dense, the worst case for size.
fn gradients(random: &mut u64) -> Vec<f32> {
    let mut uniform = || {
        *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((*random >> 40) as f32 + 0.5) / (1 << 24) as f32
    };
    let common = |coordinate: usize| (coordinate as f32 * 0.7).sin();
    let mut values = Vec::with_capacity(EXAMPLES * COORDINATES);
    for example in 0..EXAMPLES {
        let share = if example % 2 == 0 { 0.2 } else { 0.05 };
        for coordinate in 0..COORDINATES {
            let normal = (-2.0 * uniform().ln()).sqrt() * (std::f32::consts::TAU * uniform()).cos();
            values.push(normal + share * common(coordinate));
        }
    }
    values
}

fn write(study: &Path, steps: i64) {
    let mut writer = RunWriter::create(study, description()).expect("a new run");
    let mut random = 1;
    for step in 0..steps {
        writer.write_gradients(step, &gradients(&mut random)).expect("room on the disk");
    }
    writer.finish(&[], &[]).expect("room on the disk");
}

/// Encoding and writing 16 steps.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn write_16_steps(bencher: divan::Bencher) {
    let mut random = 1;
    let steps: Vec<Vec<f32>> = (0..16).map(|_| gradients(&mut random)).collect();
    bencher
        .counter(BytesCount::new(16 * EXAMPLES * COORDINATES * 4))
        .with_inputs(|| tempfile::tempdir().unwrap())
        .bench_refs(|study| {
            let mut writer = RunWriter::create(study.path(), description()).unwrap();
            for (step, values) in steps.iter().enumerate() {
                writer.write_gradients(step as i64, values).unwrap();
            }
        });
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn verify(bencher: divan::Bencher) {
    let run = &*RUN;
    bencher.counter(BytesCount::new(RAW_BYTES)).bench(|| run.verify().unwrap());
}

/// Decoding and checking, and nothing done with the gradients.
#[divan::bench(sample_count = 5, sample_size = 1, args = [1, 2])]
fn map_steps(bencher: divan::Bencher, threads: usize) {
    let run = &*RUN;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    bencher
        .counter(BytesCount::new(RAW_BYTES))
        .bench(|| pool.install(|| run.map_steps(|step| step.values[0]).unwrap()));
}

/// What an analysis does: both at once.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn verify_and_map_steps(bencher: divan::Bencher) {
    let run = &*RUN;
    bencher.counter(BytesCount::new(RAW_BYTES)).bench(|| {
        let (verified, steps) = rayon::join(|| run.verify(), || run.map_steps(|step| step.values[0]));
        verified.unwrap();
        steps.unwrap()
    });
}
