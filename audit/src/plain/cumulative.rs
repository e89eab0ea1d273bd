//! Cumulative mean contributions of a group, while the steps are 0, 1, 2, … without a gap [S 2.2].

use crate::tally::Number;

/// How many of the first steps are 0, 1, 2, … without a gap.
pub(crate) fn contiguous(steps: &[i64]) -> usize {
    let mut count = 0;
    while count < steps.len() && steps[count] == count as i64 {
        count += 1;
    }
    count
}

/// Mean over the members of Σ_{t'≤t} s_{t',i}, one value a row of `contributions`; `None` without members.
pub(crate) fn means(contributions: &[Vec<f64>], member: &[bool]) -> Vec<Option<Number>> {
    let count = member.iter().filter(|&&is| is).count();
    let (mut sum, mut size) = (0.0, 0.0);
    let mut means = Vec::new();
    for row in contributions {
        for (value, _) in row.iter().zip(member).filter(|(_, is)| **is) {
            sum += value;
            size += value.abs();
        }
        let mean = sum / count as f64;
        means.push((count > 0 && mean.is_finite()).then(|| Number::near(mean, size / count as f64)));
    }
    means
}

/// Difference of two means; missing if either is.
pub(crate) fn difference(left: Option<Number>, right: Option<Number>) -> Option<Number> {
    let (left, right) = (left?, right?);
    Some(Number::near(left.value - right.value, left.scale + right.scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_accumulate_over_steps_and_stop_at_a_gap() {
        assert_eq!(contiguous(&[0, 1, 2, 4, 5]), 3);
        assert_eq!(contiguous(&[1, 2]), 0);
        let rows = [vec![1.0, 2.0, 4.0], vec![1.0, 1.0, 1.0]];
        let values =
            |member: &[bool]| means(&rows, member).iter().map(|mean| mean.map(|m| m.value)).collect::<Vec<_>>();
        assert_eq!(values(&[true, false, true]), [Some(2.5), Some(3.5)]);
        assert_eq!(values(&[false; 3]), [None, None]);
    }
}
