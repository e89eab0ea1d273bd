//! A value and its 95 % interval from random halves [S 8.3].
//!
//! With f = √(h/(n − h)) and δ_b = f (θ*_b − θ̂), the interval is from θ̂ less the (r − u)-th largest δ to θ̂ less the (r − u)-th
//! smallest, r = ⌈(B + 1)/40⌉, u the number of halves without a value. There is none if B < 39, n < 8 or u ≥ r.

use crate::sheet::Value;
use crate::tally::Number;

/// How far the end of an interval may be off, in units of its width.
const OF_WIDTH: f64 = 1e-3;
/// The same in units of the value, where all halves agree.
const OF_VALUE: f64 = 1e-6;
/// Of a larger |G|²/tr(Σ) the analysis, which sums halves in f32, knows no digit: what it is one over is rounding.
pub(crate) const LARGEST_RECIPROCAL: f64 = 1e4;
/// Fewer halves, or examples, have no interval.
const FEWEST_HALVES: usize = 39;
const FEWEST_EXAMPLES: usize = 8;

/// A value in one half, NaN if there is none, and by how much rounding may change it: infinite if nothing is known of it.
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

impl From<Option<Number>> for OfHalf {
    fn from(number: Option<Number>) -> OfHalf {
        number.map_or(f64::NAN, |number| number.value).into()
    }
}

/// A value, and what its interval must be.
#[derive(Clone, Debug)]
pub(crate) struct Estimate {
    pub value: Value,
    pub lower: Value,
    pub upper: Value,
    /// Whether there is an interval without an upper end.
    pub unbounded: Value,
}

/// What an end of an interval must be: the value, and the least and the largest that rounding may make of it.
#[derive(Clone, Copy, Debug)]
struct End {
    value: f64,
    low: f64,
    high: f64,
}

impl Estimate {
    /// Without an interval.
    pub(crate) fn exact(number: Option<Number>) -> Estimate {
        Estimate::new(0, number, 0.0, &[])
    }

    /// Of a value of `examples` examples, by how much rounding may change it, and what it is in the halves.
    pub(crate) fn new(examples: usize, number: Option<Number>, slack: f64, halves: &[OfHalf]) -> Estimate {
        let (value, number) = cell(number, slack);
        if number.is_some() && is_open(examples, halves) {
            return Estimate { value, lower: Value::Any, upper: Value::Any, unbounded: Value::Flag(false) };
        }
        let ends = number.and_then(|number| ends(examples, number, halves));
        let [lower, upper] = ends.map_or([Value::Null, Value::Null], |ends| ends.map(End::cell));
        Estimate { value, lower, upper, unbounded: Value::Flag(false) }
    }

    /// Of a value whose interval is that of its reciprocal, of which `halves` are; a half in which it is larger than `largest` has none.
    pub(crate) fn of_reciprocal(
        examples: usize,
        number: Option<Number>,
        reciprocal: Option<Number>,
        halves: &[OfHalf],
        largest: f64,
    ) -> Estimate {
        let (value, number) = cell(number, 0.0);
        let mut estimate = Estimate { value, lower: Value::Null, upper: Value::Null, unbounded: Value::Flag(false) };
        let reciprocal = number.and(reciprocal).filter(|reciprocal| reciprocal.value.is_finite());
        if reciprocal.is_some_and(|reciprocal| reciprocal.value > largest || is_open(examples, halves)) {
            return Estimate { lower: Value::Any, upper: Value::Any, unbounded: Value::AnyFlag, ..estimate };
        }
        let told = |half: &OfHalf| if half.value > largest { OfHalf::from(f64::NAN) } else { *half };
        let halves: Vec<OfHalf> = halves.iter().map(told).collect();
        let Some([low, high]) = reciprocal.and_then(|reciprocal| ends(examples, reciprocal, &halves)) else {
            return estimate;
        };
        // Where rounding decides whether an end is positive, so it does whether there is an end.
        let inverted = |end: End| match (end.low > 0.0, end.high > 0.0) {
            (true, _) => End { value: 1.0 / end.value, low: 1.0 / end.high, high: 1.0 / end.low }.cell(),
            (false, true) => Value::NullOr(1.0 / end.high),
            (false, false) => Value::Null,
        };
        estimate.lower = inverted(high);
        if high.high > 0.0 {
            estimate.upper = inverted(low);
            estimate.unbounded = match (low.low > 0.0 || high.low <= 0.0, low.high > 0.0) {
                (true, true) => Value::Flag(false),
                (false, false) => Value::Flag(true),
                _ => Value::AnyFlag,
            };
        }
        estimate
    }

    /// The same without an interval, unless it is told.
    pub(crate) fn told_if(self, is_told: bool) -> Estimate {
        match is_told {
            true => self,
            false => Estimate { lower: Value::Null, upper: Value::Null, unbounded: Value::Flag(false), ..self },
        }
    }

    /// Cells of the value and the ends of its interval.
    pub(crate) fn cells(&self) -> Vec<Value> {
        vec![self.value.clone(), self.lower.clone(), self.upper.clone()]
    }

    /// Whether rounding decides if there is an interval.
    pub(crate) fn is_open(&self) -> bool {
        self.lower == Value::Any
    }

    /// Whether the interval covers a number: certainly, and possibly; `None` without an interval.
    pub(crate) fn covers(&self, number: f64) -> Option<(bool, bool)> {
        let (lower, upper) = (self.lower.limits()?, self.upper.limits()?);
        Some((lower.1 <= number && number <= upper.0, lower.0 <= number && number <= upper.1))
    }
}

/// The cell of a value, and the value if there is one.
fn cell(number: Option<Number>, slack: f64) -> (Value, Option<Number>) {
    let number = number.filter(|number| number.value.is_finite());
    let cell = |number: Number| match slack > 0.0 {
        true => Value::Range(number.value - slack - number.scale * 1e-9, number.value + slack + number.scale * 1e-9),
        false => Value::Number(number),
    };
    (number.map_or(Value::Null, cell), number)
}

/// Whether there would be an interval of these halves, were it not that nothing is known of one of them.
fn is_open(examples: usize, halves: &[OfHalf]) -> bool {
    halves.len() >= FEWEST_HALVES && examples >= FEWEST_EXAMPLES && halves.iter().any(|half| half.slack.is_infinite())
}

fn ends(examples: usize, number: Number, halves: &[OfHalf]) -> Option<[End; 2]> {
    let there: Vec<&OfHalf> = halves.iter().filter(|half| half.value.is_finite()).collect();
    let rank = (halves.len() + 1).div_ceil(40);
    let missing = halves.len() - there.len();
    if halves.len() < FEWEST_HALVES || examples < FEWEST_EXAMPLES || missing >= rank {
        return None;
    }
    let half = (examples / 2) as f64;
    let factor = (half / (examples as f64 - half)).sqrt();
    let ends = |sign: f64| {
        let delta = |half: &&OfHalf| factor * (half.value + sign * half.slack - number.value);
        let mut deltas: Vec<f64> = there.iter().map(delta).collect();
        deltas.sort_by(f64::total_cmp);
        let place = rank - missing - 1;
        [number.value - deltas[deltas.len() - 1 - place], number.value - deltas[place]]
    };
    let (values, highs, lows) = (ends(0.0), ends(-1.0), ends(1.0));
    let size = number.scale * 1e-3;
    let width = values[1] - values[0] + OF_VALUE / OF_WIDTH * values[0].abs().max(values[1].abs()).max(size);
    let allowed = OF_WIDTH * width;
    Some([0, 1].map(|end| End { value: values[end], low: lows[end] - allowed, high: highs[end] + allowed }))
}

impl End {
    fn cell(self) -> Value {
        let scale = (self.high - self.value).max(self.value - self.low);
        match self.high - self.value == self.value - self.low {
            true => Value::Number(Number { value: self.value, scale, allowed: 1.0 }),
            false => Value::Range(self.low, self.high),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn values(estimate: &Estimate) -> [f64; 2] {
        [&estimate.lower, &estimate.upper].map(|end| end.limits().map_or(f64::NAN, |(low, high)| (low + high) / 2.0))
    }

    fn is_near(found: [f64; 2], expected: [f64; 2]) -> bool {
        found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-9)
    }

    #[test]
    fn the_ends_are_the_fifth_from_either_side_mirrored() {
        let mut halves: Vec<OfHalf> = (0..199).map(|k| OfHalf::from(f64::from((k * 7) % 199))).collect();
        let number = Some(Number::plain(90.0));
        // 2 · 90 − 194 and 2 · 90 − 4; of an odd number the halves are shrunk.
        assert!(is_near(values(&Estimate::new(10, number, 0.0, &halves)), [-14.0, 176.0]));
        let shrunk = (4.0_f64 / 5.0).sqrt();
        assert!(is_near(
            values(&Estimate::new(9, number, 0.0, &halves)),
            [90.0 - shrunk * 104.0, 90.0 + shrunk * 86.0]
        ));
        // A half without a value counts as beyond both ends: 198 is the largest, 0 the smallest.
        for place in 0..4 {
            halves[7 + place].value = f64::NAN;
        }
        assert!(is_near(values(&Estimate::new(10, number, 0.0, &halves)), [-18.0, 180.0]));
        halves[20].value = f64::NAN;
        assert_eq!(Estimate::new(10, number, 0.0, &halves).lower, Value::Null);
        assert_eq!(Estimate::new(7, number, 0.0, &halves[..10]).lower, Value::Null);
    }

    #[test]
    fn ends_are_any_if_nothing_is_known_of_a_half() {
        let mut halves: Vec<OfHalf> = (0..199).map(|k| OfHalf::from(f64::from(k))).collect();
        let of = |examples: usize, number: Option<f64>, halves: &[OfHalf]| {
            let number = number.map(Number::plain);
            let reciprocal = Estimate::of_reciprocal(examples, number, number, halves, 1e4);
            [Estimate::new(examples, number, 0.0, halves), reciprocal].map(|of| (of.is_open(), of.lower, of.upper))
        };
        assert!(of(10, Some(90.0), &halves).iter().all(|(is_open, ..)| !is_open));
        halves[3] = OfHalf { value: f64::NAN, slack: f64::INFINITY };
        assert!(of(10, Some(90.0), &halves).iter().all(|of| *of == (true, Value::Any, Value::Any)));
        // Without a value, or of too few examples, there is no interval anyway.
        for of in [of(10, None, &halves), of(7, Some(90.0), &halves)] {
            assert!(of.iter().all(|of| *of == (false, Value::Null, Value::Null)));
        }
    }

    #[test]
    fn without_a_positive_lower_end_the_reciprocal_has_no_upper_one() {
        let halves: Vec<OfHalf> = (0..199).map(|k| OfHalf::from(f64::from(k))).collect();
        let of = |reciprocal| {
            let number = Some(Number::plain(1.0 / reciprocal));
            Estimate::of_reciprocal(10, number, Some(Number::plain(reciprocal)), &halves, 198.0)
        };
        let bounded = of(100.0);
        assert!((values(&bounded)[0] - 1.0 / 196.0).abs() < 1e-5 && bounded.unbounded == Value::Flag(false));
        let unbounded = of(50.0);
        assert_eq!((unbounded.upper, unbounded.unbounded), (Value::Null, Value::Flag(true)));
    }
}
