//! The paper's predictions [S 5], judged again from the recomputed numbers.
//!
//! Runs of plain SGD (`sgd`, or `winsorized` at level 0 where a noise level has both) for §2; these and `winsorized` by its
//! level c for §3. Runs that differ in their seed only are averaged.

use std::collections::BTreeSet;

use cograd_results::prediction::{SIGNIFICANT, TOLERANCE};

use crate::evidence::{Evidence, Observed};
use crate::plain::overfit::slope;
use crate::sheet::Value;
use crate::tally::Number;

/// The runs of one noise level and one c.
struct Cell<'a> {
    noise: f64,
    percent: f64,
    runs: Vec<&'a Evidence>,
}

/// What was found of a comparison: it holds, it does not, or it cannot be told.
type Comparison = Option<bool>;

/// A number that a prediction is judged by.
pub(crate) struct Point {
    pub noise: f64,
    pub winsorization: Option<f64>,
    pub quantity: &'static str,
    pub measured: Value,
    pub compared_with: Value,
    pub p: Value,
    /// `None` of a number that is only reported.
    pub holds: Option<Comparison>,
}

/// The cells of the runs; none if those that are judged differ in more than rule, noise and seed.
pub(crate) struct Grid<'a>(Vec<Cell<'a>>);

/// The verdict on all comparisons of a prediction.
pub(crate) fn verdict(comparisons: impl IntoIterator<Item = Comparison>) -> &'static str {
    let all: Vec<Comparison> = comparisons.into_iter().collect();
    if all.contains(&Some(false)) {
        "fails"
    } else if all.is_empty() || all.contains(&None) {
        "not checkable"
    } else {
        "holds"
    }
}

/// c of a rule, 0 of plain SGD; `None` of any other rule.
fn percent(run: &Evidence) -> Option<f64> {
    match run.conditions.text("rule")? {
        "sgd" => Some(0.0),
        "winsorized" => run.conditions.number("winsorization"),
        _ => None,
    }
}

impl<'a> Grid<'a> {
    /// Of all runs: those of plain and winsorized SGD at a noise level, by noise, then by c.
    pub(crate) fn new(runs: &[&'a Evidence]) -> Grid<'a> {
        let mut cells: Vec<Cell<'a>> = Vec::new();
        let mut others: BTreeSet<String> = BTreeSet::new();
        for run in runs {
            let known = |name: &str| ["rule", "winsorization", "noise"].contains(&name);
            let own = run.conditions.iter().filter(|(name, _)| !known(name));
            let (Some(noise), Some(percent)) = (run.conditions.number("noise"), percent(run)) else { continue };
            others.insert(own.map(|(name, value)| format!("{name} {value}\n")).collect());
            match cells.iter_mut().find(|cell| cell.noise == noise && cell.percent == percent) {
                Some(cell) => cell.runs.push(run),
                None => cells.push(Cell { noise, percent, runs: vec![run] }),
            }
        }
        for cell in &mut cells {
            let is_plain = |run: &&Evidence| run.conditions.text("rule") == Some("sgd");
            if !cell.runs.iter().all(is_plain) {
                cell.runs.retain(|run| !is_plain(run));
            }
        }
        cells.sort_by(|a, b| a.noise.total_cmp(&b.noise).then(a.percent.total_cmp(&b.percent)));
        Grid(if others.len() > 1 { Vec::new() } else { cells })
    }

    /// The numbers of the prediction of this name, none where nothing can be judged; `None` if it is not known.
    pub(crate) fn points(&self, prediction: &str) -> Option<Vec<Point>> {
        let cells = &self.0[..];
        let plain: Vec<&Cell<'_>> = cells.iter().filter(|cell| cell.percent == 0.0).collect();
        Some(match prediction {
            "slower_learning" => by_noise(&plain, "half_loss_step", false, |run| run.half_loss_step),
            "pristine_first" => pristine_first(&plain),
            "pristine_slower" => by_noise(&plain, "median_learned_step", false, |run| run.median_pristine),
            "smaller_gradient" => by_noise(&plain, "early_slope", true, |run| run.early_slope),
            "crosses_over" => crosses_over(&plain),
            "early_contribution" => early_contribution(&plain),
            "less_overfit" => by_percent(cells, "final_overfit", |run| run.overfit.last()?.overfit),
            "lower_accuracy" => {
                let mut points = by_percent(cells, "final_train_accuracy", |run| run.overfit.last()?.train);
                points.retain(|point| point.noise > 0.0);
                points
            }
            "proper_accuracy" => proper_accuracy(cells),
            "slower_overfit" => by_percent(cells, "overfit_slope", |run| Some(slope(&run.overfit)?.0)),
            _ => return None,
        })
    }
}

impl Cell<'_> {
    /// Mean over the runs that have the value.
    fn mean(&self, value: impl Fn(&Evidence) -> Option<f64>) -> Option<f64> {
        let values: Vec<f64> = self.runs.iter().filter_map(|run| value(run)).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    }

    fn point(&self, quantity: &'static str, measured: Option<f64>, compared_with: Option<f64>) -> Point {
        let cell = |value: Option<f64>| Value::near(value, value.unwrap_or(0.0).abs().max(1e-3));
        Point {
            noise: self.noise,
            winsorization: None,
            quantity,
            measured: cell(measured),
            compared_with: cell(compared_with),
            p: Value::Null,
            holds: None,
        }
    }
}

/// Whether one is less than the other; two infinite ones tell nothing.
fn less(smaller: f64, larger: f64) -> Comparison {
    if smaller.is_infinite() && larger.is_infinite() { None } else { Some(smaller < larger) }
}

/// Each value against the one before, than which it must be larger, or smaller if it is to fall.
fn trend(values: &[(&Cell<'_>, f64)], quantity: &'static str, falls: bool) -> Vec<Point> {
    let point = |place: usize| {
        let (cell, value) = values[place];
        let before = place.checked_sub(1).map(|before| values[before].1);
        let holds = before.map(|before| if falls { less(value, before) } else { less(before, value) });
        Point { holds, ..cell.point(quantity, Some(value), before) }
    };
    (0..values.len()).map(point).collect()
}

fn by_noise(
    cells: &[&Cell<'_>],
    quantity: &'static str,
    falls: bool,
    value: impl Fn(&Evidence) -> Option<f64>,
) -> Vec<Point> {
    let values: Vec<(&Cell<'_>, f64)> = cells.iter().filter_map(|cell| Some((*cell, cell.mean(&value)?))).collect();
    trend(&values, quantity, falls)
}

/// Falling with c, at the noise levels that have two or more.
fn by_percent(cells: &[Cell<'_>], quantity: &'static str, value: impl Fn(&Evidence) -> Option<f64>) -> Vec<Point> {
    let of_level = |level: &[Cell<'_>]| {
        let values: Vec<(&Cell<'_>, f64)> = level.iter().filter_map(|cell| Some((cell, cell.mean(&value)?))).collect();
        let mut points = if values.len() > 1 { trend(&values, quantity, true) } else { Vec::new() };
        for (point, (cell, _)) in points.iter_mut().zip(&values) {
            point.winsorization = Some(cell.percent);
        }
        points
    };
    cells.chunk_by(|a, b| a.noise == b.noise).flat_map(of_level).collect()
}

fn pristine_first(cells: &[&Cell<'_>]) -> Vec<Point> {
    let point = |cell: &&Cell<'_>| {
        let (pristine, corrupt) = (cell.mean(|run| run.median_pristine)?, cell.mean(|run| run.median_corrupt)?);
        let holds = Some(less(pristine, corrupt));
        Some(Point { holds, ..cell.point("median_learned_step", Some(pristine), Some(corrupt)) })
    };
    cells.iter().filter_map(point).collect()
}

fn crosses_over(cells: &[&Cell<'_>]) -> Vec<Point> {
    let points = |cell: &&Cell<'_>| {
        let shares: Vec<Number> = cell.runs.iter().filter_map(|run| run.alpha_0).collect();
        let excess = cell.mean(|run| Some(run.alpha_0?.value - run.group_size?));
        let first = Point {
            measured: mean(&shares).into(),
            holds: Some(excess.map(|excess| excess > 0.0)),
            ..cell.point("first_share", None, cell.mean(|run| run.group_size))
        };
        [first, tested(cell, "crossover", cell.runs.iter().map(|run| run.crossover).collect())]
    };
    cells.iter().filter(|cell| cell.noise == 0.25 || cell.noise == 0.5).flat_map(points).collect()
}

/// The mean, as exact as the numbers are on average.
fn mean(numbers: &[Number]) -> Option<Number> {
    let mean = |of: fn(&Number) -> f64| numbers.iter().map(of).sum::<f64>() / numbers.len() as f64;
    (!numbers.is_empty()).then(|| Number::near(mean(|number| number.value), mean(|number| number.scale)))
}

fn early_contribution(cells: &[&Cell<'_>]) -> Vec<Point> {
    let point = |cell: &&Cell<'_>| {
        let with_both = cell.runs.iter().filter(|run| run.group_size.is_some());
        let observed: Vec<Observed> = with_both.map(|run| run.difference_10).collect();
        (!observed.is_empty()).then(|| tested(cell, "difference_10", observed))
    };
    cells.iter().filter_map(point).collect()
}

/// The mean, which must be positive, of numbers of which each must have a p that is small enough.
fn tested(cell: &Cell<'_>, quantity: &'static str, all: Vec<Observed>) -> Point {
    let values: Vec<Number> = all.iter().filter_map(|observed| observed.value).collect();
    let mean = mean(&values);
    let p = |of: &Observed, high: bool| {
        let exceedances = of.tested?.exceedances;
        let count = if high { exceedances.high } else { exceedances.low };
        Some(f64::from(1 + count) / f64::from(1 + of.worlds))
    };
    let largest = |high: bool| all.iter().filter_map(|of| p(of, high)).reduce(f64::max);
    let significant = verdict(all.iter().map(|of| p(of, true).map(|p| p <= SIGNIFICANT)));
    let holds = match (mean.map(|mean| mean.value > 0.0), significant) {
        (Some(false), _) | (_, "fails") => Some(false),
        (Some(true), "holds") => Some(true),
        _ => None,
    };
    // Without all of them the largest is known only if it is too large.
    let is_known = |p: &f64| *p > SIGNIFICANT || all.iter().all(|of| of.tested.is_some());
    let p = match (largest(false), largest(true).filter(is_known)) {
        (Some(low), Some(high)) if low == high => Value::exact(Some(low)),
        (Some(low), Some(high)) => Value::Range(low, high),
        _ => Value::Null,
    };
    Point { measured: mean.into(), p, holds: Some(holds), ..cell.point(quantity, None, Some(0.0)) }
}

fn proper_accuracy(cells: &[Cell<'_>]) -> Vec<Point> {
    let point = |cell: &Cell<'_>| {
        let (largest, proper) = (cell.mean(Evidence::max_train_accuracy)?, cell.mean(|run| run.proper_accuracy)?);
        let point = Point {
            winsorization: Some(cell.percent),
            holds: Some(Some(largest <= proper + TOLERANCE)),
            ..cell.point("max_train_accuracy", Some(largest), Some(proper))
        };
        (cell.percent > 1.0 && proper < 1.0).then_some(point)
    };
    cells.iter().filter_map(point).collect()
}

#[cfg(test)]
mod tests {
    use cograd_trace::Conditions;

    use super::*;
    use crate::plain::overfit::Overfit;
    use crate::plain::permutation::{Exceedances, Tested};

    fn run(rule: &str, noise: f64, percent: Option<f64>, train: f64) -> Evidence {
        let conditions = Conditions::new(Some(1)).with("rule", rule).with("noise", noise);
        let conditions = percent.into_iter().fold(conditions, |all, percent| all.with("winsorization", percent));
        let overfit = |step| Overfit { step, train: Some(train), test: None, overfit: Some(train - 0.5), chance: None };
        let tested = Tested { z: 3.0, exceedances: Exceedances { low: 1, high: 1 } };
        Evidence {
            overfit: vec![overfit(0), overfit(10)],
            half_loss_step: (noise < 1.0).then_some(10.0 * noise).or(Some(f64::INFINITY)),
            early_slope: Some(1.0 - noise),
            median_pristine: Some(1.0),
            median_corrupt: (noise > 0.0).then_some(2.0),
            proper_accuracy: Some(1.0 - noise),
            alpha_0: Some(Number::plain(0.9)),
            group_size: (noise > 0.0).then_some(0.75),
            crossover: Observed { value: Some(Number::plain(0.3)), tested: Some(tested), worlds: 99 },
            ..Evidence::for_tests(rule, conditions)
        }
    }

    fn points(runs: &[Evidence], prediction: &str) -> Vec<Point> {
        Grid::new(&runs.iter().collect::<Vec<_>>()).points(prediction).unwrap()
    }

    fn judged(points: &[Point]) -> Vec<Option<Comparison>> {
        points.iter().map(|point| point.holds).collect()
    }

    #[test]
    fn each_noise_level_is_compared_with_the_one_before() {
        let runs = [run("sgd", 0.0, None, 1.0), run("sgd", 0.5, None, 0.9), run("sgd", 0.25, None, 1.0)];
        let slower = points(&runs, "slower_learning");
        assert_eq!(slower.iter().map(|point| point.noise).collect::<Vec<_>>(), [0.0, 0.25, 0.5]);
        assert_eq!(judged(&slower), [None, Some(Some(true)), Some(Some(true))]);
        assert_eq!(slower[2].compared_with, Value::near(Some(2.5), 2.5));
        assert_eq!(judged(&points(&runs, "pristine_slower")), [None, Some(Some(false)), Some(Some(false))]);
        assert_eq!(verdict(points(&runs, "pristine_slower").into_iter().filter_map(|point| point.holds)), "fails");
        assert_eq!(judged(&points(&runs, "pristine_first")), [Some(Some(true)); 2]);
        let never = [run("sgd", 1.0, None, 0.1), run("winsorized", 1.5, Some(0.0), 0.1)];
        assert_eq!(judged(&points(&never, "slower_learning")), [None, Some(None)]);
    }

    #[test]
    fn a_tested_number_must_be_positive_and_have_a_small_p() {
        let runs = [run("sgd", 0.25, None, 1.0), run("sgd", 0.75, None, 1.0)];
        let found = points(&runs, "crosses_over");
        assert_eq!(judged(&found), [Some(Some(true)); 2]);
        assert_eq!((found[1].quantity, &found[1].p), ("crossover", &Value::exact(Some(0.02))));
        // There is no difference after ten steps.
        assert_eq!(judged(&points(&runs, "early_contribution")), [Some(None); 2]);
    }

    #[test]
    fn levels_of_c_are_compared_where_there_are_two_and_plain_sgd_is_level_0() {
        let runs = [run("sgd", 0.5, None, 0.9), run("winsorized", 0.5, Some(2.0), 0.6), run("sgd", 0.25, None, 1.0)];
        let found = points(&runs, "less_overfit");
        assert_eq!(found.iter().map(|point| point.winsorization).collect::<Vec<_>>(), [Some(0.0), Some(2.0)]);
        assert_eq!(judged(&found), [None, Some(Some(true))]);
        assert_eq!(judged(&points(&runs, "proper_accuracy")), [Some(Some(false))]);
        // Another program may have a level that the recorder would refuse.
        let runs = [-1.0, 60.0].map(|percent| run("winsorized", 0.5, Some(percent), 0.9));
        assert_eq!(judged(&points(&runs, "less_overfit")), [None, Some(Some(false))]);
        assert!(Grid::new(&[]).points("anything").is_none());
    }

    #[test]
    fn runs_that_differ_in_anything_else_are_not_judged() {
        let mut runs = [run("sgd", 0.25, None, 1.0), run("sgd", 0.5, None, 1.0), run("adam", 0.5, None, 1.0)];
        assert_eq!(points(&runs, "slower_learning").len(), 2);
        runs[1].conditions = runs[1].conditions.clone().with("width", 64_i64);
        assert!(points(&runs, "slower_learning").is_empty());
        assert_eq!(verdict([]), "not checkable");
    }
}
