//! An experiment: the TOML file that says what to train and what to record.
//!
//! Every key is described in `docs/experiments.md`.

mod check;
mod grid;
mod network;
mod optimizer;
mod parse;
mod rule;
mod schema;
#[cfg(test)]
mod tests;
mod types;

use std::path::{Path, PathBuf};

use cograd_trace::{Condition, Conditions};
use serde::{Deserialize, Serialize};

pub use self::grid::Grid;
pub(crate) use self::grid::{Setting, number_label, run_id};
pub use self::network::{NetworkKind, NetworkSettings};
pub use self::optimizer::Optimizer;
use self::parse::Origin;
pub use self::parse::{Batch, ExperimentError};
pub(crate) use self::rule::Problem;
pub use self::rule::Rule;
pub use self::schema::{SCHEMA, TEMPLATE};
use crate::data::Dataset;
use crate::noise::NoiseKind;
use crate::rate::RateSchedule;
use crate::schedule::Schedule;

/// A study to record: a grid of runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// What reports call the study.
    pub name: String,
    /// The training and test set.
    pub data: DataSettings,
    /// The network.
    pub network: NetworkSettings,
    /// How it is trained.
    pub training: TrainingSettings,
    /// The runs.
    pub grid: Grid,
    /// Which gradients are recorded.
    #[serde(default)]
    pub sample: SampleSettings,
    /// When anything is recorded.
    #[serde(default)]
    pub schedule: Schedules,
    /// When an unfinished run is saved; no result depends on it.
    #[serde(default)]
    pub checkpoint: CheckpointSettings,
    /// Where the settings were read, so that errors can name the line.
    #[serde(skip)]
    origin: Origin,
}

/// The training and test set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSettings {
    /// Where the examples come from.
    pub source: Source,
    /// Directory of the files, relative to the working directory; not with `source = "digits"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<PathBuf>,
    /// Number of classes, if labels beyond it are to be refused; with `source = "idx"` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<usize>,
    /// Training examples that a run trains on, chosen by its seed; all if it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub examples: Option<usize>,
    /// What label noise makes of a label.
    #[serde(default, skip_serializing_if = "NoiseKind::is_permuted")]
    pub noise: NoiseKind,
    /// A label a line for every training example; with `noise = "file"` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise_file: Option<PathBuf>,
}

impl DataSettings {
    /// Those that say which files are read.
    pub(crate) fn files(&self) -> DataSettings {
        DataSettings { examples: None, noise: NoiseKind::default(), ..self.clone() }
    }

    /// With the conditions of a run that are not those of a whole training set whose labels are permuted.
    pub(crate) fn conditions(&self, others: Conditions) -> Conditions {
        let others = match self.noise {
            NoiseKind::Permuted => others,
            noise => others.with("data.noise", noise.name()),
        };
        let file = self.noise_file.iter().map(|file| ("noise_file", Condition::from(file.display().to_string())));
        let examples = self.examples.map(|examples| ("data.examples", Condition::from(examples as i64)));
        file.chain(examples).fold(others, |others, (name, value)| others.with(name, value))
    }
}

/// Where examples come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The embedded 8×8 digits.
    Digits,
    /// A directory of MNIST's four IDX files.
    Idx,
    /// A directory of CIFAR's binary batches.
    Cifar,
    /// A directory of texts, a line each.
    Text,
    /// A directory of tables, CSV or Parquet.
    Table,
}

/// How a network is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingSettings {
    /// Learning rate η, before its schedule.
    #[serde(default = "default_learning_rate")]
    pub learning_rate: f64,
    /// Examples of a minibatch.
    #[serde(default)]
    pub batch: Batch,
    /// Number of updates, T.
    pub steps: u64,
    /// What becomes of the gradient that a rule makes.
    #[serde(default, skip_serializing_if = "Optimizer::is_plain")]
    pub optimizer: Optimizer,
    /// How the learning rate changes.
    #[serde(default, skip_serializing_if = "RateSchedule::is_plain")]
    pub schedule: RateSchedule,
}

impl TrainingSettings {
    /// With the conditions of a run that are not those of plain SGD at one rate.
    pub(crate) fn conditions(&self, others: Conditions) -> Conditions {
        self.schedule.conditions(self.optimizer.conditions(others))
    }
}

fn default_learning_rate() -> f64 {
    0.1
}

/// Which gradients are recorded (paper §2.4).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SampleSettings {
    /// Number of training examples, n.
    pub examples: usize,
    /// Number of weights of each weight matrix; biases are not recorded.
    pub weights_per_layer: usize,
    /// Whether gradients are recorded as Adam divides them.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub preconditioned: bool,
}

impl SampleSettings {
    /// With the condition of a run whose gradients are not recorded as they are.
    pub(crate) fn conditions(&self, others: Conditions) -> Conditions {
        if self.preconditioned { others.with("preconditioned", true) } else { others }
    }
}

impl Default for SampleSettings {
    fn default() -> SampleSettings {
        SampleSettings { examples: 400, weights_per_layer: 300, preconditioned: false }
    }
}

/// When gradients, population, evaluations and weight snapshots are recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Schedules {
    /// Per-example gradients.
    pub gradients: Schedule,
    /// Evaluations of the training and the test set; always one after the last update, too.
    pub evaluations: Schedule,
    /// Weight snapshots, each at the next step whose gradients are recorded; always one after the last update, too.
    pub snapshots: Schedule,
    /// Contributions of the whole training set; never without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub population: Option<Schedule>,
}

impl Default for Schedules {
    fn default() -> Schedules {
        Schedules {
            gradients: Schedule { every_step_until: 100, per_decade: 20 },
            evaluations: Schedule { every_step_until: 10, per_decade: 20 },
            snapshots: Schedule { every_step_until: 0, per_decade: 1 },
            population: None,
        }
    }
}

/// How often a checkpoint is taken: whenever either is due.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointSettings {
    /// Seconds from one to the next; 0: none by time.
    pub every_seconds: f64,
    /// Updates from one to the next; 0: none by steps.
    pub every_steps: u64,
}

impl Default for CheckpointSettings {
    fn default() -> CheckpointSettings {
        CheckpointSettings { every_seconds: 60.0, every_steps: 0 }
    }
}

impl Experiment {
    /// Reads and checks an experiment file.
    ///
    /// # Errors
    /// The file cannot be read, is no TOML, has an unknown key or an impossible value; the message names the line.
    pub fn read(path: &Path) -> Result<Experiment, ExperimentError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ExperimentError::Read { path: path.to_path_buf(), source })?;
        Experiment::parse(&text, &path.display().to_string())
    }

    /// Parses and checks the text of an experiment file, which errors call `origin`.
    ///
    /// # Errors
    /// As [`Experiment::read`].
    pub fn parse(text: &str, origin: &str) -> Result<Experiment, ExperimentError> {
        // Some editors write a byte order mark first.
        let experiment = parse::parse(text.strip_prefix('\u{feff}').unwrap_or(text), origin)?;
        experiment.check_settings()?;
        for (variant, _) in experiment.variants()? {
            check::check_values(&variant)?;
        }
        Ok(experiment)
    }

    /// The resolved experiment: every key with its value, defaults included. Parsing it gives an equal experiment.
    ///
    /// # Errors
    /// None that a parsed experiment can cause.
    pub fn to_toml(&self) -> Result<String, ExperimentError> {
        Ok(toml::to_string(self)?)
    }

    /// Checks what can only be known with the data at hand: that minibatches, samples and network fit them.
    pub(crate) fn check_against(&self, data: &Dataset) -> Result<(), ExperimentError> {
        check::check_against(self, data)
    }

    /// An error about the value of `key`, for example `grid.noise`: what is wrong and what is allowed.
    fn impossible(&self, key: &'static str, problem: String) -> ExperimentError {
        ExperimentError::Impossible { place: self.origin.place_of(key), key: key.to_string(), problem }
    }

    /// An error about a key of a table that is the value of `key`.
    fn impossible_within(&self, key: &'static str, inner: &str, problem: String) -> ExperimentError {
        let place = self.origin.place_of(&format!("{key}.{inner}"));
        ExperimentError::Impossible { place, key: key.to_string(), problem }
    }

    /// An error about the rule at this place of `grid.rules`, or about a key of it.
    fn impossible_rule(&self, place: usize, key: Option<&str>, problem: String) -> ExperimentError {
        let path = match key {
            Some(key) => format!("grid.rules.{place}.{key}"),
            None => format!("grid.rules.{place}"),
        };
        ExperimentError::Impossible { place: self.origin.place_of(&path), key: "grid.rules".to_string(), problem }
    }
}

/// The demonstration on the embedded digits, `experiments/demo.toml`.
pub fn demo() -> Experiment {
    Experiment::parse(include_str!("../../../experiments/demo.toml"), "experiments/demo.toml")
        .expect("the embedded experiment is sound: a test parses it")
}

/// The demonstration's corner of the paper's Figure 4 on the embedded digits, `experiments/demo-winsorize.toml`.
pub fn demo_winsorize() -> Experiment {
    Experiment::parse(include_str!("../../../experiments/demo-winsorize.toml"), "experiments/demo-winsorize.toml")
        .expect("the embedded experiment is sound: a test parses it")
}
