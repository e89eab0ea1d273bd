//! What is read off the learning curves [S 5]: when the loss has halved, and how fast it falls at first.

use cograd_trace::{Metric, Split, Subset};

/// Evaluations up to this step are early.
const EARLY: i64 = 10;

/// Evaluations of all examples of a split, ascending by step.
pub(crate) fn of_split(metrics: &[Metric], split: Split) -> Vec<Metric> {
    let of = |metric: &&Metric| metric.split == split && metric.subset == Subset::All;
    let mut curve: Vec<Metric> = metrics.iter().filter(of).copied().collect();
    curve.sort_by_key(|metric| metric.step);
    curve
}

/// The training loss at step 0, and the later evaluations; `None` unless both are there.
fn from_zero(metrics: &[Metric]) -> Option<(f64, Vec<Metric>)> {
    let mut curve = of_split(metrics, Split::Train).into_iter();
    let first = curve.next().filter(|metric| metric.step == 0)?;
    let later: Vec<Metric> = curve.collect();
    (!later.is_empty()).then_some((first.loss, later))
}

/// First evaluated step with at most half of the initial training loss; infinite if there is none.
pub(crate) fn half_loss_step(metrics: &[Metric]) -> Option<f64> {
    let (initial, later) = from_zero(metrics)?;
    Some(later.iter().find(|metric| metric.loss <= initial / 2.0).map_or(f64::INFINITY, |metric| metric.step as f64))
}

/// By how much the training loss falls per step, to the last evaluation that is early, or the first there is.
pub(crate) fn early_slope(metrics: &[Metric]) -> Option<f64> {
    let (initial, later) = from_zero(metrics)?;
    let last = later.iter().rfind(|metric| metric.step <= EARLY).unwrap_or(&later[0]);
    let slope = (initial - last.loss) / last.step as f64;
    slope.is_finite().then_some(slope)
}
