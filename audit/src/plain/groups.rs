//! Which group each example is of [S 3.3].

use std::path::Path;

use cograd_trace::Example;

use crate::plain::example_file;

/// The place of the group of an example that a file does not name.
const UNNAMED: usize = usize::MAX;

/// The groups of all m examples.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Grouping {
    /// Names of the groups, in order.
    pub names: Vec<String>,
    /// Place of each example's group; [`UNNAMED`] if it is in none.
    pub of: Vec<usize>,
}

impl Grouping {
    /// By the name of what examples are grouped by; the reason if it cannot be told from the study alone.
    pub(crate) fn of(group_by: &str, examples: &[Example]) -> Result<Grouping, String> {
        match group_by {
            "pristine" => Ok(Grouping::named(&["pristine", "corrupt"], examples, |example| {
                usize::from(example.label != example.original_label)
            })),
            "label" => Ok(Grouping::by_label(examples, |example| example.label)),
            "original-label" => Ok(Grouping::by_label(examples, |example| example.original_label)),
            "learned" => Ok(Grouping::learned(examples)),
            file => Grouping::of_file(Path::new(file), examples.len()),
        }
    }

    /// By a file that names examples and groups. Names are in the order of their numbers if all are whole numbers, else of
    /// their bytes.
    fn of_file(path: &Path, examples: usize) -> Result<Grouping, String> {
        let outside = |why: String| format!("the examples were grouped by a file, which is not of the study: {why}");
        let rows = example_file::read(path, Some("group")).map_err(outside)?;
        let mut names: Vec<String> = rows.iter().map(|(_, group)| group.clone()).collect();
        names.sort();
        names.dedup();
        let numbers: Option<Vec<i64>> = names.iter().map(|name| name.parse().ok()).collect();
        if let Some(numbers) = numbers {
            let mut numbered: Vec<(i64, String)> = numbers.into_iter().zip(names).collect();
            numbered.sort();
            names = numbered.into_iter().map(|(_, name)| name).collect();
        }
        let mut of = vec![UNNAMED; examples];
        for (example, group) in &rows {
            let place = of.get_mut(*example).ok_or_else(|| outside(format!("it names example {example}")))?;
            *place = names.iter().position(|name| name == group).unwrap_or(UNNAMED);
        }
        Ok(Grouping { names, of })
    }

    fn named(names: &[&str], examples: &[Example], of: impl Fn(&Example) -> usize) -> Grouping {
        Grouping { names: names.iter().map(|name| name.to_string()).collect(), of: examples.iter().map(of).collect() }
    }

    fn by_label(examples: &[Example], label: impl Fn(&Example) -> u8) -> Grouping {
        let occurs = |wanted: &u8| examples.iter().any(|example| label(example) == *wanted);
        let labels: Vec<u8> = (0..=u8::MAX).filter(occurs).collect();
        let place = |example: &Example| labels.iter().position(|known| *known == label(example)).unwrap_or(0);
        Grouping { names: labels.iter().map(u8::to_string).collect(), of: examples.iter().map(place).collect() }
    }

    /// The ⌊m'/2⌋ of the m' learned ones with the smallest (learned step, id) are early, all others late.
    fn learned(examples: &[Example]) -> Grouping {
        let mut order: Vec<&Example> = examples.iter().filter(|example| example.learned_step.is_some()).collect();
        order.sort_by_key(|example| (example.learned_step, example.example_id));
        let mut grouping = Grouping::named(&["early", "late"], examples, |_| 1);
        order[..order.len() / 2].iter().for_each(|example| grouping.of[example.example_id as usize] = 0);
        grouping
    }

    /// The groups of the examples at `places`.
    pub(crate) fn of_some(&self, places: &[usize]) -> Vec<usize> {
        places.iter().map(|&place| self.of[place]).collect()
    }

    /// The reason if an example at `places` is in no group.
    pub(crate) fn check(&self, places: &[usize]) -> Result<(), String> {
        match places.iter().find(|&&place| self.of[place] == UNNAMED) {
            Some(place) => Err(format!("the file that the examples were grouped by has no group for example {place}")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examples() -> Vec<Example> {
        let rows = [(3, 3, Some(5)), (1, 3, None), (3, 1, Some(2)), (7, 7, Some(5)), (1, 1, Some(9))];
        let row = |(id, &(label, original_label, learned_step)): (usize, &(u8, u8, Option<i64>))| Example {
            example_id: id as u32,
            label,
            original_label,
            pristine: label == original_label,
            sampled: false,
            learned_step,
        };
        rows.iter().enumerate().map(row).collect()
    }

    #[test]
    fn groups_by_hand() {
        let groups = |by| Grouping::of(by, &examples()).unwrap();
        assert_eq!(groups("pristine").of, [0, 1, 1, 0, 0]);
        assert_eq!(groups("label").names, ["1", "3", "7"]);
        assert_eq!(groups("label").of, [1, 0, 1, 2, 0]);
        assert_eq!(groups("learned").of, [0, 1, 0, 1, 1]);
        assert!(Grouping::of("nowhere.csv", &examples()).is_err());
    }

    #[test]
    fn groups_of_a_file_are_in_the_order_of_their_numbers() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("groups.csv");
        std::fs::write(&path, "example_id,group\n0,10\n1,9\n2,10\n4,9\n").unwrap();
        let grouping = Grouping::of(path.to_str().unwrap(), &examples()).unwrap();
        assert_eq!(grouping.names, ["9", "10"]);
        assert_eq!(grouping.of, [1, 0, 1, UNNAMED, 0]);
        std::fs::write(&path, "example_id,group\n7,10\n").unwrap();
        assert!(Grouping::of(path.to_str().unwrap(), &examples()).is_err());
    }
}
