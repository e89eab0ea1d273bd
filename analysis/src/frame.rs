//! Frames: the columns that every row begins with, Arrow batches of them, and expressions that several tables share.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{DataType as ArrowType, Field, Schema};
use cograd_results::{Kind, Results, Table};
use cograd_trace::Condition;
use polars::prelude::*;

use crate::AnalysisError;

/// `numerator`/`denominator` where that is positive and both are finite; null elsewhere.
pub(crate) fn ratio(numerator: Expr, denominator: Expr) -> Expr {
    let defined = denominator.clone().gt(lit(0.0)).and(denominator.clone().is_finite());
    finite(when(defined).then(numerator / denominator).otherwise(lit(NULL)))
}

/// The number where it is finite; null elsewhere.
pub(crate) fn finite(number: Expr) -> Expr {
    when(number.clone().is_finite()).then(number).otherwise(lit(NULL))
}

/// A null of a type of columns.
pub(crate) fn null(kind: Kind) -> Expr {
    lit(NULL).cast(data_type(kind))
}

pub(crate) fn data_type(kind: Kind) -> DataType {
    match kind {
        Kind::Text => DataType::String,
        Kind::Integer => DataType::Int64,
        Kind::Count => DataType::UInt64,
        Kind::Number => DataType::Float64,
        Kind::Boolean => DataType::Boolean,
    }
}

/// A whole number from 0 on, of the type of counts: as large as any seed, which a plain literal is not.
pub(crate) fn count(value: u64) -> Expr {
    lit(Scalar::from(value))
}

/// The value of a condition as a column of its kind.
pub(crate) fn literal(value: Option<&Condition>, kind: Kind) -> Expr {
    match (value, kind) {
        (None, _) => null(kind),
        (Some(value), Kind::Text) => lit(value.to_string()),
        (Some(Condition::Boolean(value)), _) => lit(*value),
        (Some(Condition::Integer(value)), Kind::Integer) => lit(*value).cast(DataType::Int64),
        (Some(value), _) => value.number().map_or_else(|| null(kind), lit),
    }
}

/// Every row of one frame with every row of another.
pub(crate) fn every_pair(left: LazyFrame, right: LazyFrame) -> LazyFrame {
    let marked = |rows: LazyFrame| rows.with_column(lit(0_u64).alias("every"));
    let mut args = JoinArgs::new(JoinType::Inner);
    args.maintain_order = MaintainOrderJoin::Left;
    marked(left).join(marked(right), [col("every")], [col("every")], args)
}

/// All rows of frames with the same columns, one frame after the other.
pub(crate) fn stacked(frames: Vec<LazyFrame>) -> PolarsResult<LazyFrame> {
    concat(frames, UnionArgs { parallel: false, ..UnionArgs::default() })
}

/// The rows of `frame` with the columns `identity` and then those of `table`, in their types, as Arrow's; a column that the
/// frame has not is null.
pub(crate) fn batch(frame: &DataFrame, identity: &[(String, Kind)], table: &Table) -> PolarsResult<RecordBatch> {
    let own = table.columns.iter().map(|column| (column.name.to_string(), column.kind));
    let columns: Vec<(String, Kind)> = identity.iter().cloned().chain(own).collect();
    let arrays = columns.iter().map(|(name, kind)| array(frame, name, *kind)).collect::<PolarsResult<Vec<_>>>()?;
    let fields = columns.iter().map(|(name, kind)| Field::new(name, arrow_type(*kind), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    RecordBatch::try_new(schema, arrays).map_err(|error| PolarsError::ComputeError(error.to_string().into()))
}

fn arrow_type(kind: Kind) -> ArrowType {
    match kind {
        Kind::Text => ArrowType::Utf8,
        Kind::Integer => ArrowType::Int64,
        Kind::Count => ArrowType::UInt64,
        Kind::Number => ArrowType::Float64,
        Kind::Boolean => ArrowType::Boolean,
    }
}

fn array(frame: &DataFrame, name: &str, kind: Kind) -> PolarsResult<ArrayRef> {
    let missing = || Series::full_null(name.into(), frame.height(), &data_type(kind)).into();
    let column = frame.column(name).cloned().unwrap_or_else(|_| missing()).cast(&data_type(kind))?;
    Ok(match kind {
        Kind::Text => Arc::new(column.str()?.iter().collect::<StringArray>()),
        Kind::Integer => Arc::new(column.i64()?.iter().collect::<Int64Array>()),
        Kind::Count => Arc::new(column.u64()?.iter().collect::<UInt64Array>()),
        Kind::Number => {
            Arc::new(column.f64()?.iter().map(|value| value.filter(|value| !value.is_nan())).collect::<Float64Array>())
        }
        Kind::Boolean => Arc::new(column.bool()?.iter().collect::<BooleanArray>()),
    })
}

/// A whole table of results as a frame; `None` if the results have none of this name.
pub(crate) fn read(results: &Results, name: &str) -> Result<Option<DataFrame>, AnalysisError> {
    let Some(rows) = results.rows(name)? else { return Ok(None) };
    let column = |name: &str| {
        let all = 0..rows.len();
        match rows.kind(name)? {
            Kind::Text => Some(Column::new(name.into(), all.map(|row| rows.text(name, row)).collect::<Vec<_>>())),
            Kind::Integer => Some(Column::new(name.into(), all.map(|row| rows.integer(name, row)).collect::<Vec<_>>())),
            Kind::Count => Some(Column::new(name.into(), all.map(|row| rows.count(name, row)).collect::<Vec<_>>())),
            Kind::Number => Some(Column::new(name.into(), all.map(|row| rows.number(name, row)).collect::<Vec<_>>())),
            Kind::Boolean => Some(Column::new(name.into(), all.map(|row| rows.boolean(name, row)).collect::<Vec<_>>())),
        }
    };
    let columns = rows.columns().filter_map(column).collect();
    DataFrame::new(rows.len(), columns).map(Some).map_err(AnalysisError::frame)
}
