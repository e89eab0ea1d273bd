//! Cumulative mean contributions of a group, while the steps are 0, 1, 2, … without a gap [S 2.2].

use crate::tally::Number;

/// Mean over some examples of Σ_{t'≤t} s_{t',i}, while step after step is added.
#[derive(Clone, Debug)]
pub(crate) struct Mean {
    member: Vec<bool>,
    sum: f64,
    size: f64,
}

impl Mean {
    /// Over those that are members, before the first step.
    pub(crate) fn new(member: Vec<bool>) -> Mean {
        Mean { member, sum: 0.0, size: 0.0 }
    }

    /// The mean with the contributions of the next step; `None` without members.
    pub(crate) fn add(&mut self, contributions: &[f64]) -> Option<Number> {
        let count = self.member.iter().filter(|&&is| is).count();
        for (value, _) in contributions.iter().zip(&self.member).filter(|(_, is)| **is) {
            self.sum += value;
            self.size += value.abs();
        }
        let mean = self.sum / count as f64;
        (count > 0 && mean.is_finite()).then(|| Number::near(mean, self.size / count as f64))
    }
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
    fn sums_accumulate_over_steps() {
        let rows = [vec![1.0, 2.0, 4.0], vec![1.0, 1.0, 1.0]];
        let values = |member: [bool; 3]| {
            let mut mean = Mean::new(member.to_vec());
            rows.each_ref().map(|row| mean.add(row).map(|mean| mean.value))
        };
        assert_eq!(values([true, false, true]), [Some(2.5), Some(3.5)]);
        assert_eq!(values([false; 3]), [None, None]);
    }
}
