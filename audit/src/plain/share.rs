//! The groups' shares of ‖g_t‖² = Σ_i s_{t,i} [S 2.1, S 2.4]: α and β are those of pristine and corrupt examples.

use crate::plain::permutation::Groups;
use crate::plain::zero::rounded;
use crate::tally::Number;

/// ‖g‖² of one step, and what each group has of it.
#[derive(Clone, Debug)]
pub(crate) struct Decomposition {
    /// Missing where ‖g‖² is not positive and finite, or fewer than two groups have examples.
    pub shares: Vec<Option<Number>>,
    /// Missing where it is not finite.
    pub norm_sq: Option<Number>,
}

/// ‖g‖² of one step from its n contributions and Σ_i q_i, NaN if that is not known. Every coordinate of g is the sum of n numbers,
/// so that ‖g‖ is 0 where it is the rounding of such sums, which are √(n Σ q) in size at most.
pub(crate) fn norm_sq(contributions: &[f64], self_sum: f64) -> f64 {
    let (sum, n) = (contributions.iter().sum::<f64>(), contributions.len() as f64);
    if sum > 0.0 && rounded(sum.sqrt(), n, (n * self_sum).sqrt()) == 0.0 { 0.0 } else { sum }
}

/// Of the contributions of one step, and their sum.
pub(crate) fn decompose(contributions: &[f64], total: f64, groups: &Groups) -> Decomposition {
    let (mut sums, mut size) = (vec![0.0; groups.sizes.len()], 0.0);
    for (value, &group) in contributions.iter().zip(&groups.of) {
        sums[group] += value;
        size += value.abs();
    }
    let is_defined = groups.are_several() && total > 0.0 && total.is_finite();
    let share = |sum: &f64| is_defined.then(|| Number::near(sum / total, (sum.abs() + size) / total));
    let norm_sq = total.is_finite().then(|| Number::near(total, size));
    Decomposition { shares: sums.iter().map(share).collect(), norm_sq }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_by_hand_and_where_they_are_missing() {
        let of = |contributions: &[f64], groups: &[usize], count| {
            let total = norm_sq(contributions, f64::NAN);
            let found = decompose(contributions, total, &Groups::new(groups.to_vec(), count));
            let value = |number: Option<Number>| number.map(|number| number.value);
            (found.shares.into_iter().map(value).collect::<Vec<_>>(), value(found.norm_sq))
        };
        assert_eq!(of(&[3.0, 1.0, -2.0], &[0, 1, 0], 2), (vec![Some(0.5), Some(0.5)], Some(2.0)));
        assert_eq!(of(&[3.0, 1.0, 4.0], &[0, 3, 1], 4).0, [Some(0.375), Some(0.5), Some(0.0), Some(0.125)]);
        assert_eq!(of(&[3.0, -3.0], &[0, 1], 2), (vec![None, None], Some(0.0)));
        assert_eq!(of(&[3.0, 3.0], &[0, 0], 2), (vec![None, None], Some(6.0)));
        assert_eq!(of(&[f64::INFINITY, 3.0], &[0, 1], 2), (vec![None, None], None));
        // ‖g‖ = 10⁻¹⁵ is what sums of two numbers of size 1 round to, and 10⁻¹⁰ is not.
        assert!(norm_sq(&[3e-30, -2e-30], 2.0) == 0.0 && norm_sq(&[3e-20, -2e-20], 2.0) > 0.0);
    }
}
