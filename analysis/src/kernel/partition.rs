//! Partitions of the examples into groups, and the pairs of examples that lie in pairs of groups.
//!
//! Statistics of pairs are wanted for several partitions of the same examples at once: by designation, by the grouping asked
//! for, by label. The examples are therefore ordered by *cells*, the groups of all partitions crossed: what is summed over a
//! pair of cells adds to one pair of groups of every partition.

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

    /// Number of examples of a group.
    pub fn size(&self, group: usize) -> usize {
        self.of_example.iter().filter(|of| usize::from(**of) == group).count()
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

/// Examples in the order of their cells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cells {
    order: Vec<u32>,
    partitions: Vec<Partition>,
}

/// Neighbouring examples that are in the same group of every partition of interest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// Their places in the order of the cells.
    pub(super) places: Range<usize>,
    /// The group of the first of them in each partition.
    pub(super) groups: Vec<usize>,
}

impl Cells {
    /// Of partitions of the same `examples` examples. Examples of one group of the first partition are neighbours; of those,
    /// the examples of one group of the second are, and so on.
    pub fn new(examples: usize, partitions: &[Partition]) -> Cells {
        let mut order: Vec<u32> = (0..examples as u32).collect();
        let cell = |&example: &u32| -> Vec<u8> {
            partitions.iter().map(|partition| partition.of_example[example as usize]).collect()
        };
        order.sort_by_cached_key(cell);
        let partitions = partitions.iter().map(|partition| partition.reordered(&order)).collect();
        Cells { order, partitions }
    }

    /// Which example is at each place.
    pub fn order(&self) -> &[u32] {
        &self.order
    }

    /// The partitions, of the examples in this order.
    pub fn partitions(&self) -> &[Partition] {
        &self.partitions
    }

    /// The blocks of neighbours that are in the same group of each of these `partitions`, cut so that none is large.
    pub(super) fn blocks(&self, partitions: &[usize]) -> Vec<Block> {
        let group = |partition: usize, place: u32| self.partitions[partition].of_example[place as usize];
        let places: Vec<u32> = (0..self.order.len() as u32).collect();
        let alike = |&a: &u32, &b: &u32| partitions.iter().all(|&partition| group(partition, a) == group(partition, b));
        let block = |places: &[u32]| Block {
            places: places[0] as usize..places[0] as usize + places.len(),
            groups: (0..self.partitions.len()).map(|partition| usize::from(group(partition, places[0]))).collect(),
        };
        let cut = |neighbours: &[u32]| neighbours.len().div_ceil(neighbours.len().div_ceil(BLOCK));
        places.chunk_by(alike).flat_map(|neighbours| neighbours.chunks(cut(neighbours)).map(block)).collect()
    }
}
