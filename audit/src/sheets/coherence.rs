//! coherence.parquet: every coherence statistic by estimator, step, layer and pair of groups.

use crate::coherence::Row;
use crate::recompute::Recomputed;
use crate::sheet::{Key, Sheet};

pub(super) fn sheet(run: &Recomputed) -> Sheet {
    let keys = &["estimator", "step", "layer", "statistic", "group_a", "group_b"];
    let mut sheet = Sheet::new(keys, &["value", "lower", "upper"]);
    let mut add = |step: i64, row: &Row| {
        let (a, b) = match &row.groups {
            Some((a, b)) => (Key::from(a.as_str()), Key::from(b.as_str())),
            None => (Key::Null, Key::Null),
        };
        let layer = row.layer.map_or(Key::Null, |layer| Key::Int(layer as i64));
        let key = vec![row.estimator.into(), Key::Int(step), layer, row.statistic.into(), a, b];
        let estimate = &row.estimate;
        sheet.push(key, vec![estimate.value.clone(), estimate.lower.clone(), estimate.upper.clone()]);
    };
    for (&step, coherence) in run.paper().record.steps.iter().zip(&run.coherence) {
        coherence.rows.iter().for_each(|row| add(step, row));
    }
    for (step, rows) in &run.exact_coherence {
        rows.iter().for_each(|row| add(*step, row));
    }
    sheet
}
