//! metrics.parquet: the evaluations, copied.

use crate::recompute::Recomputed;
use crate::sheet::{Key, Sheet, Value};

pub(super) fn sheet(run: &Recomputed) -> Result<Sheet, String> {
    let mut sheet = Sheet::new(&["step", "split", "group", "metric"], &["value", "examples"]);
    for metric in run.trace.metrics_in(run.part.steps) {
        let texts = [&metric.split, &metric.group, &metric.metric].map(|text| Key::from(text.as_str()));
        let key = [vec![Key::from(metric.step)], texts.to_vec()].concat();
        let value = Value::exact(Some(metric.value).filter(|value| value.is_finite()));
        sheet.push(key, vec![value, Value::int(metric.examples)]);
    }
    Ok(sheet)
}
