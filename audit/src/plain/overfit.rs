//! Overfit [S 4.1]: training accuracy less the accuracy on fresh data with the same label noise; and its slope.

use cograd_trace::{Metric, Split, Subset};

/// Accuracies and overfit at one evaluated step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Overfit {
    pub step: i64,
    pub train: Option<f64>,
    pub test: Option<f64>,
    pub overfit: Option<f64>,
}

/// One value a step with an evaluation of all examples of a split, ascending.
pub(crate) fn curve(metrics: &[Metric], noise: f64, classes: usize) -> Vec<Overfit> {
    let mut steps: Vec<i64> =
        metrics.iter().filter(|metric| metric.subset == Subset::All).map(|metric| metric.step).collect();
    steps.sort_unstable();
    steps.dedup();
    let accuracy = |step: i64, split: Split| {
        let of = |metric: &&Metric| metric.step == step && metric.split == split && metric.subset == Subset::All;
        metrics.iter().find(of).map(|metric| metric.accuracy)
    };
    let at = |step: i64| {
        let (train, test) = (accuracy(step, Split::Train), accuracy(step, Split::Test));
        let overfit = match (train, test) {
            (Some(train), Some(test)) if classes > 0 => {
                Some(train - (noise * (1.0 / classes as f64) + (1.0 - noise) * test))
            }
            _ => None,
        };
        Overfit { step, train, test, overfit }
    };
    steps.into_iter().map(at).collect()
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
