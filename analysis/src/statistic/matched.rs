//! Update rules at matched training accuracy: how well each generalises when all fit the training set equally well.
//!
//! ```text
//! A = min over the runs of max_t ta_t        va(A), overfit(A): where ta first reaches A
//! ```
//!
//! At one noise level A is the largest training accuracy that every run reached. Between the last evaluation below A and
//! the first at or above it, test accuracy, overfit and step are interpolated linearly in the training accuracy. A rule
//! that makes less of the training set than others makes A small: compare rules that can be compared. Source: beyond the
//! paper, whose §5 asks how its rule compares with others; [S 4.2].

use super::overfit::{self, Overfit};

/// A run where its training accuracy first reaches a level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Matched {
    /// Step, interpolated between two evaluations.
    pub step: f64,
    /// Test accuracy, as a fraction; `None` if it is missing at an evaluation used.
    pub test_accuracy: Option<f64>,
    /// Overfit, as a fraction; `None` as the test accuracy.
    pub overfit: Option<f64>,
}

/// A: the largest training accuracy that every run reached; `None` without runs, or if one has no training accuracy.
pub fn level(runs: &[&[Overfit]]) -> Option<f64> {
    let reached: Option<Vec<f64>> = runs.iter().map(|curve| overfit::max_train_accuracy(curve)).collect();
    reached?.into_iter().reduce(f64::min)
}

/// The run of `curve` where its training accuracy first reaches `level`; `None` if it never does.
pub fn at(curve: &[Overfit], level: f64) -> Option<Matched> {
    let known: Vec<(f64, &Overfit)> = curve.iter().filter_map(|here| Some((here.train_accuracy?, here))).collect();
    let index = known.iter().position(|(accuracy, _)| *accuracy >= level)?;
    let (accuracy, here) = known[index];
    let (accuracy_before, before) = if index == 0 { known[0] } else { known[index - 1] };
    let rise = accuracy - accuracy_before;
    let part = if rise > 0.0 { (level - accuracy_before) / rise } else { 1.0 };
    let between = |from: f64, to: f64| from + part * (to - from);
    let of = |value: fn(&Overfit) -> Option<f64>| value(before).zip(value(here)).map(|(from, to)| between(from, to));
    Some(Matched {
        step: between(before.step as f64, here.step as f64),
        test_accuracy: of(|here| here.test_accuracy),
        overfit: of(|here| here.overfit),
    })
}
