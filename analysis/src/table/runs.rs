//! One row a run: sizes and provenance, what is read off its learning curves, and what the predictions are judged by.

use cograd_trace::Run;
use polars::prelude::*;

use crate::AnalysisError;
use crate::frame::finite;
use crate::kernel::contribution::contiguous_steps;
use crate::record::Record;
use crate::selection::Selection;
use crate::statistic::overfit;

/// The paper's slope is taken over evaluations up to this step.
const EARLY_STEPS: i64 = 10;
/// The group of the examples whose label is as it was, and that of the others.
const PRISTINE: &str = "pristine";
const CORRUPT: &str = "corrupt";

/// What of a run was analysed.
pub(crate) struct Analysed<'a> {
    pub(crate) run: &'a Run,
    pub(crate) selection: &'a Selection,
    /// Analysed steps with gradients, and of the population record; `None` without one, or if it is left out.
    pub(crate) steps: &'a [i64],
    pub(crate) population_steps: Option<&'a [i64]>,
    pub(crate) population_left_out: Option<&'a str>,
    pub(crate) manifest_sha256: String,
}

/// The row of a run: the columns of `runs`, and those that only predictions need. `tables` are the run's, by name.
pub(crate) fn row<'t>(
    analysed: &Analysed<'_>,
    record: &Record<'_>,
    tables: impl Fn(&str) -> Option<&'t DataFrame>,
) -> Result<DataFrame, AnalysisError> {
    let manifest = analysed.run.manifest();
    let sizes = sizes(analysed)?;
    let curves = curves(record)?;
    let evidence = || -> PolarsResult<Vec<LazyFrame>> {
        let of_groups =
            [tables("groups").map(group_sizes), tables("shares").map(first_share), tables("tests").map(tested)];
        of_groups.into_iter().flatten().collect()
    };
    let mut all = vec![sizes.lazy(), curves];
    all.extend(evidence().map_err(AnalysisError::frame)?);
    all.push(medians(record)?);
    let row = concat_lf_horizontal(all, HConcatOptions::default()).and_then(LazyFrame::collect);
    let mut row = row.map_err(AnalysisError::frame)?;
    row.with_column(Column::new("updates".into(), [manifest.steps])).map_err(AnalysisError::frame)?;
    Ok(row)
}

fn sizes(analysed: &Analysed<'_>) -> Result<DataFrame, AnalysisError> {
    let manifest = analysed.run.manifest();
    let layers = analysed.run.layers();
    let layers = layers.map_err(|source| AnalysisError::in_run(analysed.run, source))?;
    let parameters: Option<u64> = layers.iter().map(|layer| layer.size).sum();
    let has_population = !manifest.population_steps.is_empty();
    let frame = df!(
        "train_examples" => [manifest.train_examples as u64],
        "population_examples" => [has_population.then_some(manifest.population_examples as u64)],
        "sampled_examples" => [analysed.selection.sampled.len() as u64],
        "coordinates" => [analysed.selection.coordinates() as u64],
        "parameter_count" => [parameters],
        "recorded_steps" => [analysed.steps.len() as u64],
        "contiguous_steps" => [contiguous_steps(analysed.steps) as u64],
        "population_steps" => [analysed.population_steps.map(|steps| steps.len() as u64)],
        "population_contiguous_steps" => [analysed.population_steps.map(|steps| contiguous_steps(steps) as u64)],
        "skipped_steps" => [manifest.skipped_steps.len() as u64],
        "trace_bytes" => [manifest.files.values().map(|file| file.bytes).sum::<u64>()],
        "manifest_sha256" => [analysed.manifest_sha256.as_str()],
        "writer" => [manifest.writer.as_str()],
        "loss_name" => [manifest.task.loss.as_deref()],
        "network_name" => [manifest.task.network.as_deref()],
        "population_left_out" => [analysed.population_left_out],
        "class_count" => [manifest.task.classes.map(|classes| classes as i64)],
    );
    frame.map_err(AnalysisError::frame)
}

/// What is read off the learning curves.
fn curves(record: &Record<'_>) -> Result<LazyFrame, AnalysisError> {
    let metrics = record.metrics()?.sort(["step"], SortMultipleOptions::default().with_maintain_order(true));
    let last = |split: &str, metric: &str| {
        let is = |name: &str, value: &str| col(name.to_string()).eq(lit(value.to_string()));
        let of_all = is("split", split).and(is("metric", metric)).and(is("group", crate::record::ALL));
        col("value").filter(of_all).last().alias(format!("final_{split}_{metric}"))
    };
    let finals = metrics.select([
        last("train", "loss"),
        last("train", "accuracy"),
        last("test", "loss"),
        last("test", "accuracy"),
    ]);
    let overfit = overfit_of(record)?.select([
        col("train_accuracy").max().alias("max_train_accuracy"),
        col("overfit").last().alias("final_overfit"),
        overfit::slope().alias("overfit_slope"),
        // The same in all rows.
        col("train_accuracy").last().alias("last_train_accuracy"),
    ]);
    let proper = record.proper_accuracy()?;
    let proper = df!("proper_accuracy" => [proper]).map_err(AnalysisError::frame)?.lazy();
    let all = vec![finals, overfit, proper, early(record.train_loss()?)];
    concat_lf_horizontal(all, HConcatOptions::default()).map_err(AnalysisError::frame)
}

fn overfit_of(record: &Record<'_>) -> Result<LazyFrame, AnalysisError> {
    match overfit::STATISTIC.compute {
        crate::statistic::Compute::Record { table, .. } => table(record),
        _ => record.accuracies(),
    }
}

/// From the training loss at step 0 and a later evaluation on: `half_loss_step`, the first evaluated step at which it is at most
/// half of its value at step 0, infinite if it never is; `early_slope`, −Δ loss per step from step 0 to the last evaluated
/// step not after [`EARLY_STEPS`], or to the first evaluated one if there is none: by Equation 1 the learning rate times
/// ‖∇ℓ‖², early in training.
fn early(loss: LazyFrame) -> LazyFrame {
    let first = col("loss").first();
    let later = col("step").gt(lit(0));
    let from_start = col("step").first().eq(lit(0)).and(len().gt(lit(1))).and(first.clone().is_not_null());
    let halved = col("step").filter(later.clone().and(col("loss").lt_eq(first.clone() / lit(2.0)))).first();
    let halved = halved.cast(DataType::Float64).fill_null(lit(f64::INFINITY));
    let within = later.clone().and(col("step").lt_eq(lit(EARLY_STEPS)));
    let last = |name: &str| {
        let early = col(name.to_string()).filter(within.clone()).last();
        when(within.clone().any(true)).then(early).otherwise(col(name.to_string()).filter(later.clone()).first())
    };
    let slope = (first - last("loss")) / (last("step") - col("step").first()).cast(DataType::Float64);
    loss.select([
        when(from_start.clone()).then(halved).otherwise(lit(NULL)).alias("half_loss_step"),
        finite(when(from_start).then(slope).otherwise(lit(NULL))).alias("early_slope"),
    ])
}

/// |P|/n, the expectation of α in a null world; null without both groups.
fn group_sizes(groups: &DataFrame) -> PolarsResult<LazyFrame> {
    let of_group = |name: &str| col("sampled").filter(col("group").eq(lit(name.to_string()))).first();
    let both = of_group(PRISTINE).gt(lit(0)).and(of_group(CORRUPT).gt(lit(0)));
    let share = of_group(PRISTINE).cast(DataType::Float64) / col("sampled").sum().cast(DataType::Float64);
    Ok(groups.clone().lazy().select([when(both).then(share).otherwise(lit(NULL)).alias("group_size")]))
}

/// α at step 0.
fn first_share(shares: &DataFrame) -> PolarsResult<LazyFrame> {
    let is_first = col("estimator").eq(lit("paper")).and(col("world").eq(lit(0))).and(col("step").eq(lit(0)));
    let is_pristine = col("group").eq(lit(PRISTINE));
    Ok(shares.clone().lazy().select([col("share").filter(is_first.and(is_pristine)).first().alias("first_share")]))
}

/// K of the pristine examples, D after ten steps, and their p-values.
fn tested(tests: &DataFrame) -> PolarsResult<LazyFrame> {
    let of = |statistic: &str, column: &str, alias: &str| {
        let is = |name: &str, value: &str| col(name.to_string()).eq(lit(value.to_string()));
        let row = is("statistic", statistic).and(is("estimator", "paper")).and(is("group_a", PRISTINE));
        col(column.to_string()).filter(row).first().alias(alias.to_string())
    };
    Ok(tests.clone().lazy().select([
        of("crossover", "observed", "crossover"),
        of("crossover", "p", "crossover_p"),
        of("difference_10", "observed", "difference_10"),
        of("difference_10", "p", "difference_10_p"),
    ]))
}

/// The median learning steps of the pristine and of the corrupt examples: the mean of the two middle ones of an even number,
/// infinite if it is never reached; null for an empty group, or if nothing is known.
fn medians(record: &Record<'_>) -> Result<LazyFrame, AnalysisError> {
    let steps = record.learning_steps()?.collect().map_err(AnalysisError::frame)?;
    let of_group = |name: &str| -> PolarsResult<Option<f64>> {
        let of_group = steps.clone().lazy().filter(col("group").eq(lit(name.to_string()))).collect()?;
        let steps = of_group.column("learned_step")?.i64()?.iter();
        let mut steps: Vec<f64> = steps.map(|step| step.map_or(f64::INFINITY, |step| step as f64)).collect();
        steps.sort_unstable_by(f64::total_cmp);
        let middle = steps.get(steps.len().saturating_sub(1) / 2).zip(steps.get(steps.len() / 2));
        Ok(middle.map(|(lower, upper)| (lower + upper) / 2.0))
    };
    let frame = || df!("median_pristine" => [of_group(PRISTINE)?], "median_corrupt" => [of_group(CORRUPT)?]);
    Ok(frame().map_err(AnalysisError::frame)?.lazy())
}
