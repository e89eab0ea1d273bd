//! The statistics, one file each: definition, shapes, edge cases, source.
//!
//! Sections [S n] are those of `docs/statistics.md`; §n are the paper's ("Coherent Gradients", Chatterjee 2020). A
//! value that is not defined is `None`, never NaN.

pub mod clopper_pearson;
pub mod contribution;
pub mod crossover;
pub mod cumulative;
pub mod curves;
pub mod decomposition;
pub mod designation;
pub mod grouping;
pub mod holm;
pub mod learned;
pub mod linear;
pub mod matched;
pub mod mean_share;
pub mod null_world;
pub mod overfit;
pub mod permutation;
pub mod scores;
pub mod share;
mod world_sums;
