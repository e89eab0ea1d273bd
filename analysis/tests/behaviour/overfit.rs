//! Overfit and conditions at matched training accuracy, by hand, against slow definitions, and at their edges.

use cograd_trace::{Conditions, Metric};
use proptest::prelude::*;

use crate::support::*;

/// A step, and the accuracies on the training and on the test set there.
type Row = (i64, f64, f64);

/// Both accuracies at each step.
fn evaluations(rows: &[Row]) -> Vec<Metric> {
    let both =
        |&(step, train, test): &Row| [metric(step, "test", "accuracy", test), metric(step, "train", "accuracy", train)];
    rows.iter().flat_map(both).collect()
}

fn run(conditions: Conditions, classes: Option<u64>, metrics: Vec<Metric>) -> Synthetic {
    Synthetic { conditions, classes, metrics, ..Synthetic::new(&[true, false], 1, &[], 1) }
}

/// Overfit by run of these classes, noise levels and evaluations; seeds are 0, 1, ….
fn overfit_of(runs: &[(Option<u64>, f64, Vec<Metric>)]) -> Analysed {
    let run = |(seed, (classes, noise, metrics)): (u64, &(Option<u64>, f64, Vec<Metric>))| {
        run(conditions("sgd", *noise, seed), *classes, metrics.clone())
    };
    // The noise level goes before the seed in the order of the runs: they are found by their seeds.
    analysed(&(0..).zip(runs).map(run).collect::<Vec<_>>(), &only(&["overfit"]))
}

#[test]
fn overfit_by_hand() {
    // A quarter of noise on ten classes: 0.9 on fresh noisy labels would be 0.25/10 + 0.75 · 0.9 = 0.7.
    let rows = [(0, 0.1, 0.1), (100, 0.8, 0.9), (200, 1.0, 0.8)];
    let analysed = overfit_of(&[(Some(10), 0.25, evaluations(&rows))]);
    let overfit = analysed.table("overfit");
    for (row, expected) in [0.0, 0.1, 0.375].into_iter().enumerate() {
        assert!((overfit.number("overfit", row).unwrap() - expected).abs() < 1e-15);
        assert_eq!(overfit.number("proper_accuracy", row), Some(0.5));
    }
    assert_eq!(overfit.texts("step", &[]), ["0", "100", "200"]);
    let runs = analysed.table("runs");
    let number = |column| runs.number(column, 0).unwrap();
    assert_close(number("final_overfit"), 0.375, 1e-14);
    // Three equidistant points: the line through the outer two, per 1 000 steps.
    assert_close(number("overfit_slope"), 1.875, 1e-13);
    assert_eq!((number("max_train_accuracy"), number("final_test_accuracy")), (1.0, 0.8));
}

#[test]
fn without_noise_overfit_is_the_difference_of_the_accuracies_and_with_noise_only_it_is_the_excess_over_chance() {
    let rows = evaluations(&[(0, 0.95, 0.9)]);
    let analysed = overfit_of(&[(Some(10), 0.0, rows.clone()), (Some(4), 1.0, rows.clone()), (None, 0.5, rows)]);
    let value = |seed| analysed.table("overfit").value("overfit", &[("seed", seed)]);
    assert_close(value("0").unwrap(), 0.05, 1e-14);
    assert_close(value("1").unwrap(), 0.70, 1e-14);
    assert_eq!(value("2"), None, "the number of classes is not known");
    let noiseless = run(Conditions::new(Some(1)).with("rule", "sgd"), Some(10), evaluations(&[(0, 0.95, 0.9)]));
    assert_eq!(
        crate::support::analysed(&[noiseless], &only(&["overfit"])).table("overfit").numbers("overfit", &[]),
        [None]
    );
}

#[test]
fn the_chance_level_is_that_of_permuted_labels() {
    // Labels 3 : 1: Σ p² = 9/16 + 1/16. From step 100 on the recorder says what the network's answers give.
    let mut metrics = evaluations(&[(0, 0.5, 0.5), (100, 0.9, 0.8)]);
    metrics.push(metric(100, "test", "chance", 0.4));
    let labelled = Synthetic { metrics, ..Synthetic::new(&[true, true, false, true], 1, &[], 1) };
    let labelled = labelled.with_column("label", integers([7, 7, 2, 7]));
    let overfit = analysed(&[labelled], &only(&["overfit"])).table("overfit");
    assert_eq!(overfit.numbers("chance", &[]), [Some(0.625), Some(0.4)]);
    let [first, last] = overfit.numbers("overfit", &[])[..] else { panic!("two steps") };
    assert_close(first.unwrap(), 0.5 - (0.5 * 0.625 + 0.5 * 0.5), 1e-14);
    assert_close(last.unwrap(), 0.9 - (0.5 * 0.4 + 0.5 * 0.8), 1e-14);
}

#[test]
fn evaluations_in_any_order_and_of_parts_of_the_training_set_give_the_same_curve() {
    let metrics = evaluations(&[(0, 0.1, 0.1), (7, 0.5, 0.6)]);
    let mut others = metrics.clone();
    others.reverse();
    others.insert(0, Metric { group: "pristine".into(), ..metric(7, "train", "accuracy", 0.9) });
    others.push(metric(7, "validation", "accuracy", 0.9));
    others.push(metric(7, "train", "perplexity", 3.0));
    let analysed = overfit_of(&[(Some(10), 0.5, metrics), (Some(10), 0.5, others)]);
    let (overfit, runs) = (analysed.table("overfit").all(&["run", "seed"]), analysed.table("runs"));
    assert_eq!(overfit[..2], overfit[2..]);
    for column in ["final_train_accuracy", "final_overfit", "overfit_slope", "max_train_accuracy"] {
        assert_eq!(runs.number(column, 0), runs.number(column, 1), "{column}");
    }
}

#[test]
fn without_a_test_set_there_is_a_training_accuracy_and_no_overfit() {
    let accuracy = |step, split, value| metric(step, split, "accuracy", value);
    let metrics = [accuracy(0, "train", 0.1), accuracy(5, "train", 0.9), accuracy(5, "test", 0.8)];
    let cases = [metrics.to_vec(), metrics[..2].to_vec(), metrics[2..].to_vec(), vec![]];
    let analysed = overfit_of(&cases.map(|metrics| (Some(10), 0.0, metrics)));
    let overfit = analysed.table("overfit");
    let row = overfit.row(&[("seed", "0"), ("step", "0")]);
    let columns = ["train_accuracy", "test_accuracy", "overfit"];
    assert_eq!(columns.map(|column| overfit.text(column, row)), ["0.1", "null", "null"]);
    let runs = analysed.table("runs");
    let of = |column| (0..4).map(|row| runs.number(column, row)).collect::<Vec<_>>();
    assert_eq!(of("max_train_accuracy"), [Some(0.9), Some(0.9), None, None]);
    assert_eq!(of("final_overfit").iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, false, false]);
    assert_eq!(of("overfit_slope"), [None; 4], "no more than one step has an overfit");
}

/// Slope by solving the normal equations of overfit = a + b · step.
fn slow_slope(curve: &[(f64, f64)]) -> f64 {
    let (mut n, mut x, mut y, mut xx, mut xy) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (step, overfit) in curve {
        n += 1.0;
        x += step;
        y += overfit;
        xx += step * step;
        xy += step * overfit;
    }
    1000.0 * (n * xy - x * y) / (n * xx - x * x)
}

fn slow_overfit((_, train, test): &Row, noise: f64, classes: u64) -> f64 {
    train - noise / classes as f64 - test + noise * test
}

/// Where the curve first reaches A: step, test accuracy and overfit, at noise 1/2 and ten classes.
fn slow_matched(rows: &[Row], level: f64) -> [f64; 3] {
    let first = rows.iter().position(|row| row.1 >= level).unwrap();
    let (before, here) = (rows[first.saturating_sub(1)], rows[first]);
    let part = if here.1 > before.1 { (level - before.1) / (here.1 - before.1) } else { 1.0 };
    let between = |from: f64, to: f64| from + part * (to - from);
    let overfit = [&before, &here].map(|row| slow_overfit(row, 0.5, 10));
    [between(before.0 as f64, here.0 as f64), between(before.2, here.2), between(overfit[0], overfit[1])]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn overfit_and_its_slope_are_those_of_a_direct_implementation(
        cases in prop::collection::vec(
            (prop::collection::btree_map(0_i64..100_000, (0.0..1.0, 0.0..1.0), 2..40), 0.0..1.0, 1_u64..20),
            8,
        ),
    ) {
        let rows = |case: &std::collections::BTreeMap<i64, (f64, f64)>| -> Vec<Row> {
            case.iter().map(|(step, (train, test))| (*step, *train, *test)).collect()
        };
        let runs: Vec<_> =
            cases.iter().map(|(case, noise, classes)| (Some(*classes), *noise, evaluations(&rows(case)))).collect();
        let analysed = overfit_of(&runs);
        let (overfit, runs) = (analysed.table("overfit"), analysed.table("runs"));
        for (seed, (case, noise, classes)) in cases.iter().enumerate() {
            let seed = seed.to_string();
            let of_run = [("seed", seed.as_str())];
            let (rows, found) = (rows(case), overfit.rows(&of_run));
            prop_assert_eq!(found.len(), rows.len());
            for (row, expected) in found.into_iter().zip(&rows) {
                prop_assert_eq!(overfit.text("step", row), expected.0.to_string());
                let value = overfit.number("overfit", row).unwrap();
                prop_assert!((value - slow_overfit(expected, *noise, *classes)).abs() < 1e-12);
            }
            let points: Vec<(f64, f64)> =
                rows.iter().map(|row| (row.0 as f64, slow_overfit(row, *noise, *classes))).collect();
            let (slope, slow) = (runs.value("overfit_slope", &of_run).unwrap(), slow_slope(&points));
            prop_assert!((slope - slow).abs() <= 1e-6 * slow.abs().max(1e-3), "{} is not {}", slope, slow);
        }
    }

    #[test]
    fn at_a_matched_accuracy_the_values_are_those_between_the_evaluations_around_it(
        cases in prop::collection::vec(prop::collection::vec((0.0..1.0, 0.0..1.0), 1..20), 4..9),
    ) {
        // Each curve is a rule of its own, at one noise level: A is the smallest of their largest training accuracies.
        let rows = |case: &Vec<(f64, f64)>| -> Vec<Row> {
            (0..).step_by(10).zip(case).map(|(step, &(train, test))| (step, train, test)).collect()
        };
        let curves: Vec<Vec<Row>> = cases.iter().map(rows).collect();
        let rule = |rule: usize| conditions(&format!("rule-{rule}"), 0.5, 1);
        let runs: Vec<_> =
            curves.iter().enumerate().map(|(place, rows)| run(rule(place), Some(10), evaluations(rows))).collect();
        let matched = analysed(&runs, &only(&["overfit"])).table("matched");
        let largest = |rows: &Vec<Row>| rows.iter().map(|row| row.1).fold(0.0, f64::max);
        let level = curves.iter().map(largest).fold(1.0, f64::min);
        prop_assert_eq!(matched.len(), curves.len());
        for (place, rows) in curves.iter().enumerate() {
            let row = matched.row(&[("rule", &format!("rule-{place}"))]);
            prop_assert_eq!(matched.number("train_accuracy", row), Some(level));
            let columns = ["step", "test_accuracy", "overfit"];
            for (column, slow) in columns.into_iter().zip(slow_matched(rows, level)) {
                let found = matched.number(column, row).unwrap();
                prop_assert!((found - slow).abs() < 1e-9 * slow.abs().max(1.0), "{}: {} is not {}", column, found, slow);
            }
        }
    }
}

#[test]
fn matching_by_hand() {
    let fast = [(0, 0.1, 0.1), (10, 0.5, 0.6), (20, 0.9, 0.8), (30, 0.7, 0.7)];
    let slow = [(0, 0.1, 0.1), (10, 0.2, 0.2), (40, 0.6, 0.7)];
    let run = |rule, noise, seed, rows: &[Row]| run(conditions(rule, noise, seed), Some(10), evaluations(rows));
    // Both at noise 0; at noise 1/2 fast alone, which is compared with nothing.
    let runs = [run("fast", 0.0, 1, &fast), run("slow", 0.0, 1, &slow), run("fast", 0.5, 1, &fast)];
    let matched = analysed(&runs, &only(&["overfit"])).table("matched");
    assert_eq!(matched.texts("rule", &[("noise", "0"), ("train_accuracy", "0.6")]), ["fast", "slow"]);
    assert_eq!(matched.len(), 2);
    assert_close(matched.number("step", 0).unwrap(), 12.5, 1e-12);
    assert_close(matched.number("test_accuracy", 0).unwrap(), 0.65, 1e-12);
    assert_close(matched.number("overfit", 0).unwrap(), -0.05, 1e-12);
    assert_eq!((matched.number("step", 1), matched.number("test_accuracy", 1)), (Some(40.0), Some(0.7)));
    // A second seed of fast: means over both, at what all three reached.
    let runs = [run("fast", 0.0, 1, &fast), run("fast", 0.0, 2, &[(0, 0.5, 0.3)]), run("slow", 0.0, 1, &slow)];
    let matched = analysed(&runs, &only(&["overfit"])).table("matched");
    assert_eq!(matched.texts("train_accuracy", &[]), ["0.5", "0.5"]);
    assert_close(matched.number("step", 0).unwrap(), 5.0, 1e-12);
    assert_close(matched.number("test_accuracy", 0).unwrap(), 0.45, 1e-12);
    assert_close(matched.number("step", 1).unwrap(), 32.5, 1e-12);
}

#[test]
fn nothing_is_matched_without_training_accuracies_and_nothing_measured_without_a_test_set() {
    let run = |rule, split: Option<&str>| {
        let metrics = split.map(|split| metric(0, split, "accuracy", 0.5)).into_iter().collect();
        run(conditions(rule, 0.0, 1), Some(10), metrics)
    };
    for other in [Some("test"), None] {
        // A run that was never evaluated has no part in it, and one without a training accuracy leaves nothing to match.
        let analysed = analysed(&[run("trained", Some("train")), run("other", other)], &only(&["overfit"]));
        assert!(!analysed.has("matched"), "{other:?}");
    }
    let matched = analysed(&[run("a", Some("train")), run("b", Some("train"))], &only(&["overfit"])).table("matched");
    let columns = ["train_accuracy", "step", "test_accuracy", "overfit"];
    for row in 0..2 {
        assert_eq!(columns.map(|column| matched.text(column, row)), ["0.5", "0", "null", "null"]);
    }
}
