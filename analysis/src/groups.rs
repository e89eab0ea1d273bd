//! The groups of a run's examples, by whatever was asked for.

use std::collections::BTreeSet;
use std::path::Path;

use cograd_trace::Example;

use crate::example_file::{self, ExampleFile};
use crate::statistic::grouping::{self, Grouping, MOST_GROUPS};
use crate::{AnalysisError, GroupBy};

/// The groups of all m training examples of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Groups {
    names: Vec<String>,
    /// Place of each example's group; `None` for one that a file does not name and that is not analysed.
    of_example: Vec<Option<u8>>,
}

impl Groups {
    /// Groups `examples`, all m of a run; `analysed` are the ids of those that must have a group.
    pub(crate) fn of(
        run: &str,
        examples: &[Example],
        analysed: &[u32],
        group_by: &GroupBy,
    ) -> Result<Groups, AnalysisError> {
        let grouping = match group_by {
            GroupBy::Pristine => grouping::pristine(examples),
            GroupBy::Label => grouping::label(examples),
            GroupBy::OriginalLabel => grouping::original_label(examples),
            GroupBy::Learned => grouping::learned(examples),
            GroupBy::File(path) => return Groups::of_file(path, run, examples.len(), analysed),
        };
        let of_example = grouping.of_example().iter().copied().map(Some).collect();
        Ok(Groups { names: grouping.names().to_vec(), of_example })
    }

    fn of_file(path: &Path, run: &str, examples: usize, analysed: &[u32]) -> Result<Groups, AnalysisError> {
        let error = |message| AnalysisError::ExampleFile { path: path.to_path_buf(), message };
        let file = example_file::read(path, true)?;
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

/// The names that occur: in numeric order if all are whole numbers, else in that of their bytes.
fn names_of(file: &ExampleFile) -> Result<Vec<String>, String> {
    let names: BTreeSet<&String> = file.groups.iter().collect();
    match names.len() {
        0 => return Err("it names no example".to_string()),
        count if count > MOST_GROUPS => {
            return Err(format!("it has {count} groups, which are too many: at most {MOST_GROUPS} can be compared"));
        }
        _ => {}
    }
    let mut names: Vec<String> = names.into_iter().cloned().collect();
    if let Ok(mut numbers) = names.iter().map(|name| name.parse::<i64>()).collect::<Result<Vec<i64>, _>>() {
        numbers.sort_unstable();
        names.sort_by_key(|name| numbers.partition_point(|number| Some(*number) < name.parse().ok()));
    }
    Ok(names)
}
