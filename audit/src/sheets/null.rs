//! null.parquet: the null distribution of α and D by estimator and step.

use crate::recompute::Recomputed;
use crate::sheet::{Key, Sheet};

pub(super) fn sheet(run: &Recomputed) -> Sheet {
    let columns = &["mean", "sd", "lower", "upper", "p"];
    let mut sheet = Sheet::new(&["estimator", "statistic", "step"], columns);
    for estimate in &run.estimates {
        let statistics = [("alpha", &estimate.pristine.alpha), ("difference", &estimate.pristine.difference)];
        for (statistic, points) in statistics {
            for point in points {
                let key = vec![estimate.record.estimator.into(), statistic.into(), Key::Int(point.step)];
                let values = [&point.mean, &point.sd, &point.lower, &point.upper, &point.p];
                sheet.push(key, values.into_iter().cloned().collect());
            }
        }
    }
    sheet
}
