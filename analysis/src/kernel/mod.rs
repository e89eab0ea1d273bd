//! The kernels: from gradients to contributions, inner products and coordinate statistics of a step, from contributions and
//! groups to sums over null worlds, and halves.
//!
//! Plain slices in, plain slices out, everything accumulated in f64, the same to the last bit on any number of threads. What
//! is made of their numbers is made in polars, in `table` and in the statistics.

pub mod batches;
pub mod contribution;
pub mod coordinate;
pub mod gram;
pub mod grouping;
pub mod half_sums;
pub mod halves;
pub mod linear;
pub mod moments;
pub mod null_world;
pub mod pair_sums;
pub mod partition;
pub mod permutation;
mod product;
pub mod scores;
mod world_sums;
pub mod zero;
