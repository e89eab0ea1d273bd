//! Cumulative mean contributions of pristine and of corrupt examples, and their difference.
//!
//! ```text
//! i^p_t = (1/|P|) Σ_{t'≤t} Σ_{i∈P} s_{t',i}      i^c_t = (1/|C|) Σ_{t'≤t} Σ_{i∈C} s_{t',i}      D_t = i^p_t − i^c_t
//! ```
//!
//! To first order, and up to the learning rate, the loss reduction that a mean pristine (corrupt) example has contributed
//! by step t. A sum over *every* step 0…t: defined only while the recorded steps are contiguous from 0, and not reported
//! past the first gap. The side of an empty group is missing, and so is D. Null worlds: `E[D_t] = 0`,
//! `Var[D_t] = n² V_t / ((n−1)|P||C|)`, V_t the variance over examples of Σ_{t'≤t} s_{t',i}. For any grouping: the mean of each
//! group, and the difference of each two, `Var = V_t n/(n−1) · (1/n_a + 1/n_b)`. Source: §2.4, Figure 3; [S 2.2], [S 3.1],
//! [S 3.3].

use super::contribution::Contributions;
use super::designation::Designation;
use super::grouping::Grouping;
use super::linear::{Contrast, Family, Linear};
use super::scores::Scores;

/// Cumulative mean contributions at one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cumulative {
    /// i^p_t; `None` if no example is pristine.
    pub pristine: Option<f64>,
    /// i^c_t; `None` if no example is corrupt.
    pub corrupt: Option<f64>,
    /// D_t; `None` if either is.
    pub difference: Option<f64>,
}

/// One value a contiguous step: fewer than the recorded steps if there is a gap, none if step 0 is not recorded.
pub fn cumulate(contributions: &Contributions, designation: &Designation) -> Vec<Cumulative> {
    let (mut pristine_sum, mut corrupt_sum) = (0.0, 0.0);
    let at_step = |of_step: &[f64]| {
        let (pristine, corrupt) = designation.sums(of_step);
        pristine_sum += pristine;
        corrupt_sum += corrupt;
        let pristine = mean(pristine_sum, designation.pristine());
        let corrupt = mean(corrupt_sum, designation.corrupt());
        Cumulative { pristine, corrupt, difference: pristine.zip(corrupt).map(|(p, c)| p - c) }
    };
    contributions.by_step().take(contributions.contiguous_steps()).map(at_step).collect()
}

/// The mean cumulative contribution of each group, in order, at every contiguous step; `None` for an empty group.
pub fn means(contributions: &Contributions, grouping: &Grouping) -> Vec<Vec<Option<f64>>> {
    let mut sums = vec![0.0; grouping.groups()];
    let at_step = |of_step: &[f64]| {
        sums.iter_mut().zip(grouping.sums(of_step)).for_each(|(sum, of_step)| *sum += of_step);
        sums.iter().zip(grouping.sizes()).map(|(&sum, &size)| mean(sum, size)).collect()
    };
    contributions.by_step().take(contributions.contiguous_steps()).map(at_step).collect()
}

fn mean(sum: f64, count: usize) -> Option<f64> {
    (count > 0).then(|| sum / count as f64).filter(|mean| mean.is_finite())
}

/// The difference of the mean cumulative contributions of groups `a` and `b`, one member a contiguous step; D_t is that of
/// pristine and corrupt.
pub fn family(scores: &Scores<'_>, grouping: &Grouping, a: usize, b: usize) -> Family {
    let rows = scores.cumulative_rows();
    let first = rows.start;
    let member =
        |place: usize, contrast: &Contrast| Some(Linear::new(0.0, 1.0, scores.spread(first + place)?, contrast));
    Family::new(Contrast::mean_difference(grouping, a, b), rows, member)
}
