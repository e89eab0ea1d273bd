//! null.parquet: the null distribution of shares and differences by estimator and step.

use super::keys;
use crate::recompute::Recomputed;
use crate::sheet::{Key, Sheet};

/// Steps of a sheet.
const STEPS: usize = 1 << 14;

/// Hands on the rows in parts.
pub(crate) fn each(run: &Recomputed, mut take: impl FnMut(&Sheet)) -> Result<(), String> {
    let names = &run.grouping()?.names;
    let empty = || {
        Sheet::new(&["estimator", "statistic", "group_a", "group_b", "step"], &["mean", "sd", "lower", "upper", "p"])
    };
    // Without rows they are compared too.
    take(&empty());
    for estimate in &run.estimates {
        estimate.null(STEPS, |curves| {
            let mut sheet = empty();
            for curve in curves {
                let [a, b] = keys(names, Some(curve.subject));
                for (step, cells) in curve.points {
                    let (estimator, statistic) = (estimate.record.estimator.into(), curve.statistic.into());
                    sheet.push(vec![estimator, statistic, a.clone(), b.clone(), Key::from(step)], cells);
                }
            }
            take(&sheet);
        });
    }
    Ok(())
}
