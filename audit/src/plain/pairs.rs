//! Pairs of distinct examples: inner products, their signs and cosines, summed over pairs of groups [S 8].

/// The inner products of n gradients.
#[derive(Clone)]
pub(crate) struct Gram {
    pub examples: usize,
    /// `[n, n]`, row by row.
    pub inner: Vec<f64>,
}

impl Gram {
    /// Over the coordinates at `places`.
    pub(crate) fn of(rows: &[&[f32]], places: &[usize]) -> Gram {
        let examples = rows.len();
        let chosen: Vec<Vec<f64>> =
            rows.iter().map(|row| places.iter().map(|&place| f64::from(row[place])).collect()).collect();
        let mut inner = vec![0.0; examples * examples];
        for i in 0..examples {
            for j in i..examples {
                let mut sum = 0.0;
                for (left, right) in chosen[i].iter().zip(&chosen[j]) {
                    sum += left * right;
                }
                inner[i * examples + j] = sum;
                inner[j * examples + i] = sum;
            }
        }
        Gram { examples, inner }
    }

    /// Adds that over other coordinates.
    pub(crate) fn add(&mut self, other: &Gram) {
        for (sum, value) in self.inner.iter_mut().zip(&other.inner) {
            *sum += value;
        }
    }

    pub(crate) fn at(&self, i: usize, j: usize) -> f64 {
        self.inner[i * self.examples + j]
    }
}

/// The groups that each example is of, in each of the ways that pairs are counted by.
pub(crate) struct Groupings<'a> {
    pub of: [&'a [usize]; 2],
    pub counts: [usize; 2],
}

/// Places in [`Groupings`]: the groups asked for, and the labels.
pub(crate) const GROUPS: usize = 0;
pub(crate) const CLASSES: usize = 1;

/// Sums over the pairs of distinct examples of each ordered pair of groups, `[groups, groups]` each, every unordered pair of
/// examples counted once at (group of the earlier, group of the later).
#[derive(Clone, Debug)]
pub(crate) struct PairSums {
    groups: usize,
    pub count: Vec<f64>,
    pub sign: Vec<f64>,
    /// Number of the pairs whose sign rounding decides.
    pub doubtful: Vec<f64>,
    pub cosine: Vec<f64>,
    /// Number of the pairs that have a cosine.
    pub cosine_count: Vec<f64>,
}

impl PairSums {
    fn new(groups: usize) -> PairSums {
        let zeros = vec![0.0; groups * groups];
        PairSums {
            groups,
            count: zeros.clone(),
            sign: zeros.clone(),
            doubtful: zeros.clone(),
            cosine: zeros.clone(),
            cosine_count: zeros,
        }
    }

    /// The sum of one of the fields over the unordered pair of groups a, b.
    pub(crate) fn of_pair(&self, field: impl Fn(&PairSums) -> &Vec<f64>, a: usize, b: usize) -> f64 {
        let values = field(self);
        let there = values[a * self.groups + b];
        if a == b { there } else { there + values[b * self.groups + a] }
    }

    /// The sum of one of the fields over all pairs of groups that are wanted.
    pub(crate) fn total(&self, field: impl Fn(&PairSums) -> &Vec<f64>, wanted: impl Fn(usize, usize) -> bool) -> f64 {
        let values = field(self);
        let mut sum = 0.0;
        for a in 0..self.groups {
            for b in 0..self.groups {
                if wanted(a, b) {
                    sum += values[a * self.groups + b];
                }
            }
        }
        sum
    }
}

/// Signs and cosines of every pair, computed once for all halves.
pub(crate) struct Pairs<'a> {
    gram: &'a Gram,
    sign: Vec<f64>,
    /// NaN where a gradient is 0.
    cosine: Vec<f64>,
}

/// Sums over pairs, in each way of grouping, and the smallest inner product.
pub(crate) struct Summed {
    pub by: [PairSums; 2],
    /// Infinite if there is no pair.
    pub minimum: f64,
}

/// An inner product of this part of its bound is rounding: its sign may be any.
const ROUNDING: f64 = 1e-12;

impl<'a> Pairs<'a> {
    pub(crate) fn of(gram: &'a Gram) -> Pairs<'a> {
        let n = gram.examples;
        let (mut sign, mut cosine) = (vec![0.0; n * n], vec![f64::NAN; n * n]);
        for i in 0..n {
            for j in 0..n {
                let inner = gram.at(i, j);
                let bound = (gram.at(i, i) * gram.at(j, j)).sqrt();
                sign[i * n + j] = if inner > 0.0 {
                    1.0
                } else if inner < 0.0 {
                    -1.0
                } else {
                    0.0
                };
                if gram.at(i, i) > 0.0 && gram.at(j, j) > 0.0 {
                    // The product of two squares may underflow where the quotients do not.
                    cosine[i * n + j] =
                        if bound > 0.0 { inner / bound } else { inner / gram.at(i, i).sqrt() / gram.at(j, j).sqrt() };
                }
            }
        }
        Pairs { gram, sign, cosine }
    }

    /// Sums over the pairs of distinct examples of those `chosen`.
    pub(crate) fn sum(&self, chosen: &[usize], groupings: &Groupings<'_>) -> Summed {
        let n = self.gram.examples;
        let mut by = groupings.counts.map(PairSums::new);
        let mut minimum = f64::INFINITY;
        for (place, &i) in chosen.iter().enumerate() {
            for &j in &chosen[place + 1..] {
                let at = i * n + j;
                let inner = self.gram.inner[at];
                minimum = minimum.min(inner);
                let cosine = self.cosine[at];
                let doubtful = inner != 0.0 && cosine.abs() < ROUNDING;
                for (sums, of) in by.iter_mut().zip(&groupings.of) {
                    let pair = of[i] * sums.groups + of[j];
                    sums.count[pair] += 1.0;
                    sums.sign[pair] += self.sign[at];
                    if doubtful {
                        sums.doubtful[pair] += 1.0;
                    }
                    if !cosine.is_nan() {
                        sums.cosine[pair] += cosine;
                        sums.cosine_count[pair] += 1.0;
                    }
                }
            }
        }
        Summed { by, minimum }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_gradients_by_hand() {
        let rows: [&[f32]; 3] = [&[3.0, 4.0], &[-4.0, 3.0], &[6.0, 8.0]];
        let gram = Gram::of(&rows, &[0, 1]);
        assert_eq!(gram.inner, [25.0, 0.0, 50.0, 0.0, 25.0, 0.0, 50.0, 0.0, 100.0]);
        let groups = [0, 1, 1];
        let groupings = Groupings { of: [&groups; 2], counts: [2; 2] };
        let summed = Pairs::of(&gram).sum(&[0, 1, 2], &groupings);
        let sums = &summed.by[GROUPS];
        assert_eq!(sums.of_pair(|sums| &sums.count, 0, 1), 2.0);
        assert_eq!(sums.of_pair(|sums| &sums.sign, 0, 1), 1.0);
        assert_eq!(sums.of_pair(|sums| &sums.cosine, 0, 1), 1.0);
        assert_eq!(sums.of_pair(|sums| &sums.count, 1, 1), 1.0);
        assert_eq!(Pairs::of(&gram).sum(&[2, 0], &groupings).by[GROUPS].of_pair(|sums| &sums.count, 0, 1), 1.0);
        assert_eq!(summed.minimum, 0.0);
    }
}
