//! What can end a recording.

use std::path::PathBuf;

use cograd_trace::TraceError;

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
    /// The loss is no longer a finite number.
    #[error(
        "run {run}: at step {step} the loss of {set} example {example} is {loss}: training diverged: lower \
         training.learning_rate and record into a new directory"
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
    },
    /// The rule needs finite gradients to order or clip.
    #[error(
        "run {run}: at step {step} the {what} of layer {layer} are not finite for training example {example}: training \
         diverged: lower training.learning_rate and record into a new directory"
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
