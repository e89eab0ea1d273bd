//! At which steps something is recorded.

use serde::{Deserialize, Serialize};

use crate::experiment::Schedules;

/// Every step up to a bound, then so many steps per decade, evenly spaced in their logarithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Every step from 0 up to and including this one.
    pub every_step_until: u64,
    /// Then the steps `round(10^(k / per_decade))`, k = 0, 1, …; none if 0.
    pub per_decade: u64,
}

impl Schedule {
    /// The steps up to and including `last`, ascending, each once. Step 0 is always among them.
    pub fn steps(&self, last: u64) -> Vec<u64> {
        let mut steps: Vec<u64> = (0..=self.every_step_until.min(last)).collect();
        if self.per_decade == 0 {
            return steps;
        }
        for k in 0.. {
            let step = 10_f64.powf(k as f64 / self.per_decade as f64).round() as u64;
            if step > last {
                break;
            }
            if step > steps[steps.len() - 1] {
                steps.push(step);
            }
        }
        steps
    }
}

/// The steps at which a run records, each list ascending, for a run of `total` updates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordingSteps {
    /// Steps whose gradients are recorded, all below `total`: what each update was made of.
    pub gradients: Vec<u64>,
    /// Steps at which the whole training set is recorded, all below `total`, too.
    pub population: Vec<u64>,
    /// Steps at which both sets are evaluated; the last is `total`.
    pub evaluations: Vec<u64>,
    /// Steps whose weights are kept: each is a gradient step, so that its gradients can be recomputed, or `total`.
    pub snapshots: Vec<u64>,
}

impl RecordingSteps {
    pub fn new(schedules: &Schedules, total: u64) -> RecordingSteps {
        let last = total.saturating_sub(1);
        let gradients = schedules.gradients.steps(last);
        let population = schedules.population.map(|population| population.steps(last)).unwrap_or_default();
        let mut evaluations = schedules.evaluations.steps(total);
        evaluations.push(total);
        evaluations.dedup();

        let next_gradient_step = |step: u64| gradients.get(gradients.partition_point(|&other| other < step)).copied();
        let mut snapshots: Vec<u64> =
            schedules.snapshots.steps(total).into_iter().filter_map(next_gradient_step).collect();
        snapshots.push(total);
        snapshots.dedup();
        RecordingSteps { gradients, population, evaluations, snapshots }
    }

    /// Every step at which anything is recorded, ascending.
    pub fn all(&self) -> Vec<u64> {
        let mut all = [&self.gradients[..], &self.population, &self.evaluations, &self.snapshots].concat();
        all.sort_unstable();
        all.dedup();
        all
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn schedule(every_step_until: u64, per_decade: u64) -> Schedule {
        Schedule { every_step_until, per_decade }
    }

    #[test]
    fn one_per_decade_is_the_powers_of_ten() {
        assert_eq!(schedule(0, 1).steps(12_000), [0, 1, 10, 100, 1000, 10_000]);
    }

    #[test]
    fn the_bound_itself_is_recorded_and_spacing_follows_it() {
        // 10^(k/4) = 1, 1.8, 3.2, 5.6, 10, 17.8, 31.6, 56.2, 100
        assert_eq!(schedule(5, 4).steps(100), [0, 1, 2, 3, 4, 5, 6, 10, 18, 32, 56, 100]);
    }

    #[test]
    fn dense_spacing_is_deduplicated() {
        assert_eq!(schedule(0, 10).steps(10), [0, 1, 2, 3, 4, 5, 6, 8, 10]);
    }

    #[test]
    fn nothing_lies_beyond_the_last_step() {
        assert_eq!(schedule(1000, 20).steps(3), [0, 1, 2, 3]);
        assert_eq!(schedule(0, 0).steps(0), [0]);
    }

    #[test]
    fn none_per_decade_stops_at_the_bound() {
        assert_eq!(schedule(2, 0).steps(100), [0, 1, 2]);
    }

    #[test]
    fn gradients_and_population_stop_before_the_last_update_and_evaluations_end_after_it() {
        let (gradients, evaluations) = (schedule(0, 1), schedule(1, 0));
        let schedules =
            Schedules { gradients, evaluations, snapshots: schedule(0, 1), population: Some(schedule(2, 1)) };
        let steps = RecordingSteps::new(&schedules, 100);
        assert_eq!(steps.gradients, [0, 1, 10]);
        assert_eq!(steps.population, [0, 1, 2, 10]);
        assert_eq!(steps.evaluations, [0, 1, 100]);
        assert_eq!(steps.snapshots, [0, 1, 10, 100]);
    }

    #[test]
    fn a_snapshot_waits_for_the_next_gradient_step() {
        let (gradients, evaluations) = (schedule(0, 1), schedule(0, 0));
        let schedules = Schedules { gradients, evaluations, snapshots: schedule(3, 0), population: None };
        let steps = RecordingSteps::new(&schedules, 50);
        assert!(steps.population.is_empty());
        assert_eq!(steps.gradients, [0, 1, 10]);
        assert_eq!(steps.snapshots, [0, 1, 10, 50]);
    }

    proptest! {
        #[test]
        fn steps_ascend_from_0_and_contain_all_up_to_the_bound(bound in 0..300_u64, density in 0..50_u64, last in 0..5000_u64) {
            let steps = schedule(bound, density).steps(last);
            prop_assert!(steps.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(steps[steps.len() - 1] <= last);
            prop_assert!((0..=bound.min(last)).eq(steps.iter().copied().take_while(|&step| step <= bound)));
        }
    }
}
