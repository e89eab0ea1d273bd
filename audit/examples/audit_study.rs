//! Audits a study, its results and its report, and prints every claim that does not hold.
//!
//!     cargo run --release -p cograd-audit --example audit_study -- studies/demo

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use cograd_audit::{Verdict, audit};

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
    let study = std::env::args_os().nth(1).map(PathBuf::from).ok_or("usage: audit_study STUDY")?;
    let audit = audit(&study, &study.join("analysis"), &study.join("report"))?;
    for claim in audit.claims.iter().filter(|claim| claim.verdict == Verdict::Fail) {
        println!("{}, {}: {}", claim.subject, claim.claim, claim.why);
    }
    println!("{}", audit.tally());
    Ok(())
}
