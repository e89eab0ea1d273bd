//! Linear permutation statistics and their exact null moments.
//!
//! A statistic that is a constant plus a weighted sum of group sums of fixed scores x_i is determined, under a uniform
//! permutation of the examples over the groups, by its expectation and the centred scores. With n examples, groups k of n_k
//! and weights c_k:
//!
//! ```text
//! T = E[T] + Σ_k c_k X_k,  X_k = Σ_{i∈k} (x_i − x̄)
//! Var[T] = σ² n/(n−1) · (Σ_k c_k² n_k − (Σ_k c_k n_k)²/n),  σ² = Σ (x_i − x̄)² / n        z = (T − E[T]) / sd
//! ```
//!
//! A share has one weight, c_k = 1: the factor of σ² is n_k(n−n_k)/(n−1). A difference of two means has c_a = 1/n_a and
//! c_b = −1/n_b: the factor is n/(n−1)·(1/n_a + 1/n_b). Everything that is tested is of these two kinds, so that the group
//! sums of the contributions at each step are all that a null world has to be asked for. Source: [S 3.1]; Hoeffding 1951 for
//! the moments.

use super::grouping::Grouping;

/// Weights c_k of one or two groups; those of all others are 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Contrast {
    terms: Vec<(usize, f64)>,
    variance_factor: f64,
}

impl Contrast {
    /// The sum over one group.
    pub fn sum(grouping: &Grouping, group: usize) -> Contrast {
        Contrast::new(grouping, vec![(group, 1.0)])
    }

    /// The mean over group `a` less that over group `b`; `None` if either is empty.
    pub fn mean_difference(grouping: &Grouping, a: usize, b: usize) -> Option<Contrast> {
        let (in_a, in_b) = (grouping.sizes()[a], grouping.sizes()[b]);
        let terms = || vec![(a, 1.0 / in_a as f64), (b, -1.0 / in_b as f64)];
        (in_a > 0 && in_b > 0).then(|| Contrast::new(grouping, terms()))
    }

    fn new(grouping: &Grouping, terms: Vec<(usize, f64)>) -> Contrast {
        let n = grouping.examples() as f64;
        let size = |group: usize| grouping.sizes()[group] as f64;
        let squares: f64 = terms.iter().map(|&(group, weight)| weight * weight * size(group)).sum();
        let sum: f64 = terms.iter().map(|&(group, weight)| weight * size(group)).sum();
        let variance_factor = if n < 2.0 { 0.0 } else { n / (n - 1.0) * (squares - sum * sum / n).max(0.0) };
        Contrast { terms, variance_factor }
    }

    /// The groups and their weights.
    pub fn terms(&self) -> &[(usize, f64)] {
        &self.terms
    }

    /// Standard deviation of Σ_k c_k X_k over null worlds, of scores with the given spread σ.
    pub fn sd(&self, spread: f64) -> f64 {
        spread * self.variance_factor.sqrt()
    }
}

/// A linear permutation statistic's exact null moments.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Linear {
    /// Exact expectation over null worlds.
    pub mean: f64,
    /// Exact standard deviation over null worlds; 0 if every world gives the same value.
    pub sd: f64,
    /// What Σ_k c_k X_k is multiplied by to be z; `None` if `sd` is 0, because then there is no z.
    pub unit: Option<f64>,
}

impl Linear {
    /// The statistic with expectation `mean` that is `scale` times Σ_k c_k X_k of scores with the given spread.
    pub fn new(mean: f64, scale: f64, spread: f64, contrast: &Contrast) -> Linear {
        let sd = contrast.sd(spread);
        let unit = (1.0 / sd).is_finite().then(|| 1.0 / sd);
        Linear { mean, sd: if unit.is_some() { scale * sd } else { 0.0 }, unit }
    }
}

/// One statistic at several steps, tested together: the same contrast of consecutive rows of [`super::scores::Scores`].
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// `None` if the statistic is missing throughout, as its members then are.
    pub contrast: Option<Contrast>,
    /// The row of the first member.
    pub first_row: usize,
    /// One entry a row; `None` where the statistic is missing.
    pub members: Vec<Option<Linear>>,
}

impl Family {
    /// The family of `contrast` on `rows`; `member` says what it is in a row, given its place and the contrast.
    pub fn new(
        contrast: Option<Contrast>,
        rows: std::ops::Range<usize>,
        member: impl Fn(usize, &Contrast) -> Option<Linear>,
    ) -> Family {
        let at = |place: usize| contrast.as_ref().and_then(|contrast| member(place, contrast));
        let members = (0..rows.len()).map(at).collect();
        Family { contrast, first_row: rows.start, members }
    }
}
