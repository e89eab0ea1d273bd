//! The tests of groups: p-values, how sure they are, and what is left of them after correction [S 3.2], [S 3.3].

use polars::prelude::*;

use crate::expression::{clopper_pearson, holm};

/// From the kernels' frame: estimator, statistic, groups, observed, exceedances of `worlds` null worlds.
pub(crate) fn table(frame: DataFrame, worlds: u64) -> PolarsResult<DataFrame> {
    let exceedances = if worlds > 0 { col("exceedances") } else { lit(NULL).cast(DataType::UInt32) };
    let counted = frame.lazy().with_column(exceedances.alias("exceedances")).collect()?;
    let tested = super::with_p_values(counted, worlds)?.lazy();
    let corrected = holm::corrected(tested, &["estimator", "statistic"], col("group_a").is_not_null(), "p_holm")?;
    clopper_pearson::with_intervals(corrected.collect()?, worlds)
}
