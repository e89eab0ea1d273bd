//! The fraction of the examples of each group that was learned by each step.
//!
//! An example's learning step is the first evaluated step at which the network's argmax was its training label; it stays
//! learned from then on, whatever the network says later. Nothing of the kind is known of a trace without learned steps, or
//! without evaluations. An example without a learning step was never learned, unless the evaluations say otherwise: where the training
//! accuracy at some step is that of more examples than had been learned by then, it is not known which, and numbers and fractions are
//! missing. Source: §2.3, Figure 1(d); [S 4], [S 9].

use cograd_results::Kind;
use polars::prelude::*;

use crate::AnalysisError;
use crate::frame::{self, null};
use crate::record::{ALL, Record};
use crate::statistic::{Compute, Statistic};

/// Its definition.
pub const STATISTIC: Statistic = Statistic {
    name: "learned",
    about: "fraction of the training examples learned by each step, of all and by group",
    unit: "",
    tables: &["learned"],
    compute: Compute::Record { gradients: false, table },
};

/// Accuracies are quotients of whole numbers, perhaps rounded.
const HALF_AN_EXAMPLE: f64 = 0.5;

/// Of every evaluated step and group, first of all together: how many of its examples were learned by then.
fn table(record: &Record<'_>) -> Result<LazyFrame, AnalysisError> {
    let (steps, groups, learning) = (record.evaluated_steps()?, record.groups()?, record.learning_steps()?);
    let accuracies = record.accuracies()?.select([col("step"), col("train_accuracy")]);
    let table = || {
        let learning = learning.collect()?;
        // A group of all examples has the name of their rows.
        let is_own = col("order").lt(lit(0)).or(col("group").neq(lit(ALL)));
        let groups = groups.filter(lit(learning.height() > 0).and(is_own));
        let learned = learning
            .lazy()
            .filter(col("learned_step").is_not_null())
            .group_by_stable([col("group"), col("order"), col("learned_step").alias("step")])
            .agg([len().cast(DataType::Int64).alias("count")])
            .with_columns([null(Kind::Count).alias("examples"), lit(false).alias("evaluated")]);
        let evaluated = frame::every_pair(groups, steps)
            .with_columns([lit(0).cast(DataType::Int64).alias("count"), lit(true).alias("evaluated")]);
        let columns = ["group", "order", "step", "count", "examples", "evaluated"].map(col);
        let so_far = col("count").cum_sum(false).over([col("order")])?;
        let fraction = col("learned").cast(DataType::Float64) / col("examples").cast(DataType::Float64);
        let rows = frame::stacked(vec![learned.select(columns.clone()), evaluated.select(columns)])?
            .sort(["order", "step", "evaluated"], SortMultipleOptions::default())
            .with_column(so_far.alias("learned"))
            .filter(col("evaluated"))
            .collect()?;
        let mut args = JoinArgs::new(JoinType::Left);
        args.maintain_order = MaintainOrderJoin::Left;
        let right = col("train_accuracy") * col("examples").cast(DataType::Float64);
        let is_unknown = col("learned").cast(DataType::Float64).lt(right - lit(HALF_AN_EXAMPLE));
        let of_all = rows.clone().lazy().filter(col("order").lt(lit(0)));
        let unknown = of_all.join(accuracies, [col("step")], [col("step")], args).filter(is_unknown).collect()?;
        let is_known = lit(unknown.height() == 0);
        Ok(rows
            .lazy()
            .with_column(when(is_known).then(col("learned")).otherwise(null(Kind::Count)).alias("learned"))
            .with_column(frame::finite(fraction).alias("fraction"))
            .sort(["step", "order"], SortMultipleOptions::default()))
    };
    table().map_err(AnalysisError::frame)
}
