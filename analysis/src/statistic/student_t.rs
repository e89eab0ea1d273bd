//! The mean over seeds, with Student's t interval.
//!
//! With N values of mean x̄ and sample variance s² = Σ (x − x̄)²/(N − 1):
//!
//! ```text
//! x̄ ± t_{0.975, N−1} · s/√N
//! ```
//!
//! the 95 % interval of the expectation if the seeds' values are independent and normal. Without a value there is no mean, with
//! one value no interval. Source: Student 1908; [S 9.1].

use statrs::distribution::{ContinuousCDF, StudentsT};

/// Both tails together.
const OUTSIDE: f64 = 0.05;

/// What the values of several seeds say together.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct MeanInterval {
    /// How many values there were.
    pub number: u32,
    /// Their mean; `None` without values.
    pub mean: Option<f64>,
    /// Lower end of the interval; `None` with fewer than two values.
    pub lower: Option<f64>,
    /// Upper end of the interval; `None` as `lower`.
    pub upper: Option<f64>,
}

/// t_{0.975, ν} for ν = 1, 2, … of up to so many values: quantiles are iterative and the same for every step of a curve.
#[derive(Clone, Debug)]
pub struct Quantiles(Vec<f64>);

impl Quantiles {
    /// For means of at most `values` values.
    pub fn up_to(values: usize) -> Quantiles {
        Quantiles((1..values).map(|freedom| quantile(freedom as f64)).map(|t| t.unwrap_or(f64::INFINITY)).collect())
    }

    /// The mean of finite values, and its interval.
    pub fn mean_interval(&self, values: &[f64]) -> MeanInterval {
        let number = values.len();
        let (Some(mean), Some(variance)) = (mean(values), variance(values)) else {
            return MeanInterval { number: number as u32, mean: mean(values), ..MeanInterval::default() };
        };
        let half = self.0.get(number - 2).map(|t| t * (variance / number as f64).sqrt());
        let end = |sign: f64| half.map(|half| mean + sign * half).filter(|end| end.is_finite());
        MeanInterval { number: number as u32, mean: Some(mean), lower: end(-1.0), upper: end(1.0) }
    }
}

/// t_{0.975, ν}: 95 % of Student's t with ν degrees of freedom lie within ± this; `None` unless ν is positive.
pub fn quantile(freedom: f64) -> Option<f64> {
    Some(StudentsT::new(0.0, 1.0, freedom).ok()?.inverse_cdf(1.0 - OUTSIDE / 2.0))
}

/// `None` without values.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The sample variance, with N − 1; `None` with fewer than two values.
pub fn variance(values: &[f64]) -> Option<f64> {
    let mean = mean(values).filter(|_| values.len() > 1)?;
    Some(values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (values.len() - 1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(values: &[f64]) -> MeanInterval {
        Quantiles::up_to(values.len()).mean_interval(values)
    }

    fn close(value: Option<f64>, expected: f64) {
        assert!((value.unwrap() - expected).abs() < 1e-6, "{value:?} is not {expected}");
    }

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (freedom, expected) in
            [(1.0, 12.706_204_736), (2.0, 4.302_652_730), (9.0, 2.262_157_163), (30.0, 2.042_272_456)]
        {
            close(quantile(freedom), expected);
        }
        assert_eq!(quantile(0.0), None);
    }

    #[test]
    fn the_interval_of_three_values_by_hand() {
        // x̄ = 3, s² = (4 + 0 + 4)/2 = 4, half width 4.3026527 · 2/√3.
        let of_three = interval(&[1.0, 3.0, 5.0]);
        assert_eq!((of_three.number, of_three.mean), (3, Some(3.0)));
        close(of_three.lower, 3.0 - 4.302_652_730 * 2.0 / 3f64.sqrt());
        close(of_three.upper, 3.0 + 4.302_652_730 * 2.0 / 3f64.sqrt());
    }

    #[test]
    fn one_value_has_no_interval_and_none_has_no_mean() {
        assert_eq!(interval(&[2.5]), MeanInterval { number: 1, mean: Some(2.5), lower: None, upper: None });
        assert_eq!(interval(&[]), MeanInterval::default());
    }

    #[test]
    fn equal_values_have_an_interval_without_width() {
        assert_eq!(
            interval(&[2.0; 4]),
            MeanInterval { number: 4, mean: Some(2.0), lower: Some(2.0), upper: Some(2.0) }
        );
    }
}
