//! How often the interval of the population as estimated from the sample covers the exact value.
//!
//! ```text
//! covered = #{steps t: lower_t ≤ x_t ≤ upper_t}      steps = #{steps t that have both the interval and the exact x_t}
//! ```
//!
//! A 95 % interval ought to cover nineteen steps of twenty; the steps of one run, which share their sample, are not independent.
//! Source: beyond the paper; [S 8.1].

use polars::prelude::*;

/// From the curves of one run.
pub(crate) fn table(curves: LazyFrame) -> LazyFrame {
    let keys = ["curve", "group_a", "group_b", "step"].map(col);
    let wanted = col("curve").eq(lit("share")).or(col("curve").eq(lit("difference")));
    let of_estimator =
        |estimator: &str| curves.clone().filter(wanted.clone().and(col("estimator").eq(lit(estimator.to_string()))));
    let exact =
        of_estimator("exact").select(keys.iter().cloned().chain([col("value").alias("exact")]).collect::<Vec<_>>());
    let mut args = JoinArgs::new(JoinType::Inner);
    // A share has no second group.
    args.nulls_equal = true;
    args.maintain_order = MaintainOrderJoin::Left;
    let covered = col("exact").gt_eq(col("lower")).and(col("exact").lt_eq(col("upper")));
    of_estimator("population")
        .join(exact, keys.clone(), keys, args)
        .filter(col("lower").is_not_null().and(col("exact").is_not_null()))
        .group_by_stable([col("curve").alias("statistic"), col("group_a"), col("group_b")])
        .agg([covered.sum().cast(DataType::UInt64).alias("covered"), len().cast(DataType::UInt64).alias("compared")])
}
