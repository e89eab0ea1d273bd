//! What an update rule makes of the gradients of one coordinate in a minibatch (docs/update-rules.md).

/// A rule whose update is a function of the minibatch's gradients alone, coordinate by coordinate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Rule {
    /// The mean.
    Mean,
    /// The mean of values of which the ⌊c b/100⌋ largest and smallest are clipped to the nearest one kept.
    Winsorized {
        /// c.
        percent: f64,
    },
    /// The median of the means of groups, ⌊g b/k⌋ … ⌊(g + 1) b/k⌋ being group g.
    MedianOfMeans {
        /// k.
        groups: usize,
    },
}

impl Rule {
    /// The update's direction, of which η times is subtracted from the coordinate.
    pub(crate) fn direction(self, gradients: &[f64]) -> f64 {
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let count = gradients.len();
        match self {
            Rule::Mean => mean(gradients),
            Rule::Winsorized { percent } => {
                let clipped = (percent * count as f64 / 100.0 + 1e-9).floor() as usize;
                let mut sorted = gradients.to_vec();
                sorted.sort_by(f64::total_cmp);
                let clipped = clipped.min(count.saturating_sub(1) / 2);
                let (low, high) = (sorted[clipped], sorted[count - 1 - clipped]);
                mean(&sorted.iter().map(|value| value.clamp(low, high)).collect::<Vec<f64>>())
            }
            Rule::MedianOfMeans { groups } => {
                let groups = groups.clamp(1, count);
                let group = |g: usize| mean(&gradients[g * count / groups..(g + 1) * count / groups]);
                let mut means: Vec<f64> = (0..groups).map(group).collect();
                means.sort_by(f64::total_cmp);
                (means[(groups - 1) / 2] + means[groups / 2]) / 2.0
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_by_hand() {
        let gradients = [4.0, 1.0, 2.0, 100.0, -7.0];
        assert_eq!(Rule::Mean.direction(&gradients), 20.0);
        assert_eq!(Rule::Winsorized { percent: 20.0 }.direction(&gradients), (1.0 + 1.0 + 2.0 + 4.0 + 4.0) / 5.0);
        // Groups of 1, 2 and 2: 4, 1.5, 46.5.
        assert_eq!(Rule::MedianOfMeans { groups: 3 }.direction(&gradients), 4.0);
        assert_eq!(Rule::MedianOfMeans { groups: 2 }.direction(&gradients), (2.5 + 95.0 / 3.0) / 2.0);
    }
}
