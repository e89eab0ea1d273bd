//! learned.parquet: how many examples of each subset were learned by each evaluated step.

use cograd_trace::Subset;

use crate::plain::learned::learned;
use crate::recompute::Recomputed;
use crate::sheet::{Key, Sheet, Value};

pub(super) fn sheet(run: &Recomputed) -> Sheet {
    let mut sheet = Sheet::new(&["step", "subset"], &["examples", "learned", "fraction"]);
    let mut steps: Vec<i64> = run.metrics.iter().map(|metric| metric.step).collect();
    steps.sort_unstable();
    steps.dedup();
    for step in steps {
        for subset in [Subset::All, Subset::Pristine, Subset::Corrupt] {
            let (size, count) = learned(&run.examples, subset, step);
            let fraction = (size > 0).then(|| f64::from(count) / f64::from(size));
            let values = vec![Value::Int(i64::from(size)), Value::Int(i64::from(count)), Value::plain(fraction)];
            sheet.push(vec![Key::Int(step), subset.as_str().into()], values);
        }
    }
    sheet
}
