//! Overfit: how much higher the training accuracy is than the accuracy on fresh data with the same label noise would be.
//!
//! ```text
//! overfit_t = ta_t − [ ε·(1/K) + (1 − ε)·va_t ]
//! ```
//!
//! with ta and va the accuracies on the training and on the test set, ε the label noise and K the number of classes. Test
//! labels are never noisy: the bracket is the accuracy that a network right on a fraction va of them would have if they
//! were. Slightly negative values are sampling noise. Missing where either accuracy is, or without classes.
//!
//! Its **slope** over the run is that of the least-squares line of overfit on the step, over the evaluated steps, each
//! counted once, per 1 000 steps; missing with fewer than two of them. Source: §3.3, Figure 4; [S 4.1].

use cograd_trace::{Metric, Split, Subset};

/// Steps that a slope is per.
const PER_STEPS: f64 = 1000.0;

/// Accuracies and overfit at one evaluated step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Overfit {
    /// Evaluated step t.
    pub step: i64,
    /// ta, as a fraction.
    pub train_accuracy: Option<f64>,
    /// va, as a fraction.
    pub test_accuracy: Option<f64>,
    /// Their overfit, as a fraction.
    pub overfit: Option<f64>,
}

/// One value an evaluated step, ascending, from the evaluations of all examples; `noise` is ε, `classes` K.
pub fn curve(metrics: &[Metric], noise: f64, classes: usize) -> Vec<Overfit> {
    let mut evaluations: Vec<Metric> = metrics.iter().filter(|metric| metric.subset == Subset::All).copied().collect();
    evaluations.sort_by_key(|metric| metric.step);
    let at_step = |of_step: &[Metric]| {
        let accuracy = |split| of_step.iter().find(|metric| metric.split == split).map(|metric| metric.accuracy);
        let (train_accuracy, test_accuracy) = (accuracy(Split::Train), accuracy(Split::Test));
        let overfit = train_accuracy.zip(test_accuracy).and_then(|(train, test)| value(train, test, noise, classes));
        Overfit { step: of_step[0].step, train_accuracy, test_accuracy, overfit }
    };
    evaluations.chunk_by(|a, b| a.step == b.step).map(at_step).collect()
}

/// The overfit of a training and a test accuracy; `None` without classes.
pub fn value(train_accuracy: f64, test_accuracy: f64, noise: f64, classes: usize) -> Option<f64> {
    let on_fresh_noisy_data = noise / classes as f64 + (1.0 - noise) * test_accuracy;
    Some(train_accuracy - on_fresh_noisy_data).filter(|_| classes > 0)
}

/// Overfit at the last evaluation; `None` if it is missing there.
pub fn last(curve: &[Overfit]) -> Option<f64> {
    curve.last().and_then(|at_step| at_step.overfit)
}

/// Slope of overfit over the run, per 1 000 steps; `None` with fewer than two steps that have an overfit.
pub fn slope(curve: &[Overfit]) -> Option<f64> {
    let points: Vec<(f64, f64)> =
        curve.iter().filter_map(|at_step| Some((at_step.step as f64, at_step.overfit?))).collect();
    let number = points.len() as f64;
    let mean_step = points.iter().map(|point| point.0).sum::<f64>() / number;
    let mean_overfit = points.iter().map(|point| point.1).sum::<f64>() / number;
    let spread: f64 = points.iter().map(|(step, _)| (step - mean_step).powi(2)).sum();
    let covered: f64 = points.iter().map(|(step, overfit)| (step - mean_step) * (overfit - mean_overfit)).sum();
    (spread > 0.0).then(|| PER_STEPS * covered / spread)
}

/// The largest training accuracy of the evaluations; `None` without any.
pub fn max_train_accuracy(curve: &[Overfit]) -> Option<f64> {
    curve.iter().filter_map(|at_step| at_step.train_accuracy).reduce(f64::max)
}
