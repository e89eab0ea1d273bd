//! Partitions of the examples into groups, and the pairs of examples that lie in pairs of groups.
//!
//! Statistics of pairs are wanted for several partitions of the same examples at once: by designation, by the grouping asked
//! for, by label. The examples are therefore ordered by *cells*, the groups of all partitions crossed: what is summed over a
//! pair of cells adds to one pair of groups of every partition.

use std::collections::BTreeMap;
use std::ops::Range;

use super::grouping::Grouping;

/// Examples of a block at most: blocks that are on the diagonal are computed twice over.
const BLOCK: usize = 64;

/// Which of several groups each of n examples is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    groups: usize,
    of_example: Vec<u8>,
}

impl Partition {
    /// Of the number of groups, and the group of each example.
    ///
    /// # Panics
    /// An example is of a group that there is not.
    pub fn new(groups: usize, of_example: Vec<u8>) -> Partition {
        assert!(of_example.iter().all(|&group| usize::from(group) < groups), "an example must be in a group");
        Partition { groups, of_example }
    }

    /// Number of groups, G.
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// The group of each example.
    pub fn of_example(&self) -> &[u8] {
        &self.of_example
    }

    /// Number of unordered pairs of groups, a group with itself included: G(G+1)/2.
    pub fn pair_count(&self) -> usize {
        self.groups * (self.groups + 1) / 2
    }

    /// Every pair of groups (a, b), a ≤ b, in the order of [`Partition::pair`].
    pub fn pairs(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let groups = self.groups;
        (0..groups).flat_map(move |a| (a..groups).map(move |b| (a, b)))
    }

    /// The place of an unordered pair of groups among all of them.
    pub fn pair(&self, a: usize, b: usize) -> usize {
        let (first, second) = (a.min(b), a.max(b));
        first * self.groups - first * (first + 1) / 2 + second
    }

    /// The same partition of the same examples in another order: example `order[k]` is at place k now.
    fn reordered(&self, order: &[u32]) -> Partition {
        let of_example = order.iter().map(|&example| self.of_example[example as usize]).collect();
        Partition { groups: self.groups, of_example }
    }
}

impl From<&Grouping> for Partition {
    fn from(grouping: &Grouping) -> Partition {
        Partition { groups: grouping.groups(), of_example: grouping.of_example().to_vec() }
    }
}

/// Examples in the order of their cells, and the blocks of them that lie in one cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cells {
    order: Vec<u32>,
    partitions: Vec<Partition>,
    blocks: Vec<Block>,
}

/// Neighbouring examples of one cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// Their places in the order of the cells.
    pub(super) places: Range<usize>,
    /// Their group in each partition.
    pub(super) groups: Vec<usize>,
}

impl Cells {
    /// Of partitions of the same `examples` examples.
    pub fn new(examples: usize, partitions: &[Partition]) -> Cells {
        let mut cells: BTreeMap<Vec<u8>, Vec<u32>> = BTreeMap::new();
        for example in 0..examples {
            let cell = partitions.iter().map(|partition| partition.of_example[example]).collect();
            cells.entry(cell).or_default().push(example as u32);
        }
        let mut blocks = Vec::new();
        let mut first = 0;
        for (cell, examples) in &cells {
            let groups: Vec<usize> = cell.iter().map(|&group| usize::from(group)).collect();
            let parts = examples.len().div_ceil(BLOCK);
            let bound = |part: usize| first + part * examples.len() / parts;
            blocks
                .extend((0..parts).map(|part| Block { places: bound(part)..bound(part + 1), groups: groups.clone() }));
            first += examples.len();
        }
        let order: Vec<u32> = cells.into_values().flatten().collect();
        let partitions = partitions.iter().map(|partition| partition.reordered(&order)).collect();
        Cells { order, partitions, blocks }
    }

    /// Which example is at each place.
    pub fn order(&self) -> &[u32] {
        &self.order
    }

    /// The partitions, of the examples in this order.
    pub fn partitions(&self) -> &[Partition] {
        &self.partitions
    }

    pub(super) fn blocks(&self) -> &[Block] {
        &self.blocks
    }
}
