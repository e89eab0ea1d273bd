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
    Column, DataFrame, DataType, IntoLazy, JoinArgs, JoinType, LazyFrame, MaintainOrderJoin, PolarsError, PolarsResult,
    col, df,
};

use crate::expression::student_t;
use crate::kernel::zero;

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
    let mut rows = values.collect()?;
    let mut moments = Vec::with_capacity(rows.height());
    for values in rows.column(list)?.list()?.amortized_iter() {
        let values =
            values.map(|values| Ok::<_, PolarsError>(values.as_ref().f64()?.iter().flatten().collect::<Vec<f64>>()));
        moments.push(Moments::new(&values.transpose()?.unwrap_or_default()));
    }
    let most = moments.iter().map(|moments| moments.seeds).max().unwrap_or(0);
    rows.with_column(Column::new("seeds".into(), moments.iter().map(|of| of.seeds).collect::<Vec<_>>()))?;
    rows.with_column(Column::new("mean".into(), moments.iter().map(|of| of.mean).collect::<Vec<_>>()))?;
    rows.with_column(Column::new("sd".into(), moments.iter().map(|of| of.sd).collect::<Vec<_>>()))?;
    let seeds: Vec<u64> = (2..=most).collect();
    let quantiles: Vec<Option<f64>> = seeds.iter().map(|&seeds| student_t::quantile((seeds - 1) as f64)).collect();
    let quantiles = df!("seeds" => seeds, "t" => quantiles)?.lazy();
    let mut args = JoinArgs::new(JoinType::Left);
    args.maintain_order = MaintainOrderJoin::Left;
    Ok(rows.lazy().join(quantiles, [col("seeds")], [col("seeds")], args).with_columns([
        crate::frame::finite(col("mean") - spread()).alias("lower"),
        crate::frame::finite(col("mean") + spread()).alias("upper"),
    ]))
}

/// Number, mean and standard deviation of the values of several seeds.
struct Moments {
    seeds: u64,
    mean: Option<f64>,
    sd: Option<f64>,
}

impl Moments {
    /// Values that differ by no more than the rounding of their mean have no spread. They are divided by the largest before they are
    /// squared: the smallest numbers have one too.
    fn new(values: &[f64]) -> Moments {
        let n = values.len() as f64;
        let largest = values.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
        let mean = match values.iter().sum::<f64>() / n {
            // Their sum may be beyond the largest number, their mean is not.
            mean if mean.is_infinite() => values.iter().map(|value| value / largest).sum::<f64>() / n * largest,
            mean => mean,
        };
        let farthest = values.iter().fold(0.0_f64, |farthest, value| farthest.max((value - mean).abs()));
        let spread = || {
            let squares: f64 = values.iter().map(|value| ((value - mean) / largest).powi(2)).sum();
            largest * (squares / (n - 1.0)).sqrt()
        };
        let is_constant = zero::or_zero(farthest, n, largest) == 0.0;
        Moments {
            seeds: values.len() as u64,
            mean: (!values.is_empty()).then_some(mean),
            sd: (values.len() > 1).then(|| if is_constant { 0.0 } else { spread() }),
        }
    }
}
