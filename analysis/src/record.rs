//! What the trace of a run holds beside its gradients, as frames: evaluations, examples, groups, learning steps.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::ops::Range;

use cograd_trace::{ExampleColumn, Metric, Run};
use polars::prelude::*;

use crate::AnalysisError;
use crate::groups::{Groups, texts};
use crate::kernel::contribution::Contributions;

/// Name of all examples together, where rows are by group.
pub const ALL: &str = "all";

/// The record of one run. Nothing is read before it is asked for.
#[derive(Debug)]
pub struct Record<'a> {
    run: &'a Run,
    groups: &'a Groups,
    /// Ids of the sampled examples that are analysed.
    sampled: &'a [u32],
    /// Their contributions; `None` if nobody asked for them.
    contributions: Option<&'a Contributions>,
    /// Which of their rows are wanted.
    rows: Range<usize>,
    metrics: OnceCell<DataFrame>,
}

impl<'a> Record<'a> {
    pub(crate) fn new(
        run: &'a Run,
        groups: &'a Groups,
        sampled: &'a [u32],
        contributions: Option<&'a Contributions>,
    ) -> Record<'a> {
        let rows = 0..contributions.map_or(0, |all| all.steps().len() * all.examples());
        Record { run, groups, sampled, contributions, rows, metrics: OnceCell::new() }
    }

    /// The same with no more rows of the contributions than these.
    pub(crate) fn with_rows(&self, rows: Range<usize>) -> Record<'a> {
        Record { rows, ..Record::new(self.run, self.groups, self.sampled, self.contributions) }
    }

    /// How many rows of the contributions there are.
    pub(crate) fn rows(&self) -> usize {
        self.rows.len()
    }

    /// The evaluations: columns step, split, group, metric, value (null if it is not finite), examples.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn metrics(&self) -> Result<LazyFrame, AnalysisError> {
        if self.metrics.get().is_none() {
            let rows = self.run.metrics().map_err(|source| AnalysisError::in_run(self.run, source))?;
            let _ = self.metrics.set(frame(&rows).map_err(AnalysisError::frame)?);
        }
        Ok(self.metrics.get().cloned().unwrap_or_default().lazy())
    }

    /// The evaluated steps, ascending, each once: column step.
    ///
    /// # Errors
    /// As [`Record::metrics`].
    pub fn evaluated_steps(&self) -> Result<LazyFrame, AnalysisError> {
        Ok(self
            .metrics()?
            .select([col("step")])
            .unique(None, UniqueKeepStrategy::Any)
            .sort(["step"], SortMultipleOptions::default()))
    }

    /// All examples together, then the groups in order, if there are others: columns group, order, examples (of all m).
    ///
    /// # Errors
    /// None but those of polars.
    pub fn groups(&self) -> Result<LazyFrame, AnalysisError> {
        let sizes = if self.groups.is_one() { Vec::new() } else { self.groups.sizes() };
        let names = std::iter::once(ALL).chain(self.groups.names()[..sizes.len()].iter().map(String::as_str));
        let all = self.run.manifest().train_examples as u64;
        let frame = df!(
            "group" => names.collect::<Vec<_>>(),
            "order" => (-1..sizes.len() as i64).collect::<Vec<_>>(),
            "examples" => std::iter::once(all).chain(sizes.iter().map(|&size| size as u64)).collect::<Vec<_>>(),
        );
        Ok(frame.map_err(AnalysisError::frame)?.lazy())
    }

    /// The learning step of every training example, once for all examples together and once for its group: columns group,
    /// order, learned_step (null: never, or not known). No row if the trace has no learning steps.
    ///
    /// # Errors
    /// The examples cannot be read.
    pub fn learning_steps(&self) -> Result<LazyFrame, AnalysisError> {
        let learned = match self.column("learned_step")? {
            Some(ExampleColumn::Integers(steps)) => steps,
            _ => Vec::new(),
        };
        let of_example = if self.groups.is_one() { &[] } else { self.groups.of_example() };
        let of_group = learned.iter().zip(of_example);
        let grouped: Vec<(i64, Option<i64>)> =
            of_group.filter_map(|(&step, group)| Some((i64::from((*group)?), step))).collect();
        let rows = || learned.iter().map(|&step| (-1, step)).chain(grouped.iter().copied());
        let name = |order: i64| usize::try_from(order).map_or(ALL, |group| self.groups.names()[group].as_str());
        let frame = df!(
            "group" => rows().map(|row| name(row.0)).collect::<Vec<_>>(),
            "order" => rows().map(|row| row.0).collect::<Vec<_>>(),
            "learned_step" => rows().map(|row| row.1).collect::<Vec<_>>(),
        );
        Ok(frame.map_err(AnalysisError::frame)?.lazy())
    }

    /// Contribution and self term of every sampled example: columns step, example_id, group, contribution, self_term.
    ///
    /// # Errors
    /// None but those of polars.
    pub fn contributions(&self) -> Result<LazyFrame, AnalysisError> {
        let none = Contributions::new(0);
        let contributions = self.contributions.unwrap_or(&none);
        let (steps, of_steps) = (contributions.steps(), contributions.of_steps());
        let examples = if contributions.examples() > 0 { self.sampled } else { &[] };
        let names = self.groups.names();
        let group = |id: &u32| self.groups.of_example()[*id as usize].map(|group| names[usize::from(group)].as_str());
        let groups: Vec<Option<&str>> = examples.iter().map(group).collect();
        let rows = || self.rows.clone().map(|row| (row / examples.len(), row % examples.len()));
        let frame = df!(
            "step" => rows().map(|(step, _)| steps[step]).collect::<Vec<i64>>(),
            "example_id" => rows().map(|(_, place)| u64::from(examples[place])).collect::<Vec<u64>>(),
            "group" => rows().map(|(_, place)| groups[place]).collect::<Vec<Option<&str>>>(),
            "contribution" => rows().map(|(step, place)| of_steps[step].contributions[place]).collect::<Vec<f64>>(),
            "self_term" => rows().map(|(step, place)| of_steps[step].self_terms[place]).collect::<Vec<f64>>(),
        );
        Ok(frame.map_err(AnalysisError::frame)?.lazy())
    }

    /// Accuracies of all examples at every step with an evaluation of all: columns step, train_accuracy, test_accuracy, and the metric
    /// chance of the test set.
    ///
    /// # Errors
    /// As [`Record::metrics`].
    pub fn accuracies(&self) -> Result<LazyFrame, AnalysisError> {
        let all = self.metrics()?.filter(col("group").eq(lit(ALL)));
        let first = |split: &str, metric: &str| {
            let is = col("split").eq(lit(split.to_string())).and(col("metric").eq(lit(metric.to_string())));
            col("value").filter(is).first()
        };
        let of_split = |split: &str| first(split, "accuracy").alias(format!("{split}_accuracy"));
        let by_step = all.sort(["step"], SortMultipleOptions::default().with_maintain_order(true));
        Ok(by_step.group_by_stable([col("step")]).agg([
            of_split("train"),
            of_split("test"),
            first("test", "chance").alias("chance"),
        ]))
    }

    /// ε, the condition `noise`; `None` if the run has none.
    pub fn noise(&self) -> Option<f64> {
        self.run.manifest().conditions.number("noise")
    }

    /// Σ_k p_k², p_k the frequency of label k among the training labels; 1/K of K classes without labels; `None` without either.
    ///
    /// # Errors
    /// The examples cannot be read.
    pub fn chance(&self) -> Result<Option<f64>, AnalysisError> {
        let Some(labels) = self.column("label")? else {
            let classes = self.run.manifest().task.classes.filter(|&classes| classes > 0);
            return Ok(classes.map(|classes| 1.0 / classes as f64));
        };
        let mut counts = BTreeMap::new();
        texts(&labels).into_iter().flatten().for_each(|label| *counts.entry(label).or_insert(0_u64) += 1);
        let all = counts.values().sum::<u64>() as f64;
        let squares: f64 = counts.values().map(|&count| (count as f64 / all) * (count as f64 / all)).sum();
        Ok((all > 0.0).then_some(squares))
    }

    /// |P|/m, the share of the pristine examples; `None` if it is not known which are.
    ///
    /// # Errors
    /// The examples cannot be read.
    pub fn proper_accuracy(&self) -> Result<Option<f64>, AnalysisError> {
        let Some(ExampleColumn::Booleans(pristine)) = self.column("pristine")? else { return Ok(None) };
        let count = pristine.iter().filter(|is| **is == Some(true)).count();
        Ok((!pristine.is_empty()).then(|| count as f64 / pristine.len() as f64))
    }

    /// Mean loss at the steps with an evaluation of all training examples, ascending: columns step, loss.
    ///
    /// # Errors
    /// As [`Record::metrics`].
    pub fn train_loss(&self) -> Result<LazyFrame, AnalysisError> {
        let is = |name: &str, value: &str| col(name.to_string()).eq(lit(value.to_string()));
        let loss = self.metrics()?.filter(is("group", ALL).and(is("split", "train")).and(is("metric", "loss")));
        Ok(loss.sort(["step"], SortMultipleOptions::default()).select([col("step"), col("value").alias("loss")]))
    }

    fn column(&self, name: &str) -> Result<Option<ExampleColumn>, AnalysisError> {
        self.run.example_column(name).map_err(|source| AnalysisError::in_run(self.run, source))
    }
}

fn frame(rows: &[Metric]) -> PolarsResult<DataFrame> {
    df!(
        "step" => rows.iter().map(|row| row.step).collect::<Vec<_>>(),
        "split" => rows.iter().map(|row| row.split.as_str()).collect::<Vec<_>>(),
        "group" => rows.iter().map(|row| row.group.as_str()).collect::<Vec<_>>(),
        "metric" => rows.iter().map(|row| row.metric.as_str()).collect::<Vec<_>>(),
        "value" => rows.iter().map(|row| Some(row.value).filter(|value| value.is_finite())).collect::<Vec<_>>(),
        "examples" => rows.iter().map(|row| row.examples).collect::<Vec<_>>(),
    )
}
