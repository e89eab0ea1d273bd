//! What can end a recording.

use std::path::{Path, PathBuf};

use cograd_trace::TraceError;

use cograd_files::{FileError, OutputError};

use crate::data::DataError;
use crate::experiment::ExperimentError;
use crate::rule::RuleError;

/// Why a study could not be recorded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The experiment is impossible, or does not fit its data.
    #[error(transparent)]
    Experiment(#[from] ExperimentError),
    /// The data cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The trace cannot be written.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// The tensor library refused.
    #[error("the network cannot be computed: {0}")]
    Network(#[from] candle_core::Error),
    /// A layer's own statement of its gradients is wrong, or examples of a batch are not independent.
    #[error(
        "run {run}: recorded gradients of {parameter} differ from plain autograd by {difference:.1e} of an example's \
         gradient: the examples of a batch must not influence each other, and dropout must be off"
    )]
    Differs {
        /// Run id.
        run: String,
        /// The parameter.
        parameter: String,
        /// Largest difference, relative to the norm of the example's gradient.
        difference: f64,
    },
    /// The loss is no longer a finite number.
    #[error(
        "run {run}: at step {step} the loss of {set} example {example} is {loss}: {advice} and record into a new directory"
    )]
    Diverged {
        /// Run id.
        run: String,
        /// The step.
        step: u64,
        /// `training` or `test`.
        set: &'static str,
        /// Row of the example in its set.
        example: usize,
        /// The loss, NaN or infinite.
        loss: f64,
        /// Why, and what to change.
        advice: &'static str,
    },
    /// A gradient that is to be recorded, its contribution or a norm is no finite number.
    #[error("run {run}: at step {step} the {what} is {value}: {advice} and record into a new directory")]
    Unrecordable {
        /// Run id.
        run: String,
        /// The step.
        step: u64,
        /// Which number, and of which training example.
        what: String,
        /// NaN or an infinity.
        value: f64,
        /// Why, and what to change.
        advice: &'static str,
    },
    /// The weights that a run is to begin with are not there, or are of another network.
    #[error("network.initial: {reference}: {problem}")]
    Initial {
        /// The snapshot, STUDY/RUN@STEP.
        reference: String,
        /// What is wrong.
        problem: String,
    },
    /// The rule needs finite gradients to order or clip.
    #[error(
        "run {run}: at step {step} the {what} of layer {layer} are not finite for training example {example}: {advice} and \
         record into a new directory"
    )]
    NotFinite {
        /// Run id.
        run: String,
        /// The step.
        step: u64,
        /// `activations` (what the layer was given) or `deltas`.
        what: &'static str,
        /// The layer, from 0.
        layer: usize,
        /// Row of the example in the training set.
        example: usize,
        /// Why, and what to change.
        advice: &'static str,
    },
    /// The update rule refused.
    #[error("run {run}: step {step} cannot be made: {problem}")]
    Rule {
        /// Run id.
        run: String,
        /// The step.
        step: u64,
        /// What the rule says.
        problem: RuleError,
    },
    /// The directory was recorded with other settings.
    #[error(
        "{} holds another study, with `{theirs}` where this one has `{ours}`: choose another directory; nothing was \
         overwritten",
        study.display()
    )]
    AnotherStudy {
        /// The study's directory.
        study: PathBuf,
        /// The first line of its `study.toml` that differs.
        theirs: String,
        /// The same line of this experiment.
        ours: String,
    },
    /// The directory has content, but no `study.toml`.
    #[error("{} is not empty and holds no study: choose another directory; nothing was overwritten", study.display())]
    NotAStudy {
        /// The directory.
        study: PathBuf,
    },
    /// A run's directory is there, but the run in it is not sound.
    #[error("{} is no finished run ({problem}): move it away, then record again", directory.display())]
    BrokenRun {
        /// The run's directory.
        directory: PathBuf,
        /// What is wrong with it.
        problem: Box<TraceError>,
    },
    /// The `--only` condition fits no run of the grid.
    #[error("no run of this experiment has {selection}; there are {there}")]
    NothingSelected {
        /// The condition as it was written.
        selection: String,
        /// The values that there are.
        there: String,
    },
    /// Every run that is left is being recorded by another process.
    #[error("{}: recorded elsewhere at this moment: {runs}; nothing is left to do here", study.display())]
    Locked {
        /// The study's directory.
        study: PathBuf,
        /// The runs and who records them.
        runs: String,
    },
    /// The recording was asked to stop, and did so between two steps.
    #[error("stopped{}; the same command continues from there", places(runs))]
    Stopped {
        /// The runs that were under way, and the step that each continues from.
        runs: Vec<(String, u64)>,
    },
    /// No room is left for a file.
    #[error(
        "run {run} stopped because the disk is full: what was recorded so far is kept, and the same command continues \
         once there is room"
    )]
    DiskFull {
        /// Run id.
        run: String,
        /// Which file could not be written.
        source: Box<RecordError>,
    },
    /// No threads to work on.
    #[error("cannot start threads: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// The state of a run cannot be put into a checkpoint.
    #[error("cannot encode a checkpoint: {0}")]
    Checkpoint(#[from] safetensors::SafeTensorError),
    /// A lock cannot be taken.
    #[error(transparent)]
    Lock(#[from] OutputError),
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl RecordError {
    /// Turns an I/O error into one that names what was tried and the path.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> RecordError {
        move |source| RecordError::Io { action, path: path.into(), source }
    }

    /// The same error, or `DiskFull` if there was no room left to write.
    pub(crate) fn of_run(self, run: &str) -> RecordError {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        let full = match &self {
            RecordError::Trace(error) => error.is_disk_full(),
            RecordError::Io { source, .. } | RecordError::Lock(OutputError::File(FileError::Io { source, .. })) => {
                matches!(source.kind(), StorageFull | QuotaExceeded)
            }
            _ => false,
        };
        if full { RecordError::DiskFull { run: run.to_string(), source: Box::new(self) } } else { self }
    }
}

fn places(runs: &[(String, u64)]) -> String {
    let places: Vec<String> = runs.iter().map(|(run, step)| format!("{run} before step {step}")).collect();
    if places.is_empty() { String::new() } else { format!(": {}", places.join(", ")) }
}
