//! Cumulative mean contributions of pristine and of corrupt examples, and their difference.
//!
//! ```text
//! i^p_t = (1/|P|) Σ_{t'≤t} Σ_{i∈P} s_{t',i}      i^c_t = (1/|C|) Σ_{t'≤t} Σ_{i∈C} s_{t',i}      D_t = i^p_t − i^c_t
//! ```
//!
//! To first order, and up to the learning rate, the loss reduction that a mean pristine (corrupt) example has contributed
//! by step t. A sum over *every* step 0…t: defined only while the recorded steps are contiguous from 0, and not reported
//! past the first gap. The side of an empty group is missing, and so is D. Null worlds: `E[D_t] = 0`,
//! `Var[D_t] = n² V_t / ((n−1)|P||C|)`, V_t the variance over examples of Σ_{t'≤t} s_{t',i}. Source: §2.4, Figure 3;
//! [S 2.2], [S 3.1].

use super::contribution::Contributions;
use super::designation::Designation;
use super::linear::Linear;

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
    let mean = |sum: f64, count: usize| (count > 0).then(|| sum / count as f64).filter(|mean| mean.is_finite());
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

/// D_t as a linear permutation statistic, one a contiguous step; `None` where D is missing.
pub fn linear(contributions: &Contributions, designation: &Designation) -> Vec<Option<Linear>> {
    let scale = designation.examples() as f64 / (designation.pristine() * designation.corrupt()) as f64;
    let mut cumulative = vec![0.0; contributions.examples()];
    let at_step = |of_step: &[f64]| {
        cumulative.iter_mut().zip(of_step).for_each(|(sum, contribution)| *sum += contribution);
        Linear::new(0.0, cumulative.iter().map(|sum| sum * scale).collect(), designation)
    };
    contributions.by_step().take(contributions.contiguous_steps()).map(at_step).collect()
}
