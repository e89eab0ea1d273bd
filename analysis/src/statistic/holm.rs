//! Holm's correction of the p-values of several tests, which keeps the chance of any false finding.
//!
//! ```text
//! p_(1) ≤ … ≤ p_(J)        p'_(j) = max over i ≤ j of min(1, (J − i + 1) p_(i))
//! ```
//!
//! Tests without a p-value take no part: J counts those that have one. Source: Holm 1979; [S 3.3].

/// The corrected p-values, in the order given; `None` where there was none.
pub fn holm(p_values: &[Option<f64>]) -> Vec<Option<f64>> {
    let mut ascending: Vec<(usize, f64)> =
        p_values.iter().enumerate().filter_map(|(place, p)| Some((place, (*p)?))).collect();
    ascending.sort_by(|(_, a), (_, b)| a.total_cmp(b));
    let mut corrected = vec![None; p_values.len()];
    let mut largest = 0.0_f64;
    for (rank, &(place, p)) in ascending.iter().enumerate() {
        largest = largest.max(((ascending.len() - rank) as f64 * p).min(1.0));
        corrected[place] = Some(largest);
    }
    corrected
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corrected_p_values_by_hand() {
        // 4·0.01, 3·0.02, 2·0.03 (not below 0.06), 1·0.5.
        let corrected = holm(&[Some(0.5), Some(0.01), None, Some(0.03), Some(0.02)]);
        let expected = [Some(0.5), Some(0.04), None, Some(0.06), Some(0.06)];
        for (found, expected) in corrected.iter().zip(expected) {
            assert_eq!(found.is_some(), expected.is_some());
            assert!((found.unwrap_or(0.0) - expected.unwrap_or(0.0)).abs() < 1e-15);
        }
    }

    #[test]
    fn corrected_p_values_never_fall_exceed_one_or_tell_equal_ones_apart() {
        assert_eq!(holm(&[Some(0.4), Some(0.6), Some(0.4)]), [Some(1.0), Some(1.0), Some(1.0)]);
        assert_eq!(holm(&[Some(0.125), Some(0.125)]), [Some(0.25), Some(0.25)]);
        assert_eq!(holm(&[Some(0.25), Some(0.125)]), [Some(0.25), Some(0.25)]);
    }

    #[test]
    fn one_p_value_is_its_own_and_none_stays_none() {
        assert_eq!(holm(&[Some(0.3), None]), [Some(0.3), None]);
        assert_eq!(holm(&[None, None]), [None, None]);
        assert!(holm(&[]).is_empty());
    }

    #[test]
    fn rejections_are_those_of_the_step_down_procedure() {
        // Reject p_(1), p_(2), … as long as p_(j) ≤ a/(J − j + 1), and nothing after the first that is larger.
        let lists: [[f64; 4]; 4] =
            [[0.001, 0.02, 0.04, 0.011], [0.013, 0.012, 0.9, 0.025], [0.2, 0.3, 0.02, 0.01], [0.0125; 4]];
        for (p_values, level) in lists.iter().flat_map(|list| [0.01, 0.05, 0.2].map(|level| (list, level))) {
            let mut order: Vec<usize> = (0..4).collect();
            order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
            let passes = |(rank, place): &(usize, &usize)| p_values[**place] <= level / (4 - rank) as f64;
            let rejected: Vec<usize> = order.iter().enumerate().take_while(passes).map(|(_, &place)| place).collect();
            let corrected = holm(&p_values.map(Some));
            for (place, corrected) in corrected.iter().enumerate() {
                assert_eq!(corrected.is_some_and(|p| p <= level), rejected.contains(&place));
            }
        }
    }
}
