//! The statistics, one file each: definition, shapes, edge cases, source.
//!
//! Sections [S n] are those of `docs/statistics.md`; §n are the paper's ("Coherent Gradients", Chatterjee 2020). A
//! value that is not defined is `None`, never NaN.

pub mod aligned_fraction;
pub mod bootstrap;
pub mod class_stiffness;
pub mod clopper_pearson;
pub mod confusion;
pub mod contribution;
pub mod coordinate;
pub mod coverage;
pub mod cross_terms;
pub mod crossover;
pub mod cumulative;
pub mod curves;
pub mod decomposition;
pub mod designation;
pub mod disparity;
pub mod diversity;
pub mod gram;
pub mod grouping;
pub mod gsnr;
pub mod holm;
pub mod learned;
pub mod linear;
pub mod m_coherence;
pub mod matched;
pub mod mean_share;
pub mod moments;
pub mod noise_scale;
pub mod normalised_variance;
pub mod null_world;
pub mod overfit;
pub mod pair_sums;
pub mod partition;
pub mod permutation;
pub mod population;
mod product;
pub mod resampled_coordinates;
pub mod same_sign;
pub mod scores;
pub mod share;
pub mod stiffness;
pub mod student_t;
pub mod welch;
mod world_sums;
