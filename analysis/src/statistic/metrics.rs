//! The learning curves, as recorded: loss, accuracy and whatever else the trace has of its evaluations.
//!
//! Source: §2.3, Figure 1(a)–(c); [S 4].

use polars::prelude::LazyFrame;

use crate::AnalysisError;
use crate::record::Record;
use crate::statistic::{Compute, Statistic};

/// Its definition.
pub const STATISTIC: Statistic = Statistic {
    name: "metrics",
    about: "the learning curves, as recorded: loss, accuracy and whatever else the trace has",
    unit: "",
    tables: &["metrics"],
    compute: Compute::Record { gradients: false, table },
};

fn table(record: &Record<'_>) -> Result<LazyFrame, AnalysisError> {
    record.metrics()
}
