//! Which example belongs to which group.
//!
//! A grouping puts each of n examples into one of G groups, whose names have an order. Pristine and corrupt are the grouping
//! of the paper; any other is analysed alike. Source: §2.4, generalised; [S 3.3].

use cograd_trace::Example;

use super::designation::Designation;

/// Groups at most: tests of pairs grow with its square.
pub const MOST_GROUPS: usize = 100;

/// The groups of n examples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grouping {
    names: Vec<String>,
    of_example: Vec<u8>,
    sizes: Vec<usize>,
}

impl Grouping {
    /// Of the names of the groups, in order, and the place of each example's group in it.
    ///
    /// # Panics
    /// There are more than [`MOST_GROUPS`] names, or an example is of a group without a name.
    pub fn new(names: Vec<String>, of_example: Vec<u8>) -> Grouping {
        assert!(names.len() <= MOST_GROUPS, "{} groups are too many", names.len());
        let mut sizes = vec![0; names.len()];
        of_example.iter().for_each(|&group| sizes[usize::from(group)] += 1);
        Grouping { names, of_example, sizes }
    }

    /// Names of the groups, in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Number of groups, G.
    pub fn groups(&self) -> usize {
        self.names.len()
    }

    /// Number of examples, n.
    pub fn examples(&self) -> usize {
        self.of_example.len()
    }

    /// The place of each example's group among the names.
    pub fn of_example(&self) -> &[u8] {
        &self.of_example
    }

    /// Number of examples of each group, n_k.
    pub fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    /// Every pair of groups a < b, in order.
    pub fn pairs(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let groups = self.groups();
        (0..groups).flat_map(move |a| (a + 1..groups).map(move |b| (a, b)))
    }

    /// Sums of `values` (one an example) over each group.
    pub fn sums(&self, values: &[f64]) -> Vec<f64> {
        let mut sums = vec![0.0; self.groups()];
        values.iter().zip(&self.of_example).for_each(|(value, &group)| sums[usize::from(group)] += value);
        sums
    }

    /// The same groups, of the examples at `places` only.
    pub fn of_some(&self, places: impl IntoIterator<Item = usize>) -> Grouping {
        let of_example = places.into_iter().map(|place| self.of_example[place]).collect();
        Grouping::new(self.names.clone(), of_example)
    }
}

impl From<&Designation> for Grouping {
    fn from(designation: &Designation) -> Grouping {
        let of_example = designation.flags().iter().map(|&pristine| u8::from(!pristine)).collect();
        Grouping::new(vec!["pristine".into(), "corrupt".into()], of_example)
    }
}

/// Pristine and corrupt examples.
pub fn pristine(examples: &[Example]) -> Grouping {
    Grouping::from(&Designation::new(examples.iter().map(|example| example.pristine).collect()))
}

/// By the label trained on, in numeric order; only labels that occur.
pub fn label(examples: &[Example]) -> Grouping {
    by_label(examples.iter().map(|example| example.label).collect())
}

/// By the label before label noise, in numeric order; only labels that occur.
pub fn original_label(examples: &[Example]) -> Grouping {
    by_label(examples.iter().map(|example| example.original_label).collect())
}

/// Early and late: the earlier half of the learned examples, ⌊m'/2⌋ of the m' learned ones in the order of learning step and
/// example id, and all others, those never learned included.
pub fn learned(examples: &[Example]) -> Grouping {
    let mut learned: Vec<(i64, usize)> =
        examples.iter().enumerate().filter_map(|(place, example)| Some((example.learned_step?, place))).collect();
    learned.sort_unstable();
    let mut of_example = vec![1; examples.len()];
    learned[..learned.len() / 2].iter().for_each(|&(_, place)| of_example[place] = 0);
    Grouping::new(vec!["early".into(), "late".into()], of_example)
}

fn by_label(labels: Vec<u8>) -> Grouping {
    let mut occurring = labels.clone();
    occurring.sort_unstable();
    occurring.dedup();
    let place = |label: &u8| occurring.partition_point(|other| other < label) as u8;
    let of_example = labels.iter().map(place).collect();
    Grouping::new(occurring.iter().map(u8::to_string).collect(), of_example)
}
