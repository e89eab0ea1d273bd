//! Figure 3 of the whole population against its null band, with p-values.

use super::figure_3_null_band;
use crate::ReportError;
use crate::curves::EXACT;
use crate::results::{Results, RunResults};

const TITLE: &str = "Figure 3 of the population with null bands: pristine minus corrupt cumulative mean contribution of all training examples over the first ten steps against its null distribution";

/// The runs drawn have contributions of the whole population.
pub fn draw(results: &Results) -> Result<String, ReportError> {
    figure_3_null_band::row(&results.plain_conditions_with(RunResults::has_population), TITLE, EXACT)
}
