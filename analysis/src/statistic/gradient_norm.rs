//! The squared norm of the summed gradient.
//!
//! ```text
//! ‖g_t‖² = Σ_i s_{t,i}
//! ```
//!
//! over the examples and coordinates of the estimator, in units of loss per learning rate; missing if it is not finite.
//! Source: Equations 1 and 2; [S 2].

use polars::prelude::*;

use crate::frame;
use crate::statistic::{Compute, NamedTables, Statistic};

/// Its definition.
pub const STATISTIC: Statistic = Statistic {
    name: "gradient_norm",
    about: "‖g‖², the squared norm of the summed gradient",
    unit: "loss units",
    tables: &["gradient_norms"],
    compute: Compute::Contributions { tested: |_, _| Vec::new(), tables },
};

fn tables(sums: LazyFrame) -> PolarsResult<NamedTables> {
    let actual = sums.filter(col("world").eq(lit(0)).and(col("order").eq(lit(0))));
    Ok(vec![("gradient_norms", actual.with_column(frame::finite(col("total")).alias("gradient_norm_sq")))])
}
