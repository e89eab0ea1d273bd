//! How many examples were learned by a step, and when half were [S 4].

use cograd_trace::{Example, Subset};

/// Whether an example is of a subset.
pub(crate) fn belongs(example: &Example, subset: Subset) -> bool {
    let pristine = example.label == example.original_label;
    match subset {
        Subset::All => true,
        Subset::Pristine => pristine,
        Subset::Corrupt => !pristine,
    }
}

/// Size of a subset, and how many of it were learned at or before `step`.
pub(crate) fn learned(examples: &[Example], subset: Subset, step: i64) -> (u32, u32) {
    let (mut size, mut learned) = (0, 0);
    for example in examples.iter().filter(|example| belongs(example, subset)) {
        size += 1;
        learned += u32::from(example.learned_step.is_some_and(|learned| learned <= step));
    }
    (size, learned)
}

/// Median learning step of a subset: infinite if half of it were never learned, `None` if it is empty.
pub(crate) fn median(examples: &[Example], subset: Subset) -> Option<f64> {
    let of_subset = examples.iter().filter(|example| belongs(example, subset));
    let mut steps: Vec<f64> =
        of_subset.map(|example| example.learned_step.map_or(f64::INFINITY, |step| step as f64)).collect();
    steps.sort_by(f64::total_cmp);
    let middle = steps.len() / 2;
    match steps.len() {
        0 => None,
        even if even % 2 == 0 => Some((steps[middle - 1] + steps[middle]) / 2.0),
        _ => Some(steps[middle]),
    }
}
