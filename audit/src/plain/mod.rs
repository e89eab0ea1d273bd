//! The statistics a second time, by plain loops in f64: one file a statistic. Nothing here is shared with the analysis.

pub(crate) mod clopper_pearson;
pub(crate) mod contribution;
pub(crate) mod coordinates;
pub(crate) mod crossover;
pub(crate) mod cumulative;
pub(crate) mod curves;
pub(crate) mod example_file;
#[cfg(test)]
mod finite_differences;
pub(crate) mod full_gradient;
pub(crate) mod groups;
pub(crate) mod halves;
pub(crate) mod holm;
pub(crate) mod interval;
pub(crate) mod layered;
pub(crate) mod learned;
pub(crate) mod matched;
pub(crate) mod moments;
pub(crate) mod moments_of_gradients;
pub(crate) mod network;
pub(crate) mod overfit;
pub(crate) mod pairs;
pub(crate) mod permutation;
pub(crate) mod population;
pub(crate) mod predictions;
pub(crate) mod random;
pub(crate) mod rate;
#[cfg(test)]
pub(crate) mod recordings;
pub(crate) mod rule;
pub(crate) mod share;
pub(crate) mod similarity;
pub(crate) mod student_t;
pub(crate) mod worlds;
pub(crate) mod zero;
