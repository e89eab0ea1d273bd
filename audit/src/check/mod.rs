//! The checks, one file each. Every check returns the claims that it judged.

pub(crate) mod data;
pub(crate) mod directories;
pub(crate) mod examples;
pub(crate) mod experiment;
pub(crate) mod files;
pub(crate) mod gradients;
pub(crate) mod layered;
pub(crate) mod layered_data;
pub(crate) mod learned_steps;
pub(crate) mod metrics;
pub(crate) mod population;
pub(crate) mod replay;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod seeds;
pub(crate) mod summary;
