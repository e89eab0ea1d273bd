//! Figure 3 by group: what a mean example of every group has contributed over the first steps.

use super::group_shares::at_once;
use super::world_grid::{GridRows, WorldGrid, groups};
use super::{NO_FIRST_STEPS, figure_3, placeholder, short_name};
use crate::ReportError;
use crate::curves::CurveKey;
use crate::results::{Condition, Results, Series};

/// The conditions drawn have shares of groups by the estimator.
pub fn draw(results: &Results, title: &str, estimator: &str) -> Result<String, ReportError> {
    let conditions = results.conditions_with_groups(estimator);
    let names = results.group_names();
    let runs = || conditions.iter().flat_map(|condition| &condition.runs);
    let worlds = runs().map(|run| run.worlds("cumulative", estimator)).max_by_key(Vec::len).unwrap_or_default();
    let series = |condition: &Condition, world: i64| -> Vec<Vec<Series>> {
        let key = |name: &String| CurveKey::of("cumulative", estimator).world(world).group(name);
        names.iter().map(|name| figure_3::early(condition.series(&key(name)))).collect()
    };
    let rows = |condition: &Condition| worlds.iter().map(|&world| series(condition, world)).collect();
    let rows: Vec<GridRows> = conditions.iter().map(rows).collect();
    if rows.iter().flatten().flatten().all(Vec::is_empty) {
        return placeholder(title, NO_FIRST_STEPS);
    }
    let mut grid = figure_3::first_steps_grid(&conditions, rows);
    for (column, condition) in grid.columns.iter_mut().zip(&conditions) {
        column.note = at_once(condition, "difference", estimator);
    }
    let names: Vec<String> = names.iter().map(|name| short_name(name)).collect();
    WorldGrid { title, worlds, looks: groups(names.iter().map(String::as_str)), curve_width: 1.0, ..grid }.draw()
}
