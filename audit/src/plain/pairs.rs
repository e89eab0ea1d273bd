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
    pub(crate) fn of(rows: &[Vec<f64>]) -> Gram {
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
    let mut sums = [0.0; 4];
    for (left, right) in left.chunks(4).zip(right.chunks(4)) {
        for ((sum, left), right) in sums.iter_mut().zip(left).zip(right) {
            *sum += left * right;
        }
    }
    sums.iter().sum()
}

/// One way of grouping the examples: the group of each, and the number of groups.
#[derive(Clone, Debug)]
pub(crate) struct Groups {
    pub of: Vec<usize>,
    pub count: usize,
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
    sign: Vec<f64>,
    /// NaN where a gradient is 0.
    cosine: Vec<f64>,
}

impl Pairs {
    pub(crate) fn of(gram: &Gram) -> Pairs {
        let n = gram.examples;
        let (mut sign, mut cosine) = (vec![0.0; n * n], vec![f64::NAN; n * n]);
        for i in 0..n {
            for j in 0..n {
                let (inner, own, other) = (gram.at(i, j), gram.at(i, i), gram.at(j, j));
                if inner != 0.0 {
                    sign[i * n + j] = inner.signum();
                }
                if own > 0.0 && other > 0.0 {
                    let bound = (own * other).sqrt();
                    // The product of two squares may underflow, or overflow, where the quotients do not.
                    let is_normal = bound > 0.0 && bound.is_finite();
                    cosine[i * n + j] = if is_normal { inner / bound } else { inner / own.sqrt() / other.sqrt() };
                }
            }
        }
        Pairs { examples: n, sign, cosine }
    }

    /// Sums over the pairs of some examples.
    pub(crate) fn sum(&self, examples: &[usize], groups: &Groups) -> Summed {
        let mut sums = vec![PairSum::default(); groups.count * groups.count];
        for (place, &i) in examples.iter().enumerate() {
            let (signs, cosines) = (&self.sign[i * self.examples..], &self.cosine[i * self.examples..]);
            for &j in &examples[place + 1..] {
                let (a, b) = (groups.of[i].min(groups.of[j]), groups.of[i].max(groups.of[j]));
                let sum = &mut sums[a * groups.count + b];
                let (sign, cosine) = (signs[j], cosines[j]);
                sum.pairs += 1.0;
                sum.sign += sign;
                if !cosine.is_nan() {
                    sum.cosine += cosine;
                    sum.with_cosine += 1.0;
                    sum.doubtful += f64::from(u8::from(sign != 0.0 && cosine.abs() < ROUNDING));
                }
            }
        }
        Summed { groups: groups.count, sums }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_gradients_by_hand() {
        let rows = [vec![3.0, 4.0], vec![-4.0, 3.0], vec![6.0, 8.0], vec![0.0, 0.0]];
        let gram = Gram::of(&rows);
        assert_eq!(gram.inner[..8], [25.0, 0.0, 50.0, 0.0, 0.0, 25.0, 0.0, 0.0]);
        let groups = Groups { of: vec![1, 0, 0, 1], count: 2 };
        let summed = Pairs::of(&gram).sum(&[0, 2, 1, 3], &groups);
        let between = summed.of_pair(0, 1);
        assert_eq!((between.pairs, between.sign().value, between.cosine().value), (4.0, 0.25, 0.5));
        assert!(summed.of_pair(1, 1).cosine().value.is_nan());
        assert_eq!(summed.total(|a, b| a == b).pairs, 2.0);
    }
}
