//! Welch's t test of the difference of two means, whose variances may differ.
//!
//! With N_a and N_b values, means x̄_a and x̄_b, sample variances s²_a and s²_b, and v = s²/N of each:
//!
//! ```text
//! t = (x̄_a − x̄_b) / √(v_a + v_b)        ν = (v_a + v_b)² / (v_a²/(N_a − 1) + v_b²/(N_b − 1))
//! ```
//!
//! Two-sided p of t with ν degrees of freedom, and the 95 % interval x̄_a − x̄_b ± t_{0.975, ν} √(v_a + v_b). Missing with fewer than
//! two values on a side, or if neither side has any spread. Source: Welch 1947; [S 9.2].

use polars::prelude::*;
use statrs::function::beta::checked_beta_reg;

use super::student_t;
use crate::frame::finite;

/// Adds the columns t, freedom, p, lower and upper, from sd and seeds of both sides (`_sd_a`, `seeds_a`, …) and their
/// `difference`; null with fewer than two values on a side, or if neither side has any spread.
pub(crate) fn with_tests(rows: LazyFrame) -> PolarsResult<DataFrame> {
    let seeds = |side: &str| col(format!("seeds_{side}")).cast(DataType::Float64);
    // In units of the larger spread, whose square may be too small for a number.
    let [sd_a, sd_b] = ["_sd_a", "_sd_b"].map(col);
    let unit = when(sd_a.clone().gt(sd_b.clone())).then(sd_a).otherwise(sd_b);
    let part = |side: &str| {
        let sd = col(format!("_sd_{side}")) / unit.clone();
        sd.clone() * sd / seeds(side)
    };
    let variance = part("a") + part("b");
    let squares = |side: &str| part(side) * part(side) / (seeds(side) - lit(1.0));
    let freedom = variance.clone() * variance.clone() / (squares("a") + squares("b"));
    let tested = variance.clone().gt(lit(0.0)).and(freedom.clone().is_finite()).and(col("difference").is_finite());
    let where_tested = |value: Expr| when(tested.clone()).then(value).otherwise(lit(NULL));
    let mut rows = rows
        .with_columns([
            where_tested(freedom).alias("freedom"),
            where_tested(col("difference") / unit.clone() / variance.clone().sqrt()).alias("t"),
            where_tested(unit.clone() * variance.sqrt()).alias("_deviation"),
        ])
        .collect()?;
    let numbers = |name: &str| -> PolarsResult<Vec<Option<f64>>> { Ok(rows.column(name)?.f64()?.iter().collect()) };
    let (t, freedom) = (numbers("t")?, numbers("freedom")?);
    let p: Vec<Option<f64>> = t.iter().zip(&freedom).map(|(t, freedom)| two_sided((*t)?, (*freedom)?)).collect();
    let quantiles: Vec<Option<f64>> = freedom.iter().map(|freedom| student_t::quantile((*freedom)?)).collect();
    rows.with_column(Column::new("p".into(), p))?;
    rows.with_column(Column::new("_quantile".into(), quantiles))?;
    let half = || col("_quantile") * col("_deviation");
    rows.lazy()
        .with_columns([
            finite(col("difference") - half()).alias("lower"),
            finite(col("difference") + half()).alias("upper"),
        ])
        .collect()
}

/// P(|T| ≥ |t|), in the form that keeps its precision where it is small.
fn two_sided(t: f64, freedom: f64) -> Option<f64> {
    checked_beta_reg(freedom / 2.0, 0.5, freedom / (freedom + t * t)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Welch {
        t: f64,
        freedom: f64,
        p: f64,
        lower: f64,
        upper: f64,
    }

    fn test(a: &[f64], b: &[f64]) -> Option<Welch> {
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let sd = |values: &[f64]| {
            let largest = values.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
            let squares: f64 = values.iter().map(|value| ((value - mean(values)) / largest).powi(2)).sum();
            (values.len() > 1).then(|| largest * (squares / (values.len() - 1) as f64).sqrt())
        };
        let row = df!(
            "seeds_a" => [a.len() as u64], "seeds_b" => [b.len() as u64], "_sd_a" => [sd(a)], "_sd_b" => [sd(b)],
            "difference" => [mean(a) - mean(b)],
        );
        let tested = with_tests(row.unwrap().lazy()).unwrap();
        let number = |name: &str| tested.column(name).unwrap().f64().unwrap().get(0);
        Some(Welch {
            t: number("t")?,
            freedom: number("freedom")?,
            p: number("p")?,
            lower: number("lower")?,
            upper: number("upper")?,
        })
    }

    fn close(value: f64, expected: f64) {
        assert!((value - expected).abs() < 1e-6 * expected.abs().max(1.0), "{value} is not {expected}");
    }

    #[test]
    fn three_against_three_by_hand() {
        // Means 2 and 6, s² = 1 and 4: v = 1/3 and 4/3, t = −4/√(5/3), ν = (5/3)² / ((1/9)/2 + (16/9)/2) = 50/17.
        let welch = test(&[1.0, 2.0, 3.0], &[4.0, 6.0, 8.0]).unwrap();
        close(welch.t, -4.0 / (5.0f64 / 3.0).sqrt());
        close(welch.freedom, 50.0 / 17.0);
        assert!((welch.p - 0.054_76).abs() < 2e-4, "{}", welch.p);
        close((welch.lower + welch.upper) / 2.0, -4.0);
        assert!(welch.upper > 0.0, "p is above 0.05, so the interval holds 0: {welch:?}");
    }

    #[test]
    fn with_two_degrees_of_freedom_p_has_a_closed_form() {
        // Two against two of equal spread: ν = 2, where P(|T| ≥ t) = 1 − t/√(2 + t²).
        let welch = test(&[0.0, 2.0], &[5.0, 7.0]).unwrap();
        close(welch.freedom, 2.0);
        let t = 5.0 / 2f64.sqrt();
        close(welch.t, -t);
        close(welch.p, 1.0 - t / (2.0 + t * t).sqrt());
    }

    #[test]
    fn exchanging_the_sides_changes_the_sign_only() {
        let (a, b) = ([0.3, 0.4, 0.1, 0.2], [0.9, 0.7]);
        let (one, other) = (test(&a, &b).unwrap(), test(&b, &a).unwrap());
        assert_eq!((one.t, one.p, one.lower), (-other.t, other.p, -other.upper));
    }

    #[test]
    fn numbers_whose_squares_are_too_small_are_tested_as_others_are() {
        let (a, b) = ([1.0, 2.0, 3.0], [4.0, 6.0, 8.0]);
        let [small_a, small_b] = [a, b].map(|values| values.map(|value| value * 1e-200));
        let (whole, small) = (test(&a, &b).unwrap(), test(&small_a, &small_b).unwrap());
        close(small.t, whole.t);
        close(small.freedom, whole.freedom);
        close(small.lower * 1e200, whole.lower);
    }

    #[test]
    fn nothing_is_tested_without_two_values_a_side_or_without_spread() {
        assert_eq!(test(&[1.0], &[2.0, 3.0]), None);
        assert_eq!(test(&[], &[]), None);
        assert_eq!(test(&[1.0, 1.0], &[2.0, 2.0]), None);
        assert!(test(&[1.0, 1.0], &[2.0, 3.0]).is_some());
    }
}
