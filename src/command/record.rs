//! `cograd record`: train and record what an experiment describes.

use std::path::{Path, PathBuf};

use cograd_recorder::{Experiment, RunOutcome};

use crate::arguments::Record;
use crate::output::{Output, bytes};
use crate::progress::Progress;

pub fn run(arguments: &Record, output: &Output) -> anyhow::Result<()> {
    let mut experiment = Experiment::read(&arguments.experiment)?;
    if let Some(directory) = &arguments.data {
        experiment.data.directory = Some(directory.clone());
    }
    let study = arguments.out.clone().unwrap_or_else(|| PathBuf::from("studies").join(&experiment.name));
    let outcomes = record(&experiment, &study, output)?;
    output.line(summary(&study, &outcomes));
    output.line(format_args!("Next: cograd analyze {}", study.display()));
    Ok(())
}

/// Records with progress shown; the demo shares it.
pub fn record(experiment: &Experiment, study: &Path, output: &Output) -> anyhow::Result<Vec<RunOutcome>> {
    let progress = Progress::new(output);
    let outcomes = cograd_recorder::record(experiment, study, &progress);
    progress.clear();
    Ok(outcomes?)
}

fn summary(study: &Path, outcomes: &[RunOutcome]) -> String {
    let size = bytes(outcomes.iter().map(|outcome| outcome.bytes).sum());
    let already = outcomes.iter().filter(|outcome| outcome.already_there).count();
    let seconds: f64 = outcomes.iter().map(|outcome| outcome.seconds).sum();
    let kept = if already > 0 { format!(" ({already} recorded before)") } else { String::new() };
    format!("Wrote {}: {} runs{kept}, {size}, {seconds:.1} s", study.display(), outcomes.len())
}
