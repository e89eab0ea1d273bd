//! Times one analysis in a fresh process: seconds and peak memory, to be set beside those of another program.
//!
//!     cargo run --release -p cograd-analysis --example time_analysis -- STUDY [WORLDS [RESAMPLES]]

use std::path::Path;
use std::time::Instant;

use cograd_analysis::{AnalysisError, NoObserver, Options, analyze};

fn main() -> Result<(), AnalysisError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let study = arguments.first().map_or("study", String::as_str);
    let null_worlds = arguments.get(1).and_then(|text| text.parse().ok()).unwrap_or(10_000);
    let bootstrap = arguments.get(2).and_then(|text| text.parse().ok()).unwrap_or(200);
    let start = Instant::now();
    let report =
        analyze(Path::new(study), None, &Options { null_worlds, bootstrap, ..Options::default() }, &NoObserver)?;
    println!("{:.3} s, peak memory {}", start.elapsed().as_secs_f64(), peak_memory());
    for run in report.summary.runs {
        println!("{}: alpha {:?} to {:?}, {:?}", run.run, run.alpha_first, run.alpha_last, run.simultaneous.alpha);
    }
    Ok(())
}

/// As Linux reports it.
fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.map_or_else(|| "unknown".to_string(), |peak| peak.trim().to_string())
}
