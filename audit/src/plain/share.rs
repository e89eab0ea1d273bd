//! The groups' shares of ‖g_t‖² = Σ_i s_{t,i} [S 2.1, S 2.4]: α and β are those of pristine and corrupt examples.

use crate::plain::permutation::Groups;
use crate::tally::Number;

/// ‖g‖² of one step, and what each group has of it.
#[derive(Clone, Debug)]
pub(crate) struct Decomposition {
    /// Missing where ‖g‖² is not positive and finite, or fewer than two groups have examples.
    pub shares: Vec<Option<Number>>,
    /// Missing where it is not finite.
    pub norm_sq: Option<Number>,
}

/// Of the contributions of one step.
pub(crate) fn decompose(contributions: &[f64], groups: &Groups) -> Decomposition {
    let (mut sums, mut size) = (vec![0.0; groups.sizes.len()], 0.0);
    for (value, &group) in contributions.iter().zip(&groups.of) {
        sums[group] += value;
        size += value.abs();
    }
    let total: f64 = sums.iter().sum();
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
            let found = decompose(contributions, &Groups::new(groups.to_vec(), count));
            let value = |number: Option<Number>| number.map(|number| number.value);
            (found.shares.into_iter().map(value).collect::<Vec<_>>(), value(found.norm_sq))
        };
        assert_eq!(of(&[3.0, 1.0, -2.0], &[0, 1, 0], 2), (vec![Some(0.5), Some(0.5)], Some(2.0)));
        assert_eq!(of(&[3.0, 1.0, 4.0], &[0, 3, 1], 4).0, [Some(0.375), Some(0.5), Some(0.0), Some(0.125)]);
        assert_eq!(of(&[3.0, -3.0], &[0, 1], 2), (vec![None, None], Some(0.0)));
        assert_eq!(of(&[3.0, 3.0], &[0, 0], 2), (vec![None, None], Some(6.0)));
        assert_eq!(of(&[f64::INFINITY, 3.0], &[0, 1], 2), (vec![None, None], None));
    }
}
