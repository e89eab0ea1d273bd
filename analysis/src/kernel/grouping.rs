//! Which example belongs to which group.
//!
//! A grouping puts each of n examples into one of G groups, whose names have an order. Pristine and corrupt are the grouping
//! of the paper; any other is analysed alike. Source: §2.4, generalised; [S 3.3].

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

    /// Whether two groups or more have an example; without that there is nothing to compare.
    pub fn has_several(&self) -> bool {
        self.sizes.iter().filter(|&&size| size > 0).count() > 1
    }

    /// Sums of `values` (one an example) over each group.
    pub fn sums(&self, values: &[f64]) -> Vec<f64> {
        let mut sums = vec![0.0; self.groups()];
        values.iter().zip(&self.of_example).for_each(|(value, &group)| sums[usize::from(group)] += value);
        sums
    }
}
