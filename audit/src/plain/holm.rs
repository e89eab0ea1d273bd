//! Holm's correction of several p-values [S 3.3].

/// The corrected p-values; those that are missing take no part.
pub(crate) fn holm(p: &[Option<f64>]) -> Vec<Option<f64>> {
    let known: Vec<f64> = p.iter().copied().flatten().collect();
    let count = known.len();
    // The corrected p of one test is the largest, over the tests with no larger p, of their p times the number of tests
    // that are not smaller.
    let corrected = |own: f64| {
        let mut sorted = known.clone();
        sorted.sort_by(f64::total_cmp);
        let stepped = sorted.iter().enumerate().filter(|(_, p)| **p <= own);
        stepped.map(|(rank, p)| ((count - rank) as f64 * p).min(1.0)).fold(0.0, f64::max)
    };
    p.iter().map(|p| p.map(corrected)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_by_hand() {
        let found = holm(&[Some(0.01), Some(0.04), None, Some(0.03), Some(0.005)]);
        let expected = [Some(0.03), Some(0.06), None, Some(0.06), Some(0.02)];
        for (found, expected) in found.iter().zip(expected) {
            assert_eq!(found.is_some(), expected.is_some());
            assert!((found.unwrap_or(0.0) - expected.unwrap_or(0.0)).abs() < 1e-15);
        }
    }
}
