//! Holm's correction of p-values for several tests: it bounds the probability of any false rejection, whatever their
//! dependence.
//!
//! With the k p-values ascending, p_(1) ≤ … ≤ p_(k):
//!
//! ```text
//! adjusted p_(j) = min(1, max over i ≤ j of (k − i + 1) · p_(i))
//! ```
//!
//! Missing p-values take no part and stay missing. Source: Holm 1979; [S 9.2].

/// Adjusted p-values in the order of `p`.
pub fn adjusted(p: &[Option<f64>]) -> Vec<Option<f64>> {
    let mut ascending: Vec<(usize, f64)> = p.iter().enumerate().filter_map(|(place, p)| Some((place, (*p)?))).collect();
    ascending.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut adjusted = vec![None; p.len()];
    let mut largest = 0.0;
    for (rank, (place, p)) in ascending.iter().enumerate() {
        largest = f64::max(largest, (ascending.len() - rank) as f64 * p).min(1.0);
        adjusted[*place] = Some(largest);
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::adjusted;

    #[test]
    fn four_by_hand() {
        // Ascending 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1: 0.02, 0.03, 0.06, and 0.04 raised to 0.06.
        let p = adjusted(&[Some(0.01), Some(0.04), Some(0.03), Some(0.005)]);
        let expected = [0.03, 0.06, 0.06, 0.02];
        assert!(p.iter().zip(expected).all(|(p, expected)| (p.unwrap() - expected).abs() < 1e-15), "{p:?}");
    }

    #[test]
    fn missing_ones_do_not_count_and_none_exceeds_1() {
        assert_eq!(adjusted(&[None, Some(0.75), Some(0.8)]), [None, Some(1.0), Some(1.0)]);
        assert_eq!(adjusted(&[None]), [None]);
        assert_eq!(adjusted(&[]), []);
    }
}
