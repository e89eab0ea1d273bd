//! Learning curves and the fraction learned.

use cograd_analysis::statistic::{curves, learned};
use cograd_trace::{Split, Subset};

use crate::support::*;

#[test]
fn the_fraction_learned_by_hand() {
    // Pristine learned at 0, 4, never; corrupt at 4.
    let examples = [
        example(0, true, true, Some(0)),
        example(1, true, false, Some(4)),
        example(2, true, true, None),
        example(3, false, false, Some(4)),
    ];
    let curve = learned::curve(&examples, &[0, 3, 4]);
    let row = |index: usize| {
        (curve[index].step, curve[index].subset, curve[index].examples, curve[index].learned, curve[index].fraction)
    };
    assert_eq!(curve.len(), 9);
    assert_eq!(row(0), (0, Subset::All, 4, 1, Some(0.25)));
    assert_eq!(row(1), (0, Subset::Pristine, 3, 1, Some(1.0 / 3.0)));
    assert_eq!(row(2), (0, Subset::Corrupt, 1, 0, Some(0.0)));
    assert_eq!(row(3), (3, Subset::All, 4, 1, Some(0.25)));
    assert_eq!(row(6), (4, Subset::All, 4, 3, Some(0.75)));
    assert_eq!(row(8), (4, Subset::Corrupt, 1, 1, Some(1.0)));
}

#[test]
fn the_fraction_of_an_empty_subset_is_missing() {
    let curve = learned::curve(&[example(0, true, true, Some(0))], &[0]);
    assert_eq!((curve[2].subset, curve[2].examples, curve[2].fraction), (Subset::Corrupt, 0, None));
    assert_eq!(learned::curve(&[], &[5]).iter().filter(|row| row.fraction.is_some()).count(), 0);
}

#[test]
fn the_median_learning_step_by_hand() {
    let of = |steps: &[Option<i64>]| {
        let examples: Vec<_> = steps.iter().zip(0..).map(|(&step, id)| example(id, true, true, step)).collect();
        learned::median_step(&examples, Subset::Pristine)
    };
    assert_eq!(of(&[Some(9), Some(1), Some(3)]), Some(3.0));
    assert_eq!(of(&[Some(9), Some(1), Some(3), Some(4)]), Some(3.5));
    assert_eq!(of(&[Some(9), None, Some(3)]), Some(9.0));
    assert_eq!(of(&[Some(9), None]), Some(f64::INFINITY));
    assert_eq!(of(&[None]), Some(f64::INFINITY));
    assert_eq!(of(&[]), None);
}

#[test]
fn the_loss_is_halved_at_the_first_evaluation_that_shows_it() {
    let metrics = [
        metric(0, Split::Train, 2.0),
        metric(5, Split::Train, 1.5),
        metric(9, Split::Train, 1.0),
        metric(12, Split::Train, 0.1),
    ];
    assert_eq!(curves::half_loss_step(&metrics), Some(9.0));
    assert_eq!(curves::half_loss_step(&metrics[..2]), Some(f64::INFINITY));
    assert_eq!(curves::half_loss_step(&metrics[..1]), None);
    assert_eq!(curves::half_loss_step(&metrics[1..]), None);
    assert_eq!(curves::half_loss_step(&[metric(0, Split::Test, 2.0), metric(1, Split::Test, 0.5)]), None);
}

#[test]
fn the_early_slope_is_taken_over_ten_steps_or_to_the_first_evaluation_after() {
    let metrics = [
        metric(0, Split::Train, 2.0),
        metric(5, Split::Train, 1.5),
        metric(9, Split::Train, 1.1),
        metric(12, Split::Train, 0.1),
    ];
    assert!((curves::early_slope(&metrics).unwrap() - 0.1).abs() < 1e-15);
    assert!((curves::early_slope(&[metrics[0], metrics[3]]).unwrap() - 1.9 / 12.0).abs() < 1e-15);
    assert_eq!(curves::early_slope(&metrics[..1]), None);
}
