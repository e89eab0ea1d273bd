//! Schedules of the learning rate, one file each.

mod cosine;
mod steps;
mod warm_up;

use cograd_trace::Conditions;
use serde::{Deserialize, Serialize};

use crate::experiment::Problem;

/// How the learning rate changes from step to step; every schedule may begin with a warm-up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
pub enum RateSchedule {
    /// It stays η.
    Constant {
        /// Steps of the warm-up.
        #[serde(default)]
        warm_up: u64,
    },
    /// It is multiplied at some steps.
    Steps {
        /// Steps from which on it is multiplied once more, ascending.
        milestones: Vec<u64>,
        /// By what.
        #[serde(default = "default_decay")]
        decay: f64,
        /// Steps of the warm-up.
        #[serde(default)]
        warm_up: u64,
    },
    /// It falls as half a period of the cosine does.
    Cosine {
        /// What is left of η after the last update, as a fraction.
        #[serde(default)]
        final_fraction: f64,
        /// Steps of the warm-up, after which it begins to fall.
        #[serde(default)]
        warm_up: u64,
    },
}

fn default_decay() -> f64 {
    0.1
}

impl Default for RateSchedule {
    fn default() -> RateSchedule {
        RateSchedule::Constant { warm_up: 0 }
    }
}

impl RateSchedule {
    /// Whether the rate never changes.
    pub fn is_plain(&self) -> bool {
        *self == RateSchedule::default()
    }

    /// The learning rate of update `step` of `steps`, η being `rate`.
    pub fn rate(&self, rate: f64, step: u64, steps: u64) -> f64 {
        match self {
            RateSchedule::Constant { warm_up } => rate * warm_up::factor(step, *warm_up),
            RateSchedule::Steps { milestones, decay, warm_up } => {
                rate * warm_up::factor(step, *warm_up) * steps::factor(step, milestones, *decay)
            }
            RateSchedule::Cosine { final_fraction, warm_up } => {
                let (made, all) = (step.saturating_sub(*warm_up), steps.saturating_sub(*warm_up));
                rate * warm_up::factor(step, *warm_up) * cosine::factor(made, all, *final_fraction)
            }
        }
    }

    fn warm_up(&self) -> u64 {
        match self {
            RateSchedule::Constant { warm_up }
            | RateSchedule::Steps { warm_up, .. }
            | RateSchedule::Cosine { warm_up, .. } => *warm_up,
        }
    }

    /// The conditions of a run, with the schedule and its settings among them; a rate that never changes is none.
    pub(crate) fn conditions(&self, others: Conditions) -> Conditions {
        let named = |name: &str| others.clone().with("schedule", name).with("warm_up", self.warm_up() as i64);
        match self {
            _ if self.is_plain() => others,
            RateSchedule::Constant { .. } => named("constant"),
            RateSchedule::Steps { milestones, decay, .. } => {
                let milestones: Vec<String> = milestones.iter().map(u64::to_string).collect();
                named("steps").with("milestones", milestones.join("-")).with("decay", *decay)
            }
            RateSchedule::Cosine { final_fraction, .. } => named("cosine").with("final_fraction", *final_fraction),
        }
    }

    /// Settings that are impossible with so many steps.
    pub(crate) fn check(&self, steps: u64) -> Result<(), Problem> {
        let warm_up = self.warm_up();
        if warm_up > steps {
            return Err((
                "warm_up",
                format!("warm_up = {warm_up}: with training.steps = {steps}, 0 to {steps} are possible"),
            ));
        }
        match self {
            RateSchedule::Steps { milestones, .. } if !is_ascending(milestones) => {
                Err(("milestones", format!("milestones = {milestones:?}: steps from 1 on, ascending, are needed")))
            }
            RateSchedule::Steps { decay, .. } if !(*decay > 0.0 && decay.is_finite()) => {
                Err(("decay", format!("decay = {decay}: a finite number above 0 is needed")))
            }
            RateSchedule::Cosine { final_fraction, .. } if !(0.0..=1.0).contains(final_fraction) => {
                Err(("final_fraction", format!("final_fraction = {final_fraction}: 0 to 1 is possible")))
            }
            _ => Ok(()),
        }
    }
}

/// Whether there are steps, from 1 on and each after the one before.
fn is_ascending(milestones: &[u64]) -> bool {
    milestones.first().is_some_and(|first| *first > 0) && milestones.is_sorted_by(|one, next| one < next)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(schedule: &RateSchedule, steps: u64) -> Vec<f64> {
        (0..steps).map(|step| schedule.rate(0.5, step, steps)).collect()
    }

    fn assert_near(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
    }

    #[test]
    fn schedules_by_pencil_and_paper() {
        assert_eq!(rates(&RateSchedule::default(), 3), [0.5; 3]);
        assert_near(&rates(&RateSchedule::Constant { warm_up: 4 }, 6), &[0.125, 0.25, 0.375, 0.5, 0.5, 0.5]);
        let steps = RateSchedule::Steps { milestones: vec![2, 4], decay: 0.1, warm_up: 0 };
        assert_near(&rates(&steps, 6), &[0.5, 0.5, 0.05, 0.05, 0.005, 0.005]);
        // cos 0, cos 60°, cos 120° of a fall over three steps.
        let cosine = RateSchedule::Cosine { final_fraction: 0.0, warm_up: 2 };
        assert_near(&rates(&cosine, 5), &[0.25, 0.5, 0.5, 0.375, 0.125]);
        let cosine = RateSchedule::Cosine { final_fraction: 0.2, warm_up: 0 };
        assert_near(&rates(&cosine, 2), &[0.5, 0.3]);
        assert_near(&[cosine.rate(0.5, 2, 2)], &[0.1]);
    }

    #[test]
    fn a_run_of_nothing_but_warm_up_has_a_rate() {
        let cosine = RateSchedule::Cosine { final_fraction: 0.0, warm_up: 3 };
        assert_near(&rates(&cosine, 3), &[0.5 / 3.0, 1.0 / 3.0, 0.5]);
    }
}
