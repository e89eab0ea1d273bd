//! group_tests.parquet: the tests of each group, each pair and all at once, with Holm's correction.

use crate::plain::groups::Grouping;
use crate::plain::holm::holm;
use crate::recompute::Recomputed;
use crate::record::GroupTest;
use crate::sheet::{Key, Sheet, Value};

pub(super) fn sheet(run: &Recomputed, grouping: &Grouping) -> Sheet {
    let columns = &["observed", "worlds", "exceedances", "p", "p_lower", "p_upper", "p_holm"];
    let mut sheet = Sheet::new(&["estimator", "statistic", "group_a", "group_b"], columns);
    let name = |group: Option<usize>| Key::from(group.map(|group| grouping.names[group].as_str()));
    for estimate in &run.estimates {
        for statistic in ["share", "mean_share", "difference"] {
            let of_statistic = |test: &&GroupTest| test.statistic == statistic;
            let tests: Vec<&GroupTest> =
                estimate.grouped.iter().flat_map(|grouped| &grouped.tests).filter(of_statistic).collect();
            for (test, p_holm) in tests.iter().zip(corrected(&tests)) {
                let key =
                    vec![estimate.record.estimator.into(), statistic.into(), name(test.group_a), name(test.group_b)];
                let mut values = test.test.cells();
                values.push(p_holm);
                sheet.push(key, values);
            }
        }
    }
    sheet
}

/// Holm's correction over the groups or pairs; the test of all at once has none.
fn corrected(tests: &[&GroupTest]) -> Vec<Value> {
    let exceedances = |test: &GroupTest| test.test.tested.filter(|_| test.test.worlds > 0).map(|of| of.exceedances);
    let p = |high: bool| -> Vec<Option<f64>> {
        let of = |test: &&GroupTest| {
            let exceedances = exceedances(test).filter(|_| test.group_a.is_some())?;
            let count = if high { exceedances.high } else { exceedances.low };
            Some(f64::from(1 + count) / f64::from(1 + test.test.worlds))
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
