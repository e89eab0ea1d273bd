//! Every curve over the seeds of a condition: mean and Student-t interval, step by step [S 9.1].
//!
//! A condition is the runs that differ in nothing but their seed.

use cograd_results::Kind;
use polars::prelude::*;

use super::curves::NAME;
use crate::frame;

/// From the curves of all runs, run by run, with the columns of the `conditions` and the place of each; in order of the
/// conditions' first runs, and of a curve by step.
pub(crate) fn table(curves: Vec<(u64, DataFrame)>, conditions: &[String]) -> PolarsResult<LazyFrame> {
    let mut places: Vec<u64> = curves.iter().map(|(place, _)| *place).collect();
    places.sort_unstable();
    places.dedup();
    let of_condition = |place: u64| {
        let runs: Vec<DataFrame> = curves.iter().filter(|(of, _)| *of == place).map(|(_, run)| run.clone()).collect();
        match runs.as_slice() {
            [run] => Ok(of_one_run(run)),
            _ => of_runs(frame::stacked(runs.into_iter().map(IntoLazy::lazy).collect())?.collect()?, conditions),
        }
    };
    let columns = conditions.iter().map(String::as_str).chain(NAME).chain(["step", "seeds", "mean", "lower", "upper"]);
    let columns: Vec<Expr> = columns.map(col).collect();
    let select = |rows: LazyFrame| rows.select(columns.clone());
    frame::stacked(places.into_iter().map(|place| of_condition(place).map(select)).collect::<PolarsResult<_>>()?)
}

/// One value has no interval.
fn of_one_run(run: &DataFrame) -> LazyFrame {
    run.clone().lazy().with_columns([
        col("value").is_not_null().cast(DataType::UInt64).alias("seeds"),
        col("value").alias("mean"),
        frame::null(Kind::Number).alias("lower"),
        frame::null(Kind::Number).alias("upper"),
    ])
}

/// Names are few: rows are grouped and ordered by the place of theirs.
fn of_runs(curves: DataFrame, conditions: &[String]) -> PolarsResult<LazyFrame> {
    let names = curves.clone().lazy().select(NAME.map(col)).unique_stable(None, UniqueKeepStrategy::First);
    let names = names.with_row_index("_curve_place", None).collect()?;
    let of_condition = curves.clone().lazy().select(conditions.iter().map(col).collect::<Vec<Expr>>()).limit(1);
    let mut args = JoinArgs::new(JoinType::Left);
    // Most curves have no groups, and many no layer.
    args.nulls_equal = true;
    args.maintain_order = MaintainOrderJoin::Left;
    let keys = ["_curve_place", "step"];
    let by_step = curves
        .lazy()
        .join(names.clone().lazy(), NAME.map(col), NAME.map(col), args.clone())
        .select(keys.into_iter().chain(["value"]).map(col).collect::<Vec<_>>())
        .group_by_stable(keys.map(col))
        .agg([col("value").drop_nulls()]);
    let sorted = super::mean_intervals(by_step, "value")?.sort(keys, SortMultipleOptions::default());
    let named = sorted.join(names.lazy(), [col("_curve_place")], [col("_curve_place")], args);
    Ok(if conditions.is_empty() { named } else { frame::every_pair(named, of_condition) })
}
