//! coverage.parquet: at how many steps the population as estimated from the sample has an interval that covers the exact value.

use super::keys;
use crate::recompute::{Covered, Recomputed};
use crate::record::{Subject, pairs};
use crate::sheet::{Key, Sheet, Value};

pub(super) fn sheet(run: &Recomputed) -> Result<Sheet, String> {
    let names = &run.grouping()?.names;
    let mut sheet = Sheet::new(&["statistic", "group_a", "group_b"], &["covered", "compared"]);
    let shares = (0..names.len()).map(|group| ("share", (group, None)));
    let differences = pairs(names.len()).into_iter().map(|(a, b)| ("difference", (a, Some(b))));
    let subjects: Vec<(&str, Subject)> = shares.chain(differences).collect();
    for ((statistic, subject), covered) in subjects.into_iter().zip(&run.coverage) {
        let [a, b] = keys(names, Some(subject));
        if covered.steps == 0 && covered.open > 0 {
            return Err(format!(
                "rounding decides whether {statistic} has an interval at any step: the gradients of some examples are too small \
                 beside those of others"
            ));
        }
        if let Some(cells) = cells(covered) {
            sheet.push(vec![Key::from(statistic), a, b], cells);
        }
    }
    Ok(sheet)
}

/// If there is a step that has both; where rounding decides whether an interval covers, either will do.
fn cells(covered: &Covered) -> Option<[Value; 2]> {
    let &Covered { least, most, steps, open } = covered;
    let count = |least, most| if least == most { Value::Int(least) } else { Value::Ints(least, most) };
    (steps > 0).then(|| [count(least, most), count(steps, steps + open)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plain::interval::{Estimate, OfHalf};
    use crate::tally::Number;

    #[test]
    fn steps_that_have_both_are_counted_and_the_edge_may_count_either_way() {
        let halves: Vec<OfHalf> = (0..199).map(|value| OfHalf::from(f64::from(value))).collect();
        let interval = Estimate::new(10, Some(Number::plain(100.0)), 0.0, &halves);
        let none = Estimate::exact(Some(Number::plain(100.0)));
        let mut covered = Covered::default();
        [50.0, 6.0, 500.0].into_iter().for_each(|value| covered.add(&interval, value));
        covered.add(&none, 50.0);
        assert_eq!(cells(&covered), Some([Value::Ints(1, 2), Value::Int(3)]));
        assert_eq!(cells(&Covered::default()), None);
        // Where rounding decides whether there is an interval, the step may count, and be covered.
        let unknown = [OfHalf { value: 0.0, slack: f64::INFINITY }; 199];
        covered.add(&Estimate::new(10, Some(Number::plain(100.0)), 0.0, &unknown), 50.0);
        assert_eq!(cells(&covered), Some([Value::Ints(1, 3), Value::Ints(3, 4)]));
    }
}
