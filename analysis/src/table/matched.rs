//! Conditions at matched training accuracy: how well each generalises when all fit the training set equally well.
//!
//! ```text
//! A = min over the runs of max_t ta_t        va(A), overfit(A): where ta first reaches A
//! ```
//!
//! At one noise level A is the largest training accuracy that every run reached. Between the last evaluation below A and
//! the first at or above it, test accuracy, overfit and step are interpolated linearly in the training accuracy. A condition
//! that makes less of the training set than others makes A small: compare what can be compared. Only of noise levels with
//! several conditions. Source: beyond the paper, whose §5 asks how its rule compares with others; [S 4.2].

use polars::prelude::*;

use crate::conditions::{NOISE, PLACE};
use crate::frame;

/// From the rows of `overfit` of all runs, with the columns `run`, [`PLACE`], [`NOISE`] and the `conditions`.
pub(crate) fn table(overfit: LazyFrame, conditions: &[String]) -> PolarsResult<LazyFrame> {
    let by_run = overfit
        .clone()
        .group_by_stable([col(NOISE), col(PLACE), col("run")])
        .agg([col("train_accuracy").max().alias("_reached")]);
    let levels = by_run
        .group_by_stable([col(NOISE)])
        .agg([
            col("_reached").min().alias("_level"),
            col("_reached").null_count().alias("_unknown"),
            col(PLACE).n_unique().alias("_several"),
        ])
        .filter(col("_unknown").eq(lit(0)).and(col("_several").gt(lit(1))).and(col("_level").is_not_null()))
        .select([col(NOISE), col("_level")]);
    let before = |column: &str| col(column).shift(lit(1)).over([col("run")]);
    let mut args = JoinArgs::new(JoinType::Inner);
    args.nulls_equal = true;
    args.maintain_order = MaintainOrderJoin::Left;
    let known = overfit
        .filter(col("train_accuracy").is_not_null())
        .with_column(col("step").cast(DataType::Float64))
        .join(levels, [col(NOISE)], [col(NOISE)], args)
        .with_columns([
            before("train_accuracy")?.alias("_accuracy_before"),
            before("step")?.alias("_step_before"),
            before("test_accuracy")?.alias("_test_before"),
            before("overfit")?.alias("_overfit_before"),
            before("run")?.is_null().alias("_first"),
        ]);
    let rise = col("train_accuracy") - col("_accuracy_before");
    let part = when(rise.clone().gt(lit(0.0)).and(col("_first").not()))
        .then((col("_level") - col("_accuracy_before")) / rise)
        .otherwise(lit(1.0));
    let between = |from: &str, to: &str| {
        let moved = col(from) + col("_part") * (col(to) - col(from));
        when(col("_first")).then(col(to)).otherwise(moved).alias(format!("_{to}"))
    };
    let at_level = known
        .filter(col("train_accuracy").gt_eq(col("_level")))
        .unique_stable(Some(by_name(["run"], true, false)), UniqueKeepStrategy::First)
        .with_column(part.alias("_part"))
        .with_columns([
            between("_step_before", "step"),
            between("_test_before", "test_accuracy"),
            between("_overfit_before", "overfit"),
        ]);
    let keys: Vec<Expr> = conditions.iter().map(|name| col(name.as_str())).collect();
    let mean = |column: &str| col(format!("_{column}")).drop_nulls().mean().alias(column);
    let mut grouped: Vec<Expr> = keys;
    grouped.push(col(PLACE));
    Ok(at_level
        .group_by_stable(grouped)
        .agg([
            col("_level").first().alias("train_accuracy"),
            mean("step"),
            mean("test_accuracy"),
            mean("overfit"),
            frame::finite(col(NOISE).first()).alias("_noise_level"),
        ])
        .sort(["_noise_level", PLACE], SortMultipleOptions::default()))
}
