//! Draws the figures and the page of a study that was analysed, and prints the files that it wrote.
//!
//!     cargo run --release -p cograd-reports --example draw_report -- studies/demo

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

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
    let study = std::env::args_os().nth(1).map(PathBuf::from).ok_or("usage: draw_report STUDY")?;
    let files = cograd_reports::report(&study.join("analysis"), &study.join("report"))?;
    files.iter().for_each(|file| println!("{}", file.display()));
    Ok(())
}
