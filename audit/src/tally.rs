//! Comparisons, counted until they become a claim.

use std::fmt::Display;

use crate::claim::{Claim, Verdict};

/// Failures that are quoted in a claim.
const QUOTED: usize = 3;

/// What was compared for one claim, and how it went.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    compared: u64,
    failed: u64,
    odd: u64,
    quoted: Vec<String>,
    oddities: Vec<String>,
    worst: Option<Worst>,
    notes: Vec<String>,
}

/// The comparison that came closest to failing, or failed by most.
#[derive(Clone, Copy, Debug)]
struct Worst {
    deviation: f64,
    allowed: f64,
}

impl Tally {
    /// Counts one comparison; `message` says what is wrong if it does not hold.
    pub(crate) fn check(&mut self, holds: bool, message: impl FnOnce() -> String) {
        self.compared += 1;
        if !holds {
            self.failed += 1;
            if self.quoted.len() < QUOTED {
                self.quoted.push(message());
            }
        }
    }

    /// Counts the comparison of a published number with a recomputed one: they may differ by `allowed` of `scale`.
    pub(crate) fn close(&mut self, found: f64, expected: Number, place: impl FnOnce() -> String) {
        let deviation = expected.deviation(found);
        let holds = deviation <= expected.allowed;
        let worst = Worst { deviation, allowed: expected.allowed };
        if self.worst.is_none_or(|so_far| worst.ratio() > so_far.ratio()) {
            self.worst = Some(worst);
        }
        self.check(holds, || format!("{} is {found:e}, recomputed {:e}", place(), expected.value));
    }

    /// Counts a comparison that holds in an odd way.
    pub(crate) fn odd(&mut self, message: impl FnOnce() -> String) {
        self.compared += 1;
        self.odd += 1;
        if self.oddities.len() < QUOTED {
            self.oddities.push(message());
        }
    }

    /// As [`Tally::close`], but what is off by up to `possible` of the scale is odd, no failure.
    pub(crate) fn close_or_odd(&mut self, found: f64, expected: Number, possible: f64, place: impl FnOnce() -> String) {
        let deviation = expected.deviation(found);
        if deviation <= expected.allowed || deviation > possible {
            return self.close(found, expected, place);
        }
        self.odd(|| {
            let (place, value) = (place(), expected.value);
            format!(
                "{place} is {found:e}, recomputed {value:e}: more than rounding of unlike terms, less than of like ones"
            )
        });
    }

    /// With something worth knowing that is no failure.
    pub(crate) fn noting(mut self, note: impl Into<String>) -> Tally {
        self.notes.push(note.into());
        self
    }

    /// Number of comparisons that did not hold.
    pub(crate) fn failed(&self) -> u64 {
        self.failed
    }

    /// Adds the comparisons of another tally.
    pub(crate) fn add(&mut self, other: Tally) {
        self.compared += other.compared;
        self.failed += other.failed;
        self.odd += other.odd;
        self.quoted.extend(other.quoted);
        self.quoted.truncate(QUOTED);
        self.oddities.extend(other.oddities);
        self.oddities.truncate(QUOTED);
        self.notes.extend(other.notes);
        if let Some(worst) = other.worst
            && self.worst.is_none_or(|so_far| worst.ratio() > so_far.ratio())
        {
            self.worst = Some(worst);
        }
    }

    /// The claim that these comparisons make: not checkable if there were none.
    pub(crate) fn into_claim(self, claim: &str, subject: &str) -> Claim {
        let (verdict, mut why) = match (self.compared, self.failed, self.odd) {
            (0, _, _) => (Verdict::NotCheckable, "nothing of it was recorded".to_string()),
            (compared, 0, 0) => (Verdict::Pass, format!("{compared} compared")),
            (compared, 0, odd) => (Verdict::Note, format!("{odd} of {compared}: {}", self.oddities.join("; "))),
            (compared, failed, _) => (Verdict::Fail, format!("{failed} of {compared}: {}", self.quoted.join("; "))),
        };
        for note in &self.notes {
            why = format!("{why}; {note}");
        }
        Claim {
            claim: claim.to_string(),
            subject: subject.to_string(),
            verdict,
            why,
            deviation: self.worst.map(|worst| worst.deviation),
            allowed: self.worst.map(|worst| worst.allowed),
        }
    }
}

impl Worst {
    /// How much of what is allowed is used up; NaN, which nothing allows, counts as most.
    fn ratio(self) -> f64 {
        let ratio = if self.deviation == 0.0 { 0.0 } else { self.deviation / self.allowed };
        if ratio.is_nan() { f64::INFINITY } else { ratio }
    }
}

/// A recomputed number, and how far a published one may be from it: `allowed` of `scale`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Number {
    pub value: f64,
    /// What the value's rounding errors are proportional to.
    pub scale: f64,
    pub allowed: f64,
}

impl Number {
    /// Points: sums in f64, in another order.
    const POINT: f64 = 1e-9;

    /// A number that is a sum of terms of absolute sum `scale`.
    pub(crate) fn near(value: f64, scale: f64) -> Number {
        Number { value, scale: scale.max(value.abs()), allowed: Number::POINT }
    }

    /// A number without cancellation.
    pub(crate) fn plain(value: f64) -> Number {
        Number::near(value, value.abs())
    }

    /// A number that is copied, never computed.
    pub(crate) fn exact(value: f64) -> Number {
        Number { value, scale: value.abs(), allowed: 0.0 }
    }

    fn deviation(self, found: f64) -> f64 {
        if found.to_bits() == self.value.to_bits() || found == self.value || (found.is_nan() && self.value.is_nan()) {
            return 0.0;
        }
        let deviation = (found - self.value).abs() / self.scale;
        if deviation.is_nan() { f64::INFINITY } else { deviation }
    }
}

/// A value as a message shows it.
pub(crate) fn told(value: Option<impl Display>) -> String {
    value.map_or("none".to_string(), |value| value.to_string())
}

/// Several values as a message shows them.
pub(crate) fn listed(values: impl IntoIterator<Item = impl Display>) -> String {
    let values: Vec<String> = values.into_iter().map(|value| value.to_string()).collect();
    if values.is_empty() { "none".to_string() } else { values.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_fails_if_one_comparison_does_and_tells_the_largest_deviation() {
        let mut tally = Tally::default();
        tally.close(1.0 + 1e-12, Number::plain(1.0), || "a".into());
        assert_eq!(tally.clone().into_claim("c", "s").verdict, Verdict::Pass);
        tally.close(1.1, Number::plain(1.0), || "b".into());
        let claim = tally.into_claim("c", "s");
        assert_eq!(claim.verdict, Verdict::Fail);
        assert!((claim.deviation.unwrap() - 0.1).abs() < 1e-9 && claim.why.contains("b is 1.1"), "{claim:?}");
    }

    #[test]
    fn nothing_compared_is_not_checkable_and_nan_is_never_close() {
        assert_eq!(Tally::default().into_claim("c", "s").verdict, Verdict::NotCheckable);
        for (found, expected) in [(f64::NAN, 1.0), (f64::INFINITY, 1.0), (1.0, f64::INFINITY), (0.1, 0.0)] {
            let mut tally = Tally::default();
            tally.close(found, Number::plain(expected), String::new);
            assert_eq!(tally.failed(), 1, "{found} {expected}");
        }
        let mut tally = Tally::default();
        tally.close(f64::INFINITY, Number::exact(f64::INFINITY), String::new);
        tally.close(0.0, Number::plain(0.0), String::new);
        assert_eq!(tally.failed(), 0);
    }
}
