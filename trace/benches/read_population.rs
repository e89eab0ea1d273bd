//! Reading the population that the speed targets are stated for: 200 steps of 60 000 examples and two layers, 576 MB raw.
//!
//!     cargo bench --profile release --workspace --bench read_population

use std::path::PathBuf;
use std::sync::LazyLock;

use cograd_trace::{
    Conditions, Coordinate, Parameter, PopulationLayer, PopulationRows, Run, RunDescription, RunWriter, Task,
};
use divan::counter::BytesCount;

const STEPS: i64 = 200;
const EXAMPLES: usize = 60_000;
const RAW_BYTES: usize = STEPS as usize * EXAMPLES * 6 * size_of::<f64>();

static RUN: LazyLock<Run> = LazyLock::new(|| {
    let study = directory();
    let mut writer = RunWriter::create(&study, description()).expect("a new run");
    let mut random = 1;
    for step in 0..STEPS {
        write_step(&mut writer, step, &columns(&mut random));
    }
    writer.finish(&[], &[]).expect("room on the disk");
    Run::open(&study.join("runs").join(description().run)).expect("the run just written")
});

fn main() {
    divan::main();
    let _ = std::fs::remove_dir_all(directory());
}

fn directory() -> PathBuf {
    std::env::temp_dir().join(format!("cograd-bench-population-{}", std::process::id()))
}

fn description() -> RunDescription {
    RunDescription {
        run: "sgd_noise-0.5_seed-0".to_string(),
        conditions: Conditions::new(Some(0)).with("rule", "sgd").with("noise", 0.5),
        task: Task::default(),
        steps: STEPS as u64,
        writer: "cograd-trace bench".to_string(),
        train_examples: EXAMPLES,
        example_ids: vec![0],
        population_ids: None,
        parameters: ["layer.0.weight", "layer.1.weight"].map(|name| Parameter::new(name, &[10, 10], None)).to_vec(),
        coordinates: vec![Coordinate { parameter: 0, index: 0 }],
    }
}

/// Contributions and self terms of two layers: normal and exponential numbers, of all the digits that f64 has.
fn columns(random: &mut u64) -> [Vec<f64>; 4] {
    let mut uniform = || {
        *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((*random >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    };
    std::array::from_fn(|column| {
        let value = |_| match column % 2 {
            0 => 0.3 + (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos(),
            _ => -100.0 * uniform().ln(),
        };
        (0..EXAMPLES).map(value).collect()
    })
}

fn write_step(writer: &mut RunWriter, step: i64, columns: &[Vec<f64>; 4]) {
    let layer =
        |place: usize| PopulationLayer { contributions: &columns[place], self_terms: Some(&columns[place + 1]) };
    let rows = PopulationRows { layers: &[layer(0), layer(2)], gradient_norms_sq: &[1.0, 1.0] };
    writer.write_population(step, &rows).expect("room on the disk");
}

/// Encoding and writing 16 steps.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn write_16_steps(bencher: divan::Bencher) {
    let mut random = 1;
    let columns = columns(&mut random);
    bencher
        .counter(BytesCount::new(16 * EXAMPLES * 6 * size_of::<f64>()))
        .with_inputs(|| tempfile::tempdir().expect("a temporary directory"))
        .bench_refs(|study| {
            let mut writer = RunWriter::create(study.path(), description()).expect("a new run");
            (0..16).for_each(|step| write_step(&mut writer, step, &columns));
        });
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn verify(bencher: divan::Bencher) {
    let run = &*RUN;
    bencher.counter(BytesCount::new(RAW_BYTES)).bench(|| run.verify().expect("nothing was altered"));
}

/// Decoding and checking, and nothing done with the values.
#[divan::bench(sample_count = 5, sample_size = 1, args = [1, 2])]
fn map_population(bencher: divan::Bencher, threads: usize) {
    let run = &*RUN;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
    let read = || run.map_population(|step| step.contributions[0]).expect("a sound run");
    bencher.counter(BytesCount::new(RAW_BYTES)).bench(|| pool.install(read));
}
