//! Figure 2 of the whole population: every training example and every parameter.

use super::figure_2::{self, Version};
use crate::ReportError;
use crate::curves::EXACT;
use crate::results::{Results, RunResults};

/// The runs drawn have contributions of the whole population.
pub fn draw(results: &Results) -> Result<String, ReportError> {
    let version = Version {
        title: "Figure 2 of the population: shares of all pristine and all corrupt training examples in the squared norm of the full gradient, actual and in null worlds",
        estimator: EXACT,
        y_axis: "Share of squared gradient norm",
        group_size: |run| run.summary.pristine_fraction,
        reference: "group size |P|/m",
    };
    figure_2::grid(&results.plain_conditions_with(RunResults::has_population), &version)
}
