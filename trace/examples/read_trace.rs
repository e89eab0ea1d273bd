//! Prints what a study holds, and the norm of the summed gradient at every recorded step of each run.
//!
//!     cargo run --release -p cograd-trace --example read_trace -- studies/demo

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use cograd_trace::{StepGradients, Study};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args_os().nth(1).ok_or("usage: read_trace STUDY")?;
    let study = Study::open(Path::new(&directory))?;
    for run in study.runs() {
        println!("{}, {}", run.manifest().run, run.manifest().conditions);
        for layer in run.layers()? {
            let size = layer.size.map_or("an unknown number of".to_string(), |size| size.to_string());
            println!("  layer {}: {size} values", layer.name);
        }
        // Steps are read one after the other on all cores; only those in work are in memory.
        for (step, norm) in run.map_steps(|gradients| (gradients.step, norm_of_sum(&gradients)))? {
            println!("  step {step}: {norm:.6}");
        }
    }
    Ok(())
}

/// ‖Σ g_i‖ of the sampled examples, over the recorded coordinates.
fn norm_of_sum(gradients: &StepGradients<'_>) -> f64 {
    let mut sums = vec![0.0; gradients.coordinates];
    for gradient in gradients.values.chunks_exact(gradients.coordinates) {
        sums.iter_mut().zip(gradient).for_each(|(sum, value)| *sum += f64::from(*value));
    }
    sums.iter().map(|sum| sum * sum).sum::<f64>().sqrt()
}
