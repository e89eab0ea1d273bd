//! Figure 2 of the whole population against its null band, with p-values.

use super::figure_2_null_band;
use crate::ReportError;
use crate::curves::EXACT;
use crate::results::{Results, RunResults};

const TITLE: &str = "Figure 2 of the population with null bands: share of all pristine training examples in the squared norm of the full gradient against its null distribution";

/// The runs drawn have contributions of the whole population.
pub fn draw(results: &Results) -> Result<String, ReportError> {
    let conditions = results.plain_conditions_with(RunResults::has_population);
    figure_2_null_band::row(&conditions, TITLE, EXACT, "group size |P|/m")
}
