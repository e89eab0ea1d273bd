//! Overfit: how much higher the training accuracy is than the accuracy on fresh data with the same label noise would be.
//!
//! ```text
//! overfit_t = ta_t − [ ε·(1/K) + (1 − ε)·va_t ]
//! ```
//!
//! with ta and va the accuracies on the training and on the test set, ε the label noise and K the number of classes. Test
//! labels are never noisy: the bracket is the accuracy that a network right on a fraction va of them would have if they
//! were. Slightly negative values are sampling noise. Missing where either accuracy is, or where ε or K is not known.
//!
//! Its **slope** over the run is that of the least-squares line of overfit on the step, over the evaluated steps, each
//! counted once, per 1 000 steps; missing with fewer than two of them. Source: §3.3, Figure 4; [S 4.1].

use polars::prelude::*;

use crate::AnalysisError;
use crate::frame::finite;
use crate::record::Record;
use crate::statistic::{Compute, Statistic};

/// Its definition.
pub const STATISTIC: Statistic = Statistic {
    name: "overfit",
    about: "training accuracy less the accuracy on fresh data with the same label noise",
    unit: "",
    tables: &["overfit"],
    compute: Compute::Record { gradients: false, table },
};

/// Steps that a slope is per.
const PER_STEPS: f64 = 1000.0;

fn table(record: &Record<'_>) -> Result<LazyFrame, AnalysisError> {
    let known = record.noise().zip(record.classes().filter(|&classes| classes > 0));
    let overfit = match known {
        Some((noise, classes)) => {
            let chance = noise / classes as f64;
            col("train_accuracy") - (lit(chance) + lit(1.0 - noise) * col("test_accuracy"))
        }
        None => lit(NULL).cast(DataType::Float64),
    };
    let proper = record.proper_accuracy()?.map_or_else(|| lit(NULL).cast(DataType::Float64), lit);
    Ok(record.accuracies()?.with_columns([overfit.alias("overfit"), proper.alias("proper_accuracy")]))
}

/// The slope of overfit on the step, of the rows that have one.
pub(crate) fn slope() -> Expr {
    let has = col("overfit").is_not_null();
    let step = col("step").cast(DataType::Float64).filter(has.clone());
    let overfit = col("overfit").filter(has);
    let (from_step, from_overfit) = (step.clone() - step.mean(), overfit.clone() - overfit.mean());
    let spread = (from_step.clone() * from_step.clone()).sum();
    let covered = (from_step * from_overfit).sum();
    finite(when(spread.clone().gt(lit(0.0))).then(lit(PER_STEPS) * covered / spread).otherwise(lit(NULL)))
}
