//! Every curve of every table in one long table, as the definitions of the tables say.

use cograd_results::{Curve, CurveName, Kind, Table};
use polars::prelude::*;

use crate::frame::null;
use crate::record::ALL;

/// The columns that name a curve.
pub(crate) const NAME: [&str; 5] = ["curve", "estimator", "layer", "group_a", "group_b"];

/// One of the curves of a table, from rows of a run.
pub(crate) fn of_curve(table: &Table, curve: &Curve, rows: &DataFrame) -> LazyFrame {
    let has = |name: &str| rows.column(name).is_ok();
    let column = |name: &str, kind: Kind| if has(name) { col(name.to_string()) } else { null(kind) };
    let name = match curve.name {
        CurveName::Fixed(name) => lit(name),
        CurveName::Column(name) => col(name),
        CurveName::Joined(first, second) => col(first) + lit("_") + col(second),
    };
    let group = |place: usize| match curve.groups[place] {
        // All examples together are no group of an evaluation; elsewhere `all` may be the one group.
        Some(name) if table.has("estimator") => col(name).cast(DataType::String),
        Some(name) => when(col(name).neq(lit(ALL))).then(col(name)).otherwise(lit(NULL)).cast(DataType::String),
        None => null(Kind::Text),
    };
    let end =
        |place: usize| curve.interval.map_or_else(|| null(Kind::Number), |ends| column(ends[place], Kind::Number));
    let actual = if table.has("world") { col("world").eq(lit(0)) } else { lit(true) };
    rows.clone().lazy().filter(actual).select([
        name.cast(DataType::String).alias("curve"),
        column("estimator", Kind::Text).alias("estimator"),
        column("layer", Kind::Text).alias("layer"),
        group(0).alias("group_a"),
        group(1).alias("group_b"),
        col("step").cast(DataType::Int64),
        col(curve.value).cast(DataType::Float64).alias("value"),
        end(0).cast(DataType::Float64).alias("lower"),
        end(1).cast(DataType::Float64).alias("upper"),
    ])
}
