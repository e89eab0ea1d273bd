//! The fraction of examples learned by each step, and the median learning step.
//!
//! An example's learning step is the first evaluated step at which the network's argmax was its training label; it stays
//! learned from then on, whatever the network says later. Source: §2.3, Figure 1(d); [S 4].

use cograd_trace::{Example, Subset};

/// The fraction learned of one subset by one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Learned {
    /// Evaluated step t.
    pub step: i64,
    /// Which training examples.
    pub subset: Subset,
    /// Size of the subset.
    pub examples: u32,
    /// How many of them were learned at or before the step.
    pub learned: u32,
    /// Their fraction; `None` if the subset is empty.
    pub fraction: Option<f64>,
}

/// The three subsets of the training examples, in the order of the tables.
pub const SUBSETS: [Subset; 3] = [Subset::All, Subset::Pristine, Subset::Corrupt];

/// Whether the example is in the subset.
pub fn belongs(example: &Example, subset: Subset) -> bool {
    match subset {
        Subset::All => true,
        Subset::Pristine => example.pristine,
        Subset::Corrupt => !example.pristine,
    }
}

/// Fractions learned of all m training examples, by evaluated step (ascending) and subset.
pub fn curve(examples: &[Example], evaluated_steps: &[i64]) -> Vec<Learned> {
    let steps_of = SUBSETS.map(|subset| (subset, sorted_learning_steps(examples, subset)));
    let at = |step: i64| steps_of.iter().map(move |(subset, steps)| learned_by(step, *subset, steps));
    evaluated_steps.iter().flat_map(|&step| at(step)).collect()
}

fn learned_by(step: i64, subset: Subset, learning_steps: &[i64]) -> Learned {
    let (examples, learned) = (learning_steps.len(), learning_steps.partition_point(|&learned| learned <= step));
    let fraction = (examples > 0).then(|| learned as f64 / examples as f64);
    Learned { step, subset, examples: examples as u32, learned: learned as u32, fraction }
}

/// Learning steps of a subset, ascending; never is later than every step.
fn sorted_learning_steps(examples: &[Example], subset: Subset) -> Vec<i64> {
    let of_subset = examples.iter().filter(|example| belongs(example, subset));
    let mut steps: Vec<i64> = of_subset.map(|example| example.learned_step.unwrap_or(i64::MAX)).collect();
    steps.sort_unstable();
    steps
}

/// Median learning step of a subset: the mean of the two middle ones of an even number, infinite if it is never reached.
/// `None` if the subset is empty.
pub fn median_step(examples: &[Example], subset: Subset) -> Option<f64> {
    let steps = sorted_learning_steps(examples, subset);
    let as_number = |step: &i64| if *step == i64::MAX { f64::INFINITY } else { *step as f64 };
    let upper = steps.get(steps.len() / 2).map(as_number)?;
    let lower = steps.get((steps.len() - 1) / 2).map(as_number)?;
    Some((lower + upper) / 2.0)
}
