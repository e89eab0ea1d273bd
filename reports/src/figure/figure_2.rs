//! Figure 2: the shares of the squared gradient norm that come from pristine and from corrupt examples.

use super::look::curve_width;
use super::world_grid::{GridColumn, Pair, WorldGrid};
use super::{NO_GROUPS, STEP_AXIS, heading, placeholder};
use crate::ReportError;
use crate::axes::{Scale, robust_range};
use crate::results::{Condition, Line, Results};

const TITLE: &str =
    "Figure 2: shares of pristine and corrupt examples in the squared gradient norm, actual and in null worlds";

pub fn draw(results: &Results) -> Result<String, ReportError> {
    let conditions = results.conditions_with_both_groups();
    if conditions.is_empty() {
        return placeholder(TITLE, NO_GROUPS);
    }
    let runs = || conditions.iter().flat_map(|condition| &condition.runs);
    let worlds = runs().map(|run| run.worlds()).max_by_key(Vec::len).unwrap_or_default();
    let every_line = || runs().flat_map(|run| worlds.iter().flat_map(|&world| [run.alpha(world), run.beta(world)]));
    let (low, high) = robust_range(every_line().flatten().filter_map(|point| point.1), &[0.0, 1.0]);
    let y = Scale::linear(low, high, 4, 0);
    let x = step_scale(every_line());
    let columns = conditions.iter().map(|condition| column(condition, &worlds, y.clone())).collect();
    WorldGrid {
        title: TITLE,
        columns,
        x_axis: step_axis(&x),
        x,
        y_axis: "Share of squared gradient norm".to_owned(),
        worlds,
        pristine: "α, pristine",
        corrupt: "β, corrupt",
        reference: Some("group size |P|/n"),
        own_y: false,
        mark_every_point: false,
    }
    .draw()
}

fn column(condition: &Condition, worlds: &[i64], y: Scale) -> GridColumn {
    let pairs = |&world: &i64| {
        condition.runs.iter().map(|run| Pair { pristine: run.alpha(world), corrupt: run.beta(world) }).collect()
    };
    let mut reference: Vec<f64> = condition.runs.iter().filter_map(|run| run.summary.group_size()).collect();
    reference.dedup();
    GridColumn {
        heading: heading(condition),
        y,
        rows: worlds.iter().map(pairs).collect(),
        reference,
        curve_width: curve_width(condition.runs.len()).min(0.9),
    }
}

/// A step axis up to the last recorded step of any line.
pub fn step_scale(lines: impl Iterator<Item = Line>) -> Scale {
    Scale::steps(lines.filter_map(|line| line.last().map(|point| point.0)).fold(1.0, f64::max))
}

pub fn step_axis(x: &Scale) -> String {
    if x.is_logarithmic() { format!("{STEP_AXIS} (log scale from 1)") } else { STEP_AXIS.to_owned() }
}
