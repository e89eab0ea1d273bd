//! Which group each example is of [S 3.3].

use cograd_trace::Example;

/// The groups of all m examples.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Grouping {
    /// Names of the groups, in order.
    pub names: Vec<String>,
    /// Place of each example's group.
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
            file => Err(format!("the examples were grouped by the file {file}, which is not of the study")),
        }
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
        assert!(Grouping::of("groups.csv", &examples()).is_err());
    }
}
