//! coherence.parquet: every coherence statistic by estimator, step, layer and pair of groups.

use crate::coherence::Row;
use crate::recompute::Recomputed;
use crate::sheet::{Key, Sheet};
use crate::table::Tables;

pub(super) fn sheet(run: &Recomputed, _: &Tables) -> Result<Sheet, String> {
    run.grouping()?;
    let keys = &["estimator", "step", "layer", "statistic", "group_a", "group_b"];
    let mut sheet = Sheet::new(keys, &["value", "lower", "upper", "unbounded"]);
    let mut add = |step: i64, row: &Row| {
        let (a, b) = match &row.groups {
            Some((a, b)) => (Key::from(a.as_str()), Key::from(b.as_str())),
            None => (Key::Null, Key::Null),
        };
        let layer = Key::from(row.layer.map(|layer| run.layers[layer].as_str()));
        let key = vec![row.estimator.into(), Key::from(step), layer, row.statistic.as_str().into(), a, b];
        sheet.push(key, [row.estimate.cells(), vec![row.estimate.unbounded.clone()]].concat());
    };
    for (&step, coherence) in run.paper().record.steps.iter().zip(&run.coherence) {
        coherence.rows.iter().for_each(|row| add(step, row));
    }
    for (step, rows) in &run.exact_coherence {
        rows.iter().for_each(|row| add(*step, row));
    }
    Ok(sheet)
}
