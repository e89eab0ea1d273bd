//! What is read off the learning curves [S 5]: when the loss has halved, and how fast it falls at first.

use cograd_trace::Metric;

/// Evaluations up to this step are early.
const EARLY: i64 = 10;

/// The evaluated steps, ascending, each once.
pub(crate) fn steps<'a>(metrics: impl IntoIterator<Item = &'a Metric>) -> Vec<i64> {
    let steps: std::collections::BTreeSet<i64> = metrics.into_iter().map(|metric| metric.step).collect();
    steps.into_iter().collect()
}

/// A metric of all examples of a split, ascending by step.
pub(crate) fn curve(metrics: &[Metric], split: &str, name: &str) -> Vec<(i64, f64)> {
    let is_of_it = |of: &&Metric| (&*of.split, &*of.group, &*of.metric) == (split, "all", name);
    let mut curve: Vec<(i64, f64)> = metrics.iter().filter(is_of_it).map(|of| (of.step, of.value)).collect();
    curve.sort_by_key(|(step, _)| *step);
    curve
}

/// The training loss at step 0, and the later evaluations; `None` unless both are there.
fn from_zero(metrics: &[Metric]) -> Option<(f64, Vec<(i64, f64)>)> {
    let curve = curve(metrics, "train", "loss");
    let (&(step, first), later) = curve.split_first()?;
    (step == 0 && first.is_finite() && !later.is_empty()).then(|| (first, later.to_vec()))
}

/// First evaluated step with at most half of the initial training loss; infinite if there is none.
pub(crate) fn half_loss_step(metrics: &[Metric]) -> Option<f64> {
    let (initial, later) = from_zero(metrics)?;
    Some(later.iter().find(|(_, loss)| *loss <= initial / 2.0).map_or(f64::INFINITY, |(step, _)| *step as f64))
}

/// By how much the training loss falls per step, to the last evaluation that is early, or the first there is.
pub(crate) fn early_slope(metrics: &[Metric]) -> Option<f64> {
    let (initial, later) = from_zero(metrics)?;
    let (step, loss) = later.iter().rfind(|(step, _)| *step <= EARLY).unwrap_or(&later[0]);
    let slope = (initial - loss) / *step as f64;
    slope.is_finite().then_some(slope)
}
