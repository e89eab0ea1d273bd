//! The tables: everything relational, as polars expressions on frames that carry the conditions of the runs as columns.
//!
//! A file a table that is made of other tables, or of the kernels' counts. Sums over many rows are the kernels'; what is added
//! up here is small, and in the order of the rows, so that results are the same to the last bit every time.

pub(crate) mod coverage;
pub(crate) mod curves;
pub(crate) mod matched;
pub(crate) mod null;
pub(crate) mod over_seeds;
pub(crate) mod predictions;
pub(crate) mod runs;
pub(crate) mod tests;

use polars::prelude::{
    Column, DataFrame, DataType, IntoLazy, JoinArgs, JoinType, LazyFrame, MaintainOrderJoin, PolarsResult, col, df,
};

use crate::expression::student_t;

/// Adds column `p`, the p-value of a permutation test, (1 + exceedances)/(B + 1), and `worlds`, B: null without a count, or without
/// a null world [S 3.2]. Number by number: polars multiplies a column by the reciprocal of a constant, which rounds twice.
pub(crate) fn with_p_values(mut rows: DataFrame, worlds: u64) -> PolarsResult<DataFrame> {
    let counts = rows.column("exceedances")?.cast(&DataType::UInt64)?;
    let p_value =
        |count: Option<u64>| count.filter(|_| worlds > 0).map(|count| (1 + count) as f64 / (1 + worlds) as f64);
    let p: Vec<Option<f64>> = counts.u64()?.iter().map(p_value).collect();
    let height = rows.height();
    rows.with_column(Column::new("p".into(), p))?;
    rows.with_column(Column::new("worlds".into(), vec![worlds; height]))?;
    Ok(rows)
}

/// Of a list of values without nulls: columns `seeds`, `mean`, `sd` and, with the quantiles of Student's t, `lower` and `upper` [S 9.1].
pub(crate) fn mean_intervals(values: LazyFrame, list: &str) -> PolarsResult<LazyFrame> {
    let spread = || col("t") * col("sd") / col("seeds").cast(DataType::Float64).sqrt();
    let with_moments = values.with_columns([
        col(list).list().len().cast(DataType::UInt64).alias("seeds"),
        col(list).list().mean().alias("mean"),
        col(list).list().std(1).alias("sd"),
    ]);
    let most = with_moments.clone().select([col("seeds").max()]).collect()?;
    let most = most.column("seeds")?.u64()?.get(0).unwrap_or(0);
    let seeds: Vec<u64> = (2..=most).collect();
    let quantiles: Vec<Option<f64>> = seeds.iter().map(|&seeds| student_t::quantile((seeds - 1) as f64)).collect();
    let quantiles = df!("seeds" => seeds, "t" => quantiles)?.lazy();
    let mut args = JoinArgs::new(JoinType::Left);
    args.maintain_order = MaintainOrderJoin::Left;
    Ok(with_moments.join(quantiles, [col("seeds")], [col("seeds")], args).with_columns([
        crate::frame::finite(col("mean") - spread()).alias("lower"),
        crate::frame::finite(col("mean") + spread()).alias("upper"),
    ]))
}
