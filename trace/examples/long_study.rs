//! Writes a study of many steps, evaluations or runs of next to nothing each, to see what time and memory grow with.
//!
//!     cargo run --release -p cograd-trace --example long_study -- STUDY STEPS EVALUATIONS RUNS

use std::path::Path;
use std::process::ExitCode;

use cograd_trace::{
    Conditions, Coordinate, ExampleColumn, Metric, Parameter, RunDescription, RunWriter, Task, TraceError,
};

const EXAMPLES: usize = 4;
const COORDINATES: u64 = 2;

/// One run: gradients of four examples over two coordinates at every step, and loss and accuracy of two sets at every
/// evaluation.
fn write_run(study: &Path, seed: u64, steps: i64, evaluations: i64) -> Result<(), TraceError> {
    let mut writer = RunWriter::create(study, description(seed, steps.max(evaluations)))?;
    for step in 0..steps {
        let value = |place: usize| (step as f32 * 0.37 + place as f32 + seed as f32).sin() + 0.1;
        let gradients: Vec<f32> = (0..EXAMPLES * COORDINATES as usize).map(value).collect();
        writer.write_gradients(step, &gradients)?;
    }
    let label = |place: usize| Some((place % 2) as i64);
    let columns = [
        ("label", ExampleColumn::Integers((0..EXAMPLES).map(label).collect())),
        ("original_label", ExampleColumn::Integers((0..EXAMPLES).map(|place| label(place / 2)).collect())),
        ("learned_step", ExampleColumn::Integers((0..EXAMPLES).map(|place| Some(place as i64)).collect())),
    ];
    let metrics: Vec<Metric> = (0..evaluations).flat_map(of_evaluation).collect();
    writer.finish(&columns, &metrics).map(|_| ())
}

fn of_evaluation(step: i64) -> Vec<Metric> {
    let metric = |split: &str, name: &str, value| {
        let [split, group, metric] = [split, "all", name].map(str::to_string);
        Metric { step, split, group, metric, value, examples: EXAMPLES as u64 }
    };
    let loss = 1.0 / (1.0 + step as f64).sqrt();
    ["train", "test"].iter().flat_map(|split| [metric(split, "loss", loss), metric(split, "accuracy", 0.5)]).collect()
}

fn description(seed: u64, steps: i64) -> RunDescription {
    RunDescription {
        run: format!("sgd_noise-0.5_seed-{seed}"),
        conditions: Conditions::new(Some(seed)).with("rule", "sgd").with("noise", 0.5),
        task: Task { classes: Some(2), ..Task::default() },
        steps: steps.unsigned_abs(),
        writer: "long_study".into(),
        train_examples: EXAMPLES,
        example_ids: (0..EXAMPLES as u32).collect(),
        population_ids: None,
        parameters: vec![Parameter::new("layer.0.weight", &[1, COORDINATES], Some("linear"))],
        coordinates: (0..COORDINATES).map(|index| Coordinate { parameter: 0, index }).collect(),
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let numbers: Option<Vec<i64>> = arguments.iter().skip(1).map(|text| text.parse().ok()).collect();
    let (Some(study), Some(&[steps, evaluations, runs])) = (arguments.first(), numbers.as_deref()) else {
        eprintln!("usage: long_study STUDY STEPS EVALUATIONS RUNS");
        return ExitCode::from(2);
    };
    let written = (0..runs.unsigned_abs()).try_for_each(|seed| write_run(Path::new(study), seed, steps, evaluations));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
