//! Figure 3 in our version: the difference of the cumulative mean contributions against its null band, with p-values.

use super::figure_3::{early, first_steps, range_of};
use super::look::PRISTINE;
use super::null_band::{BandColumn, BandRun, NullBand};
use super::{FIRST_STEPS, NO_FIRST_STEPS, NO_GROUPS, OVER_SEEDS, STEP_AXIS, heading, placeholder};
use crate::ReportError;
use crate::axes::{Scale, axis_title, multiplier};
use crate::curves::{CurveKey, Line, PAPER};
use crate::numbers;
use crate::results::{Condition, Results, Series};

const TITLE: &str = "Figure 3 with null bands: pristine minus corrupt cumulative mean contribution over the first ten steps against its null distribution";

pub fn draw(results: &Results) -> Result<String, ReportError> {
    match results.conditions_with_both_groups() {
        conditions if conditions.is_empty() => placeholder(TITLE, NO_GROUPS),
        conditions => row(&conditions, TITLE, PAPER),
    }
}

/// A row of conditions, none of them empty.
pub fn row(conditions: &[Condition], title: &'static str, estimator: &str) -> Result<String, ReportError> {
    let key = CurveKey::of("cumulative_difference", estimator);
    let curves: Vec<Vec<Series>> = conditions.iter().map(|condition| early(condition.series(&key))).collect();
    if curves.iter().all(Vec::is_empty) {
        return placeholder(title, NO_FIRST_STEPS);
    }
    let bands: Vec<Vec<BandRun>> = conditions.iter().map(|condition| band_runs(condition, estimator)).collect();
    let ranges: Vec<_> = curves.iter().zip(&bands).map(|(curves, bands)| range(curves, bands)).collect();
    let exponent = multiplier(ranges.iter().map(|(low, high)| high.max(-low)).fold(0.0, f64::max));
    let mut columns = Vec::new();
    for (index, (curves, bands)) in curves.into_iter().zip(bands).enumerate() {
        let (condition, (low, high)) = (&conditions[index], ranges[index]);
        let (heading, y) = (heading(condition), Scale::linear(low, high, 5, exponent));
        columns.push(BandColumn { heading, y, curves, bands, notes: notes(condition, estimator) });
    }
    NullBand {
        title,
        columns,
        x: first_steps(),
        x_axis: STEP_AXIS.to_owned(),
        y_axis: axis_title("Difference D", "nats per unit η", exponent),
        colour: PRISTINE,
        statistic: "D, pristine − corrupt",
        reference: "null mean",
        interval: conditions.iter().any(Condition::is_mean).then_some(OVER_SEEDS),
        own_y: true,
        mark_points: true,
    }
    .draw()
}

fn notes(condition: &Condition, estimator: &str) -> [String; 2] {
    [("D₁₀", "difference_10"), ("simultaneous", "difference")].map(|(name, statistic)| {
        let test = condition.weakest(|run| run.test_of(statistic, estimator));
        format!("{name} p {}", numbers::p_value(test))
    })
}

fn band_runs(condition: &Condition, estimator: &str) -> Vec<BandRun> {
    let before = |line: Line| line.into_iter().filter(|point| point.0 < FIRST_STEPS).collect();
    let band = condition.runs.iter().map(|run| {
        let (lower, upper) = run.null_band("difference", estimator);
        BandRun { mean: before(run.null_mean("difference", estimator)), lower: before(lower), upper: before(upper) }
    });
    band.collect()
}

fn range(curves: &[Series], bands: &[BandRun]) -> (f64, f64) {
    let of_bands = bands.iter().flat_map(|band| band.lower.iter().chain(&band.upper)).filter_map(|point| point.1);
    range_of(of_bands.chain(curves.iter().flat_map(Series::values)))
}
