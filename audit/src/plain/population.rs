//! The population as estimated from the sample [S 8.1]: the share of group k is N̂^k/N̂, its mean cumulative contribution
//! Σ_{t'≤t} N̂^k_t'/n_k, n_k of all m examples.

use crate::coherence::{GroupNorms, Setting, StepCoherence};
use crate::plain::cumulative::difference;
use crate::plain::interval::{Estimate, OfHalf};
use crate::record::pairs;
use crate::tally::Number;

/// What the sample says of the population at some steps.
#[derive(Default)]
pub(crate) struct Estimated {
    /// N̂ of each step.
    pub norm_sq: Vec<Option<Number>>,
    /// By step, then by group.
    pub shares: Vec<Vec<Estimate>>,
    /// By contiguous step, then by group.
    pub cumulative: Vec<Vec<Estimate>>,
    /// By contiguous step, then by pair of groups.
    pub differences: Vec<Vec<Estimate>>,
}

/// The estimation while step after step is added.
pub(crate) struct Estimating {
    /// Sizes of the groups in the sample, and in what it was drawn from: 0 of a group of which nothing is known.
    n: usize,
    sizes: Vec<usize>,
    told: Vec<bool>,
    /// Sums over the contiguous steps so far, of the sample and of each half.
    sums: Vec<GroupNorms>,
}

impl Estimating {
    /// `sampled` and `all` are the sizes of the groups in the sample and in what it was drawn from.
    pub(crate) fn new(sampled: &[usize], all: &[usize]) -> Estimating {
        // Nothing is known of a group of which there is no example in the sample.
        let sizes = sampled.iter().zip(all).map(|(&sampled, &all)| if sampled > 0 { all } else { 0 }).collect();
        Estimating { n: sampled.iter().sum(), sizes, told: Setting::told_groups(sampled), sums: Vec::new() }
    }

    /// What is estimated at the next steps, of which so many are contiguous with those before; `None` if the sizes of the
    /// parameters are not known.
    pub(crate) fn add(&mut self, coherence: &[StepCoherence], contiguous: usize) -> Option<Estimated> {
        if coherence.iter().any(|step| step.norms.is_empty()) {
            return None;
        }
        let mut found = Estimated::default();
        for step in &coherence[..contiguous] {
            self.sums.resize(step.norms.len(), GroupNorms::none(self.sizes.len()));
            for (sum, of_step) in self.sums.iter_mut().zip(&step.norms) {
                sum.add(of_step);
            }
            let mean = |of: &GroupNorms, group: usize| {
                let size = self.sizes[group] as f64;
                (self.sizes[group] > 0).then(|| Number::near(of.norms[group] / size, of.sizes[group] / size))
            };
            let of_group = |group: usize| estimate(self.n, &self.sums, |of| mean(of, group)).told_if(self.told[group]);
            found.cumulative.push((0..self.sizes.len()).map(of_group).collect());
            let of_pair = |(a, b): (usize, usize)| {
                estimate(self.n, &self.sums, |of| difference(mean(of, a), mean(of, b)))
                    .told_if(self.told[a] && self.told[b])
            };
            found.differences.push(pairs(self.sizes.len()).into_iter().map(of_pair).collect());
        }
        found.norm_sq = coherence.iter().map(|step| step.norms[0].total()).collect();
        found.shares = coherence.iter().map(|step| self.shares(step)).collect();
        Some(found)
    }

    fn shares(&self, step: &StepCoherence) -> Vec<Estimate> {
        let are_several = self.sizes.iter().filter(|size| **size > 0).count() > 1;
        let share = |of: &GroupNorms, group: usize| {
            let total = of.total()?;
            let share = of.norms[group] / total.value;
            let is_defined = are_several && total.value > 0.0 && share.is_finite();
            is_defined.then(|| Number::near(share, total.scale / total.value * share.abs().max(1.0)))
        };
        let of_group = |group: usize| estimate(self.n, &step.norms, |of| share(of, group)).told_if(self.told[group]);
        (0..self.sizes.len()).map(of_group).collect()
    }
}

/// A function of the first of the norms, those of the sample of n examples, and of the others, those of the halves.
fn estimate(n: usize, norms: &[GroupNorms], of: impl Fn(&GroupNorms) -> Option<Number>) -> Estimate {
    let half = |norms: &GroupNorms| OfHalf { slack: norms.slack(), ..OfHalf::from(of(norms)) };
    let halves: Vec<OfHalf> = norms[1..].iter().map(half).collect();
    Estimate::new(n, of(&norms[0]), 0.0, &halves)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sheet::Value;

    #[test]
    fn three_groups_by_hand_one_of_them_not_in_the_sample() {
        let step = |norms: [f64; 3]| StepCoherence {
            norms: vec![GroupNorms {
                norms: norms.to_vec(),
                sizes: norms.map(f64::abs).to_vec(),
                ..GroupNorms::none(0)
            }],
            ..StepCoherence::default()
        };
        let steps = [step([6.0, 2.0, 0.0]), step([-1.0, -3.0, 0.0])];
        let found = Estimating::new(&[4, 2, 0], &[8, 4, 5]).add(&steps, 2).unwrap();
        let value = |estimate: &Estimate| match &estimate.value {
            Value::Number(number) => Some(number.value),
            _ => None,
        };
        let values = |estimates: &[Estimate]| estimates.iter().map(value).collect::<Vec<_>>();
        assert_eq!(values(&found.shares[0]), [Some(0.75), Some(0.25), Some(0.0)]);
        // N̂ is −4 there.
        assert_eq!((values(&found.shares[1]), found.norm_sq[1].unwrap().value), (vec![None; 3], -4.0));
        assert_eq!(values(&found.cumulative[1]), [Some(0.625), Some(-0.25), None]);
        assert_eq!(values(&found.differences[1]), [Some(0.875), None, None]);
        assert!(Estimating::new(&[1], &[1]).add(&[StepCoherence::default()], 1).is_none());
    }
}
