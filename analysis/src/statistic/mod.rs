//! The statistics, one file each: definition, edge cases, source, and the kernel or expression that computes it.
//!
//! Every file of this folder exports a [`Statistic`] of its name; `build.rs` lists them, so that adding a statistic is adding a
//! file. Sections [S n] are those of `docs/statistics.md`; §n are the paper's ("Coherent Gradients", Chatterjee 2020). A value
//! that is not defined is null, never NaN.

use polars::prelude::{LazyFrame, PolarsResult};

use crate::AnalysisError;
use crate::contributions::{Sums, Tested};
use crate::kernel::moments::Moments;
use crate::kernel::scores::Scores;
use crate::record::Record;
use crate::sample::{Coordinates, Part, Sample, Series};

include!(concat!(env!("OUT_DIR"), "/statistics.rs"));

/// A statistic: what it is, and how it is computed.
#[derive(Debug)]
pub struct Statistic {
    /// Its name, for `--statistics`; in the table `coherence` names begin with it.
    pub name: &'static str,
    /// What it is, in one line.
    pub about: &'static str,
    /// Unit of its values, empty for a pure number.
    pub unit: &'static str,
    /// Names of the tables that it is in.
    pub tables: &'static [&'static str],
    /// How it is computed.
    pub compute: Compute,
}

/// Tables with their names.
pub type NamedTables = Vec<(&'static str, LazyFrame)>;

/// How a statistic is computed, and of what.
#[derive(Clone, Copy, Debug)]
pub enum Compute {
    /// Of ‖Σg‖² and Σ‖g‖², which are known of a sample, estimated for the population, and recorded of it.
    Moments(fn(&Moments) -> Option<f64>),
    /// Likewise, the reciprocal of this, which is well behaved where the statistic has no bound; a half where it is larger than the
    /// number has no value.
    Reciprocal(fn(&Moments) -> Option<f64>, f64),
    /// Of the inner products of the sampled gradients of a step, layer by layer and over all layers.
    Pairs(fn(&Part, &Sample, &mut Series)),
    /// Of the coordinates of the sampled gradients of a step, likewise.
    Coordinates(fn(&Coordinates, &mut Series)),
    /// Of the inner products over all layers: a number for each ordered pair of groups, and the table of all steps.
    GroupPairs {
        /// The numbers `[G, G]` of a step, row-major, and their total, 0 where it is rounding.
        values: fn(&Part, &Sample) -> Vec<f64>,
        /// The table, from columns step, group_a, group_b, value and total.
        table: fn(LazyFrame) -> PolarsResult<LazyFrame>,
    },
    /// Of the groups' sums of contributions: what is tested in null worlds, and the tables of the sums.
    Contributions {
        /// What is tested.
        tested: fn(&Scores<'_>, &Sums<'_>) -> Vec<Tested>,
        /// The tables, from columns estimator, step, world, group, sum, total and more: see `Sums::frame`.
        tables: fn(LazyFrame) -> PolarsResult<NamedTables>,
    },
    /// Shares and cumulative contributions as estimated for the population: see `statistic/population.rs`.
    Population,
    /// Of the inner products over all layers: which examples are similar, at a few steps: see `statistic/similarity.rs`.
    Similarity,
    /// Of what else the trace holds, read only then; `gradients`: and of the contributions.
    Record {
        /// Whether it is of the contributions of the sampled examples: its table, which has no curves, is made in parts of their rows.
        gradients: bool,
        /// Its table.
        table: fn(&Record<'_>) -> Result<LazyFrame, AnalysisError>,
    },
}

impl Compute {
    /// Whether the inner products of the sampled gradients are needed.
    pub(crate) fn needs_pairs(self) -> bool {
        !matches!(self, Compute::Contributions { .. } | Compute::Record { .. })
    }

    /// Whether it is a number, or several, of each step: a row of `coherence`.
    pub(crate) fn is_of_a_step(self) -> bool {
        matches!(
            self,
            Compute::Moments(_)
                | Compute::Reciprocal(..)
                | Compute::Pairs(_)
                | Compute::Coordinates(_)
                | Compute::Similarity
        )
    }

    /// Whether the sampled gradients have to be read at all.
    pub(crate) fn needs_gradients(self) -> bool {
        !matches!(self, Compute::Record { gradients: false, .. })
    }
}

/// The statistics with these names, in the order of [`STATISTICS`]; all without names.
///
/// # Errors
/// There is no statistic of a name.
pub fn chosen(names: Option<&[String]>) -> Result<Vec<&'static Statistic>, AnalysisError> {
    let Some(names) = names else { return Ok(STATISTICS.to_vec()) };
    let known = |name: &String| STATISTICS.iter().any(|statistic| statistic.name == name);
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        let all = STATISTICS.iter().map(|statistic| statistic.name.to_string());
        return Err(AnalysisError::unknown("statistic", unknown, all));
    }
    Ok(STATISTICS.iter().copied().filter(|statistic| names.iter().any(|name| name == statistic.name)).collect())
}
