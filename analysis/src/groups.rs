//! The groups of a run's examples, by whatever was asked for.

use std::collections::BTreeSet;
use std::path::Path;

use cograd_trace::{ExampleColumn, Run};

use crate::example_file::{self, ExampleFile};
use crate::kernel::grouping::{Grouping, MOST_GROUPS};
use crate::record::ALL;
use crate::{AnalysisError, GroupBy};

/// Labels that are grouped by without being asked for, at most.
const FEW_LABELS: usize = 20;
/// The group of the examples without a value.
const MISSING: &str = "missing";

/// The groups of all m training examples of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Groups {
    names: Vec<String>,
    /// Place of each example's group; `None` for one that a file does not name and that is not analysed.
    of_example: Vec<Option<u8>>,
}

impl Groups {
    /// Groups all examples of `run`; `analysed` are the ids of those that must have a group.
    pub(crate) fn new(run: &Run, analysed: &[u32], group_by: &GroupBy) -> Result<Groups, AnalysisError> {
        let (id, examples) = (&run.manifest().run, run.manifest().train_examples);
        let error = |message| AnalysisError::Grouping { run: id.clone(), message };
        match group_by {
            GroupBy::All => Ok(Groups { names: vec![ALL.to_string()], of_example: vec![Some(0); examples] }),
            GroupBy::Learned => match column(run, "learned_step")? {
                Some(ExampleColumn::Integers(steps)) => Ok(early_and_late(&steps)),
                _ => Err(error("it has no column learned_step of whole numbers".to_string())),
            },
            GroupBy::Column(name) => match column(run, name)? {
                Some(values) => by_value(name, &values).map_err(error),
                None => Err(error(format!("it has no column `{name}`; it has {}", columns(run)?))),
            },
            GroupBy::Quantiles(name, count) => match column(run, name)? {
                Some(ExampleColumn::Integers(values)) => {
                    let numbers: Vec<Option<f64>> =
                        values.iter().map(|value| value.map(|value| value as f64)).collect();
                    by_quantile(&numbers, *count).map_err(error)
                }
                Some(ExampleColumn::Numbers(values)) => by_quantile(&values, *count).map_err(error),
                Some(_) => Err(error(format!("column `{name}` has no numbers to take quantiles of"))),
                None => Err(error(format!("it has no column `{name}`; it has {}", columns(run)?))),
            },
            GroupBy::File(path) => Groups::of_file(path, id, examples, analysed),
        }
    }

    fn of_file(path: &Path, run: &str, examples: usize, analysed: &[u32]) -> Result<Groups, AnalysisError> {
        let error = |message| AnalysisError::ExampleFile { path: path.to_path_buf(), message };
        let file = example_file::read(path, true, examples)?;
        let names = names_of(&file).map_err(error)?;
        let mut of_example = vec![None; examples];
        for (&id, group) in file.example_ids.iter().zip(&file.groups) {
            let place = names.iter().position(|name| name == group).map(|place| place as u8);
            match of_example.get_mut(id as usize) {
                None => {
                    return Err(error(format!(
                        "it names example {id}, but run {run} has examples 0 to {}",
                        examples - 1
                    )));
                }
                Some(Some(_)) => return Err(error(format!("it names example {id} twice"))),
                Some(here) => *here = place,
            }
        }
        match analysed.iter().find(|&&id| of_example[id as usize].is_none()) {
            Some(id) => {
                Err(error(format!("it has no group for example {id} of run {run}: every analysed one needs one")))
            }
            None => Ok(Groups { names, of_example }),
        }
    }

    /// Names of the groups, in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether all examples are in one group, which is called `all`.
    pub(crate) fn is_one(&self) -> bool {
        self.names == [ALL]
    }

    /// Place of the group of each of all m examples; `None` for one without a group.
    pub fn of_example(&self) -> &[Option<u8>] {
        &self.of_example
    }

    /// How many of all m training examples each group has.
    pub fn sizes(&self) -> Vec<usize> {
        let mut sizes = vec![0; self.names.len()];
        self.of_example.iter().flatten().for_each(|&group| sizes[usize::from(group)] += 1);
        sizes
    }

    /// The grouping of the examples with these ids, which must be analysed ones.
    pub(crate) fn of_ids(&self, ids: impl IntoIterator<Item = u32>) -> Grouping {
        let of_example = ids.into_iter().filter_map(|id| self.of_example[id as usize]).collect();
        Grouping::new(self.names.clone(), of_example)
    }
}

/// What the examples of all these runs can be grouped by without being asked: pristine or corrupt, else few labels, else
/// nothing.
pub(crate) fn usual(runs: &[Run]) -> Result<GroupBy, AnalysisError> {
    let all_have = |name: &str| -> Result<bool, AnalysisError> {
        for run in runs {
            let columns = run.example_columns().map_err(|source| AnalysisError::in_run(run, source))?;
            if !columns.iter().any(|(column, _)| column == name) {
                return Ok(false);
            }
        }
        Ok(true)
    };
    if all_have("pristine")? {
        return Ok(GroupBy::Column("pristine".to_string()));
    }
    if all_have("label")? {
        let mut few = true;
        for run in runs {
            let groups = column(run, "label")?.map(|values| by_value("label", &values));
            few &= matches!(groups, Some(Ok(groups)) if groups.names.len() <= FEW_LABELS);
        }
        if few {
            return Ok(GroupBy::Column("label".to_string()));
        }
    }
    Ok(GroupBy::All)
}

/// The labels of the examples with these ids, for statistics of classes; `None` without labels, or if they are too many.
pub(crate) fn classes(run: &Run, ids: &[u32]) -> Result<Option<Grouping>, AnalysisError> {
    let Some(labels) = column(run, "label")? else { return Ok(None) };
    let texts: Vec<Option<String>> = texts(&labels);
    let sampled: Vec<&Option<String>> = ids.iter().map(|&id| &texts[id as usize]).collect();
    if sampled.iter().any(|label| label.is_none()) {
        return Ok(None);
    }
    let names = ordered(sampled.iter().copied().flatten().collect());
    if names.len() > MOST_GROUPS {
        return Ok(None);
    }
    let place = |label: &&Option<String>| names.iter().position(|name| Some(name) == label.as_ref()).unwrap_or(0) as u8;
    Ok(Some(Grouping::new(names.clone(), sampled.iter().map(place).collect())))
}

fn column(run: &Run, name: &str) -> Result<Option<ExampleColumn>, AnalysisError> {
    run.example_column(name).map_err(|source| AnalysisError::in_run(run, source))
}

fn columns(run: &Run) -> Result<String, AnalysisError> {
    let columns = run.example_columns().map_err(|source| AnalysisError::in_run(run, source))?;
    let names: Vec<String> = columns.into_iter().map(|(name, _)| name).collect();
    Ok(names.join(", "))
}

/// The values of a column as texts; `pristine` by the names of the paper.
pub(crate) fn texts(values: &ExampleColumn) -> Vec<Option<String>> {
    fn all<T: ToString>(values: &[Option<T>]) -> Vec<Option<String>> {
        values.iter().map(|value| value.as_ref().map(T::to_string)).collect()
    }
    match values {
        ExampleColumn::Integers(values) => all(values),
        // −0 is 0.
        ExampleColumn::Numbers(values) => values.iter().map(|value| value.map(|v| (v + 0.0).to_string())).collect(),
        ExampleColumn::Texts(values) => values.clone(),
        ExampleColumn::Booleans(values) => all(values),
    }
}

/// One group a value; truths are named, and both are there.
fn by_value(name: &str, values: &ExampleColumn) -> Result<Groups, String> {
    let mut texts = texts(values);
    let mut names = match values {
        ExampleColumn::Booleans(_) if name == "pristine" => {
            let named = |text: &mut String| *text = (if text == "true" { "pristine" } else { "corrupt" }).to_string();
            texts.iter_mut().flatten().for_each(named);
            vec!["pristine".to_string(), "corrupt".to_string()]
        }
        ExampleColumn::Booleans(_) => vec!["true".to_string(), "false".to_string()],
        _ => ordered(texts.iter().flatten().collect()),
    };
    if texts.iter().any(Option::is_none) {
        names.retain(|name| name != MISSING);
        names.push(MISSING.to_string());
    }
    if names.len() > MOST_GROUPS {
        return Err(format!(
            "column `{name}` has {} different values, too many to compare: at most {MOST_GROUPS}; numbers can be grouped by quantiles, `{name}:4`",
            names.len()
        ));
    }
    let places: std::collections::HashMap<&str, u8> =
        names.iter().enumerate().map(|(place, name)| (name.as_str(), place as u8)).collect();
    let of_example = texts.iter().map(|text| places.get(text.as_deref().unwrap_or(MISSING)).copied()).collect();
    Ok(Groups { names, of_example })
}

/// So many groups of about equal size, by value: group j ends with the ⌈jm'/K⌉-th smallest of the m' values. Equal values are
/// in one group, and groups without a value are left out.
fn by_quantile(values: &[Option<f64>], count: usize) -> Result<Groups, String> {
    let mut sorted: Vec<f64> = values.iter().flatten().copied().filter(|value| !value.is_nan()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    if sorted.is_empty() || !(2..=MOST_GROUPS).contains(&count) {
        return Err(format!("{count} quantiles of {} values cannot be made: ask for 2 to {MOST_GROUPS}", sorted.len()));
    }
    let mut ends: Vec<f64> = (1..count).map(|j| sorted[(j * sorted.len()).div_ceil(count) - 1]).collect();
    ends.dedup();
    // The last group ends with the largest value, unless a boundary does.
    let groups = ends.len() + usize::from(ends.last() != sorted.last());
    let mut names: Vec<String> = (0..groups)
        .map(|group| match (group.checked_sub(1).map(|before| ends[before]), ends.get(group)) {
            (None, Some(end)) => format!("≤ {end}"),
            (Some(before), Some(end)) => format!("{before} – {end}"),
            (Some(before), None) => format!("> {before}"),
            (None, None) => ALL.to_string(),
        })
        .collect();
    let is_missing = |value: &Option<f64>| value.is_none_or(f64::is_nan);
    let missing = names.len() as u8;
    if values.iter().any(is_missing) {
        names.push(MISSING.to_string());
    }
    if names.len() > MOST_GROUPS {
        return Err(format!(
            "{count} quantiles, and the group of those without a value, are too many: at most {MOST_GROUPS}"
        ));
    }
    let group = |value: &Option<f64>| match value {
        Some(value) if !value.is_nan() => Some(ends.partition_point(|end| end < value) as u8),
        _ => Some(missing),
    };
    Ok(Groups { of_example: values.iter().map(group).collect(), names })
}

/// Early and late: the earlier half of the learned examples, ⌊m'/2⌋ of the m' learned ones in the order of learning step and
/// example id, and all others, those never learned included.
fn early_and_late(learning_steps: &[Option<i64>]) -> Groups {
    let mut learned: Vec<(i64, usize)> =
        learning_steps.iter().enumerate().filter_map(|(place, step)| Some(((*step)?, place))).collect();
    learned.sort_unstable();
    let mut of_example = vec![Some(1); learning_steps.len()];
    learned[..learned.len() / 2].iter().for_each(|&(_, place)| of_example[place] = Some(0));
    Groups { names: vec!["early".into(), "late".into()], of_example }
}

/// The names that occur in a file.
fn names_of(file: &ExampleFile) -> Result<Vec<String>, String> {
    let names = ordered(file.groups.iter().collect());
    match names.len() {
        0 => Err("it names no example".to_string()),
        count if count > MOST_GROUPS => {
            Err(format!("it has {count} groups, which are too many: at most {MOST_GROUPS} can be compared"))
        }
        _ => Ok(names),
    }
}

/// Each name once: in numeric order if all are numbers, else in that of their bytes.
fn ordered(names: Vec<&String>) -> Vec<String> {
    let names: BTreeSet<&String> = names.into_iter().collect();
    let mut names: Vec<String> = names.into_iter().cloned().collect();
    let numbers: Option<Vec<f64>> = names.iter().map(|name| name.parse().ok()).collect();
    if let Some(numbers) = numbers {
        let mut paired: Vec<(f64, String)> = numbers.into_iter().zip(names).collect();
        paired.sort_by(|a, b| a.0.total_cmp(&b.0));
        names = paired.into_iter().map(|(_, name)| name).collect();
    }
    names
}
