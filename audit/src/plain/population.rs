//! The population as estimated from the sample [S 4.2]: α̂ = N̂^p/N̂, and î^p_t = Σ_{t'≤t} N̂^p_t'/|P|, |P| of all m examples.

use crate::coherence::{GroupNorms, StepCoherence};
use crate::plain::bootstrap::{Estimate, Resampled};
use crate::plain::cumulative::contiguous;
use crate::tally::Number;

/// What the sample says of the population.
pub(crate) struct Estimated {
    /// One a step.
    pub decomposition: Vec<Decomposition>,
    /// î^p, î^c and their difference at each contiguous step.
    pub cumulative: Vec<[Estimate; 3]>,
}

/// The decomposition of one step.
pub(crate) struct Decomposition {
    pub alpha: Estimate,
    pub beta: Option<Number>,
    pub norm_sq: Option<Number>,
}

impl Estimated {
    /// `None` if the sizes of the layers are not known; `sampled` and `all` say which examples are pristine.
    pub(crate) fn of(steps: &[i64], coherence: &[StepCoherence], sampled: &[bool], all: &[bool]) -> Option<Estimated> {
        if coherence.iter().any(|step| step.norms.is_empty()) {
            return None;
        }
        // Nothing is known of a group of which there is no example in the sample.
        let size = |is: bool| if sampled.contains(&is) { all.iter().filter(|&&of| of == is).count() } else { 0 };
        let sizes = [size(true), size(false)];
        let mut sums: Vec<GroupNorms> = Vec::new();
        let mut cumulative = Vec::new();
        for step in &coherence[..contiguous(steps)] {
            sums.resize(step.norms.len(), GroupNorms::default());
            for (sum, of_step) in sums.iter_mut().zip(&step.norms) {
                for group in 0..2 {
                    sum.norms[group] += of_step.norms[group];
                    sum.sizes[group] += of_step.sizes[group];
                }
            }
            cumulative.push(means(&sums, sizes));
        }
        let decomposition = coherence.iter().map(|step| decompose(&step.norms, sizes)).collect();
        Some(Estimated { decomposition, cumulative })
    }
}

/// The first of the norms is that of the sample, the others those of the resamples.
fn decompose(norms: &[GroupNorms], sizes: [usize; 2]) -> Decomposition {
    let both = sizes[0] > 0 && sizes[1] > 0;
    let share = |of: &GroupNorms, group: usize| {
        let (total, size) = (of.norms[0] + of.norms[1], of.sizes[0] + of.sizes[1]);
        let share = of.norms[group] / total;
        let defined = both && total > 0.0 && share.is_finite();
        defined.then(|| Number::near(share, size / total * share.abs().max(1.0)))
    };
    let values: Vec<Resampled> =
        norms[1..].iter().filter_map(|of| share(of, 0)).map(|number| number.value.into()).collect();
    let total = norms[0].norms[0] + norms[0].norms[1];
    Decomposition {
        alpha: Estimate::new(share(&norms[0], 0), 0.0, &values),
        beta: share(&norms[0], 1),
        norm_sq: total.is_finite().then(|| Number::near(total, norms[0].sizes[0] + norms[0].sizes[1])),
    }
}

fn means(sums: &[GroupNorms], sizes: [usize; 2]) -> [Estimate; 3] {
    let mean = |of: &GroupNorms, group: usize| {
        let size = sizes[group] as f64;
        (sizes[group] > 0).then(|| Number::near(of.norms[group] / size, of.sizes[group] / size))
    };
    let difference = |of: &GroupNorms| {
        let (left, right) = (mean(of, 0)?, mean(of, 1)?);
        Some(Number::near(left.value - right.value, left.scale + right.scale))
    };
    let estimate = |of: &dyn Fn(&GroupNorms) -> Option<Number>| {
        let values: Vec<Resampled> = sums[1..].iter().filter_map(of).map(|number| number.value.into()).collect();
        Estimate::new(of(&sums[0]), 0.0, &values)
    };
    [estimate(&|of| mean(of, 0)), estimate(&|of| mean(of, 1)), estimate(&difference)]
}
