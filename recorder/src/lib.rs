//! Trains networks on noisy labels and records per-example gradients into a trace.
//!
//! ```no_run
//! use std::path::Path;
//! # struct Silent;
//! # impl cograd_recorder::Observer for Silent {}
//! let experiment = cograd_recorder::Experiment::read(Path::new("experiments/label-noise-small.toml"))?;
//! let runs = cograd_recorder::record(&experiment, Path::new("studies/label-noise-small"), &Silent)?;
//! println!("{} runs", runs.len());
//! # Ok::<(), cograd_recorder::RecordError>(())
//! ```
//!
//! [`record`] goes through a study: [`data`] are loaded once, then each run of the grid permutes labels, initialises a
//! [`network`], and trains it by an update [`rule`] and an [`optimizer`], recording on the way. A run that is interrupted is continued
//! from its last checkpoint, and is then byte for byte the run that was never interrupted. What is written is read by
//! `cograd-trace`; this crate analyses nothing.
//!
//! A network of one's own, with one's own training loop, is recorded by [`model`], if it is made of [`layer`]s.

pub mod architecture;
mod checkpoint;
pub mod data;
mod error;
mod experiment;
mod initial;
mod lanes;
pub mod layer;
mod minibatches;
pub mod model;
pub mod network;
mod noise;
pub mod optimizer;
mod preconditioned;
mod random;
mod rate;
pub mod rule;
mod sample;
mod schedule;
mod selection;
mod study;
mod training;

pub use error::RecordError;
pub use experiment::{
    Batch, CheckpointSettings, DataSettings, Experiment, ExperimentError, Grid, NetworkKind, NetworkSettings,
    Optimizer, Rule, SCHEMA, SampleSettings, Schedules, Source, TEMPLATE, TrainingSettings, demo, demo_winsorize,
};
pub use noise::NoiseKind;
pub use rate::RateSchedule;
pub use schedule::Schedule;
pub use selection::Selection;
pub use study::{Observer, Options, RunOutcome, RunStart, record, record_with};
