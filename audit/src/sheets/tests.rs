//! tests.parquet: the tests of each group, each pair and all at once, with Holm's correction.

use super::keys;
use crate::plain::holm::holm;
use crate::recompute::Recomputed;
use crate::record::Test;
use crate::sheet::{Sheet, Value};

pub(super) fn sheet(run: &Recomputed) -> Result<Sheet, String> {
    let names = &run.grouping()?.names;
    let columns = &["observed", "worlds", "exceedances", "p", "p_lower", "p_upper", "p_holm"];
    let mut sheet = Sheet::new(&["estimator", "statistic", "group_a", "group_b"], columns);
    for estimate in &run.estimates {
        for tests in estimate.tests.chunk_by(|a, b| a.statistic == b.statistic) {
            for (test, p_holm) in tests.iter().zip(corrected(tests)) {
                let [a, b] = keys(names, test.subject);
                let values = [test.cells(), vec![p_holm]].concat();
                sheet.push(vec![estimate.record.estimator.into(), test.statistic.into(), a, b], values);
            }
        }
    }
    Ok(sheet)
}

/// Holm's correction over the groups or pairs; the test of all at once has none.
fn corrected(tests: &[Test]) -> Vec<Value> {
    let p = |high: bool| -> Vec<Option<f64>> {
        let of = |test: &Test| {
            let exceedances = test.against_null().filter(|_| test.subject.is_some())?.exceedances;
            let count = if high { exceedances.high } else { exceedances.low };
            Some(f64::from(1 + count) / f64::from(1 + test.worlds))
        };
        holm(&tests.iter().map(of).collect::<Vec<_>>())
    };
    let value = |(low, high): (Option<f64>, Option<f64>)| match (low, high) {
        (Some(low), Some(high)) if low == high => Value::plain(Some(low)),
        (Some(low), Some(high)) => Value::Range(low * (1.0 - 1e-12), high * (1.0 + 1e-12)),
        _ => Value::Null,
    };
    p(false).into_iter().zip(p(true)).map(value).collect()
}
