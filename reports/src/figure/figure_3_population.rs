//! Figure 3 of the whole population: every training example and every parameter.

use super::figure_3;
use crate::ReportError;
use crate::curves::EXACT;
use crate::results::{Results, RunResults};

const TITLE: &str = "Figure 3 of the population: cumulative mean contributions of all pristine and all corrupt training examples over the first ten steps, actual and in null worlds";

/// The runs drawn have contributions of the whole population.
pub fn draw(results: &Results) -> Result<String, ReportError> {
    figure_3::grid(&results.plain_conditions_with(RunResults::has_population), TITLE, EXACT)
}
