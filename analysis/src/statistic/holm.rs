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
