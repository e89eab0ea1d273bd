//! The rows of one run, table by table.

use polars::prelude::*;

use crate::coherence::{CoherenceCurves, Pair};
use crate::statistic::bootstrap::Measured;
use crate::statistic::cross_terms;
use crate::statistic::permutation::Test;
use crate::{Estimate, Estimator, GroupTest, NullCurve, RunAnalysis, World};

/// A table whose rows all start with the run's identity.
fn frame(analysis: &RunAnalysis, height: usize, columns: Vec<Column>) -> PolarsResult<DataFrame> {
    let manifest = &analysis.manifest;
    let constant = |name: &str, scalar: Scalar| Column::new_scalar(name.into(), scalar, height);
    // `RunAnalysis::of` has refused seeds that are not an i64.
    let mut all = vec![
        constant("run", PlSmallStr::from_str(&manifest.run).into()),
        constant("rule", PlSmallStr::from_str(&manifest.rule).into()),
        constant("noise", manifest.noise.into()),
        constant("seed", (manifest.seed as i64).into()),
    ];
    all.extend(columns);
    DataFrame::new(height, all)
}

fn column<T, Phantom: ?Sized>(name: &str, values: T) -> Column
where
    Series: NamedFrom<T, Phantom>,
{
    Column::new(name.into(), values)
}

/// One value of `rows` each, as a column.
macro_rules! column_of {
    ($name:literal, $rows:expr, $value:expr) => {
        column($name, $rows.iter().map($value).collect::<Vec<_>>())
    };
}

pub(super) fn curves(analysis: &RunAnalysis) -> PolarsResult<DataFrame> {
    let rows = &analysis.metrics;
    let columns = vec![
        column_of!("step", rows, |row| row.step),
        column_of!("split", rows, |row| row.split.as_str()),
        column_of!("subset", rows, |row| row.subset.as_str()),
        column_of!("examples", rows, |row| row.examples),
        column_of!("loss", rows, |row| row.loss),
        column_of!("accuracy", rows, |row| row.accuracy),
    ];
    frame(analysis, rows.len(), columns)
}

pub(super) fn learned(analysis: &RunAnalysis) -> PolarsResult<DataFrame> {
    let rows = analysis.learned();
    let columns = vec![
        column_of!("step", rows, |row| row.step),
        column_of!("subset", rows, |row| row.subset.as_str()),
        column_of!("examples", rows, |row| row.examples),
        column_of!("learned", rows, |row| row.learned),
        column_of!("fraction", rows, |row| row.fraction),
    ];
    frame(analysis, rows.len(), columns)
}

pub(super) fn overfit(analysis: &RunAnalysis) -> PolarsResult<DataFrame> {
    let rows = analysis.overfit();
    let columns = vec![
        column_of!("step", rows, |row| row.step),
        column_of!("train_accuracy", rows, |row| row.train_accuracy),
        column_of!("test_accuracy", rows, |row| row.test_accuracy),
        column_of!("overfit", rows, |row| row.overfit),
        column("proper_accuracy", vec![analysis.proper_accuracy(); rows.len()]),
    ];
    frame(analysis, rows.len(), columns)
}

pub(super) fn contributions(analysis: &RunAnalysis) -> PolarsResult<DataFrame> {
    let paper = &analysis.paper;
    let (steps, examples) = (paper.contributions.steps(), paper.contributions.examples());
    let columns = vec![
        column("step", steps.iter().flat_map(|&step| std::iter::repeat_n(step, examples)).collect::<Vec<_>>()),
        column("example_id", analysis.sampled.repeat(steps.len())),
        column("pristine", paper.designation.flags().repeat(steps.len())),
        column("contribution", paper.contributions.by_step().collect::<Vec<_>>().concat()),
        column("self_term", paper.contributions.self_terms_by_step().collect::<Vec<_>>().concat()),
    ];
    frame(analysis, steps.len() * examples, columns)
}

/// Of every estimate, world and step: estimator, step, world, and what `of_world` has at the step.
fn by_world<'a, Row>(
    analysis: &'a RunAnalysis,
    steps: impl Fn(&'a Estimate) -> &'a [i64],
    of_world: impl Fn(&'a World) -> &'a [Row],
) -> Vec<(&'static str, i64, u32, &'a Row)> {
    let mut rows = Vec::new();
    for estimate in analysis.estimates() {
        for (world, number) in estimate.worlds.iter().zip(0..) {
            let of_steps = steps(estimate).iter().zip(of_world(world));
            rows.extend(of_steps.map(|(&step, row)| (estimate.estimator.as_str(), step, number, row)));
        }
    }
    rows
}

pub(super) fn decomposition(analysis: &RunAnalysis) -> PolarsResult<DataFrame> {
    let of_worlds = by_world(analysis, |estimate| estimate.contributions.steps(), |world| &world.decomposition);
    let of_worlds = of_worlds
        .into_iter()
        .map(|(estimator, step, world, row)| (estimator, step, world, row.alpha, row.beta, row.gradient_norm_sq, None));
    let of_population = analysis.population.iter().flat_map(|population| {
        analysis.coherence.steps.iter().zip(&population.decomposition).map(|(&step, row)| {
            let interval = row.alpha.interval;
            (Estimator::Population.as_str(), step, 0, row.alpha.value, row.beta, row.gradient_norm_sq, interval)
        })
    });
    let rows: Vec<_> = of_worlds.chain(of_population).collect();
    let columns = vec![
        column_of!("estimator", rows, |row| row.0),
        column_of!("step", rows, |row| row.1),
        column_of!("world", rows, |row| row.2),
        column_of!("alpha", rows, |row| row.3),
        column_of!("beta", rows, |row| row.4),
        column_of!("gradient_norm_sq", rows, |row| row.5),
        column_of!("alpha_lower", rows, |row| lower(row.6)),
        column_of!("alpha_upper", rows, |row| upper(row.6)),
    ];
    frame(analysis, rows.len(), columns)
}

pub(super) fn cumulative(analysis: &RunAnalysis) -> PolarsResult<DataFrame> {
    let known = |value| Measured { value, interval: None };
    let of_worlds = by_world(analysis, Estimate::contiguous, |world| &world.cumulative);
    let of_worlds = of_worlds.into_iter().map(|(estimator, step, world, row)| {
        (estimator, step, world, [row.pristine, row.corrupt, row.difference].map(known))
    });
    let of_population =
        analysis.population.iter().flat_map(|population| {
            analysis.coherence.steps.iter().zip(&population.cumulative).map(|(&step, row)| {
                (Estimator::Population.as_str(), step, 0, [row.pristine, row.corrupt, row.difference])
            })
        });
    let rows: Vec<_> = of_worlds.chain(of_population).collect();
    let columns = vec![
        column_of!("estimator", rows, |row| row.0),
        column_of!("step", rows, |row| row.1),
        column_of!("world", rows, |row| row.2),
        column_of!("pristine", rows, |row| row.3[0].value),
        column_of!("corrupt", rows, |row| row.3[1].value),
        column_of!("difference", rows, |row| row.3[2].value),
        column_of!("pristine_lower", rows, |row| lower(row.3[0].interval)),
        column_of!("pristine_upper", rows, |row| upper(row.3[0].interval)),
        column_of!("corrupt_lower", rows, |row| lower(row.3[1].interval)),
        column_of!("corrupt_upper", rows, |row| upper(row.3[1].interval)),
        column_of!("difference_lower", rows, |row| lower(row.3[2].interval)),
        column_of!("difference_upper", rows, |row| upper(row.3[2].interval)),
    ];
    frame(analysis, rows.len(), columns)
}

fn lower(interval: Option<(f64, f64)>) -> Option<f64> {
    interval.map(|(lower, _)| lower)
}

fn upper(interval: Option<(f64, f64)>) -> Option<f64> {
    interval.map(|(_, upper)| upper)
}

/// One series after the other, each over all of its steps.
pub(super) fn coherence(analysis: &RunAnalysis) -> PolarsResult<DataFrame> {
    let curves: Vec<&CoherenceCurves> = std::iter::once(&analysis.coherence).chain(&analysis.exact_coherence).collect();
    let group_names: Vec<&str> = analysis.groups.names().iter().map(String::as_str).collect();
    let class_names: Vec<String> = analysis.coherence.classes.iter().map(u8::to_string).collect();
    let of_pair = |pair: Pair| match pair {
        Pair::All => (None, None),
        Pair::Groups(a, b) => (Some(group_names[a]), Some(group_names[b])),
        Pair::Classes(a, b) => (Some(class_names[a].as_str()), Some(class_names[b].as_str())),
    };
    let mut rows = Vec::new();
    for curves in curves {
        for (place, series) in curves.series.iter().enumerate() {
            let (group_a, group_b) = of_pair(series.pair);
            let of_steps = curves.steps.iter().zip(&curves.values);
            rows.extend(of_steps.map(|(&step, values)| (series, group_a, group_b, step, values[place])));
        }
    }
    let columns = vec![
        column_of!("estimator", rows, |row| row.0.estimator.as_str()),
        column_of!("step", rows, |row| row.3),
        column_of!("layer", rows, |row| row.0.layer.map(i64::from)),
        column_of!("statistic", rows, |row| row.0.statistic),
        column_of!("group_a", rows, |row| row.1),
        column_of!("group_b", rows, |row| row.2),
        column_of!("value", rows, |row| row.4.value),
        column_of!("lower", rows, |row| lower(row.4.interval)),
        column_of!("upper", rows, |row| upper(row.4.interval)),
    ];
    frame(analysis, rows.len(), columns)
}

/// One pair of groups after the other, each over all steps.
pub(super) fn cross_terms(analysis: &RunAnalysis) -> PolarsResult<DataFrame> {
    let names = analysis.groups.names();
    let curves = &analysis.coherence;
    let mut rows = Vec::new();
    for (a, group_a) in names.iter().enumerate() {
        for (b, group_b) in names.iter().enumerate() {
            for (&step, matrix) in curves.steps.iter().zip(&curves.cross_terms) {
                let Some(&value) = matrix.get(a * names.len() + b) else { continue };
                let fraction = cross_terms::fraction(matrix, value);
                rows.push((step, group_a.as_str(), group_b.as_str(), value, fraction));
            }
        }
    }
    let columns = vec![
        column("estimator", vec![Estimator::Paper.as_str(); rows.len()]),
        column_of!("step", rows, |row| row.0),
        column_of!("group_a", rows, |row| row.1),
        column_of!("group_b", rows, |row| row.2),
        column_of!("value", rows, |row| row.3),
        column_of!("fraction", rows, |row| row.4),
    ];
    frame(analysis, rows.len(), columns)
}

pub(super) fn null(analysis: &RunAnalysis) -> PolarsResult<DataFrame> {
    let of_curve = |estimate: &'_ Estimate, name: &'static str, curve: &'_ NullCurve| {
        let (estimator, points) = (estimate.estimator.as_str(), curve.points.clone());
        let steps = estimate.contributions.steps().to_vec();
        steps.into_iter().zip(points).map(move |(step, point)| (estimator, name, step, point))
    };
    let of_estimate = |estimate: &'_ Estimate| {
        let alpha = of_curve(estimate, "alpha", &estimate.alpha);
        alpha.chain(of_curve(estimate, "difference", &estimate.difference))
    };
    let rows: Vec<_> = analysis.estimates().flat_map(of_estimate).collect();
    let columns = vec![
        column_of!("estimator", rows, |row| row.0),
        column_of!("statistic", rows, |row| row.1),
        column_of!("step", rows, |row| row.2),
        column_of!("mean", rows, |row| row.3.mean),
        column_of!("sd", rows, |row| row.3.sd),
        column_of!("lower", rows, |row| row.3.lower),
        column_of!("upper", rows, |row| row.3.upper),
        column_of!("p", rows, |row| row.3.p),
    ];
    frame(analysis, rows.len(), columns)
}

pub(super) fn tests(analysis: &RunAnalysis) -> PolarsResult<DataFrame> {
    let of_estimate = |estimate: &'_ Estimate| {
        let name = estimate.estimator.as_str();
        [
            (name, "alpha", estimate.alpha.simultaneous),
            (name, "difference", estimate.difference.simultaneous),
            (name, "crossover", estimate.crossover),
            (name, "difference_10", estimate.difference_10),
        ]
    };
    let rows: Vec<_> = analysis.estimates().flat_map(of_estimate).collect();
    let mut columns = vec![column_of!("estimator", rows, |row| row.0), column_of!("statistic", rows, |row| row.1)];
    columns.extend(test_columns(rows.iter().map(|row| row.2)));
    frame(analysis, rows.len(), columns)
}

/// The columns of a test, from `observed` on.
fn test_columns(tests: impl Iterator<Item = Test>) -> [Column; 6] {
    let rows: Vec<Test> = tests.collect();
    [
        column_of!("observed", rows, |row| row.value),
        column_of!("worlds", rows, |row| row.worlds),
        column_of!("exceedances", rows, |row| row.exceedances),
        column_of!("p", rows, |row| row.p),
        column_of!("p_lower", rows, |row| row.p_lower),
        column_of!("p_upper", rows, |row| row.p_upper),
    ]
}

pub(super) fn groups(analysis: &RunAnalysis) -> PolarsResult<DataFrame> {
    let names = analysis.groups.names();
    let columns = vec![
        column_of!("group", names, |name| name.as_str()),
        column("order", (0..names.len() as u32).collect::<Vec<_>>()),
        column_of!("examples", analysis.groups.sizes(), |&size| size as u32),
        column_of!("sampled", analysis.paper.grouping.sizes(), |&size| size as u32),
    ];
    frame(analysis, names.len(), columns)
}

pub(super) fn shares(analysis: &RunAnalysis) -> PolarsResult<DataFrame> {
    let mut rows = Vec::new();
    let at_steps = by_world(analysis, |estimate| estimate.contributions.steps(), |world| &world.shares);
    let means = means_at_steps(analysis);
    for ((estimator, step, world, shares), means) in at_steps.into_iter().zip(means) {
        for (group, name) in analysis.groups.names().iter().enumerate() {
            rows.push((estimator, step, world, name.as_str(), shares[group], means.and_then(|means| means[group])));
        }
    }
    let columns = vec![
        column_of!("estimator", rows, |row| row.0),
        column_of!("step", rows, |row| row.1),
        column_of!("world", rows, |row| row.2),
        column_of!("group", rows, |row| row.3),
        column_of!("share", rows, |row| row.4),
        column_of!("cumulative", rows, |row| row.5),
    ];
    frame(analysis, rows.len(), columns)
}

/// The mean cumulative contributions of the groups, in the order of [`by_world`] at every step; `None` past the first gap.
fn means_at_steps(analysis: &RunAnalysis) -> impl Iterator<Item = Option<&Vec<Option<f64>>>> {
    analysis.estimates().flat_map(|estimate| {
        let steps = estimate.contributions.steps().len();
        estimate.worlds.iter().flat_map(move |world| (0..steps).map(|place| world.means.get(place)))
    })
}

pub(super) fn group_tests(analysis: &RunAnalysis) -> PolarsResult<DataFrame> {
    let of_estimate = |estimate: &Estimate| -> Vec<(Estimator, GroupTest)> {
        estimate.group_tests.iter().map(|&test| (estimate.estimator, test)).collect()
    };
    let rows: Vec<(Estimator, GroupTest)> = analysis.estimates().flat_map(of_estimate).collect();
    let name = |group: Option<usize>| group.map(|group| analysis.groups.names()[group].as_str());
    let mut columns = vec![
        column_of!("estimator", rows, |row| row.0.as_str()),
        column_of!("statistic", rows, |row| row.1.statistic.as_str()),
        column_of!("group_a", rows, |row| name(row.1.group_a)),
        column_of!("group_b", rows, |row| name(row.1.group_b)),
    ];
    columns.extend(test_columns(rows.iter().map(|row| row.1.test)));
    columns.push(column_of!("p_holm", rows, |row| row.1.p_holm));
    frame(analysis, rows.len(), columns)
}
