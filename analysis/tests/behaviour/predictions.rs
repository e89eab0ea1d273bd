//! Verdicts on the paper's predictions: what holds, what fails, and what was not recorded.

use cograd_analysis::prediction::{Evidence, Prediction, Verdict, judge_all};
use cograd_analysis::statistic::permutation::Test;

/// Evidence in which every prediction holds, the more noise the slower.
fn evidence(noise: f64) -> Evidence {
    let both = noise > 0.0;
    let significant = |value| if both { Test::new(Some(value), Some(0), 999) } else { Test::new(None, None, 999) };
    Evidence {
        rule: "sgd".into(),
        noise,
        steps: 1000,
        half_loss_step: Some(10.0 + 100.0 * noise),
        early_slope: Some(0.2 - 0.1 * noise),
        median_pristine: Some(5.0 + 10.0 * noise),
        median_corrupt: both.then_some(200.0),
        alpha_0: both.then_some(1.0 - noise / 2.0),
        group_size: both.then_some(1.0 - noise),
        crossover: significant(0.3),
        difference_10: significant(4.0),
    }
}

fn all_levels() -> Vec<Evidence> {
    [0.0, 0.25, 0.5].map(evidence).to_vec()
}

fn verdicts(runs: &[Evidence]) -> Vec<Verdict> {
    judge_all(runs).iter().map(|prediction| prediction.verdict).collect()
}

fn judged(runs: &[Evidence], index: usize) -> Prediction {
    judge_all(runs).swap_remove(index)
}

#[test]
fn all_six_predictions_hold_when_everything_is_as_predicted() {
    let predictions = judge_all(&all_levels());
    assert_eq!(
        predictions.iter().map(|p| p.section.as_str()).collect::<Vec<_>>(),
        ["2.2", "2.2", "2.2", "2.3", "2.4", "2.4"]
    );
    assert_eq!(verdicts(&all_levels()), [Verdict::Holds; 6]);
    assert_eq!(
        predictions[0].measured,
        "Half of the initial training loss is reached at step 10 (ε = 0), 35 (ε = 0.25), 60 (ε = 0.5)."
    );
    assert_eq!(
        predictions[1].measured,
        "Median learning steps, pristine / corrupt: 7.5 / 200 (ε = 0.25), 10 / 200 (ε = 0.5)."
    );
    assert_eq!(
        predictions[3].measured,
        "Early on the training loss falls per step by 0.200 (ε = 0), 0.175 (ε = 0.25), 0.150 (ε = 0.5)."
    );
    assert_eq!(
        predictions[4].measured,
        "At ε = 0.25 α starts at 0.875 against a group size of 0.750 and the crossover statistic is 0.300 (p ≤ 0.00100), \
         at ε = 0.5 α starts at 0.750 against a group size of 0.500 and the crossover statistic is 0.300 (p ≤ 0.00100)."
    );
    assert_eq!(
        predictions[5].measured,
        "D after ten steps is 4.00 (ε = 0.25, p ≤ 0.00100), 4.00 (ε = 0.5, p ≤ 0.00100)."
    );
}

#[test]
fn a_verdict_is_written_as_the_reports_read_it() {
    let texts =
        [Verdict::Holds, Verdict::Fails, Verdict::NotCheckable].map(|verdict| serde_json::to_string(&verdict).unwrap());
    assert_eq!(texts, ["\"holds\"", "\"fails\"", "\"not checkable\""]);
}

#[test]
fn one_level_against_the_trend_fails_even_by_a_tie() {
    for step in [35.0, 20.0] {
        let mut runs = all_levels();
        runs[2].half_loss_step = Some(step);
        runs[2].median_pristine = Some(7.5);
        runs[2].early_slope = runs[1].early_slope;
        assert_eq!(verdicts(&runs)[0], Verdict::Fails);
        assert_eq!(verdicts(&runs)[2..4], [Verdict::Fails; 2]);
    }
}

#[test]
fn one_noise_level_cannot_show_a_trend() {
    let runs = [evidence(0.25)];
    assert_eq!(verdicts(&runs)[0], Verdict::NotCheckable);
    assert_eq!(verdicts(&runs)[2..4], [Verdict::NotCheckable; 2]);
    assert_eq!(
        judged(&runs, 0).measured,
        "Half of the initial training loss is reached at step 35 (ε = 0.25); one noise level cannot show a trend."
    );
}

#[test]
fn without_corrupt_examples_nothing_can_be_compared() {
    let runs = [evidence(0.0)];
    assert_eq!(verdicts(&runs), [Verdict::NotCheckable; 6]);
    assert_eq!(judged(&runs, 5).measured, "Nothing of the kind was recorded; no noise level has both groups.");
}

#[test]
fn a_level_never_reached_is_late_and_two_of_them_tell_nothing() {
    let mut runs = all_levels();
    runs[2].half_loss_step = Some(f64::INFINITY);
    assert_eq!(judged(&runs, 0).verdict, Verdict::Holds);
    assert!(judged(&runs, 0).measured.ends_with("35 (ε = 0.25), not within 1000 steps (ε = 0.5)."));
    runs[1].half_loss_step = Some(f64::INFINITY);
    assert_eq!(judged(&runs, 0).verdict, Verdict::NotCheckable);
    runs[0].half_loss_step = Some(f64::INFINITY);
    runs[2].half_loss_step = Some(3.0);
    assert_eq!(judged(&runs, 0).verdict, Verdict::Fails);
}

#[test]
fn corrupt_before_pristine_fails() {
    let mut runs = all_levels();
    runs[2].median_corrupt = Some(3.0);
    assert_eq!(judged(&runs, 1).verdict, Verdict::Fails);
    runs[2].median_corrupt = Some(f64::INFINITY);
    assert_eq!(judged(&runs, 1).verdict, Verdict::Holds);
}

#[test]
fn crossing_over_needs_the_start_the_sign_and_the_p_value() {
    let fails = |change: fn(&mut Evidence)| {
        let mut runs = all_levels();
        change(&mut runs[1]);
        assert_eq!(judged(&runs, 4).verdict, Verdict::Fails);
    };
    fails(|run| run.alpha_0 = Some(0.7));
    fails(|run| run.crossover = Test::new(Some(-0.3), Some(0), 999));
    fails(|run| run.crossover = Test::new(Some(0.3), Some(60), 999));
    let mut runs = all_levels();
    runs[1].crossover = Test::new(Some(0.3), None, 0);
    assert_eq!(judged(&runs, 4).verdict, Verdict::NotCheckable);
    assert!(judged(&runs, 4).measured.contains("(no p-value)"));
    assert_eq!(judged(&[evidence(0.75)], 4).verdict, Verdict::NotCheckable);
}

#[test]
fn contributing_more_needs_the_sign_and_the_p_value_at_every_noise_level() {
    for test in [Test::new(Some(-4.0), Some(0), 999), Test::new(Some(4.0), Some(200), 999)] {
        let mut runs = all_levels();
        runs.push(Evidence { difference_10: test, ..evidence(1.0) });
        assert_eq!(judged(&runs, 5).verdict, Verdict::Fails);
    }
    let mut runs = all_levels();
    runs[2].difference_10 = Test::new(None, None, 999);
    assert_eq!(judged(&runs, 5).verdict, Verdict::NotCheckable);
}

#[test]
fn seeds_are_averaged_and_every_seed_must_be_significant() {
    let mut runs = all_levels();
    runs.extend(all_levels());
    runs[1].half_loss_step = Some(45.0);
    assert!(judged(&runs, 0).measured.contains("40 (ε = 0.25)"));
    assert_eq!(verdicts(&runs), [Verdict::Holds; 6]);
    runs[1].difference_10 = Test::new(Some(0.1), Some(500), 999);
    assert_eq!(judged(&runs, 5).verdict, Verdict::Fails);
    assert!(judged(&runs, 5).measured.contains("2.05 (ε = 0.25, p = 0.501; p ≤ 0.00100)"));
}

#[test]
fn only_runs_of_plain_sgd_are_judged_if_there_are_any() {
    let mut runs = all_levels();
    runs.push(Evidence { rule: "another".into(), half_loss_step: Some(0.0), ..evidence(0.75) });
    assert_eq!(judged(&runs, 0).verdict, Verdict::Holds);
    let others: Vec<Evidence> =
        all_levels().into_iter().map(|run| Evidence { rule: "another".into(), ..run }).collect();
    assert_eq!(verdicts(&others), [Verdict::Holds; 6]);
    assert_eq!(verdicts(&[]), [Verdict::NotCheckable; 6]);
}
