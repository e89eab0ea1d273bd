//! The trace of a training run on disk: what a recorder writes and every analysis reads.
//!
//! A *study* is a directory of *runs*; a run holds per-example gradients, the examples and coordinates they were
//! sampled from, contributions of the whole training set, learning curves and weight snapshots, and a manifest with the
//! SHA-256 of every file. The format is specified in `docs/trace-format.md`, well enough to be written by another program.
//! Runs of its earlier versions are upgraded while they are read.
#![warn(missing_docs)]

mod checkpoint;
mod conditions;
mod error;
mod examples;
mod gradients;
mod journal;
mod manifest;
mod metrics;
mod parallel;
mod parameters;
mod population;
mod row_groups;
mod run;
mod schema;
mod study;
mod table;
mod task;
mod tensors;
mod version_2;
mod writer;

pub use cograd_files::{FileEntry, FileError, SealError, check_seal, sealed, sha256_of_file, write_atomically};
pub use conditions::{Condition, Conditions};
pub use error::TraceError;
pub use examples::{ExampleColumn, Examples};
pub use gradients::{GradientStep, StepGradients};
pub use manifest::{FORMAT_VERSION, Manifest, SkippedStep, Status};
pub use metrics::Metric;
pub use parameters::{Coordinate, Layer, Parameter};
pub use population::{GradientNorm, PopulationLayer, PopulationRows, PopulationStep};
pub use row_groups::RowGroup;
pub use run::Run;
pub use schema::check_compression;
pub use study::{Study, list_runs};
pub use task::{SelfCheck, Task};
pub use tensors::Tensor;
pub use writer::{Progress, Resumed, RunDescription, RunWriter, SoFar, copy_so_far, last_written};
