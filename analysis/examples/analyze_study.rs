//! Analyses a study with every default, and prints the files that it wrote.
//!
//!     cargo run --release -p cograd-analysis --example analyze_study -- studies/demo

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use cograd_analysis::{NoObserver, Options, analyze};

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
    let study = std::env::args_os().nth(1).ok_or("usage: analyze_study STUDY")?;
    let report = analyze(Path::new(&study), None, &Options::default(), &NoObserver)?;
    report.files.iter().for_each(|file| println!("{}", file.display()));
    Ok(())
}
