//! tests.parquet: the four tests of each estimator.

use crate::recompute::Recomputed;
use crate::sheet::Sheet;

pub(super) fn sheet(run: &Recomputed) -> Sheet {
    let columns = &["observed", "worlds", "exceedances", "p", "p_lower", "p_upper"];
    let mut sheet = Sheet::new(&["estimator", "statistic"], columns);
    for estimate in &run.estimates {
        for (statistic, test) in &estimate.pristine.tests {
            sheet.push(vec![estimate.record.estimator.into(), (*statistic).into()], test.cells());
        }
    }
    sheet
}
