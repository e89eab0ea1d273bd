//! Contribution and self term of every sampled example.
//!
//! ```text
//! s_{t,i} = ⟨g_{t,i}, g_t⟩      q_{t,i} = ‖g_{t,i}‖²
//! ```
//!
//! of which every other statistic of contributions is a function. Source: §2.4; [S 2].

use polars::prelude::LazyFrame;

use crate::AnalysisError;
use crate::record::Record;
use crate::statistic::{Compute, Statistic};

/// Its definition.
pub const STATISTIC: Statistic = Statistic {
    name: "contributions",
    about: "contribution and self term of every sampled example at every step",
    unit: "loss units",
    tables: &["contributions"],
    compute: Compute::Record { gradients: true, table },
};

fn table(record: &Record<'_>) -> Result<LazyFrame, AnalysisError> {
    record.contributions()
}
