//! The bootstrap over examples: the same resamples at every step, and percentile intervals.
//!
//! Resample b of a run is n draws with replacement by ChaCha8 keyed with SHA-256(`cograd bootstrap`, seed as 8 little-endian
//! bytes, run id), stream b; stream 0 shuffles the examples. With B' values, the 95 % interval is from the r-th smallest to
//! the r-th largest, r = ⌈0.025 (B'+1)⌉; there is none if B' < 39.

use crate::plain::random::{below, of_analysis, shuffle_front};
use crate::sheet::Value;
use crate::tally::Number;

/// How far the end of an interval may be off, in units of its width.
const OF_WIDTH: f64 = 1e-3;
/// The same in units of the value, where all resamples agree: sums that the analysis takes in f32.
const OF_VALUE: f64 = 1e-6;

/// The resamples of one run.
pub(crate) struct Resamples {
    /// The examples drawn, one list a resample.
    pub draws: Vec<Vec<usize>>,
    /// How often each example is drawn, one list a resample.
    pub weights: Vec<Vec<f64>>,
    /// The examples in a random order.
    pub shuffled: Vec<usize>,
}

/// A value in one resample, and by how much rounding may change it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resampled {
    pub value: f64,
    pub slack: f64,
}

impl From<f64> for Resampled {
    fn from(value: f64) -> Resampled {
        Resampled { value, slack: 0.0 }
    }
}

/// A value, and what its interval must be.
#[derive(Clone, Debug)]
pub(crate) struct Estimate {
    pub value: Value,
    pub lower: Value,
    pub upper: Value,
}

impl Resamples {
    /// `count` resamples of `examples` examples.
    pub(crate) fn new(seed: u64, run: &str, examples: usize, count: usize) -> Resamples {
        let mut generator = of_analysis("cograd bootstrap", seed, run);
        let mut shuffled: Vec<usize> = (0..examples).collect();
        shuffle_front(&mut shuffled, examples, &mut generator);
        let (mut draws, mut weights) = (Vec::new(), Vec::new());
        for resample in 1..=count as u64 {
            let mut generator = of_analysis("cograd bootstrap", seed, run);
            generator.set_stream(resample);
            let drawn: Vec<usize> = (0..examples).map(|_| below(&mut generator, examples)).collect();
            let mut of_resample = vec![0.0; examples];
            drawn.iter().for_each(|&example| of_resample[example] += 1.0);
            draws.push(drawn);
            weights.push(of_resample);
        }
        Resamples { draws, weights, shuffled }
    }
}

impl Estimate {
    /// A value that is not there.
    pub(crate) fn missing() -> Estimate {
        Estimate { value: Value::Null, lower: Value::Null, upper: Value::Null }
    }

    /// A value that a closed form gives, without an interval.
    pub(crate) fn exact(number: Option<Number>) -> Estimate {
        Estimate::new(number, 0.0, &[])
    }

    /// Cells of the value and the ends of its interval.
    pub(crate) fn cells(&self) -> Vec<Value> {
        vec![self.value.clone(), self.lower.clone(), self.upper.clone()]
    }

    /// Whether the interval covers a number: certainly, and possibly; `None` without an interval.
    pub(crate) fn covers(&self, number: f64) -> Option<(bool, bool)> {
        let (lower, upper) = (self.lower.limits()?, self.upper.limits()?);
        Some((lower.1 <= number && number <= upper.0, lower.0 <= number && number <= upper.1))
    }

    /// Of a value, by how much rounding may change it, and the values in the resamples.
    pub(crate) fn new(number: Option<Number>, slack: f64, resampled: &[Resampled]) -> Estimate {
        let Some(number) = number.filter(|number| number.value.is_finite()) else { return Estimate::missing() };
        let value = match slack > 0.0 {
            true => {
                Value::Range(number.value - slack - number.scale * 1e-9, number.value + slack + number.scale * 1e-9)
            }
            false => Value::Number(number),
        };
        let [lower, upper] = interval(number, resampled).unwrap_or([Value::Null, Value::Null]);
        Estimate { value, lower, upper }
    }
}

impl Value {
    /// The least and the largest that a number may be.
    fn limits(&self) -> Option<(f64, f64)> {
        match self {
            Value::Number(Number { value, scale, allowed }) => Some((value - scale * allowed, value + scale * allowed)),
            Value::Range(from, to) => Some((*from, *to)),
            _ => None,
        }
    }
}

/// What the ends of the interval of a value must be.
fn interval(number: Number, resampled: &[Resampled]) -> Option<[Value; 2]> {
    let finite: Vec<Resampled> = resampled.iter().copied().filter(|drawn| drawn.value.is_finite()).collect();
    let count = finite.len();
    if count < 39 {
        return None;
    }
    let rank = (count + 1).div_ceil(40);
    let ends = |of: fn(&Resampled) -> f64| {
        let mut values: Vec<f64> = finite.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        [values[rank - 1], values[count - rank]]
    };
    let [lower, upper] = ends(|drawn| drawn.value);
    let (low, high) = (ends(|drawn| drawn.value - drawn.slack), ends(|drawn| drawn.value + drawn.slack));
    let width = (upper - lower) + OF_VALUE / OF_WIDTH * lower.abs().max(upper.abs()).max(number.scale * 1e-3);
    let end = |place: usize, value: f64| match low[place] == high[place] {
        true => Value::Number(Number { value, scale: width, allowed: OF_WIDTH }),
        false => Value::Range(low[place] - OF_WIDTH * width, high[place] + OF_WIDTH * width),
    };
    Some([end(0, lower), end(1, upper)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_the_sixth_of_two_hundred_from_either_end() {
        let values: Vec<Resampled> = (0..200).map(|k| Resampled::from(f64::from((k * 7) % 200))).collect();
        let estimate = Estimate::new(Some(Number::plain(100.0)), 0.0, &values);
        let value = |end: &Value| match end {
            Value::Number(number) => number.value,
            _ => f64::NAN,
        };
        assert_eq!((value(&estimate.lower), value(&estimate.upper)), (5.0, 194.0));
        assert_eq!(Estimate::new(Some(Number::plain(1.0)), 0.0, &values[..38]).lower, Value::Null);
    }

    #[test]
    fn resamples_are_draws_with_replacement() {
        let resamples = Resamples::new(1, "run", 10, 3);
        assert_eq!(resamples.draws.len(), 3);
        assert!(resamples.weights.iter().all(|weights| weights.iter().sum::<f64>() == 10.0));
        let mut shuffled = resamples.shuffled.clone();
        shuffled.sort_unstable();
        assert!(shuffled.into_iter().eq(0..10));
    }
}
