//! The learning rate of a step (docs/update-rules.md).

use std::f64::consts::PI;

use cograd_recorder::{RateSchedule, TrainingSettings};

/// η of update `step`.
pub(crate) fn rate(training: &TrainingSettings, step: u64) -> f64 {
    let (warm_up, fraction) = match &training.schedule {
        RateSchedule::Constant { warm_up } => (*warm_up, 1.0),
        RateSchedule::Steps { milestones, decay, warm_up } => {
            let reached = milestones.iter().filter(|milestone| step >= **milestone).count();
            (*warm_up, decay.powi(reached as i32))
        }
        RateSchedule::Cosine { final_fraction, warm_up } if step >= *warm_up && training.steps > *warm_up => {
            let part = (step - warm_up) as f64 / (training.steps - warm_up) as f64;
            (*warm_up, 1.0 - (1.0 - final_fraction) * (part * PI / 2.0).sin().powi(2))
        }
        RateSchedule::Cosine { warm_up, .. } => (*warm_up, 1.0),
    };
    let risen = if warm_up > step { (step as f64 + 1.0) / warm_up as f64 } else { 1.0 };
    training.learning_rate * fraction * risen
}

#[cfg(test)]
mod tests {
    use cograd_recorder::{Batch, Optimizer};

    use super::*;

    #[test]
    fn each_schedule_by_hand() {
        let at = |schedule: RateSchedule, step: u64| {
            let optimizer = Optimizer::default();
            rate(&TrainingSettings { learning_rate: 0.5, batch: Batch::Full, steps: 6, optimizer, schedule }, step)
        };
        let is_near = |found: f64, expected: f64| (found - expected).abs() < 1e-12;
        assert!(is_near(at(RateSchedule::Constant { warm_up: 4 }, 2), 0.375));
        let steps = RateSchedule::Steps { milestones: vec![2, 4], decay: 0.1, warm_up: 0 };
        assert!(
            is_near(at(steps.clone(), 1), 0.5) && is_near(at(steps.clone(), 2), 0.05) && is_near(at(steps, 5), 0.005)
        );
        // Two thirds of the way: cos 120° = −½.
        let cosine = RateSchedule::Cosine { final_fraction: 0.2, warm_up: 3 };
        assert!(is_near(at(cosine.clone(), 0), 0.5 / 3.0) && is_near(at(cosine, 5), 0.5 * (0.2 + 0.8 * 0.25)));
    }
}
