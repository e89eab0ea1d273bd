//! The null distribution at each step: exact moments, simultaneous band, pointwise p-value [S 3.1], [S 3.2].

use polars::prelude::*;

/// From the kernels' frame: statistic, groups, step, mean, sd, band (in standard deviations), exceedances of `worlds` null worlds.
/// A step whose exceedances are missing has no z, and neither band nor p-value.
pub(crate) fn table(frame: DataFrame, worlds: u64) -> PolarsResult<DataFrame> {
    let has_z = col("exceedances").is_not_null();
    let end =
        |sign: f64| when(has_z.clone()).then(col("mean") + lit(sign) * (col("band") * col("sd"))).otherwise(lit(NULL));
    let with_ends = frame.lazy().with_columns([end(-1.0).alias("lower"), end(1.0).alias("upper")]);
    super::with_p_values(with_ends.collect()?, worlds)
}
