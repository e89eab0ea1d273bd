//! What is read off the learning curves [S 5]: when the loss has halved, and how fast it falls at first.

use cograd_trace::Metric;

/// Evaluations up to this step are early.
const EARLY: i64 = 10;

/// The evaluated steps, ascending, each once.
pub(crate) fn steps<'a>(metrics: impl IntoIterator<Item = &'a Metric>) -> Vec<i64> {
    let steps: std::collections::BTreeSet<i64> = metrics.into_iter().map(|metric| metric.step).collect();
    steps.into_iter().collect()
}

/// A metric of all examples of a split, ascending by step; NaN where it is missing, which what is not finite is.
pub(crate) fn curve(metrics: &[Metric], split: &str, name: &str) -> Vec<(i64, f64)> {
    let is_of_it = |of: &&Metric| (&*of.split, &*of.group, &*of.metric) == (split, "all", name);
    let mut curve: Vec<(i64, f64)> = metrics.iter().filter(is_of_it).map(|of| (of.step, finite(of.value))).collect();
    curve.sort_by_key(|(step, _)| *step);
    curve
}

fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { f64::NAN }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plain::overfit;

    fn metric(step: i64, metric: &str, value: f64) -> Metric {
        let [split, group, metric] = ["train", "all", metric].map(str::to_string);
        Metric { step, split, group, metric, value, examples: 10 }
    }

    #[test]
    fn what_is_not_finite_is_missing() {
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        let of = |losses: &[f64]| {
            let metrics: Vec<Metric> =
                losses.iter().enumerate().map(|(step, loss)| metric(step as i64, "loss", *loss)).collect();
            (half_loss_step(&metrics), early_slope(&metrics))
        };
        assert_eq!(of(&[4.0, 3.0, 1.0]), (Some(2.0), Some(1.5)));
        assert_eq!(of(&[4.0, -inf, 1.0]), (Some(2.0), Some(1.5)));
        assert_eq!(of(&[4.0, nan, -inf]), (Some(inf), None));
        assert_eq!(of(&[-inf, 3.0, 1.0]), (None, None));
        let found = overfit::curve(&[metric(0, "accuracy", inf), metric(1, "accuracy", 0.5)], Some(0.5), None);
        assert_eq!(found.iter().map(|at| at.train).collect::<Vec<_>>(), [None, Some(0.5)]);
    }
}
