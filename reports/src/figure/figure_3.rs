//! Figure 3: what a mean pristine and a mean corrupt example have contributed over the first steps.

use super::world_grid::{GridColumn, GridRows, WorldGrid, designations};
use super::{FIRST_STEPS, NO_FIRST_STEPS, NO_GROUPS, OVER_SEEDS, STEP_AXIS, heading, placeholder};
use crate::ReportError;
use crate::axes::{Scale, axis_title, multiplier};
use crate::curves::{CurveKey, PAPER};
use crate::results::{Condition, Results, Series};

const TITLE: &str = "Figure 3: cumulative mean contributions of pristine and corrupt examples over the first ten steps, actual and in null worlds";

pub fn draw(results: &Results) -> Result<String, ReportError> {
    match results.conditions_with_both_groups() {
        conditions if conditions.is_empty() => placeholder(TITLE, NO_GROUPS),
        conditions => grid(&conditions, TITLE, PAPER),
    }
}

/// The grid of conditions, none of them empty.
pub fn grid(conditions: &[Condition], title: &str, estimator: &str) -> Result<String, ReportError> {
    let runs = conditions.iter().flat_map(|condition| &condition.runs);
    let worlds = runs.map(|run| run.worlds("cumulative_pristine", estimator)).max_by_key(Vec::len).unwrap_or_default();
    if worlds.is_empty() {
        return placeholder(title, NO_FIRST_STEPS);
    }
    let rows = conditions.iter().map(|condition| rows(condition, &worlds, estimator));
    WorldGrid {
        title,
        worlds: worlds.clone(),
        looks: designations("mean pristine example", "mean corrupt example"),
        ..first_steps_grid(conditions, rows.collect())
    }
    .draw()
}

/// A grid over the first steps: for each condition, row and group its curves; every column has a vertical axis of its own,
/// all with one multiplier, which is added to the axis title.
pub fn first_steps_grid<'t>(conditions: &[Condition], rows: Vec<GridRows>) -> WorldGrid<'t> {
    let ranges: Vec<(f64, f64)> =
        rows.iter().map(|rows| range_of(rows.iter().flatten().flatten().flat_map(Series::values))).collect();
    let exponent = multiplier(ranges.iter().map(|(low, high)| high.max(-low)).fold(0.0, f64::max));
    let mut columns = Vec::new();
    for ((condition, rows), (low, high)) in conditions.iter().zip(rows).zip(ranges) {
        let y = Scale::linear(low, high, 4, exponent);
        columns.push(GridColumn { heading: heading(condition), note: String::new(), y, rows, reference: Vec::new() });
    }
    WorldGrid {
        title: "",
        columns,
        x: first_steps(),
        x_axis: STEP_AXIS.to_owned(),
        y_axis: axis_title("Cumulative mean contribution", "nats per unit η", exponent),
        worlds: Vec::new(),
        looks: Vec::new(),
        reference: None,
        interval: conditions.iter().any(Condition::is_mean).then_some(OVER_SEEDS),
        own_y: true,
        mark_every_point: true,
        curve_width: 1.25,
    }
}

fn rows(condition: &Condition, worlds: &[i64], estimator: &str) -> GridRows {
    let series = |curve: &str, world: i64| early(condition.series(&CurveKey::of(curve, estimator).world(world)));
    worlds
        .iter()
        .map(|&world| vec![series("cumulative_pristine", world), series("cumulative_corrupt", world)])
        .collect()
}

/// The whole range of a few values, 0 included: nothing of ten steps is cut off.
pub fn range_of(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values.fold((0.0_f64, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
    match high - low {
        span if span > 0.0 => (low - 0.06 * span, high + 0.06 * span),
        _ => (0.0, 1.0),
    }
}

/// The steps 0 to 9.
pub fn early(series: Vec<Series>) -> Vec<Series> {
    series.into_iter().map(|series| series.before(FIRST_STEPS)).collect()
}

pub fn first_steps() -> Scale {
    Scale::whole(FIRST_STEPS - 1.0, 5)
}
