//! From a recorded trace to tidy tables of coherence statistics.
//!
//! Gradients are read once, streaming. Two kinds of code follow each other: the [`kernel`]s make numbers of gradients,
//! contributions and null worlds, on plain slices; everything relational is polars expressions on frames that carry the
//! conditions of the runs as columns, in `table` and in the [`statistic`]s. [`analyze`] does a whole study and writes the
//! tables that `cograd_results` defines. The definitions of the numbers are in `docs/statistics.md`.

mod compare;
mod conditions;
mod contributions;
mod error;
mod example_file;
mod export;
mod expression;
mod frame;
mod gradients;
mod groups;
pub mod kernel;
mod matrix;
mod options;
mod record;
mod run;
mod sample;
mod selection;
mod shard;
mod spool;
pub mod statistic;
mod study;
mod table;

pub use compare::{CompareOptions, Comparison, compare};
pub use contributions::{Reported, Sums, Tested};
pub use error::AnalysisError;
pub use export::{Format, export};
pub use groups::Groups;
pub use options::{Estimator, ExampleSelection, GroupBy, NoObserver, Observer, Options, Span};
pub use record::Record;
pub use sample::{Coordinates, Pair, Part, Sample, Series, StepValues, Stiffness};
pub use shard::{Shard, ShardReport, analyze_shard};
pub use study::{Report, analyze, analyze_from};
