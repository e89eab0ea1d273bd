//! `cograd record`: train and record what an experiment describes.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::bail;
use cograd_recorder::{Experiment, Options, RunOutcome, Selection};

use crate::arguments::Record;
use crate::output::{Output, bytes, number, shell};
use crate::progress::Recording;
use crate::signals;

pub fn run(arguments: &Record, output: &Output) -> anyhow::Result<()> {
    let mut experiment = read(&arguments.experiment)?;
    if let Some(directory) = &arguments.data {
        experiment.data.directory = Some(directory.clone());
    }
    let study =
        arguments.out.clone().unwrap_or_else(|| PathBuf::from("studies").join(directory_name(&experiment.name)));
    let started = Instant::now();
    let outcomes = record(&experiment, &study, arguments.only.clone(), output)?;
    output.line(summary(&study, &outcomes, started.elapsed()));
    output.line(format_args!("Next: cograd analyze {}", shell(&study)));
    Ok(())
}

/// The experiment in a file; where there is none, what was meant.
fn read(file: &Path) -> anyhow::Result<Experiment> {
    if file.exists() && !file.is_dir() {
        return Ok(Experiment::read(file)?);
    }
    let problem = if file.is_dir() { "is a directory" } else { "does not exist" };
    let name = file.with_extension("toml");
    let known = Path::new("experiments").join(name.file_name().unwrap_or_default());
    match [name, known].into_iter().find(|other| other.is_file()) {
        Some(other) => bail!("{} {problem}: did you mean {}?", file.display(), shell(&other)),
        None => bail!("{} {problem}; `cograd init` writes an experiment to begin with", file.display()),
    }
}

/// Bytes of a name that every file system takes, with room for what is written beside it.
const LONGEST_NAME: usize = 200;

/// An experiment's name as one part of a path: without what separates parts, control characters or a leading dot.
fn directory_name(name: &str) -> String {
    let part =
        |character: char| if matches!(character, '/' | '\\') || character.is_control() { '-' } else { character };
    let name: String = name.trim().trim_start_matches('.').chars().map(part).collect();
    let fits = name.char_indices().take_while(|(start, it)| start + it.len_utf8() <= LONGEST_NAME);
    let name: String = fits.map(|(_, it)| it).collect();
    if name.is_empty() { "study".to_string() } else { name }
}

/// Records with progress shown, until it is done or interrupted; the demo shares it.
pub fn record(
    experiment: &Experiment,
    study: &Path,
    only: Vec<Selection>,
    output: &Output,
) -> anyhow::Result<Vec<RunOutcome>> {
    let options = Options { only, stop: Some(signals::listen()?) };
    let progress = Recording::new(output);
    let outcomes = cograd_recorder::record_with(experiment, study, &options, &progress);
    progress.clear();
    signals::end_at_once();
    Ok(outcomes?)
}

fn summary(study: &Path, outcomes: &[RunOutcome], elapsed: Duration) -> String {
    let size = bytes(outcomes.iter().map(|outcome| outcome.bytes).sum());
    let already = outcomes.iter().filter(|outcome| outcome.already_there).count();
    let kept = if already > 0 { format!(" ({already} recorded before)") } else { String::new() };
    let runs = number(outcomes.len(), "run");
    format!("Wrote {}: {runs}{kept}, {size}, {:.1} s", study.display(), elapsed.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::directory_name;

    #[test]
    fn a_name_is_one_part_of_a_path() {
        let cases =
            [("label noise, MNIST", "label noise, MNIST"), ("../../x", "-..-x"), ("a/b\\c", "a-b-c"), ("..", "study")];
        for (name, expected) in cases {
            assert_eq!(directory_name(name), expected);
        }
        assert_eq!(directory_name(&"ä".repeat(300)).len(), 200);
    }
}
