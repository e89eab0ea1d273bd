//! What a run says of its m training examples.

use std::collections::BTreeMap;

use cograd_trace::{ExampleColumn, Run, TraceError};

/// The training examples, numbered from 0.
#[derive(Clone, Debug, Default)]
pub(crate) struct Examples {
    /// Their number, m.
    pub count: usize,
    /// Those whose gradients were recorded, ascending.
    pub sampled: Vec<usize>,
    /// Those of the population record, ascending.
    pub population: Vec<usize>,
    /// Whether the population record is a stated part of the training set, not all of it.
    pub population_is_part: bool,
    /// Labels trained on, and those before label noise; `None` if the run does not say.
    pub label: Option<ExampleColumn>,
    pub original_label: Option<ExampleColumn>,
    /// Which are pristine, a null being no; `None` if that is not known.
    pub pristine: Option<Vec<bool>>,
    /// First evaluated step at which each was right; `None` if the run does not say of any.
    pub learned_step: Option<Vec<Option<i64>>>,
}

impl Examples {
    pub(crate) fn read(run: &Run) -> Result<Examples, TraceError> {
        let examples = run.examples()?;
        let ids = |ids: Vec<u32>| ids.into_iter().map(|id| id as usize).collect();
        // A column of a type that nothing can be made of is none.
        let columns = run.example_columns()?;
        let column = |name: &str| match columns.iter().any(|(known, _)| known == name) {
            true => run.example_column(name),
            false => Ok(None),
        };
        Ok(Examples {
            count: examples.len(),
            sampled: ids(examples.sampled_ids()),
            population: ids(examples.population_ids()),
            population_is_part: examples.population.is_some(),
            label: column("label")?,
            original_label: column("original_label")?,
            pristine: match column("pristine")? {
                Some(ExampleColumn::Booleans(flags)) => Some(flags.iter().map(|flag| *flag == Some(true)).collect()),
                _ => None,
            },
            learned_step: integers(&column("learned_step")?).map(<[_]>::to_vec),
        })
    }

    /// The label trained on as the number of a class; `None` if it is none.
    pub(crate) fn class(&self, example: usize) -> Option<usize> {
        usize::try_from(integers(&self.label)?[example]?).ok()
    }

    /// The step at which an example was learned.
    pub(crate) fn learned(&self, example: usize) -> Option<i64> {
        self.learned_step.as_ref()?[example]
    }

    /// The examples that evaluations call `all`, `pristine` and `corrupt`; none of any other name.
    pub(crate) fn named(&self, name: &str) -> Vec<usize> {
        let wanted = match name {
            "all" => return (0..self.count).collect(),
            "pristine" => true,
            "corrupt" => false,
            _ => return Vec::new(),
        };
        let flags = self.pristine.as_deref().unwrap_or_default();
        (0..flags.len()).filter(|&example| flags[example] == wanted).collect()
    }

    /// Σ_k p_k², p_k the part of the labels that is k: how often two of them, at random, are the same.
    pub(crate) fn same_label(&self) -> Option<f64> {
        let mut counts: BTreeMap<String, f64> = BTreeMap::new();
        texts(self.label.as_ref()?).into_iter().flatten().for_each(|label| *counts.entry(label).or_default() += 1.0);
        let all: f64 = counts.values().sum();
        (all > 0.0).then(|| counts.values().map(|count| (count / all) * (count / all)).sum())
    }

    /// |P|/m.
    pub(crate) fn proper_accuracy(&self) -> Option<f64> {
        let pristine = self.pristine.as_ref()?.iter().filter(|is| **is).count();
        (self.count > 0).then(|| pristine as f64 / self.count as f64)
    }
}

/// The values of a column of whole numbers.
pub(crate) fn integers(column: &Option<ExampleColumn>) -> Option<&[Option<i64>]> {
    match column {
        Some(ExampleColumn::Integers(values)) => Some(values),
        _ => None,
    }
}

/// The values of a column as texts.
pub(crate) fn texts(column: &ExampleColumn) -> Vec<Option<String>> {
    match column {
        ExampleColumn::Integers(values) => values.iter().map(|value| value.map(|value| value.to_string())).collect(),
        // −0 is 0.
        ExampleColumn::Numbers(values) => values.iter().map(|value| value.map(|v| (v + 0.0).to_string())).collect(),
        ExampleColumn::Texts(values) => values.clone(),
        ExampleColumn::Booleans(values) => values.iter().map(|value| value.map(|value| value.to_string())).collect(),
    }
}
