//! Times one analysis in a fresh process: seconds and peak memory, to be set beside those of another program.
//!
//!     cargo run --release -p cograd-analysis --example time_analysis -- STUDY [OUT [WORLDS [RESAMPLES [STATISTIC,…]]]]

use std::path::Path;
use std::time::Instant;

use cograd_analysis::{AnalysisError, NoObserver, Options, analyze};

fn main() -> Result<(), AnalysisError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |place: usize, usual| arguments.get(place).and_then(|text| text.parse().ok()).unwrap_or(usual);
    let study = arguments.first().map_or("study", String::as_str);
    let statistics = arguments.get(4).map(|names| names.split(',').map(str::to_string).collect());
    let options = Options { null_worlds: number(2, 10_000), halves: number(3, 200), statistics, ..Options::default() };
    let start = Instant::now();
    let report = analyze(Path::new(study), arguments.get(1).map(Path::new), &options, &NoObserver)?;
    println!("{:.3} s, peak memory {}", start.elapsed().as_secs_f64(), peak_memory());
    println!("{} runs, {} tables", report.summary.runs.len(), report.summary.files.len());
    Ok(())
}

/// As Linux reports it.
fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.map_or_else(|| "unknown".to_string(), |peak| peak.trim().to_string())
}
