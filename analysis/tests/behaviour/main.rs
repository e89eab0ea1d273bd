//! What the analysis promises, checked against slow direct implementations, hand-computed cases and whole studies.

mod coherence;
mod conditions;
mod contributions;
mod exports;
mod groups;
mod null_worlds;
mod overfit;
mod p_values;
mod predictions;
mod restrictions;
mod seeds;
mod shards;
mod similarity;
mod statistics;
mod studies;
mod support;
mod time_steps;
