//! Figure 2 in our version: α against the band that no null world's α leaves, with p-values.

use super::look::PRISTINE;
use super::null_band::{BandColumn, BandRun, NullBand};
use super::{NO_GROUPS, OVER_SEEDS, heading, placeholder, step_axis};
use crate::ReportError;
use crate::axes::{Scale, robust_range};
use crate::curves::{CurveKey, PAPER};
use crate::numbers;
use crate::results::{Condition, Results, Series};

const TITLE: &str =
    "Figure 2 with null bands: share of pristine examples in the squared gradient norm against its null distribution";

pub fn draw(results: &Results) -> Result<String, ReportError> {
    let conditions = results.conditions_with_both_groups();
    if conditions.is_empty() {
        return placeholder(TITLE, NO_GROUPS);
    }
    row(&conditions, TITLE, PAPER, "group size |P|/n")
}

/// A row of conditions, none of them empty.
pub fn row(
    conditions: &[Condition],
    title: &'static str,
    estimator: &str,
    reference: &'static str,
) -> Result<String, ReportError> {
    let series = |condition: &Condition| condition.series(&CurveKey::of("alpha", estimator));
    let curves: Vec<Vec<Series>> = conditions.iter().map(series).collect();
    let bands = |condition: &Condition| -> Vec<BandRun> {
        let band = |(lower, upper), mean| BandRun { mean, lower, upper };
        let runs = condition.runs.iter();
        runs.map(|run| band(run.null_band("alpha", estimator), run.null_mean("alpha", estimator))).collect()
    };
    let bands: Vec<Vec<BandRun>> = conditions.iter().map(bands).collect();
    let of_bands = bands.iter().flatten().flat_map(|band| band.lower.iter().chain(&band.upper));
    let of_curves = curves.iter().flatten().flat_map(|series| &series.curve.line);
    let (low, high) = robust_range(of_bands.chain(of_curves).filter_map(|point| point.1), &[0.0, 1.0]);
    let x = Scale::steps(curves.iter().flatten().map(Series::last_step).fold(1.0, f64::max));
    let column = |(condition, (curves, bands)): (&Condition, (Vec<Series>, Vec<BandRun>))| BandColumn {
        heading: heading(condition),
        y: Scale::linear(low, high, 5, 0),
        curves,
        bands,
        notes: [("crossover", "crossover"), ("simultaneous", "alpha")].map(|(name, statistic)| {
            let test = condition.weakest(|run| run.test_of(statistic, estimator));
            format!("{name} p {}", numbers::p_value(test))
        }),
    };
    NullBand {
        title,
        columns: conditions.iter().zip(curves.into_iter().zip(bands)).map(column).collect(),
        x_axis: step_axis(&x),
        x,
        y_axis: "Share of ‖g‖²".to_owned(),
        colour: PRISTINE,
        statistic: "α, pristine",
        reference,
        interval: conditions.iter().any(Condition::is_mean).then_some(OVER_SEEDS),
        own_y: false,
        mark_points: false,
    }
    .draw()
}
