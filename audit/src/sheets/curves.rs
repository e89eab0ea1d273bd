//! curves.parquet: the evaluations, copied.

use crate::recompute::Recomputed;
use crate::sheet::{Key, Sheet, Value};

pub(super) fn sheet(run: &Recomputed) -> Sheet {
    let mut sheet = Sheet::new(&["step", "split", "subset"], &["examples", "loss", "accuracy"]);
    for metric in &run.metrics {
        let key = vec![Key::Int(metric.step), metric.split.as_str().into(), metric.subset.as_str().into()];
        let examples = Value::Int(i64::from(metric.examples));
        sheet.push(key, vec![examples, Value::exact(Some(metric.loss)), Value::exact(Some(metric.accuracy))]);
    }
    sheet
}
