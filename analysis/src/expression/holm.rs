//! Holm's correction of the p-values of several tests, which keeps the chance of any false finding.
//!
//! ```text
//! p_(1) ≤ … ≤ p_(J)        p'_(j) = max over i ≤ j of min(1, (J − i + 1) p_(i))
//! ```
//!
//! Tests without a p-value take no part: J counts those that have one. Source: Holm 1979; [S 3.3].

use polars::prelude::*;

/// Adds column `corrected`: the p-values of column `p` corrected within the rows alike in `keys`; null where p is, and where
/// `included` is false. The rows keep their order.
pub(crate) fn corrected(rows: LazyFrame, keys: &[&str], included: Expr, corrected: &str) -> PolarsResult<LazyFrame> {
    let keys: Vec<Expr> = keys.iter().map(|key| col(*key)).collect();
    let ascending = [keys.as_slice(), &[col("_holm_p"), col("_holm_row")]].concat();
    let tests = col("_holm_p").count().over(keys.clone())?.cast(DataType::Float64);
    // The rank j of each p-value in ascending order, from 1; those that are missing come last and count nothing.
    let rank = col("_holm_p").cum_count(false).over(keys.clone())?.cast(DataType::Float64);
    let times = tests - rank + lit(1.0);
    let scaled = col("_holm_p") * times;
    let capped = when(scaled.clone().gt(lit(1.0))).then(lit(1.0)).otherwise(scaled);
    let options = SortMultipleOptions::default().with_nulls_last(true).with_maintain_order(true);
    Ok(rows
        .with_row_index("_holm_row", None)
        .with_column(when(included).then(col("p")).otherwise(lit(NULL)).alias("_holm_p"))
        .sort_by_exprs(ascending, options)
        .with_column(capped.alias("_holm_scaled"))
        .with_column(
            when(col("_holm_p").is_not_null())
                .then(col("_holm_scaled").cum_max(false).over(keys)?)
                .otherwise(lit(NULL))
                .alias(corrected),
        )
        .sort(["_holm_row"], SortMultipleOptions::default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holm(p_values: &[Option<f64>]) -> Vec<Option<f64>> {
        let rows = df!("p" => p_values.to_vec(), "key" => vec![1; p_values.len()]).unwrap();
        let rows = corrected(rows.lazy(), &["key"], lit(true), "corrected").unwrap().collect().unwrap();
        rows.column("corrected").unwrap().f64().unwrap().iter().collect()
    }

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
