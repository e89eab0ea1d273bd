//! Mean and 95 % Student-t interval of a few values, by bisection of the t distribution function.

use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::sheet::Value;
use crate::tally::Number;

/// How exactly a library's inverse of the t distribution function is asked to be, in units of the interval's width.
const ALLOWED: f64 = 1e-7;

/// Cells `seeds`, `mean`, `lower` and `upper` of the values that are there; `quantiles` are those of [`quantiles`].
pub(crate) fn cells(values: &[f64], quantiles: &[f64]) -> Vec<Value> {
    let n = values.len() as f64;
    let mut cells = vec![Value::int(values.len())];
    if values.is_empty() {
        cells.resize(4, Value::Null);
        return cells;
    }
    // In units of the largest, whose square or sum may be beyond the range of f64.
    let unit = values.iter().fold(f64::MIN_POSITIVE, |unit, value| unit.max(value.abs()));
    let mean = values.iter().map(|value| value / unit).sum::<f64>() / n * unit;
    let size = values.iter().map(|value| value.abs() / unit).sum::<f64>() / n * unit;
    cells.push(Value::near(Some(mean), size));
    if values.len() < 2 {
        cells.resize(4, Value::Null);
        return cells;
    }
    let squares = values.iter().map(|value| (value / unit - mean / unit).powi(2));
    let variance = squares.sum::<f64>() / (n - 1.0);
    let quantile = quantiles.get(values.len()).copied().unwrap_or(f64::NAN);
    let half = quantile * (variance / n).sqrt() * unit;
    let end = |value: f64| match value.is_finite() {
        true => Value::Number(Number { value, scale: half + 0.01 * size, allowed: ALLOWED }),
        // Beyond the largest number.
        false => Value::Null,
    };
    cells.extend([end(mean - half), end(mean + half)]);
    cells
}

/// The quantile that an interval of so many values needs, up to `most` of them.
pub(crate) fn quantiles(most: usize) -> Vec<f64> {
    (0..=most).map(|values| if values < 2 { f64::NAN } else { quantile(values as f64 - 1.0) }).collect()
}

/// Where the distribution function with so many degrees of freedom reaches 0.975.
fn quantile(freedom: f64) -> f64 {
    let Ok(distribution) = StudentsT::new(0.0, 1.0, freedom) else { return f64::NAN };
    let (mut low, mut high) = (0.0, 1e3);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if distribution.cdf(middle) < 0.975 {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low + high) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_tables() {
        for (freedom, expected) in [(1.0, 12.706_204_736), (2.0, 4.302_652_730), (4.0, 2.776_445_105)] {
            assert!((quantile(freedom) - expected).abs() < 1e-7, "{}", quantile(freedom));
        }
    }

    #[test]
    fn two_values_by_hand() {
        let cells = cells(&[1.0, 3.0], &quantiles(2));
        let Value::Number(upper) = &cells[3] else { panic!("{cells:?}") };
        // s/√n = √2/√2 = 1.
        assert!((upper.value - (2.0 + 12.706_204_736)).abs() < 1e-6);
    }
}
