//! Records the experiment of the demonstration: a small network on the embedded digits, at five levels of label noise.
//!
//!     cargo run --release -p cograd-recorder --example record_digits -- studies/digits

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use cograd_recorder::{Observer, RunOutcome};

/// Prints every run that is finished.
struct Lines;

impl Observer for Lines {
    fn run_finished(&self, outcome: &RunOutcome) {
        println!("{}: {} steps with gradients, {} bytes", outcome.run, outcome.recorded_steps, outcome.bytes);
    }
}

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
    let study = std::env::args_os().nth(1).ok_or("usage: record_digits STUDY")?;
    let runs = cograd_recorder::record(&cograd_recorder::demo(), Path::new(&study), &Lines)?;
    println!("{} runs", runs.len());
    Ok(())
}
