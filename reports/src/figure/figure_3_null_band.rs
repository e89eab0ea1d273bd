//! Figure 3 in our version: the difference of the cumulative mean contributions against its null band, with p-values.

use super::figure_3::{early, first_steps, range_of};
use super::look::{PRISTINE, curve_width};
use super::null_band::{BandColumn, BandRun, NullBand};
use super::{NO_GROUPS, STEP_AXIS, heading, placeholder};
use crate::ReportError;
use crate::axes::{Scale, axis_title, multiplier};
use crate::numbers;
use crate::results::{Condition, Results};

const TITLE: &str = "Figure 3 with null bands: pristine minus corrupt cumulative mean contribution over the first ten steps against its null distribution";

pub fn draw(results: &Results) -> Result<String, ReportError> {
    let conditions = results.conditions_with_both_groups();
    if conditions.is_empty() {
        return placeholder(TITLE, NO_GROUPS);
    }
    let runs: Vec<Vec<BandRun>> = conditions.iter().map(band_runs).collect();
    if runs.iter().flatten().all(|run| run.actual.is_empty()) {
        return placeholder(TITLE, "No run has recorded its first steps without a gap.");
    }
    let ranges: Vec<_> = runs.iter().map(|runs| range(runs)).collect();
    let exponent = multiplier(ranges.iter().map(|(low, high)| high.max(-low)).fold(0.0, f64::max));
    let columns = conditions.iter().zip(runs).zip(ranges);
    NullBand {
        title: TITLE,
        columns: columns.map(|((condition, runs), range)| column(condition, runs, range, exponent)).collect(),
        x: first_steps(),
        x_axis: STEP_AXIS.to_owned(),
        y_axis: axis_title("Difference D", "nats per unit η", exponent),
        colour: PRISTINE,
        statistic: "D, pristine − corrupt",
        reference: "null mean",
        own_y: true,
        mark_points: true,
    }
    .draw()
}

fn band_runs(condition: &Condition) -> Vec<BandRun> {
    let runs = condition.runs.iter().map(|run| {
        let (lower, upper) = run.null_band("difference");
        let mean = early(run.null_mean("difference"));
        BandRun { actual: early(run.difference()), mean, lower: early(lower), upper: early(upper) }
    });
    runs.collect()
}

fn range(runs: &[BandRun]) -> (f64, f64) {
    let lines = runs.iter().flat_map(|run| [&run.actual, &run.lower, &run.upper]);
    range_of(lines.flatten().filter_map(|point| point.1))
}

fn column(condition: &Condition, runs: Vec<BandRun>, (low, high): (f64, f64), exponent: i32) -> BandColumn {
    let notes = [("D₁₀", "difference_10"), ("simultaneous", "difference")];
    BandColumn {
        heading: heading(condition),
        y: Scale::linear(low, high, 5, exponent),
        runs,
        notes: notes.map(|(name, test)| format!("{name} p {}", numbers::p_value(condition.weakest(test)))),
        curve_width: curve_width(condition.runs.len()),
    }
}
