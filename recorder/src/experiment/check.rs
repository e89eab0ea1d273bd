//! Values that no experiment can have, and values that do not fit the data.

use super::rule::Problem;
use super::{Batch, Experiment, ExperimentError, NetworkKind, Source};
use crate::architecture;
use crate::data::Dataset;
use crate::initial::split;
use crate::noise::NoiseKind;
use crate::sample::sample_coordinates;
use crate::schedule::Schedule;

/// Longest run: its list of steps alone takes 800 MB.
const MOST_STEPS: u64 = 100_000_000;
/// Beyond this many a decade, steps repeat up to step 10 000.
const MOST_PER_DECADE: u64 = 10_000;
/// Largest network: 4 GB of weights.
const MOST_PARAMETERS: u128 = 1_000_000_000;
/// Most gradients of one recorded step, n × d: 1 GiB.
const MOST_GRADIENTS: u128 = 1 << 28;

type Checked = Result<(), ExperimentError>;

/// Checks all that can be checked without the data.
pub(super) fn check_values(experiment: &Experiment) -> Checked {
    check_name_and_data(experiment)?;
    check_training(experiment)?;
    check_grid(experiment)?;
    check_sample(experiment)?;
    let schedule = &experiment.schedule;
    check_schedule(experiment, "schedule.gradients.per_decade", &schedule.gradients)?;
    check_schedule(experiment, "schedule.evaluations.per_decade", &schedule.evaluations)?;
    check_schedule(experiment, "schedule.snapshots.per_decade", &schedule.snapshots)?;
    if let Some(population) = &schedule.population {
        check_schedule(experiment, "schedule.population.per_decade", population)?;
    }
    let seconds = experiment.checkpoint.every_seconds;
    require(experiment, seconds >= 0.0 && seconds.is_finite(), "checkpoint.every_seconds", || {
        format!("{seconds}: a finite number of seconds, or 0 for none by time, is needed")
    })
}

/// An error about `key` unless `holds`.
fn require(experiment: &Experiment, holds: bool, key: &'static str, problem: impl FnOnce() -> String) -> Checked {
    match holds {
        true => Ok(()),
        false => Err(experiment.impossible(key, problem())),
    }
}

fn check_name_and_data(experiment: &Experiment) -> Checked {
    let data = &experiment.data;
    let (idx, digits) = (data.source == Source::Idx, data.source == Source::Digits);
    let files = match data.source {
        Source::Idx => "idx needs the key `directory`: where the four files are",
        Source::Cifar => "cifar needs the key `directory`: where its batches are",
        Source::Text => "text needs the key `directory`: where train.txt and test.txt are",
        Source::Table => "table needs the key `directory`: where train.csv and test.csv are",
        Source::Digits => "",
    };
    let require = |holds, key, problem: &str| require(experiment, holds, key, || problem.to_string());
    require(!experiment.name.trim().is_empty(), "name", "empty: give the study a name")?;
    require(digits || data.directory.is_some(), "data.source", files)?;
    require(
        !digits || data.directory.is_none(),
        "data.directory",
        "only source = \"idx\", \"cifar\", \"text\" and \"table\" have a directory: remove this key",
    )?;
    require(idx || data.classes.is_none(), "data.classes", "only source = \"idx\" has this key: remove it")?;
    require(data.examples != Some(0), "data.examples", "0: at least 1 example is needed")?;
    let is_of_file = data.noise == NoiseKind::File;
    require(
        !is_of_file || data.noise_file.is_some(),
        "data.noise",
        "file needs the key `noise_file`: a text file of one label a line",
    )?;
    require(
        is_of_file || data.noise_file.is_none(),
        "data.noise_file",
        "only noise = \"file\" has this key: remove it",
    )?;
    let classes = data.classes.unwrap_or(2);
    require((2..=256).contains(&classes), "data.classes", &format!("{classes}: 2 to 256 are possible"))
}

fn check_training(experiment: &Experiment) -> Checked {
    let training = &experiment.training;
    let rate = training.learning_rate;
    experiment.network.kind.check().map_err(|(key, problem)| experiment.impossible(key, problem))?;
    let initial = experiment.network.initial.as_deref();
    require(experiment, initial.is_none_or(|initial| split(initial).is_some()), "network.initial", || {
        format!("{}: write STUDY/RUN@STEP", initial.unwrap_or_default())
    })?;
    require(experiment, rate > 0.0 && rate.is_finite(), "training.learning_rate", || {
        format!("{rate}: a finite number above 0 is needed")
    })?;
    require(experiment, training.batch != Batch::Size(0), "training.batch", || {
        "0: at least 1 example, or \"full\", is needed".into()
    })?;
    require(experiment, (1..=MOST_STEPS).contains(&training.steps), "training.steps", || {
        format!("{}: 1 to {MOST_STEPS} are possible", training.steps)
    })?;
    let within = |key| move |(inner, problem): Problem| experiment.impossible_within(key, inner, problem);
    training.optimizer.check().map_err(within("training.optimizer"))?;
    training.schedule.check(training.steps).map_err(within("training.schedule"))
}

fn check_grid(experiment: &Experiment) -> Checked {
    let grid = &experiment.grid;
    require(experiment, !grid.noise.is_empty(), "grid.noise", || "empty: name at least one noise level".into())?;
    require(experiment, !grid.seeds.is_empty(), "grid.seeds", || "empty: name at least one seed".into())?;
    for (place, noise) in grid.noise.iter().enumerate() {
        require(experiment, (0.0..=1.0).contains(noise), "grid.noise", || {
            format!("{noise}: noise is a fraction from 0 to 1")
        })?;
        require(experiment, !grid.noise[..place].contains(noise), "grid.noise", || {
            format!("{noise} twice: once is enough")
        })?;
    }
    for (place, seed) in grid.seeds.iter().enumerate() {
        require(experiment, !grid.seeds[..place].contains(seed), "grid.seeds", || {
            format!("{seed} twice: once is enough")
        })?;
        require(experiment, i64::try_from(*seed).is_ok(), "grid.seeds", || {
            format!("{seed}: at most {} is possible", i64::MAX)
        })?;
    }
    check_rules(experiment)
}

fn check_rules(experiment: &Experiment) -> Checked {
    let rules = &experiment.grid.rules;
    require(experiment, !rules.is_empty(), "grid.rules", || "empty: name at least one update rule".into())?;
    for (place, rule) in rules.iter().enumerate() {
        rule.check().map_err(|(key, problem)| experiment.impossible_rule(place, Some(key), problem))?;
        if let Batch::Size(batch) = experiment.training.batch {
            check_rule_against(experiment, place, batch)?;
        }
        let label = rule.label();
        if rules[..place].iter().any(|other| other.label() == label) {
            return Err(experiment.impossible_rule(place, None, format!("{label} twice: once is enough")));
        }
    }
    Ok(())
}

fn check_rule_against(experiment: &Experiment, place: usize, batch: usize) -> Checked {
    let rule = &experiment.grid.rules[place];
    rule.check_against(batch).map_err(|(key, problem)| experiment.impossible_rule(place, Some(key), problem))
}

fn check_sample(experiment: &Experiment) -> Checked {
    let sample = &experiment.sample;
    require(experiment, sample.examples > 0, "sample.examples", || "0: at least 1 is needed".into())?;
    require(experiment, sample.weights_per_layer > 0, "sample.weights_per_layer", || "0: at least 1 is needed".into())?;
    let is_plain = !sample.preconditioned;
    let optimizer = &experiment.training.optimizer;
    require(experiment, is_plain || optimizer.is_preconditioning(), "sample.preconditioned", || {
        "true: only adam and adamw divide gradients: name one as training.optimizer, or remove this key".into()
    })?;
    require(experiment, is_plain || experiment.schedule.population.is_none(), "sample.preconditioned", || {
        "true: contributions of the population are of gradients as they are: remove schedule.population, or this key"
            .into()
    })
}

fn check_schedule(experiment: &Experiment, key: &'static str, schedule: &Schedule) -> Checked {
    require(experiment, schedule.per_decade <= MOST_PER_DECADE, key, || {
        format!("{}: 0 to {MOST_PER_DECADE} are possible", schedule.per_decade)
    })
}

/// Checks that minibatches, samples and network fit the data.
pub(super) fn check_against(experiment: &Experiment, data: &Dataset) -> Checked {
    let all = data.train.len();
    let examples = experiment.data.examples.unwrap_or(all);
    require(experiment, examples <= all, "data.examples", || {
        format!("{examples}: the training set has {all} examples: use 1 to {all}")
    })?;
    if let Batch::Size(size) = experiment.training.batch {
        require(experiment, size <= examples, "training.batch", || {
            format!("{size}: the training set has {examples} examples: use 1 to {examples}, or \"full\"")
        })?;
    }
    for place in 0..experiment.grid.rules.len() {
        check_rule_against(experiment, place, experiment.training.batch.size(examples))?;
    }
    let sample = &experiment.sample;
    require(experiment, sample.examples <= examples, "sample.examples", || {
        format!("{}: the training set has {examples} examples: use 1 to {examples}", sample.examples)
    })?;

    check_network(experiment, data)
}

/// Checks the network against the data, and the sample against the network.
fn check_network(experiment: &Experiment, data: &Dataset) -> Checked {
    let (kind, sample) = (&experiment.network.kind, &experiment.sample);
    let parameters = architecture::size(kind, data);
    let parameters = parameters.map_err(|(key, problem)| experiment.impossible(key, problem))?;
    let key = if let NetworkKind::Mlp { .. } = kind { "network.hidden" } else { "network.kind" };
    require(experiment, parameters <= MOST_PARAMETERS, key, || {
        format!("{parameters} parameters: at most {MOST_PARAMETERS} are possible")
    })?;
    if let NetworkKind::Mlp { hidden } = kind {
        let widths = [&[data.train.width()], &hidden[..], &[data.classes]].concat();
        for (layer, pair) in widths.windows(2).enumerate() {
            let weights = pair[0] * pair[1];
            require(experiment, sample.weights_per_layer <= weights, "sample.weights_per_layer", || {
                format!(
                    "{}: layer {layer}, {} to {} units, has {weights} weights: use 1 to {weights}",
                    sample.weights_per_layer, pair[0], pair[1]
                )
            })?;
        }
    }
    let network = architecture::network(kind, data, 0);
    let network = network.map_err(|problem| experiment.impossible("network.kind", problem.to_string()))?;
    let coordinates = sample_coordinates(&network.parameters(), sample.weights_per_layer, 0).len();
    let gradients = sample.examples as u128 * coordinates as u128;
    require(experiment, gradients <= MOST_GRADIENTS, "sample.weights_per_layer", || {
        format!(
            "{gradients} gradients a step (examples × weights): at most {MOST_GRADIENTS} are possible: sample fewer"
        )
    })
}
