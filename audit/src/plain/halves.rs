//! Random halves of the examples and of the coordinates, the same at every step, and the intervals that come of them [S 8.3].
//!
//! Half b of a run is drawn by ChaCha8 keyed with SHA-256(`cograd bootstrap`, seed as 8 little-endian bytes, run id), stream b: ⌊n/2⌋
//! of the n examples, then of each parameter with k recorded of d values ⌊k·d/(2d − k)⌋ of its coordinates, one at least, all if k = d or d is
//! not known. Stream 0 shuffles the examples. With θ the value, θ_b that of half b and δ_b = √(h/(n−h))·(θ_b − θ), the interval is from θ less the
//! r-th largest δ to θ less the r-th smallest, r = ⌈(B+1)/40⌉, halves without a value being beyond both ends.

use crate::plain::random::{below, of_analysis};
use crate::sheet::Value;
use crate::tally::Number;

/// How far the end of an interval may be off, in units of its width.
const OF_WIDTH: f64 = 1e-3;
/// The same in units of the value, where all halves agree: sums that the analysis takes in f32.
const OF_VALUE: f64 = 1e-6;

/// The sample, or a half of it.
#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    /// In the order in which they were drawn.
    pub examples: Vec<usize>,
    /// Of each parameter, which of its recorded coordinates.
    pub coordinates: Vec<Vec<usize>>,
}

/// The halves of one run.
pub(crate) struct Halves {
    /// All examples, in a random order.
    pub sample: Chosen,
    /// None where there could be no interval.
    pub halves: Vec<Chosen>,
    /// Whether every parameter has enough coordinates to tell their spread.
    pub are_told: bool,
}

/// A value in one half, and by how much rounding may change it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OfHalf {
    pub value: f64,
    pub slack: f64,
}

impl From<f64> for OfHalf {
    fn from(value: f64) -> OfHalf {
        OfHalf { value, slack: 0.0 }
    }
}

/// A value, and what its interval must be.
#[derive(Clone, Debug)]
pub(crate) struct Estimate {
    pub value: Value,
    pub lower: Value,
    pub upper: Value,
    pub unbounded: Value,
}

impl Halves {
    /// `count` halves of `examples` examples and of the coordinates of parameters, of which so many are recorded, of so many.
    pub(crate) fn new(
        seed: u64,
        run: &str,
        examples: usize,
        count: usize,
        parameters: &[(usize, Option<u64>)],
    ) -> Halves {
        let stream = |stream: u64| {
            let mut generator = of_analysis("cograd bootstrap", seed, run);
            generator.set_stream(stream);
            generator
        };
        let draw = |generator: &mut _, from: usize, amount: usize| -> Vec<usize> {
            let mut items: Vec<usize> = (0..from).collect();
            for place in 0..amount {
                let other = place + below(generator, from - place);
                items.swap(place, other);
            }
            items.truncate(amount);
            items
        };
        let all = |(recorded, _): &(usize, Option<u64>)| (0..*recorded).collect();
        let sample = Chosen {
            examples: draw(&mut stream(0), examples, examples),
            coordinates: parameters.iter().map(all).collect(),
        };
        let is_whole = |(recorded, size): &(usize, Option<u64>)| size.is_none_or(|size| size <= *recorded as u64);
        let count = if examples < 8 || count < 39 { 0 } else { count };
        let half = |number: u64| {
            let mut generator = stream(number);
            let examples = draw(&mut generator, examples, examples / 2);
            let of_parameter = |parameter: &(usize, Option<u64>)| match parameter {
                (recorded, Some(size)) if !is_whole(parameter) => {
                    let (k, d) = (*recorded as f64, *size as f64);
                    draw(&mut generator, *recorded, (k * d / (2.0 * d - k)).floor().max(1.0) as usize)
                }
                _ => all(parameter),
            };
            Chosen { examples, coordinates: parameters.iter().map(of_parameter).collect() }
        };
        Halves {
            sample,
            halves: (1..=count as u64).map(half).collect(),
            are_told: parameters.iter().all(|parameter| parameter.0 >= 4 || is_whole(parameter)),
        }
    }

    /// The sample, then each half.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Chosen> {
        std::iter::once(&self.sample).chain(&self.halves)
    }
}

impl Estimate {
    /// A value that is not there.
    pub(crate) fn missing() -> Estimate {
        Estimate { value: Value::Null, lower: Value::Null, upper: Value::Null, unbounded: Value::Flag(false) }
    }

    /// A value without an interval.
    pub(crate) fn exact(number: Option<Number>) -> Estimate {
        Estimate::new(0, number, 0.0, &[])
    }

    /// Cells of the value and the ends of its interval.
    pub(crate) fn cells(&self) -> Vec<Value> {
        vec![self.value.clone(), self.lower.clone(), self.upper.clone()]
    }

    /// The same, without an interval unless halves can tell it.
    pub(crate) fn only_if(self, is_told: bool) -> Estimate {
        if is_told { self } else { Estimate { value: self.value, ..Estimate::missing() } }
    }

    /// Whether the interval covers a number: certainly, and possibly; `None` without an interval.
    pub(crate) fn covers(&self, number: f64) -> Option<(bool, bool)> {
        let (lower, upper) = (self.lower.limits()?, self.upper.limits()?);
        Some((lower.1 <= number && number <= upper.0, lower.0 <= number && number <= upper.1))
    }

    /// Of a value of `examples` examples, by how much rounding may change it, and the values in the halves.
    pub(crate) fn new(examples: usize, number: Option<Number>, slack: f64, halves: &[OfHalf]) -> Estimate {
        let Some(number) = number.filter(|number| number.value.is_finite()) else { return Estimate::missing() };
        let value = match slack > 0.0 {
            true => {
                Value::Range(number.value - slack - number.scale * 1e-9, number.value + slack + number.scale * 1e-9)
            }
            false => Value::Number(number),
        };
        let ends = ends(examples, number, slack, halves).map(|ends| ends.map(End::cell));
        let [lower, upper] = ends.unwrap_or([Value::Null, Value::Null]);
        Estimate { value, lower, upper, unbounded: Value::Flag(false) }
    }

    /// Of a value whose reciprocal `inverse` has the interval.
    pub(crate) fn reciprocal(examples: usize, number: Option<Number>, inverse: Number, halves: &[OfHalf]) -> Estimate {
        let estimate = Estimate::exact(number);
        let is_there = estimate.value != Value::Null && inverse.value.is_finite();
        let Some([low, high]) = ends(examples, inverse, 0.0, halves).filter(|_| is_there) else { return estimate };
        let (lowest, highest) = high.limits();
        if highest <= 0.0 {
            return estimate;
        }
        let lower = if lowest > 0.0 { Value::Range(1.0 / highest, 1.0 / lowest) } else { Value::Any };
        let (lowest, highest) = low.limits();
        let (upper, unbounded) = match () {
            () if lowest > 0.0 => (Value::Range(1.0 / highest, 1.0 / lowest), Value::Flag(false)),
            () if highest <= 0.0 => (Value::Null, Value::Flag(true)),
            // Rounding decides whether there is an end.
            () => (Value::Any, Value::Any),
        };
        Estimate { lower, upper, unbounded, ..estimate }
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

/// An end of an interval, the least and the largest that slack makes it, and the width of the interval.
#[derive(Clone, Copy)]
struct End {
    value: f64,
    low: f64,
    high: f64,
    width: f64,
}

impl End {
    fn limits(self) -> (f64, f64) {
        (self.low - OF_WIDTH * self.width, self.high + OF_WIDTH * self.width)
    }

    fn cell(self) -> Value {
        match self.low == self.high {
            true => Value::Number(Number { value: self.value, scale: self.width, allowed: OF_WIDTH }),
            false => Value::Range(self.limits().0, self.limits().1),
        }
    }
}

/// The ends of the interval of a value; `None` if halves cannot tell.
fn ends(examples: usize, number: Number, slack: f64, halves: &[OfHalf]) -> Option<[End; 2]> {
    let finite: Vec<OfHalf> = halves.iter().copied().filter(|of| of.value.is_finite()).collect();
    let rank = (halves.len() + 1).div_ceil(40).checked_sub(halves.len() - finite.len()).filter(|rank| *rank > 0)?;
    if halves.len() < 39 || examples < 8 {
        return None;
    }
    let half = (examples / 2) as f64;
    let factor = (half / (examples as f64 - half)).sqrt();
    // 2θ̂ − θ*, deviations scaled: (1 + f) θ̂ − f θ*.
    let ends = |sign: f64| {
        let value = number.value + sign * slack;
        let mut values: Vec<f64> =
            finite.iter().map(|of| value - factor * (of.value - sign * of.slack - value)).collect();
        values.sort_by(f64::total_cmp);
        [values[rank - 1], values[values.len() - rank]]
    };
    let (actual, low, high) = (ends(0.0), ends(-1.0), ends(1.0));
    let [lower, upper] = actual;
    let width = (upper - lower) + OF_VALUE / OF_WIDTH * lower.abs().max(upper.abs()).max(number.scale * 1e-3);
    Some([0, 1].map(|end| End { value: actual[end], low: low[end], high: high[end], width }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(end: &Value) -> f64 {
        match end {
            Value::Number(number) => number.value,
            Value::Range(from, to) => (from + to) / 2.0,
            _ => f64::NAN,
        }
    }

    #[test]
    fn intervals_are_the_fifth_of_199_from_either_end_mirrored() {
        let values: Vec<OfHalf> = (0..199).map(|k| OfHalf::from(f64::from((k * 7) % 199))).collect();
        let estimate = Estimate::new(10, Some(Number::plain(100.0)), 0.0, &values);
        assert_eq!((number(&estimate.lower), number(&estimate.upper)), (200.0 - 194.0, 200.0 - 4.0));
        assert_eq!(Estimate::new(10, Some(Number::plain(1.0)), 0.0, &values[..38]).lower, Value::Null);
        assert_eq!(Estimate::new(7, Some(Number::plain(1.0)), 0.0, &values).lower, Value::Null);
        let missing = vec![OfHalf::from(f64::NAN); 2];
        let fewer = Estimate::new(10, Some(Number::plain(100.0)), 0.0, &[&values[..197], &missing].concat());
        assert!(number(&fewer.lower) < number(&estimate.lower));
        // 1/100, of which the reciprocal's interval is from 6 to 196.
        let inverse = Estimate::reciprocal(10, Some(Number::plain(0.01)), Number::plain(100.0), &values);
        assert!(
            (number(&inverse.upper) - 1.0 / 6.0).abs() < 1e-2 && (number(&inverse.lower) - 1.0 / 196.0).abs() < 1e-5
        );
        let unbounded = Estimate::reciprocal(10, Some(Number::plain(0.1)), Number::plain(10.0), &values);
        assert_eq!((unbounded.upper, unbounded.unbounded), (Value::Null, Value::Flag(true)));
    }

    #[test]
    fn halves_are_drawn_without_replacement() {
        let halves = Halves::new(1, "run", 10, 40, &[(6, Some(20)), (3, Some(3))]);
        assert_eq!(halves.halves.len(), 40);
        for half in &halves.halves {
            let mut examples = half.examples.clone();
            examples.sort_unstable();
            examples.dedup();
            // ⌊6 · 20/34⌋ of the coordinates.
            assert_eq!((examples.len(), half.coordinates[0].len(), half.coordinates[1].len()), (5, 3, 3));
        }
        let mut shuffled = halves.sample.examples.clone();
        shuffled.sort_unstable();
        assert!(shuffled.into_iter().eq(0..10) && halves.are_told);
        assert!(!Halves::new(1, "run", 10, 40, &[(3, Some(9))]).are_told);
    }
}
