//! Every curve over the seeds of a condition: mean and Student-t interval, step by step.
//!
//! A condition is the runs that differ in nothing but their seed: one update rule at one noise level. Definition:
//! [`crate::statistic::student_t`].

use std::collections::BTreeMap;

use polars::prelude::*;

use crate::curve::{CurveName, CurvePoint, RunCurves};
use crate::statistic::student_t::{MeanInterval, Quantiles};

/// One curve of one condition over its seeds.
#[derive(Clone, Debug, PartialEq)]
pub struct SeedsCurve {
    /// Which curve.
    pub name: CurveName,
    /// By ascending step: every step that a seed has.
    pub points: Vec<(i64, MeanInterval)>,
}

/// The curves of a condition's runs over its seeds, in order of their names.
pub fn of_condition(runs: &[&RunCurves]) -> Vec<SeedsCurve> {
    let quantiles = Quantiles::up_to(runs.len());
    let names: std::collections::BTreeSet<&CurveName> = runs.iter().flat_map(|run| run.curves.keys()).collect();
    names
        .into_iter()
        .map(|name| SeedsCurve { name: name.clone(), points: over_seeds(runs, name, &quantiles) })
        .collect()
}

fn over_seeds(runs: &[&RunCurves], name: &CurveName, quantiles: &Quantiles) -> Vec<(i64, MeanInterval)> {
    let curves = runs.iter().filter_map(|run| run.curves.get(name)).map(Vec::as_slice);
    by_step(curves).into_iter().map(|(step, values)| (step, quantiles.mean_interval(&values))).collect()
}

/// The values that there are at each step of any of the curves.
pub(crate) fn by_step<'a>(curves: impl Iterator<Item = &'a [CurvePoint]>) -> BTreeMap<i64, Vec<f64>> {
    let mut steps: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    for (step, value) in curves.flatten() {
        steps.entry(*step).or_default().extend(value);
    }
    steps
}

/// The runs of each rule and noise level, in the order of the first run of each.
pub(crate) fn conditions(runs: &[RunCurves]) -> Vec<Vec<&RunCurves>> {
    let mut conditions: Vec<Vec<&RunCurves>> = Vec::new();
    for run in runs {
        match conditions.iter_mut().find(|others| others[0].rule == run.rule && others[0].noise == run.noise) {
            Some(others) => others.push(run),
            None => conditions.push(vec![run]),
        }
    }
    conditions
}

/// The rows of `over_seeds.parquet` of one condition.
pub(crate) fn frame(runs: &[&RunCurves]) -> PolarsResult<DataFrame> {
    let curves = of_condition(runs);
    let (rule, noise) = runs.first().map_or(("", f64::NAN), |run| (run.rule.as_str(), run.noise));
    let rows = || curves.iter().flat_map(|curve| curve.points.iter().map(move |point| (&curve.name, point)));
    let height = rows().count();
    let mut columns = vec![
        Column::new_scalar("rule".into(), PlSmallStr::from_str(rule).into(), height),
        Column::new_scalar("noise".into(), noise.into(), height),
    ];
    columns.extend(name_columns(rows().map(|(name, _)| name)));
    columns.push(Column::new("step".into(), rows().map(|(_, point)| point.0).collect::<Vec<i64>>()));
    columns.push(Column::new("seeds".into(), rows().map(|(_, point)| point.1.number).collect::<Vec<u32>>()));
    columns.extend(interval_columns(rows().map(|(_, point)| &point.1)));
    DataFrame::new(height, columns)
}

/// Columns `curve`, `estimator`, `layer`, `group_a` and `group_b`.
pub(crate) fn name_columns<'a>(names: impl Iterator<Item = &'a CurveName> + Clone) -> Vec<Column> {
    fn texts<'a>(column: &str, values: impl Iterator<Item = Option<&'a str>>) -> Column {
        Column::new(column.into(), values.collect::<Vec<Option<&str>>>())
    }
    vec![
        texts("curve", names.clone().map(|name| Some(name.curve.as_str()))),
        texts("estimator", names.clone().map(|name| name.estimator.as_deref())),
        Column::new("layer".into(), names.clone().map(|name| name.layer).collect::<Vec<Option<i64>>>()),
        texts("group_a", names.clone().map(|name| name.group_a.as_deref())),
        texts("group_b", names.map(|name| name.group_b.as_deref())),
    ]
}

/// Columns `mean`, `lower` and `upper`.
pub(crate) fn interval_columns<'a>(intervals: impl Iterator<Item = &'a MeanInterval> + Clone) -> Vec<Column> {
    fn numbers(column: &str, values: impl Iterator<Item = Option<f64>>) -> Column {
        Column::new(column.into(), values.collect::<Vec<Option<f64>>>())
    }
    vec![
        numbers("mean", intervals.clone().map(|interval| interval.mean)),
        numbers("lower", intervals.clone().map(|interval| interval.lower)),
        numbers("upper", intervals.map(|interval| interval.upper)),
    ]
}
