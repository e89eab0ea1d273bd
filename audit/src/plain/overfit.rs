//! Overfit [S 4.1]: training accuracy less the accuracy on fresh data with the same label noise; and its slope.

use std::collections::BTreeMap;

use cograd_trace::Metric;

use crate::plain::curves;

/// Accuracies and overfit at one evaluated step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Overfit {
    pub step: i64,
    pub train: Option<f64>,
    pub test: Option<f64>,
    pub overfit: Option<f64>,
    /// Accuracy on permuted labels.
    pub chance: Option<f64>,
}

/// One value a step with an evaluation of all examples of a split, ascending; there is no overfit unless ε and the chance level are
/// known, which is `chance` where none was recorded.
pub(crate) fn curve(metrics: &[Metric], noise: Option<f64>, chance: Option<f64>) -> Vec<Overfit> {
    let metric = |split: &str, name: &str| -> BTreeMap<i64, f64> {
        // Of two at one step the first.
        let mut curve: BTreeMap<i64, f64> = curves::curve(metrics, split, name).into_iter().rev().collect();
        curve.retain(|_, value| value.is_finite());
        curve
    };
    let (train, test) = (metric("train", "accuracy"), metric("test", "accuracy"));
    let recorded = metric("test", "chance");
    let at = |step: i64| {
        let (train, test) = (train.get(&step).copied(), test.get(&step).copied());
        let chance = recorded.get(&step).copied().or(chance);
        let overfit = match (train, test, noise, chance) {
            (Some(train), Some(test), Some(noise), Some(chance)) => {
                Some(train - (noise * chance + (1.0 - noise) * test))
            }
            _ => None,
        };
        Overfit { step, train, test, overfit, chance }
    };
    curves::steps(metrics.iter().filter(|metric| metric.group == "all")).into_iter().map(at).collect()
}

/// The largest training accuracy of a run.
pub(crate) fn largest(curve: &[Overfit]) -> Option<f64> {
    let mut largest: Option<f64> = None;
    for accuracy in curve.iter().filter_map(|at| at.train) {
        largest = Some(largest.map_or(accuracy, |so_far| so_far.max(accuracy)));
    }
    largest
}

/// Least-squares slope of overfit on the step, per 1 000 steps, and the sum of absolute terms that it is made of.
pub(crate) fn slope(curve: &[Overfit]) -> Option<(f64, f64)> {
    let points: Vec<(f64, f64)> = curve.iter().filter_map(|at| Some((at.step as f64, at.overfit?))).collect();
    let n = points.len() as f64;
    let (mut mean_x, mut mean_y) = (0.0, 0.0);
    for (x, y) in &points {
        mean_x += x / n;
        mean_y += y / n;
    }
    let (mut xx, mut xy, mut size) = (0.0, 0.0, 0.0);
    for (x, y) in &points {
        xx += (x - mean_x) * (x - mean_x);
        xy += (x - mean_x) * (y - mean_y);
        size += ((x - mean_x) * y).abs() + ((x - mean_x) * mean_y).abs();
    }
    (xx > 0.0).then(|| (1000.0 * xy / xx, 1000.0 * size / xx))
}
