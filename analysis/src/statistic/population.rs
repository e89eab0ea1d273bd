//! Shares and cumulative contributions of the population, of all m examples, as estimated from the sample.
//!
//! ```text
//! N̂^k = m(m−1)/(n(n−1)) Σ_{i∈k} (s_i − q_i) + (m/n) Σ_{i∈k} q_i      share = N̂^k/N̂      î^k_t = Σ_{t'≤t} N̂^k_t' / m_k
//! ```
//!
//! the same over C, and N̂ = N̂^p + N̂^c; inner products of a layer are scaled by d_l/k_l, its weights over the sampled ones,
//! before they are added over layers, and |P| is that of all m examples. Examples and coordinates being uniform samples without
//! replacement, N̂^p, N̂^c and N̂ are unbiased, and the ratio α̂ is consistent. N̂ can be negative. In a half the means are over its h
//! examples and the scaled sums over its coordinates, so that the intervals are of both draws:
//!
//! ```text
//! N̂^p* = m(m−1)/(h(h−1)) Σ_{i∈P} Σ_{j≠i} ⟨g_i, g_j⟩* + (m/h) Σ_{i∈P} q_i*        inner products scaled by d_l/c_l
//! ```
//!
//! Missing with one sampled example of several; α̂ where N̂ is rounding or not positive, or a group has no sampled example. Source:
//! [S 8.1], [S 9].

use polars::prelude::*;

use crate::frame;
use crate::kernel::contribution::contiguous_steps;
use crate::kernel::grouping::Grouping;
use crate::kernel::halves::{FEWEST_OF_A_PART, Measured};
use crate::kernel::moments::ratio;
use crate::statistic::{Compute, Statistic};

/// Its definition.
pub const STATISTIC: Statistic = Statistic {
    name: "population",
    about: "shares and cumulative contributions of the whole population as estimated from the sample, with intervals",
    unit: "",
    tables: &["shares", "cumulative", "differences", "gradient_norms", "coverage"],
    compute: Compute::Population,
};

/// N̂ of a group, from (1/n(n−1)) Σ_{i∈group} Σ_{j≠i} ⟨g_i, g_j⟩ and (1/n) Σ_{i∈group} q_i, or their likes in a half; m is
/// `examples`.
pub(crate) fn norm(examples: usize, pair_mean: f64, self_mean: f64) -> f64 {
    let m = examples as f64;
    // 0 · ∞ without a pair of examples, where there is only one in the population too.
    let pairs = if examples == 1 { 0.0 } else { m * (m - 1.0) * pair_mean };
    pairs + m * self_mean
}

/// The tables while they are made, step after step.
pub(crate) struct Tables<'a> {
    steps: &'a [i64],
    grouping: &'a Grouping,
    sizes: &'a [usize],
    /// How many steps were added.
    added: usize,
    /// How many of the first steps are contiguous from 0, and the sums of their norms so far.
    contiguous: usize,
    sums: Vec<f64>,
    gradient_norms: Vec<Option<f64>>,
    shares: Rows,
    means: Rows,
    differences: Rows,
}

impl<'a> Tables<'a> {
    /// `sizes` are those of the groups in the population, 0 for one that has no sampled example, of which nothing is known.
    pub(crate) fn new(steps: &'a [i64], grouping: &'a Grouping, sizes: &'a [usize]) -> Tables<'a> {
        let [shares, means, differences] = [(); 3].map(|()| Rows::default());
        let (contiguous, sums, gradient_norms) = (contiguous_steps(steps), Vec::new(), Vec::new());
        Tables { steps, grouping, sizes, added: 0, contiguous, sums, gradient_norms, shares, means, differences }
    }

    /// Adds the next step, with N̂ of each group and N̂: of the sample, then of each half `[1 + B, G + 1]`, row-major.
    pub(crate) fn add(&mut self, norms: &[f64]) {
        let (grouping, sizes, step) = (self.grouping, self.sizes, self.steps[self.added]);
        let several = sizes.iter().filter(|&&size| size > 0).count() > 1;
        let total = |norms: &[f64]| norms[grouping.groups()];
        let share = |norms: &[f64], group: usize| ratio(norms[group], total(norms)).filter(|_| several);
        let of_sample = norms.chunks_exact(grouping.groups() + 1).next().map(total);
        self.gradient_norms.push(of_sample.filter(|total| total.is_finite()));
        for group in 0..grouping.groups() {
            self.shares.add(step, [group; 2], estimate(grouping, norms, [group; 2], &|norms| share(norms, group)));
        }
        self.added += 1;
        if self.added > self.contiguous {
            return;
        }
        self.sums.resize(norms.len(), 0.0);
        self.sums.iter_mut().zip(norms).for_each(|(sum, norm)| *sum += norm);
        let mean = |sums: &[f64], group: usize| (sizes[group] > 0).then(|| sums[group] / sizes[group] as f64);
        for group in 0..grouping.groups() {
            self.means.add(step, [group; 2], estimate(grouping, &self.sums, [group; 2], &|sums| mean(sums, group)));
        }
        for (a, b) in grouping.pairs() {
            let difference = |sums: &[f64]| Some(mean(sums, a)? - mean(sums, b)?);
            self.differences.add(step, [a, b], estimate(grouping, &self.sums, [a, b], &difference));
        }
    }

    /// The tables of the steps that were added.
    pub(crate) fn frames(self) -> PolarsResult<Vec<(&'static str, DataFrame)>> {
        let steps = self.steps[..self.added].to_vec();
        let gradient_norms = df!("step" => steps, "gradient_norm_sq" => self.gradient_norms)?;
        let gradient_norms = gradient_norms.lazy().with_column(lit("population").alias("estimator")).collect()?;
        Ok(vec![
            ("gradient_norms", gradient_norms),
            ("shares", self.shares.frame("share", self.grouping)?),
            ("cumulative", self.means.frame("cumulative", self.grouping)?),
            ("differences", self.differences.frame("difference", self.grouping)?),
        ])
    }
}

/// What `value` makes of norms, or of their sums, and of those of each half.
fn estimate(grouping: &Grouping, norms: &[f64], groups: [usize; 2], value: &dyn Fn(&[f64]) -> Option<f64>) -> Measured {
    let told = groups.iter().all(|&group| grouping.sizes()[group] >= FEWEST_OF_A_PART);
    let mut values = norms.chunks_exact(grouping.groups() + 1).map(value);
    let actual = values.next().flatten();
    let halves = values.map(|value| value.unwrap_or(f64::NAN));
    Measured::new(grouping.examples(), actual, halves).only_if(told)
}

/// Rows of estimates while they are made: step, groups, value.
#[derive(Default)]
struct Rows(Vec<(i64, [usize; 2], Measured)>);

impl Rows {
    fn add(&mut self, step: i64, groups: [usize; 2], value: Measured) {
        self.0.push((step, groups, value));
    }

    fn frame(&self, value: &str, grouping: &Grouping) -> PolarsResult<DataFrame> {
        let name = |place: usize| self.0.iter().map(|row| grouping.names()[row.1[place]].as_str()).collect::<Vec<_>>();
        let frame = df!(
            "step" => self.0.iter().map(|row| row.0).collect::<Vec<_>>(),
            "group_a" => name(0),
            "group_b" => name(1),
            value => self.0.iter().map(|row| row.2.value).collect::<Vec<_>>(),
            "lower" => self.0.iter().map(|row| row.2.interval.map(|(lower, _)| lower)).collect::<Vec<_>>(),
            "upper" => self.0.iter().map(|row| row.2.interval.map(|(_, upper)| upper)).collect::<Vec<_>>(),
        )?;
        let constants =
            [lit("population").alias("estimator"), frame::count(0).alias("world"), col("group_a").alias("group")];
        frame.lazy().with_columns(constants).collect()
    }
}
