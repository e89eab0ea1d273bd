//! What is read off the learning curves: final values, when the loss has halved, how fast it falls at first.
//!
//! The curves themselves are the evaluations of the trace. Source: §2.3, Figure 1(a)–(c); [S 4], [S 5].

use cograd_trace::{Metric, Split, Subset};

/// The paper's slope is taken over evaluations up to this step.
pub const EARLY_STEPS: i64 = 10;

/// Evaluations of all examples of a split, ascending by step.
pub fn of_split(metrics: &[Metric], split: Split) -> Vec<Metric> {
    let mut curve: Vec<Metric> =
        metrics.iter().filter(|metric| metric.split == split && metric.subset == Subset::All).copied().collect();
    curve.sort_by_key(|metric| metric.step);
    curve
}

/// The evaluated steps, ascending, each once.
pub fn evaluated_steps(metrics: &[Metric]) -> Vec<i64> {
    let mut steps: Vec<i64> = metrics.iter().map(|metric| metric.step).collect();
    steps.sort_unstable();
    steps.dedup();
    steps
}

/// First evaluated step at which the training loss is at most half of its value at step 0; infinite if it never is.
///
/// `None` without an evaluation of the training set at step 0 and a later one.
pub fn half_loss_step(metrics: &[Metric]) -> Option<f64> {
    let curve = of_split(metrics, Split::Train);
    let (first, later) = curve.split_first().filter(|(first, later)| first.step == 0 && !later.is_empty())?;
    let reached = later.iter().find(|metric| metric.loss <= first.loss / 2.0);
    Some(reached.map_or(f64::INFINITY, |metric| metric.step as f64))
}

/// −Δ training loss per step, from step 0 to the last evaluated step not after [`EARLY_STEPS`], or to the first evaluated
/// one if there is none: by Equation 1 the learning rate times ‖∇ℓ‖², early in training.
///
/// `None` without an evaluation of the training set at step 0 and a later one.
pub fn early_slope(metrics: &[Metric]) -> Option<f64> {
    let curve = of_split(metrics, Split::Train);
    let (first, later) = curve.split_first().filter(|(first, _)| first.step == 0)?;
    let last = later.iter().rfind(|metric| metric.step <= EARLY_STEPS).or(later.first())?;
    Some((first.loss - last.loss) / (last.step - first.step) as f64).filter(|slope| slope.is_finite())
}
