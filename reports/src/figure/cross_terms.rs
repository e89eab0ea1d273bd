//! The matrix of cross terms ⟨g^k, g^l⟩ of the groups' gradients over time, as fractions of ‖g‖².

use super::heat_maps::{HeatMaps, Limit};
use crate::ReportError;
use crate::curves::{CurveKey, PAPER};
use crate::results::Results;

const TITLE: &str =
    "Cross terms of the groups' gradients, as fractions of the squared gradient norm, at steps over training";

/// None if the results have no cross terms.
pub fn draw(results: &Results) -> Result<Option<String>, ReportError> {
    let conditions = results.plain_conditions_with(|run| !run.keys("cross_term").is_empty());
    let quantity = "Cross term ⟨g of row, g of column⟩ / ‖g‖²";
    let maps = HeatMaps::new(TITLE, quantity, Limit::Shared, results.group_names(), &conditions, |condition, a, b| {
        let series = condition.series(&CurveKey::of("cross_term", PAPER).pair(a, b));
        series.into_iter().next().map(|series| series.curve.line).unwrap_or_default()
    });
    if maps.is_empty() { Ok(None) } else { maps.draw().map(Some) }
}
