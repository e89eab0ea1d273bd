//! Prints what a directory of results holds, and the share of every group in the gradient at step 0.
//!
//!     cargo run --release -p cograd-results --example read_results -- studies/demo/analysis

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use cograd_results::Results;

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
    let directory = std::env::args_os().nth(1).ok_or("usage: read_results DIRECTORY")?;
    let results = Results::open(Path::new(&directory))?;
    let summary = results.summary();
    println!("{}: {} runs, examples grouped by {}", summary.study.name, summary.runs.len(), summary.grouping.by);
    for name in results.tables() {
        println!("{name}: {}", cograd_results::table(name).map_or("not defined in this version", |table| table.about));
    }
    let Some(shares) = results.rows("shares")? else { return Ok(()) };
    // World 0 is the actual one; the others are null worlds that are kept for drawing.
    let at_first = |row: &usize| shares.integer("step", *row) == Some(0) && shares.count("world", *row) == Some(0);
    for row in (0..shares.len()).filter(at_first) {
        let text = |column| shares.text(column, row).unwrap_or("-");
        let share = shares.number("share", row).map_or("missing".to_string(), |share| format!("{share:.3}"));
        println!("{} {} {}: {share}", text("run"), text("estimator"), text("group"));
    }
    Ok(())
}
