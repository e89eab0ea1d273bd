//! Overfit: how much higher the training accuracy is than the accuracy on fresh data with the same label noise would be.
//!
//! ```text
//! overfit_t = ta_t − [ ε·c_t + (1 − ε)·va_t ]
//! ```
//!
//! with ta and va the accuracies on the training and on the test set, ε the label noise and c the accuracy on permuted test labels,
//! Σ_k p_k f_k, with p_k the frequencies of the training labels and f_k those of the network's answers on the test set: the metric `chance`. Without
//! that metric c is Σ_k p_k², and 1/K of K classes where there are no labels. Test labels are never noisy: the bracket is the accuracy that
//! the network would have on them if they were. Slightly negative values are sampling noise. Missing where either accuracy is, or where ε
//! or c is not known.
//!
//! Its **slope** over the run is that of the least-squares line of overfit on the step, over the evaluated steps, each
//! counted once, per 1 000 steps; missing with fewer than two of them. Source: §3.3, Figure 4; [S 4.1], [S 9].

use cograd_results::Kind;
use polars::prelude::*;

use crate::AnalysisError;
use crate::frame::{finite, null};
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
    let known = |number: Option<f64>| number.map_or_else(|| null(Kind::Number), lit);
    let noise = record.noise();
    let of_noisy = known(noise) * col("chance") + known(noise.map(|noise| 1.0 - noise)) * col("test_accuracy");
    Ok(record.accuracies()?.with_column(col("chance").fill_null(known(record.chance()?))).with_columns([
        (col("train_accuracy") - of_noisy).alias("overfit"),
        known(record.proper_accuracy()?).alias("proper_accuracy"),
    ]))
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
