//! null.parquet: the null distribution of shares and differences by estimator and step.

use super::keys;
use crate::recompute::Recomputed;
use crate::sheet::{Key, Sheet};
use crate::table::Tables;

pub(super) fn sheet(run: &Recomputed, _: &Tables) -> Result<Sheet, String> {
    let names = &run.grouping()?.names;
    let key_columns = &["estimator", "statistic", "group_a", "group_b", "step"];
    let mut sheet = Sheet::new(key_columns, &["mean", "sd", "lower", "upper", "p"]);
    for estimate in &run.estimates {
        for curve in &estimate.null {
            let [a, b] = keys(names, Some(curve.subject));
            for (step, cells) in &curve.points {
                let (estimator, statistic) = (estimate.record.estimator.into(), curve.statistic.into());
                sheet.push(vec![estimator, statistic, a.clone(), b.clone(), Key::from(*step)], cells.to_vec());
            }
        }
    }
    Ok(sheet)
}
