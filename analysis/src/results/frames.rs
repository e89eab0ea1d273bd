//! The rows of one run, table by table.

use polars::prelude::*;

use crate::RunAnalysis;
use crate::run::NullCurve;
use crate::statistic::permutation::Test;

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
    let contributions = &analysis.contributions;
    let (steps, examples) = (contributions.steps(), contributions.examples());
    let columns = vec![
        column("step", steps.iter().flat_map(|&step| std::iter::repeat_n(step, examples)).collect::<Vec<_>>()),
        column("example_id", analysis.sampled.repeat(steps.len())),
        column("pristine", analysis.designation.flags().repeat(steps.len())),
        column("contribution", contributions.contributions()),
        column("self_term", contributions.self_terms()),
    ];
    frame(analysis, steps.len() * examples, columns)
}

pub(super) fn decomposition(analysis: &RunAnalysis) -> PolarsResult<DataFrame> {
    let rows: Vec<_> = analysis.worlds.iter().flat_map(|world| &world.decomposition).collect();
    let (step, world) = step_and_world(analysis, analysis.contributions.steps());
    let columns = vec![
        step,
        world,
        column_of!("alpha", rows, |row| row.alpha),
        column_of!("beta", rows, |row| row.beta),
        column_of!("gradient_norm_sq", rows, |row| row.gradient_norm_sq),
    ];
    frame(analysis, rows.len(), columns)
}

pub(super) fn cumulative(analysis: &RunAnalysis) -> PolarsResult<DataFrame> {
    let rows: Vec<_> = analysis.worlds.iter().flat_map(|world| &world.cumulative).collect();
    let contiguous = &analysis.contributions.steps()[..analysis.contributions.contiguous_steps()];
    let (step, world) = step_and_world(analysis, contiguous);
    let columns = vec![
        step,
        world,
        column_of!("pristine", rows, |row| row.pristine),
        column_of!("corrupt", rows, |row| row.corrupt),
        column_of!("difference", rows, |row| row.difference),
    ];
    frame(analysis, rows.len(), columns)
}

/// Columns `step` and `world` of a table that has every step of a world, world after world.
fn step_and_world(analysis: &RunAnalysis, steps: &[i64]) -> (Column, Column) {
    let worlds = 0..analysis.worlds.len() as u32;
    let world: Vec<u32> = worlds.flat_map(|world| std::iter::repeat_n(world, steps.len())).collect();
    (column("step", steps.repeat(analysis.worlds.len())), column("world", world))
}

pub(super) fn null(analysis: &RunAnalysis) -> PolarsResult<DataFrame> {
    let of_curve = |name: &'static str, curve: &'_ NullCurve| {
        let steps = analysis.contributions.steps().to_vec();
        let points = curve.points.clone();
        steps.into_iter().zip(points).map(move |(step, point)| (name, step, point))
    };
    let rows: Vec<_> = of_curve("alpha", &analysis.alpha).chain(of_curve("difference", &analysis.difference)).collect();
    let columns = vec![
        column_of!("statistic", rows, |row| row.0),
        column_of!("step", rows, |row| row.1),
        column_of!("mean", rows, |row| row.2.mean),
        column_of!("sd", rows, |row| row.2.sd),
        column_of!("lower", rows, |row| row.2.lower),
        column_of!("upper", rows, |row| row.2.upper),
        column_of!("p", rows, |row| row.2.p),
    ];
    frame(analysis, rows.len(), columns)
}

pub(super) fn tests(analysis: &RunAnalysis) -> PolarsResult<DataFrame> {
    let rows: [(&str, Test); 4] = [
        ("alpha", analysis.alpha.simultaneous),
        ("difference", analysis.difference.simultaneous),
        ("crossover", analysis.crossover),
        ("difference_10", analysis.difference_10),
    ];
    let columns = vec![
        column_of!("statistic", rows, |row| row.0),
        column_of!("observed", rows, |row| row.1.value),
        column_of!("worlds", rows, |row| row.1.worlds),
        column_of!("exceedances", rows, |row| row.1.exceedances),
        column_of!("p", rows, |row| row.1.p),
        column_of!("p_lower", rows, |row| row.1.p_lower),
        column_of!("p_upper", rows, |row| row.1.p_upper),
    ];
    frame(analysis, rows.len(), columns)
}
