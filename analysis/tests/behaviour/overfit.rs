//! Overfit and the rules at matched training accuracy, by hand, against slow definitions, and at their edges.

use cograd_analysis::statistic::matched;
use cograd_analysis::statistic::overfit::{self, Overfit};
use cograd_trace::{Metric, Split, Subset};
use proptest::prelude::*;

use crate::support::{assert_close, metric};

fn evaluation(step: i64, split: Split, accuracy: f64) -> Metric {
    Metric { accuracy, ..metric(step, split, 1.0) }
}

/// Both accuracies at each step.
fn evaluations(accuracies: &[(i64, f64, f64)]) -> Vec<Metric> {
    let both = |&(step, train, test): &(i64, f64, f64)| {
        [evaluation(step, Split::Test, test), evaluation(step, Split::Train, train)]
    };
    accuracies.iter().flat_map(both).collect()
}

#[test]
fn overfit_by_hand() {
    // A quarter of noise on ten classes: 0.9 on fresh noisy labels would be 0.25/10 + 0.75 · 0.9 = 0.7.
    let curve = overfit::curve(&evaluations(&[(0, 0.1, 0.1), (100, 0.8, 0.9), (200, 1.0, 0.8)]), 0.25, 10);
    let expected = [0.0, 0.1, 0.375];
    for (at_step, expected) in curve.iter().zip(expected) {
        assert!((at_step.overfit.unwrap() - expected).abs() < 1e-15, "{at_step:?}");
    }
    assert_eq!(curve.iter().map(|at_step| at_step.step).collect::<Vec<_>>(), [0, 100, 200]);
    assert_close(overfit::last(&curve).unwrap(), 0.375, 1e-14);
    // Three equidistant points: the line through the outer two, per 1 000 steps.
    assert_close(overfit::slope(&curve).unwrap(), 1.875, 1e-14);
    assert_eq!(overfit::max_train_accuracy(&curve), Some(1.0));
}

#[test]
fn without_noise_overfit_is_the_difference_of_the_accuracies_and_with_noise_only_it_is_the_excess_over_chance() {
    assert_close(overfit::value(0.95, 0.9, 0.0, 10).unwrap(), 0.05, 1e-14);
    assert_close(overfit::value(0.95, 0.9, 1.0, 4).unwrap(), 0.70, 1e-14);
    assert_eq!(overfit::value(0.95, 0.9, 0.5, 0), None);
}

#[test]
fn evaluations_in_any_order_and_of_parts_of_the_training_set_give_the_same_curve() {
    let mut metrics = evaluations(&[(0, 0.1, 0.1), (7, 0.5, 0.6)]);
    let curve = overfit::curve(&metrics, 0.5, 10);
    metrics.reverse();
    metrics.insert(0, Metric { subset: Subset::Pristine, ..evaluation(7, Split::Train, 0.9) });
    assert_eq!(overfit::curve(&metrics, 0.5, 10), curve);
}

#[test]
fn without_a_test_set_there_is_a_training_accuracy_and_no_overfit() {
    let metrics = [evaluation(0, Split::Train, 0.1), evaluation(5, Split::Train, 0.9), evaluation(5, Split::Test, 0.8)];
    let curve = overfit::curve(&metrics, 0.0, 10);
    let first = Overfit { step: 0, train_accuracy: Some(0.1), test_accuracy: None, overfit: None };
    assert_eq!(curve[0], first);
    assert_eq!(overfit::slope(&curve), None, "one step has an overfit");
    let curve = overfit::curve(&metrics[..2], 0.0, 10);
    assert_eq!((overfit::last(&curve), overfit::slope(&curve)), (None, None));
    assert_eq!(overfit::max_train_accuracy(&curve), Some(0.9));
    let curve = overfit::curve(&metrics[2..], 0.0, 10);
    assert_eq!((overfit::last(&curve), overfit::max_train_accuracy(&curve)), (None, None));
}

#[test]
fn one_evaluation_or_none_has_no_slope() {
    let curve = overfit::curve(&evaluations(&[(60, 0.9, 0.8)]), 0.0, 10);
    assert!(overfit::last(&curve).is_some());
    assert_eq!((overfit::slope(&curve), overfit::slope(&[])), (None, None));
    assert_eq!((overfit::last(&[]), overfit::max_train_accuracy(&[])), (None, None));
}

/// Slope by solving the normal equations of overfit = a + b · step.
fn slow_slope(curve: &[Overfit]) -> f64 {
    let (mut n, mut x, mut y, mut xx, mut xy) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for at_step in curve {
        let (step, overfit) = (at_step.step as f64, at_step.overfit.unwrap());
        n += 1.0;
        x += step;
        y += overfit;
        xx += step * step;
        xy += step * overfit;
    }
    1000.0 * (n * xy - x * y) / (n * xx - x * x)
}

proptest! {
    #[test]
    fn overfit_and_its_slope_are_those_of_a_direct_implementation(
        accuracies in prop::collection::btree_map(0_i64..100_000, (0.0..1.0, 0.0..1.0), 2..40),
        noise in 0.0..1.0,
        classes in 1_usize..20,
    ) {
        let rows: Vec<_> = accuracies.into_iter().map(|(step, (train, test))| (step, train, test)).collect();
        let curve = overfit::curve(&evaluations(&rows), noise, classes);
        prop_assert_eq!(curve.len(), rows.len());
        for (at_step, (step, train, test)) in curve.iter().zip(&rows) {
            let expected = train - noise / classes as f64 - test + noise * test;
            prop_assert_eq!(at_step.step, *step);
            prop_assert!((at_step.overfit.unwrap() - expected).abs() < 1e-12);
        }
        let (slope, slow) = (overfit::slope(&curve).unwrap(), slow_slope(&curve));
        prop_assert!((slope - slow).abs() <= 1e-6 * slow.abs().max(1e-3), "{} is not {}", slope, slow);
    }

    #[test]
    fn at_a_matched_accuracy_the_values_lie_between_those_of_the_evaluations_around_it(
        accuracies in prop::collection::vec((0.0..1.0, 0.0..1.0), 1..20),
        level in 0.0..1.0,
    ) {
        let rows: Vec<_> = (0..).step_by(10).zip(&accuracies).map(|(step, &(train, test))| (step, train, test)).collect();
        let matched = matched::at(&overfit::curve(&evaluations(&rows), 0.5, 10), level);
        let first = rows.iter().position(|row| row.1 >= level);
        prop_assert_eq!(matched.is_some(), first.is_some());
        if let (Some(matched), Some(first)) = (matched, first) {
            let around = [rows[first.saturating_sub(1)], rows[first]];
            let within = |value: f64, a: f64, b: f64| (a.min(b) - 1e-9..=a.max(b) + 1e-9).contains(&value);
            prop_assert!(within(matched.step, around[0].0 as f64, around[1].0 as f64));
            prop_assert!(within(matched.test_accuracy.unwrap(), around[0].2, around[1].2));
            // Overfit is linear in both accuracies, and the training accuracy is the level, or above it at the start.
            let train = if first == 0 { rows[0].1 } else { level };
            let expected = overfit::value(train, matched.test_accuracy.unwrap(), 0.5, 10).unwrap();
            prop_assert!((matched.overfit.unwrap() - expected).abs() < 1e-9);
        }
    }
}

#[test]
fn matching_by_hand() {
    let fast = overfit::curve(&evaluations(&[(0, 0.1, 0.1), (10, 0.5, 0.6), (20, 0.9, 0.8), (30, 0.7, 0.7)]), 0.0, 10);
    let slow = overfit::curve(&evaluations(&[(0, 0.1, 0.1), (10, 0.2, 0.2), (40, 0.6, 0.7)]), 0.0, 10);
    let level = matched::level(&[&fast, &slow]).unwrap();
    assert_eq!(level, 0.6);
    let (fast, slow) = (matched::at(&fast, level).unwrap(), matched::at(&slow, level).unwrap());
    assert_close(fast.step, 12.5, 1e-12);
    assert_close(fast.test_accuracy.unwrap(), 0.65, 1e-12);
    assert_close(fast.overfit.unwrap(), -0.05, 1e-12);
    assert_eq!((slow.step, slow.test_accuracy), (40.0, Some(0.7)));
}

#[test]
fn nothing_is_matched_without_training_accuracies_and_nothing_measured_without_a_test_set() {
    let trained = overfit::curve(&[evaluation(0, Split::Train, 0.5)], 0.0, 10);
    let tested = overfit::curve(&[evaluation(0, Split::Test, 0.5)], 0.0, 10);
    assert_eq!((matched::level(&[]), matched::level(&[&trained, &tested])), (None, None));
    let at = matched::at(&trained, 0.5).unwrap();
    assert_eq!((at.step, at.test_accuracy, at.overfit), (0.0, None, None));
    assert_eq!((matched::at(&trained, 0.6), matched::at(&tested, 0.5)), (None, None));
}
