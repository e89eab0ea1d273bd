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

/// The tables, from N̂ of each group and N̂ at every step: of the sample, then of each half `[1 + B, G + 1]`, row-major. `sizes` are those
/// of the groups in the population, 0 for one that has no sampled example, of which nothing is known.
pub(crate) fn tables(
    steps: &[i64],
    norms: &[&[f64]],
    grouping: &Grouping,
    sizes: &[usize],
) -> PolarsResult<Vec<(&'static str, DataFrame)>> {
    let several = sizes.iter().filter(|&&size| size > 0).count() > 1;
    let width = grouping.groups() + 1;
    let total = |norms: &[f64]| norms[width - 1];
    let told = |groups: [usize; 2]| groups.iter().all(|&group| grouping.sizes()[group] >= FEWEST_OF_A_PART);
    let estimate = |norms: &[f64], groups: [usize; 2], value: &dyn Fn(&[f64]) -> Option<f64>| {
        let mut values = norms.chunks_exact(width).map(value);
        let actual = values.next().flatten();
        let halves = values.map(|value| value.unwrap_or(f64::NAN));
        Measured::new(grouping.examples(), actual, halves).only_if(told(groups))
    };
    let share = |norms: &[f64], group: usize| ratio(norms[group], total(norms)).filter(|_| several);
    let mut shares = Rows::default();
    let mut gradient_norms = Vec::new();
    for (&step, of_step) in steps.iter().zip(norms) {
        gradient_norms.push(of_step.chunks_exact(width).next().map(total).filter(|total| total.is_finite()));
        for group in 0..grouping.groups() {
            shares.add(step, [group; 2], estimate(of_step, [group; 2], &|norms| share(norms, group)));
        }
    }
    let contiguous = contiguous_steps(steps);
    let (mut means, mut differences) = (Rows::default(), Rows::default());
    let mut sums: Vec<f64> = Vec::new();
    for (&step, of_step) in steps.iter().zip(norms).take(contiguous) {
        sums.resize(of_step.len(), 0.0);
        sums.iter_mut().zip(*of_step).for_each(|(sum, norm)| *sum += norm);
        let mean = |sums: &[f64], group: usize| (sizes[group] > 0).then(|| sums[group] / sizes[group] as f64);
        for group in 0..grouping.groups() {
            means.add(step, [group; 2], estimate(&sums, [group; 2], &|sums| mean(sums, group)));
        }
        for (a, b) in grouping.pairs() {
            let difference = |sums: &[f64]| Some(mean(sums, a)? - mean(sums, b)?);
            differences.add(step, [a, b], estimate(&sums, [a, b], &difference));
        }
    }
    let gradient_norms = df!("step" => steps.to_vec(), "gradient_norm_sq" => gradient_norms)?;
    let gradient_norms = gradient_norms.lazy().with_column(lit("population").alias("estimator")).collect()?;
    Ok(vec![
        ("gradient_norms", gradient_norms),
        ("shares", shares.frame("share", grouping)?),
        ("cumulative", means.frame("cumulative", grouping)?),
        ("differences", differences.frame("difference", grouping)?),
    ])
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
