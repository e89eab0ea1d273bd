//! Figure 2 in our version: α against the band that no null world's α leaves, with p-values.

use super::figure_2::{step_axis, step_scale};
use super::look::{PRISTINE, curve_width};
use super::null_band::{BandColumn, BandRun, NullBand};
use super::{NO_GROUPS, heading, placeholder};
use crate::ReportError;
use crate::axes::{Scale, robust_range};
use crate::numbers;
use crate::results::{Condition, Results};

const TITLE: &str =
    "Figure 2 with null bands: share of pristine examples in the squared gradient norm against its null distribution";

pub fn draw(results: &Results) -> Result<String, ReportError> {
    let conditions = results.conditions_with_both_groups();
    if conditions.is_empty() {
        return placeholder(TITLE, NO_GROUPS);
    }
    let runs = || conditions.iter().flat_map(|condition| &condition.runs);
    let lines = runs().flat_map(|run| [run.alpha(0), run.null_band("alpha").0, run.null_band("alpha").1]);
    let (low, high) = robust_range(lines.flatten().filter_map(|point| point.1), &[0.0, 1.0]);
    let y = Scale::linear(low, high, 5, 0);
    let x = step_scale(runs().map(|run| run.alpha(0)));
    NullBand {
        title: TITLE,
        columns: conditions.iter().map(|condition| column(condition, y.clone())).collect(),
        x_axis: step_axis(&x),
        x,
        y_axis: "Share of ‖g‖²".to_owned(),
        colour: PRISTINE,
        statistic: "α, pristine",
        reference: "group size |P|/n",
        own_y: false,
        mark_points: false,
    }
    .draw()
}

fn column(condition: &Condition, y: Scale) -> BandColumn {
    let runs = condition.runs.iter().map(|run| {
        let (lower, upper) = run.null_band("alpha");
        BandRun { actual: run.alpha(0), mean: run.null_mean("alpha"), lower, upper }
    });
    let notes = [("crossover", "crossover"), ("simultaneous", "alpha")];
    BandColumn {
        heading: heading(condition),
        y,
        runs: runs.collect(),
        notes: notes.map(|(name, test)| format!("{name} p {}", numbers::p_value(condition.weakest(test)))),
        curve_width: curve_width(condition.runs.len()),
    }
}
