//! Pairs of distinct examples: inner products, their signs and cosines, summed over pairs of groups [S 8].

use crate::plain::interval::OfHalf;

/// An inner product of this part of its bound is rounding: its sign may be any.
const ROUNDING: f64 = 1e-12;

/// The inner products of n gradients.
#[derive(Clone)]
pub(crate) struct Gram {
    pub examples: usize,
    /// `[n, n]`, row by row.
    pub inner: Vec<f64>,
}

impl Gram {
    /// Of gradients, one row an example.
    pub(crate) fn new(rows: &[Vec<f64>]) -> Gram {
        let examples = rows.len();
        let mut inner = vec![0.0; examples * examples];
        for i in 0..examples {
            for j in i..examples {
                let sum = product(&rows[i], &rows[j]);
                inner[i * examples + j] = sum;
                inner[j * examples + i] = sum;
            }
        }
        Gram { examples, inner }
    }

    /// Adds that over other coordinates.
    pub(crate) fn add(&mut self, other: &Gram) {
        self.inner.iter_mut().zip(&other.inner).for_each(|(sum, value)| *sum += value);
    }

    pub(crate) fn at(&self, i: usize, j: usize) -> f64 {
        self.inner[i * self.examples + j]
    }
}

/// ⟨left, right⟩, in four sums side by side.
fn product(left: &[f64], right: &[f64]) -> f64 {
    let (lefts, rights) = (left.chunks_exact(4), right.chunks_exact(4));
    let rest: f64 = lefts.remainder().iter().zip(rights.remainder()).map(|(left, right)| left * right).sum();
    let mut sums = [0.0; 4];
    for (left, right) in lefts.zip(rights) {
        for place in 0..4 {
            sums[place] += left[place] * right[place];
        }
    }
    sums.iter().sum::<f64>() + rest
}

/// One way of grouping the examples: the group of each, and the number of groups.
#[derive(Clone, Debug)]
pub(crate) struct Groups {
    pub of: Vec<usize>,
    pub count: usize,
}

/// Some examples that two ways of grouping both have together.
pub(crate) struct Cell {
    groups: [usize; 2],
    examples: Vec<usize>,
}

/// Divides some examples into cells.
pub(crate) fn cells(examples: &[usize], ways: [&Groups; 2]) -> Vec<Cell> {
    let groups = |example: &usize| ways.map(|way| way.of[*example]);
    let mut sorted = examples.to_vec();
    sorted.sort_unstable_by_key(|example| (groups(example), *example));
    let alike = sorted.chunk_by(|one, other| groups(one) == groups(other));
    alike.map(|cell| Cell { groups: groups(&cell[0]), examples: cell.to_vec() }).collect()
}

/// Sums over some pairs of examples.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PairSum {
    pub pairs: f64,
    sign: f64,
    /// Pairs whose sign rounding decides.
    doubtful: f64,
    cosine: f64,
    /// Pairs that have a cosine: no gradient is 0.
    with_cosine: f64,
}

impl PairSum {
    pub(crate) fn add(&mut self, other: &PairSum) {
        self.pairs += other.pairs;
        self.sign += other.sign;
        self.doubtful += other.doubtful;
        self.cosine += other.cosine;
        self.with_cosine += other.with_cosine;
    }

    /// Mean sign, NaN if there is no pair.
    pub(crate) fn sign(&self) -> OfHalf {
        OfHalf { value: self.sign / self.pairs, slack: 2.0 * self.doubtful / self.pairs }
    }

    /// Mean cosine, NaN if no pair has one.
    pub(crate) fn cosine(&self) -> OfHalf {
        OfHalf::from(self.cosine / self.with_cosine)
    }
}

/// Sums over the pairs of distinct examples of every two groups.
pub(crate) struct Summed {
    groups: usize,
    /// `[groups, groups]`, those of groups a ≤ b at (a, b).
    sums: Vec<PairSum>,
}

impl Summed {
    /// Of so many groups, nothing yet.
    fn none(groups: usize) -> Summed {
        Summed { groups, sums: vec![PairSum::default(); groups * groups] }
    }

    /// Adds the sums of pairs of examples of two groups in any order.
    fn add(&mut self, one: usize, other: usize, sum: &PairSum) {
        self.sums[one.min(other) * self.groups + one.max(other)].add(sum);
    }

    /// Of every two groups a ≤ b.
    pub(crate) fn each(&self) -> impl Iterator<Item = (usize, usize, &PairSum)> {
        let groups = self.groups;
        (0..groups).flat_map(move |a| (a..groups).map(move |b| (a, b, &self.sums[a * groups + b])))
    }

    /// Of two groups a ≤ b.
    pub(crate) fn of_pair(&self, a: usize, b: usize) -> PairSum {
        self.sums[a * self.groups + b]
    }

    /// Of all groups that are wanted.
    pub(crate) fn total(&self, wanted: impl Fn(usize, usize) -> bool) -> PairSum {
        let mut total = PairSum::default();
        self.each().filter(|(a, b, _)| wanted(*a, *b)).for_each(|(_, _, sum)| total.add(sum));
        total
    }
}

/// Signs and cosines of every pair, computed once for all halves.
pub(crate) struct Pairs {
    examples: usize,
    /// `[n, n]`, row by row: sign and cosine, 0 where a gradient is 0.
    all: Vec<[f64; 2]>,
    /// Which gradients are not 0.
    has_cosine: Vec<bool>,
    /// The pairs i < j whose sign rounding decides.
    doubtful: Vec<(usize, usize)>,
}

impl Pairs {
    pub(crate) fn new(gram: &Gram) -> Pairs {
        let n = gram.examples;
        let has_cosine = (0..n).map(|i| gram.at(i, i) > 0.0).collect();
        let mut pairs = Pairs { examples: n, all: vec![[0.0; 2]; n * n], has_cosine, doubtful: Vec::new() };
        for i in 0..n {
            for j in i + 1..n {
                let (inner, own, other) = (gram.at(i, j), gram.at(i, i), gram.at(j, j));
                if inner == 0.0 {
                    continue;
                }
                let bound = (own * other).sqrt();
                // The product of two squares may underflow, or overflow, where the quotients do not.
                let is_normal = bound > 0.0 && bound.is_finite();
                let cosine = if is_normal { inner / bound } else { inner / own.sqrt() / other.sqrt() };
                pairs.all[i * n + j] = [inner.signum(), cosine];
                pairs.all[j * n + i] = [inner.signum(), cosine];
                pairs.doubtful.extend((cosine.abs() < ROUNDING).then_some((i, j)));
            }
        }
        pairs
    }

    /// Sums over the pairs of some examples, by each of the two ways of grouping them, which have so many groups.
    pub(crate) fn sum(&self, cells: &[Cell], groups: [usize; 2]) -> (Summed, Summed) {
        let (mut first, mut second) = (Summed::none(groups[0]), Summed::none(groups[1]));
        let mut add = |one: &Cell, other: &Cell, sum: &PairSum| {
            first.add(one.groups[0], other.groups[0], sum);
            second.add(one.groups[1], other.groups[1], sum);
        };
        for (place, cell) in cells.iter().enumerate() {
            add(cell, cell, &self.within(cell));
            cells[place + 1..].iter().for_each(|other| add(cell, other, &self.between(cell, other)));
        }
        if !self.doubtful.is_empty() {
            let mut cell_of = vec![None; self.examples];
            cells.iter().for_each(|cell| cell.examples.iter().for_each(|&example| cell_of[example] = Some(cell)));
            let both = self.doubtful.iter().filter_map(|&(i, j)| cell_of[i].zip(cell_of[j]));
            both.for_each(|(one, other)| add(one, other, &PairSum { doubtful: 1.0, ..PairSum::default() }));
        }
        (first, second)
    }

    fn within(&self, cell: &Cell) -> PairSum {
        let total = self.total(cell.examples.iter().enumerate().map(|(place, i)| (i, &cell.examples[place + 1..])));
        let pairs = |examples: f64| examples * (examples - 1.0) / 2.0;
        let ([sign, cosine], count) = (total, cell.examples.len() as f64);
        PairSum { pairs: pairs(count), sign, doubtful: 0.0, cosine, with_cosine: pairs(self.with_cosine(cell)) }
    }

    fn between(&self, one: &Cell, other: &Cell) -> PairSum {
        let [sign, cosine] = self.total(one.examples.iter().map(|i| (i, other.examples.as_slice())));
        let pairs = (one.examples.len() * other.examples.len()) as f64;
        let with_cosine = self.with_cosine(one) * self.with_cosine(other);
        PairSum { pairs, sign, doubtful: 0.0, cosine, with_cosine }
    }

    /// Signs and cosines of examples with others, added up.
    fn total<'a>(&self, of: impl Iterator<Item = (&'a usize, &'a [usize])>) -> [f64; 2] {
        let mut total = [0.0; 2];
        for (i, others) in of {
            let row = &self.all[i * self.examples..(i + 1) * self.examples];
            let mut sum = [0.0; 2];
            for &j in others {
                sum[0] += row[j][0];
                sum[1] += row[j][1];
            }
            total[0] += sum[0];
            total[1] += sum[1];
        }
        total
    }

    /// How many gradients of a cell are not 0.
    fn with_cosine(&self, cell: &Cell) -> f64 {
        cell.examples.iter().filter(|example| self.has_cosine[**example]).count() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_gradients_by_hand() {
        let rows = [vec![3.0, 4.0], vec![-4.0, 3.0], vec![6.0, 8.0], vec![0.0, 0.0]];
        let gram = Gram::new(&rows);
        assert_eq!(gram.inner[..8], [25.0, 0.0, 50.0, 0.0, 0.0, 25.0, 0.0, 0.0]);
        let groups = Groups { of: vec![1, 0, 0, 1], count: 2 };
        let apart = Groups { of: vec![0, 1, 2, 3], count: 4 };
        let (summed, of_each) = Pairs::new(&gram).sum(&cells(&[0, 2, 1, 3], [&groups, &apart]), [2, 4]);
        let between = summed.of_pair(0, 1);
        assert_eq!((between.pairs, between.sign().value, between.cosine().value), (4.0, 0.25, 0.5));
        assert!(summed.of_pair(1, 1).cosine().value.is_nan());
        assert_eq!(summed.total(|a, b| a == b).pairs, 2.0);
        assert_eq!((of_each.of_pair(0, 2).cosine().value, of_each.total(|_, _| true).pairs), (1.0, 6.0));
    }
}
