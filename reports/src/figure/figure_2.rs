//! Figure 2: the shares of the squared gradient norm that come from pristine and from corrupt examples.

use super::world_grid::{GridColumn, GridRows, WorldGrid, designations};
use super::{NO_GROUPS, OVER_SEEDS, heading, placeholder, step_axis};
use crate::ReportError;
use crate::axes::{Scale, robust_range};
use crate::curves::{CurveKey, PAPER};
use crate::results::{Condition, Results, RunResults, Series};

const TITLE: &str =
    "Figure 2: shares of pristine and corrupt examples in the squared gradient norm, actual and in null worlds";

/// Of whose gradients the figure is.
pub struct Version {
    pub title: &'static str,
    pub estimator: &'static str,
    pub y_axis: &'static str,
    /// What α is if designations mean nothing, and what the legend calls it.
    pub group_size: fn(&RunResults) -> Option<f64>,
    pub reference: &'static str,
}

pub fn draw(results: &Results) -> Result<String, ReportError> {
    let conditions = results.conditions_with_both_groups();
    if conditions.is_empty() {
        return placeholder(TITLE, NO_GROUPS);
    }
    let version = Version {
        title: TITLE,
        estimator: PAPER,
        y_axis: "Share of squared gradient norm",
        group_size: |run| run.summary.group_size(),
        reference: "group size |P|/n",
    };
    grid(&conditions, &version)
}

/// The grid of conditions, none of them empty.
pub fn grid(conditions: &[Condition], version: &Version) -> Result<String, ReportError> {
    let runs = || conditions.iter().flat_map(|condition| &condition.runs);
    let worlds = runs().map(|run| run.worlds("alpha", version.estimator)).max_by_key(Vec::len).unwrap_or_default();
    let rows: Vec<GridRows> = conditions.iter().map(|condition| rows(condition, &worlds, version.estimator)).collect();
    let every = || rows.iter().flatten().flatten().flatten();
    let points = every().flat_map(|series| &series.curve.line).filter_map(|point| point.1);
    let (low, high) = robust_range(points, &[0.0, 1.0]);
    let x = Scale::steps(every().map(Series::last_step).fold(1.0, f64::max));
    let column = |(condition, rows): (&Condition, GridRows)| {
        let mut reference: Vec<f64> = condition.runs.iter().filter_map(|run| (version.group_size)(run)).collect();
        reference.dedup();
        let y = Scale::linear(low, high, 4, 0);
        GridColumn { heading: heading(condition), note: String::new(), y, rows, reference }
    };
    WorldGrid {
        title: version.title,
        columns: conditions.iter().zip(rows).map(column).collect(),
        x_axis: step_axis(&x),
        x,
        y_axis: version.y_axis.to_owned(),
        worlds,
        looks: designations("α, pristine", "β, corrupt"),
        reference: Some(version.reference),
        interval: conditions.iter().any(Condition::is_mean).then_some(OVER_SEEDS),
        own_y: false,
        mark_every_point: false,
        curve_width: 0.9,
    }
    .draw()
}

fn rows(condition: &Condition, worlds: &[i64], estimator: &str) -> GridRows {
    let series = |curve: &str, world: i64| condition.series(&CurveKey::of(curve, estimator).world(world));
    worlds.iter().map(|&world| vec![series("alpha", world), series("beta", world)]).collect()
}
