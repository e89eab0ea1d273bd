//! coherence.parquet: every coherence statistic by estimator, step, layer and pair of groups.

use crate::coherence::RowKey;
use crate::plain::interval::Estimate;
use crate::recompute::Recomputed;
use crate::sheet::{Key, Sheet};

pub(super) fn sheet(run: &Recomputed) -> Result<Sheet, String> {
    run.grouping()?;
    let keys = &["estimator", "step", "layer", "statistic", "group_a", "group_b"];
    let mut sheet = Sheet::new(keys, &["value", "lower", "upper", "unbounded"]);
    let mut add = |step: i64, row: &RowKey, estimate: &Estimate| {
        let (a, b) = match &row.groups {
            Some((a, b)) => (Key::from(a.as_str()), Key::from(b.as_str())),
            None => (Key::Null, Key::Null),
        };
        let layer = Key::from(row.layer.map(|layer| run.trace.layers[layer].name.as_str()));
        let key = vec![row.estimator.into(), Key::from(step), layer, row.statistic.as_str().into(), a, b];
        sheet.push(key, estimate.cells().into_iter().chain([estimate.unbounded.clone()]));
    };
    let keys = run.setting.as_ref().map_or(&[][..], |setting| setting.keys());
    for (&step, coherence) in run.part.records[0].steps.iter().zip(&run.part.coherence) {
        keys.iter().zip(&coherence.rows).for_each(|(key, estimate)| add(step, key, estimate));
    }
    for (step, rows) in &run.part.exact_coherence {
        rows.iter().for_each(|(key, estimate)| add(*step, key, estimate));
    }
    Ok(sheet)
}
