//! runs.parquet: sizes, provenance and last evaluation.

use crate::plain::{curves, overfit};
use crate::recompute::Recomputed;
use crate::sheet::{Sheet, Value};

pub(super) fn sheet(run: &Recomputed) -> Result<Sheet, String> {
    let (manifest, task, overfit) = (run.manifest(), &run.manifest().task, &run.overfit);
    let (recorded, exact) = (&run.paper().record, run.exact().map(|exact| &exact.record));
    let count = |count: Option<usize>| count.map_or(Value::Null, Value::int);
    let has_population = !manifest.population_steps.is_empty();
    let last = |split: &str, metric: &str| {
        let last = curves::curve(&run.trace.metrics, split, metric).last().map(|(_, value)| *value);
        Value::exact(last.filter(|value| value.is_finite()))
    };
    let cells = [
        ("updates", Value::int(manifest.steps)),
        ("train_examples", Value::int(manifest.train_examples)),
        ("population_examples", count(has_population.then_some(manifest.population_examples))),
        ("sampled_examples", Value::int(run.selected.len())),
        ("coordinates", Value::int(run.coordinates)),
        ("parameter_count", run.trace.size.map_or(Value::Null, Value::int)),
        ("recorded_steps", Value::int(recorded.steps.len())),
        ("contiguous_steps", Value::int(recorded.contiguous)),
        ("population_steps", count(exact.map(|exact| exact.steps.len()))),
        ("population_contiguous_steps", count(exact.map(|exact| exact.contiguous))),
        ("skipped_steps", Value::int(manifest.skipped_steps.len())),
        ("trace_bytes", Value::int(manifest.files.values().map(|file| file.bytes).sum::<u64>())),
        ("manifest_sha256", Value::text(Some(&run.manifest_sha256))),
        ("writer", Value::text(Some(&manifest.writer))),
        ("loss_name", Value::text(task.loss.as_deref())),
        ("network_name", Value::text(task.network.as_deref())),
        ("final_train_loss", last("train", "loss")),
        ("final_train_accuracy", last("train", "accuracy")),
        ("final_test_loss", last("test", "loss")),
        ("final_test_accuracy", last("test", "accuracy")),
        ("max_train_accuracy", Value::exact(overfit::largest(overfit))),
        ("final_overfit", Value::near(overfit.last().and_then(|at| at.overfit), 1.0)),
        ("overfit_slope", overfit::slope(overfit).map_or(Value::Null, |(slope, size)| Value::near(Some(slope), size))),
        ("proper_accuracy", Value::plain(run.trace.examples.proper_accuracy())),
        // A sentence, if there is something to explain.
        ("population_left_out", if run.is_population_left_out { Value::Words } else { Value::Null }),
        ("class_count", task.classes.map_or(Value::Null, Value::int)),
    ];
    let (columns, values): (Vec<&str>, Vec<Value>) = cells.into_iter().unzip();
    let mut sheet = Sheet::new(&[], &columns);
    sheet.push(Vec::new(), values);
    Ok(sheet)
}
