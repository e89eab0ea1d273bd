//! α_t and β_t: the pristine and the corrupt share of ‖g_t‖² = Σ_i s_{t,i} [S 2.1].

use crate::tally::Number;

/// The decomposition of one step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decomposition {
    /// Missing where ‖g‖² is not positive and finite, or a group is empty.
    pub alpha: Option<Number>,
    pub beta: Option<Number>,
    /// Missing where it is not finite.
    pub norm_sq: Option<Number>,
}

/// Of the contributions of one step; `pristine` says of each example whether it is.
pub(crate) fn decompose(contributions: &[f64], pristine: &[bool]) -> Decomposition {
    let (mut of_pristine, mut of_corrupt, mut size) = (0.0, 0.0, 0.0);
    for (&value, &is_pristine) in contributions.iter().zip(pristine) {
        if is_pristine {
            of_pristine += value;
        } else {
            of_corrupt += value;
        }
        size += value.abs();
    }
    let total = of_pristine + of_corrupt;
    let both = pristine.contains(&true) && pristine.contains(&false);
    let share = |sum: f64| {
        (both && total > 0.0 && total.is_finite()).then(|| Number::near(sum / total, (sum.abs() + size) / total))
    };
    let norm_sq = total.is_finite().then(|| Number::near(total, size));
    Decomposition { alpha: share(of_pristine), beta: share(of_corrupt), norm_sq }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_by_hand_and_where_they_are_missing() {
        let of = |contributions: &[f64], pristine: &[bool]| {
            let found = decompose(contributions, pristine);
            (found.alpha.map(|alpha| alpha.value), found.norm_sq.map(|norm| norm.value))
        };
        assert_eq!(of(&[3.0, 1.0, -2.0], &[true, false, true]), (Some(0.5), Some(2.0)));
        assert_eq!(of(&[3.0, -3.0], &[true, false]), (None, Some(0.0)));
        assert_eq!(of(&[3.0, 3.0], &[true, true]), (None, Some(6.0)));
        assert_eq!(of(&[f64::INFINITY, 3.0], &[true, false]), (None, None));
    }
}
