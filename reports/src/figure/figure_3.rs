//! Figure 3: what a mean pristine and a mean corrupt example have contributed over the first steps.

use super::look::curve_width;
use super::world_grid::{GridColumn, Pair, WorldGrid};
use super::{FIRST_STEPS, NO_GROUPS, STEP_AXIS, heading, placeholder};
use crate::ReportError;
use crate::axes::{Scale, axis_title, multiplier};
use crate::results::{Condition, Line, Results};

const TITLE: &str = "Figure 3: cumulative mean contributions of pristine and corrupt examples over the first ten steps, actual and in null worlds";

pub fn draw(results: &Results) -> Result<String, ReportError> {
    let conditions = results.conditions_with_both_groups();
    if conditions.is_empty() {
        return placeholder(TITLE, NO_GROUPS);
    }
    let runs = conditions.iter().flat_map(|condition| &condition.runs);
    let worlds = runs.map(|run| run.cumulative_worlds()).max_by_key(Vec::len).unwrap_or_default();
    if worlds.is_empty() {
        return placeholder(TITLE, "No run has recorded its first steps without a gap.");
    }
    let ranges: Vec<_> = conditions.iter().map(|condition| range(&pairs(condition, &worlds))).collect();
    let exponent = multiplier(ranges.iter().map(|(low, high)| high.max(-low)).fold(0.0, f64::max));
    let columns = conditions.iter().zip(ranges).map(|(condition, range)| column(condition, &worlds, range, exponent));
    WorldGrid {
        title: TITLE,
        columns: columns.collect(),
        x: first_steps(),
        x_axis: STEP_AXIS.to_owned(),
        y_axis: axis_title("Cumulative mean contribution", "nats per unit η", exponent),
        worlds,
        pristine: "mean pristine example",
        corrupt: "mean corrupt example",
        reference: None,
        own_y: true,
        mark_every_point: true,
    }
    .draw()
}

fn column(condition: &Condition, worlds: &[i64], (low, high): (f64, f64), exponent: i32) -> GridColumn {
    GridColumn {
        heading: heading(condition),
        y: Scale::linear(low, high, 4, exponent),
        rows: worlds.iter().map(|&world| pairs(condition, &[world])).collect(),
        reference: Vec::new(),
        curve_width: curve_width(condition.runs.len()),
    }
}

fn pairs(condition: &Condition, worlds: &[i64]) -> Vec<Pair> {
    let runs = condition.runs.iter().flat_map(|run| worlds.iter().map(move |&world| (run, world)));
    runs.map(|(run, world)| Pair {
        pristine: early(run.cumulative_pristine(world)),
        corrupt: early(run.cumulative_corrupt(world)),
    })
    .collect()
}

fn range(pairs: &[Pair]) -> (f64, f64) {
    range_of(pairs.iter().flat_map(|pair| pair.pristine.iter().chain(&pair.corrupt)).filter_map(|point| point.1))
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
pub fn early(line: Line) -> Line {
    line.into_iter().filter(|point| point.0 < FIRST_STEPS).collect()
}

pub fn first_steps() -> Scale {
    Scale::whole(FIRST_STEPS - 1.0, 5)
}
