//! The class stiffness matrix over time: the mean cosine of the gradients of an example of one class and one of another.

use super::heat_maps::{HeatMaps, Limit};
use crate::ReportError;
use crate::curves::{CurveKey, PAPER};
use crate::results::{Results, RunResults};

const CURVE: &str = "class_stiffness_cosine";
const TITLE: &str =
    "Class stiffness: mean cosine of the gradients of two examples, by their labels, at steps over training";

/// None if the results have none.
pub fn draw(results: &Results) -> Result<Option<String>, ReportError> {
    let conditions = results.plain_conditions_with(|run| !run.keys(CURVE).is_empty());
    let classes = classes(conditions.iter().flat_map(|condition| condition.runs.iter().copied()));
    let quantity = "Mean cosine between two examples with the labels of row and column";
    let maps = HeatMaps::new(TITLE, quantity, Limit::OfStep, classes, &conditions, |condition, a, b| {
        // Pairs are recorded once, in order.
        let key = |a: &str, b: &str| CurveKey::of(CURVE, PAPER).pair(a, b);
        let either = [key(a, b), key(b, a)].into_iter().flat_map(|key| condition.series(&key)).next();
        either.map(|series| series.curve.line).unwrap_or_default()
    });
    if maps.is_empty() { Ok(None) } else { maps.draw().map(Some) }
}

/// Labels, in the order of numbers.
fn classes<'a>(runs: impl Iterator<Item = &'a RunResults>) -> Vec<String> {
    let keys = runs.flat_map(|run| run.keys(CURVE));
    let names = keys.flat_map(|key| [key.group_a.as_deref(), key.group_b.as_deref()]).flatten();
    let mut classes: Vec<String> = names.map(str::to_owned).collect();
    classes.sort_by_key(|class| (class.parse::<u64>().unwrap_or(u64::MAX), class.clone()));
    classes.dedup();
    classes
}
