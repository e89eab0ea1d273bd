//! How long the steps that are left will take: recorded steps are slow, come first, and are few.

use std::time::Duration;

/// Steps of a run, or of several, by whether anything is recorded at them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Steps {
    pub plain: u64,
    pub recorded: u64,
}

/// Seconds that steps have taken so far.
#[derive(Debug, Default)]
pub struct Pace {
    made: Steps,
    plain: f64,
    recorded: f64,
}

/// Fewer steps without a recording, or fewer seconds of them, say nothing yet.
const FEWEST: u64 = 20;
const LEAST: f64 = 0.05;

impl Pace {
    /// A step was made.
    pub fn add(&mut self, is_recorded: bool, seconds: f64) {
        let (made, taken) = match is_recorded {
            true => (&mut self.made.recorded, &mut self.recorded),
            false => (&mut self.made.plain, &mut self.plain),
        };
        *made += 1;
        *taken += seconds;
    }

    /// The time that these steps take one after the other; none while too little is known.
    pub fn left(&self, steps: Steps) -> Option<Duration> {
        let is_known = steps.plain == 0 || self.made.plain >= FEWEST && self.plain >= LEAST;
        let mean = |taken: f64, made: u64| if made == 0 { 0.0 } else { taken / made as f64 };
        let plain = mean(self.plain, self.made.plain);
        let recorded = mean(self.recorded, self.made.recorded).max(plain);
        let seconds = plain * steps.plain as f64 + recorded * steps.recorded as f64;
        is_known.then(|| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dense_recordings_at_the_beginning_are_not_taken_for_all_steps() {
        let mut pace = Pace::default();
        (0..30).for_each(|_| pace.add(true, 1.0));
        let left = Steps { plain: 5_900, recorded: 70 };
        assert_eq!(pace.left(left), None, "nothing is known of plain steps yet");
        (0..100).for_each(|_| pace.add(false, 0.002));
        let seconds = pace.left(left).expect("now it is").as_secs_f64();
        assert!((seconds - (5_900.0 * 0.002 + 70.0)).abs() < 1e-6, "{seconds}");
        assert_eq!(pace.left(Steps { plain: 0, recorded: 2 }), Some(Duration::from_secs(2)));
    }
}
