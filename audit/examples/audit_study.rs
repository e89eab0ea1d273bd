//! Audits a study, its results and its report, and its data set if that is named, and prints every claim that does not hold.
//!
//!     cargo run --release -p cograd-audit --example audit_study -- studies/demo

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use cograd_audit::{Sources, Verdict, audit_with};

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
    let study = std::env::args_os().nth(1).map(PathBuf::from).ok_or("usage: audit_study STUDY [DATA]")?;
    let data = std::env::args_os().nth(2).map(PathBuf::from);
    let sources = Sources { replay: data.is_some(), data };
    let audit = audit_with(&study, &study.join("analysis"), &study.join("report"), &sources)?;
    for claim in audit.claims.iter().filter(|claim| claim.verdict == Verdict::Fail) {
        println!("{}, {}: {}", claim.subject, claim.claim, claim.why);
    }
    println!("{}", audit.tally());
    Ok(())
}
