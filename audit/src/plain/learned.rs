//! How many examples were learned by a step, and when half were [S 4].

use cograd_trace::Metric;

use crate::examples::Examples;
use crate::plain::curves::curve;

/// When the members of a group were learned: ascending, one step a member that was.
pub(crate) struct LearnedSteps(Vec<i64>);

impl LearnedSteps {
    pub(crate) fn new(examples: &Examples, members: &[usize]) -> LearnedSteps {
        let mut steps: Vec<i64> = members.iter().filter_map(|&example| examples.learned(example)).collect();
        steps.sort_unstable();
        LearnedSteps(steps)
    }

    /// How many were learned at or before `step`.
    pub(crate) fn until(&self, step: i64) -> usize {
        self.0.partition_point(|learned| *learned <= step)
    }
}

/// Whether learned steps are known: not if more are right at some step than were ever learned by then, by half an example at least.
pub(crate) fn are_known(examples: &Examples, metrics: &[Metric]) -> bool {
    let learned = LearnedSteps::new(examples, &(0..examples.count).collect::<Vec<usize>>());
    !curve(metrics, "train", "accuracy")
        .iter()
        .any(|(step, part)| part * examples.count as f64 - 0.5 > learned.until(*step) as f64)
}

/// Median learning step of `members`: infinite if half of them were never learned, `None` if there are none, or it is not
/// known of any example.
pub(crate) fn median(examples: &Examples, members: &[usize]) -> Option<f64> {
    examples.learned_step.as_ref()?;
    let step = |example: &usize| examples.learned(*example).map_or(f64::INFINITY, |step| step as f64);
    let mut steps: Vec<f64> = members.iter().map(step).collect();
    steps.sort_by(f64::total_cmp);
    let middle = steps.len() / 2;
    match steps.len() {
        0 => None,
        even if even % 2 == 0 => Some((steps[middle - 1] + steps[middle]) / 2.0),
        _ => Some(steps[middle]),
    }
}
