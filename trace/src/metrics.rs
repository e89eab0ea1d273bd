//! `metrics.parquet`: what was measured during training, one number a row.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Float64Array, Int64Array, StringArray, UInt64Array};
use parquet::file::metadata::KeyValue;

use crate::TraceError;
use crate::schema::{Kind, Wanted};
use crate::table::{LONGEST_NAME, read_table, write_table};

/// One measurement at w_t, before update t.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// Step t.
    pub step: i64,
    /// Set measured on: `train` (with the labels trained on), `test`, `validation`, …
    pub split: String,
    /// `all`, or the name of the group of its examples measured on.
    pub group: String,
    /// What was measured: `loss`, `accuracy`, …
    pub metric: String,
    /// Its value; that of a run that diverged may be anything.
    pub value: f64,
    /// Number of examples measured on; 0 if it is no mean over examples.
    pub examples: u64,
}

/// Reads `metrics.parquet`, in the order of its rows.
pub(crate) fn read_metrics(path: &Path) -> Result<Vec<Metric>, TraceError> {
    let wanted = [("step", Kind::Integer), ("value", Kind::Number), ("examples", Kind::Integer)];
    let texts = ["split", "group", "metric"].map(|name| (name, Kind::Text));
    let wanted: Vec<Wanted> =
        wanted.into_iter().chain(texts).map(|(name, kind)| Wanted::required(name, kind)).collect();
    let mut rows = Vec::new();
    read_table(path, &wanted, |table| {
        let (steps, values, examples) = (table.integers("step")?, table.numbers("value")?, table.integers("examples")?);
        let (splits, groups, metrics) = (table.names("split")?, table.names("group")?, table.names("metric")?);
        for row in 0..table.rows() {
            let count = examples.value(row);
            let metric = Metric {
                step: steps.value(row),
                split: splits.value(row).to_string(),
                group: groups.value(row).to_string(),
                metric: metrics.value(row).to_string(),
                value: values.value(row),
                examples: u64::try_from(count).map_err(|_| table.error(row, "examples", format!("is {count}")))?,
            };
            check_metric(&metric).map_err(|(column, message)| table.error(row, column, message))?;
            rows.push(metric);
        }
        Ok(())
    })?;
    Ok(rows)
}

/// What is wrong with a measurement, if anything: the column and a message.
pub(crate) fn check_metric(metric: &Metric) -> Result<(), (&'static str, String)> {
    let Metric { step, split, group, metric: name, value, .. } = metric;
    if *step < 0 {
        return Err(("step", format!("is {step}, but steps begin at 0")));
    }
    for (column, text) in [("split", split), ("group", group), ("metric", name)] {
        if text.is_empty() || text.len() > LONGEST_NAME {
            return Err((column, format!("must have 1 to {LONGEST_NAME} bytes")));
        }
    }
    if name == "accuracy" && !(0.0..=1.0).contains(value) {
        return Err(("value", format!("is {value}, but an accuracy lies in [0, 1]")));
    }
    Ok(())
}

/// Writes `metrics.parquet` to `sink`; `path` is for messages.
pub(crate) fn write_metrics(
    sink: impl Write + Send,
    path: &Path,
    footer: KeyValue,
    rows: &[Metric],
) -> Result<(), TraceError> {
    let all = || rows.iter();
    let columns: Vec<crate::table::Column<'_>> = vec![
        ("step", Arc::new(Int64Array::from_iter_values(all().map(|row| row.step))), false),
        ("split", Arc::new(StringArray::from_iter_values(all().map(|row| &row.split))), false),
        ("group", Arc::new(StringArray::from_iter_values(all().map(|row| &row.group))), false),
        ("metric", Arc::new(StringArray::from_iter_values(all().map(|row| &row.metric))), false),
        ("value", Arc::new(Float64Array::from_iter_values(all().map(|row| row.value))), false),
        ("examples", Arc::new(UInt64Array::from_iter_values(all().map(|row| row.examples))), false),
    ];
    write_table(sink, path, footer, columns)
}
