//! How often the interval of the population as estimated from the sample covers the exact value.
//!
//! ```text
//! covered = #{steps t: lower_t ≤ x_t ≤ upper_t}      steps = #{steps t that have both the interval and the exact x_t}
//! ```
//!
//! A 95 % interval ought to cover nineteen steps of twenty; the steps of one run, which share their sample, are not independent.
//! Source: beyond the paper; [S 8.1].

use std::collections::BTreeMap;

use cograd_results::Table;
use cograd_results::tables::{DIFFERENCES, SHARES};
use polars::prelude::*;

use super::curves;
use crate::frame;

/// From the tables of one run; `None` without any that it is of.
pub(crate) fn table(tables: &BTreeMap<&'static str, DataFrame>) -> PolarsResult<Option<DataFrame>> {
    let of_table = |table: &Table| tables.get(table.name).map(|rows| curves::of_curve(table, &table.curves[0], rows));
    let curves: Vec<LazyFrame> = [SHARES, DIFFERENCES].iter().filter_map(of_table).collect();
    if curves.is_empty() {
        return Ok(None);
    }
    let curves = frame::stacked(curves)?;
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
    let covered = of_estimator("population")
        .join(exact, keys.clone(), keys, args)
        .filter(col("lower").is_not_null().and(col("exact").is_not_null()))
        .group_by_stable([col("curve").alias("statistic"), col("group_a"), col("group_b")])
        .agg([covered.sum().cast(DataType::UInt64).alias("covered"), len().cast(DataType::UInt64).alias("compared")]);
    covered.collect().map(Some)
}
