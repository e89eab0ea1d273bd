//! Figure 2 by group: the share of every group in the squared gradient norm, actual and in null worlds.

use super::world_grid::{GridColumn, GridRows, WorldGrid, groups};
use super::{OVER_SEEDS, heading, short_name, step_axis};
use crate::ReportError;
use crate::axes::{Scale, wide_range};
use crate::curves::{CurveKey, EXACT};
use crate::numbers;
use crate::results::{Condition, Results, Series};
use crate::tables::Group;

/// The conditions drawn have shares of groups by the estimator.
pub fn draw(results: &Results, title: &str, estimator: &str) -> Result<String, ReportError> {
    let conditions = results.conditions_with_groups(estimator);
    let names = results.group_names();
    let runs = || conditions.iter().flat_map(|condition| &condition.runs);
    let worlds = runs().map(|run| run.worlds("share", estimator)).max_by_key(Vec::len).unwrap_or_default();
    let series = |condition: &Condition, world: i64| -> Vec<Vec<Series>> {
        let key = |name: &String| CurveKey::of("share", estimator).world(world).group(name);
        names.iter().map(|name| condition.series(&key(name))).collect()
    };
    let rows: Vec<GridRows> =
        conditions.iter().map(|condition| worlds.iter().map(|&world| series(condition, world)).collect()).collect();
    let every = || rows.iter().flatten().flatten().flatten();
    let points = every().flat_map(|series| &series.curve.line).filter_map(|point| point.1);
    let (low, high) = wide_range(points, &[0.0]);
    let x = Scale::steps(every().map(Series::last_step).fold(1.0, f64::max));
    let column = |(condition, rows): (&Condition, GridRows)| GridColumn {
        heading: heading(condition),
        note: at_once(condition, "share", estimator),
        y: Scale::linear(low, high, 4, 0),
        rows,
        reference: sizes(condition, estimator),
    };
    WorldGrid {
        title,
        columns: conditions.iter().zip(rows).map(column).collect(),
        x_axis: step_axis(&x),
        x,
        y_axis: "Share of squared gradient norm".to_owned(),
        worlds,
        looks: groups(names.iter().map(|name| short_name(name)).collect::<Vec<_>>().iter().map(String::as_str)),
        reference: Some("group sizes"),
        interval: conditions.iter().any(Condition::is_mean).then_some(OVER_SEEDS),
        own_y: false,
        mark_every_point: false,
        curve_width: 0.9,
    }
    .draw()
}

/// The p-value of all groups at once.
pub fn at_once(condition: &Condition, statistic: &str, estimator: &str) -> String {
    let all = condition.weakest(|run| {
        let all = run.group_tests(statistic, estimator).find(|test| test.group_a.is_none());
        all.map(|test| &test.test)
    });
    format!("all groups p {}", numbers::p_value(all))
}

/// The sizes of the groups as fractions, each once.
fn sizes(condition: &Condition, estimator: &str) -> Vec<f64> {
    let size = |group: &Group| if estimator == EXACT { group.examples } else { group.sampled };
    let mut sizes = Vec::new();
    for run in &condition.runs {
        let all: u64 = run.groups().iter().map(size).sum();
        sizes.extend(run.groups().iter().map(|group| size(group) as f64 / all.max(1) as f64));
    }
    sizes.sort_by(f64::total_cmp);
    // Lines closer than they are thick are one.
    sizes.dedup_by(|a, b| (*a - *b).abs() < 0.01);
    sizes
}
