//! How often the interval of an estimate covers the truth.
//!
//! ```text
//! covered = #{steps t: lower_t ≤ x_t ≤ upper_t}      of = #{steps t that have both the interval and the exact x_t}
//! ```
//!
//! A 95 % interval ought to cover nineteen steps of twenty; the steps of one run, which share their sample, are not independent.
//! Source: beyond the paper; [S 8.1].

use serde::Serialize;

/// At how many steps an interval covers the exact value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize)]
pub struct Covered {
    /// Steps at which it does.
    pub covered: usize,
    /// Steps that have both.
    pub of: usize,
}

/// Of the intervals and the exact values, both by step, ascending.
pub fn coverage(intervals: &[(i64, Option<(f64, f64)>)], exact: &[(i64, Option<f64>)]) -> Covered {
    let both = intervals.iter().filter_map(|(step, interval)| {
        let place = exact.binary_search_by_key(step, |(step, _)| *step).ok()?;
        Some(((*interval)?, exact[place].1?))
    });
    both.fold(Covered::default(), |count, ((lower, upper), value)| Covered {
        covered: count.covered + usize::from((lower..=upper).contains(&value)),
        of: count.of + 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_that_have_both_are_counted_by_hand() {
        let intervals =
            [(0, Some((0.1, 0.3))), (1, None), (3, Some((0.2, 0.4))), (4, Some((0.0, 0.5))), (9, Some((1.0, 1.0)))];
        let exact = [(0, Some(0.2)), (1, Some(0.2)), (2, Some(0.2)), (3, Some(0.5)), (4, None), (9, Some(1.0))];
        assert_eq!(coverage(&intervals, &exact), Covered { covered: 2, of: 3 });
    }

    #[test]
    fn nothing_in_common_is_nothing_covered_of_nothing() {
        assert_eq!(coverage(&[], &[(0, Some(1.0))]), Covered::default());
        assert_eq!(coverage(&[(0, Some((0.0, 2.0)))], &[(1, Some(1.0))]), Covered::default());
    }
}
