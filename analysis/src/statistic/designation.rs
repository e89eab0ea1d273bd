//! Which example is pristine and which is corrupt: the grouping of the paper.

use super::grouping::Grouping;

/// The designation of each of n examples: pristine or corrupt [S 1].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Designation {
    pristine: Vec<bool>,
    pristine_count: usize,
}

impl Designation {
    /// From one flag an example, in the order of the contributions.
    pub fn new(pristine: Vec<bool>) -> Designation {
        let pristine_count = pristine.iter().filter(|&&is| is).count();
        Designation { pristine, pristine_count }
    }

    /// One flag an example: whether it is pristine.
    pub fn flags(&self) -> &[bool] {
        &self.pristine
    }

    /// Number of examples, n.
    pub fn examples(&self) -> usize {
        self.pristine.len()
    }

    /// Number of pristine examples, |P|.
    pub fn pristine(&self) -> usize {
        self.pristine_count
    }

    /// Number of corrupt examples, |C|.
    pub fn corrupt(&self) -> usize {
        self.examples() - self.pristine_count
    }

    /// Whether both groups have an example; without that there is nothing to compare.
    pub fn has_both(&self) -> bool {
        self.pristine() > 0 && self.corrupt() > 0
    }

    /// Sums of `values` (one an example) over the pristine and over the corrupt examples.
    pub fn sums(&self, values: &[f64]) -> (f64, f64) {
        let (mut pristine, mut corrupt) = (0.0, 0.0);
        for (&value, &is_pristine) in values.iter().zip(&self.pristine) {
            *(if is_pristine { &mut pristine } else { &mut corrupt }) += value;
        }
        (pristine, corrupt)
    }
}

impl From<&Grouping> for Designation {
    /// The first group is pristine.
    fn from(grouping: &Grouping) -> Designation {
        Designation::new(grouping.of_example().iter().map(|&group| group == 0).collect())
    }
}
