//! The trace of a training run on disk: what a recorder writes and every analysis reads.
//!
//! A *study* is a directory of *runs*; a run holds per-example gradients, the examples and coordinates they were
//! sampled from, contributions of the whole training set, learning curves and weight snapshots, and a manifest with the
//! SHA-256 of every file. The format is specified in `docs/trace-format.md`, well enough to be written by another program.
#![warn(missing_docs)]

mod checkpoint;
mod error;
mod files;
mod gradients;
mod journal;
mod manifest;
mod population;
mod row_groups;
mod run;
mod schema;
mod seal;
mod study;
mod tables;
mod weights;
mod writer;

pub use error::TraceError;
pub use files::{sha256_of_file, write_atomically};
pub use gradients::StepGradients;
pub use manifest::{FORMAT_VERSION, FileEntry, Manifest, Status};
pub use population::{GradientNorm, PopulationLayer, PopulationRows, PopulationStep};
pub use run::Run;
pub use seal::{SealError, check_seal, sealed};
pub use study::Study;
pub use tables::{Coordinate, Example, Metric, Split, Subset};
pub use weights::{LayerWeights, OwnedLayerWeights};
pub use writer::{Resumed, RunDescription, RunWriter};
