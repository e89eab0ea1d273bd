//! coverage.parquet: at how many steps the population as estimated from the sample has an interval that covers the exact value.

use std::collections::BTreeMap;

use super::keys;
use crate::plain::cumulative::difference;
use crate::plain::interval::Estimate;
use crate::recompute::Recomputed;
use crate::record::{Subject, pairs};
use crate::sheet::{Key, Sheet, Value};
use crate::table::Tables;
use crate::tally::Number;

pub(super) fn sheet(run: &Recomputed, _: &Tables) -> Result<Sheet, String> {
    let names = &run.grouping()?.names;
    let mut sheet = Sheet::new(&["statistic", "group_a", "group_b"], &["covered", "compared"]);
    let (Some(exact), Some(estimated)) = (run.exact(), &run.population) else { return Ok(sheet) };
    // What is estimated is of the training set.
    if run.examples.population_is_part {
        return Ok(sheet);
    }
    let (actual, whole) = (&exact.worlds[0], &exact.record.steps);
    let mut add = |statistic: &str, subject: Subject, intervals: Vec<&Estimate>, values: Vec<Option<Number>>| {
        let values: BTreeMap<i64, Option<Number>> = whole.iter().copied().zip(values).collect();
        let of_step = |step: &i64| values.get(step).copied().flatten();
        let sampled = run.paper().record.steps.iter().map(of_step);
        let [a, b] = keys(names, Some(subject));
        if let Some(cells) = covered(&intervals, sampled) {
            sheet.push(vec![Key::from(statistic), a, b], cells);
        }
    };
    for group in 0..names.len() {
        let intervals = estimated.shares.iter().map(|shares| &shares[group]).collect();
        let values = actual.decomposition.iter().map(|at| at.shares[group]).collect();
        add("share", (group, None), intervals, values);
    }
    for (pair, (a, b)) in pairs(names.len()).into_iter().enumerate() {
        let intervals = estimated.differences.iter().map(|differences| &differences[pair]).collect();
        let values = actual.means[a].iter().zip(&actual.means[b]).map(|(a, b)| difference(*a, *b)).collect();
        add("difference", (a, Some(b)), intervals, values);
    }
    Ok(sheet)
}

/// At how many steps an interval covers the value, of how many that have both, if there are any; where rounding decides whether
/// it does, either will do.
fn covered(intervals: &[&Estimate], values: impl Iterator<Item = Option<Number>>) -> Option<Vec<Value>> {
    let (mut low, mut high, mut steps) = (0, 0, 0);
    for (interval, value) in intervals.iter().zip(values) {
        if let Some((certain, possible)) = value.and_then(|value| interval.covers(value.value)) {
            low += i128::from(certain);
            high += i128::from(possible);
            steps += 1;
        }
    }
    let count = if low == high { Value::Int(low) } else { Value::Ints(low, high) };
    (steps > 0).then(|| vec![count, Value::Int(steps)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plain::interval::OfHalf;

    #[test]
    fn steps_that_have_both_are_counted_and_the_edge_may_count_either_way() {
        let halves: Vec<OfHalf> = (0..199).map(|value| OfHalf::from(f64::from(value))).collect();
        let interval = Estimate::new(10, Some(Number::plain(100.0)), 0.0, &halves);
        let none = Estimate::exact(Some(Number::plain(100.0)));
        let exact = [Some(50.0), Some(6.0), Some(500.0), None, Some(50.0)].map(|value| value.map(Number::plain));
        let intervals = [&interval, &interval, &interval, &interval, &none];
        assert_eq!(covered(&intervals, exact.into_iter()), Some(vec![Value::Ints(1, 2), Value::Int(3)]));
        assert_eq!(covered(&[&none], [Some(Number::plain(1.0))].into_iter()), None);
    }
}
