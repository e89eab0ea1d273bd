//! Verdicts on the paper's predictions: what holds, what fails, and what was not recorded.

use cograd_analysis::prediction::{Evidence, Prediction, Verdict, judge_all};
use cograd_analysis::rule::winsorization;
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
        final_train_accuracy: Some(0.99),
        max_train_accuracy: Some(1.0),
        proper_accuracy: Some(1.0 - 0.9 * noise),
        final_overfit: Some(0.02 + 0.4 * noise),
        overfit_slope: Some(0.001 + 0.01 * noise),
    }
}

/// Evidence of winsorized SGD in which every prediction holds.
fn winsorized(noise: f64, percent: f64) -> Evidence {
    let kept = 1.0 / (1.0 + percent);
    let sgd = evidence(noise);
    let scaled = |value: Option<f64>| value.map(|value| value * kept);
    Evidence {
        rule: format!("winsorized-{percent}"),
        final_train_accuracy: Some(0.9 - 0.1 * noise - 0.02 * percent),
        max_train_accuracy: sgd.proper_accuracy.map(|proper| proper - 0.001 * percent),
        final_overfit: scaled(sgd.final_overfit),
        overfit_slope: scaled(sgd.overfit_slope),
        ..sgd
    }
}

/// c = 0 (plain SGD), 1, 2 and 4 at three noise levels.
fn whole_grid() -> Vec<Evidence> {
    let winsorized = [1.0, 2.0, 4.0].into_iter().flat_map(|c| [0.0, 0.25, 0.5].map(|noise| winsorized(noise, c)));
    all_levels().into_iter().chain(winsorized).collect()
}

fn all_levels() -> Vec<Evidence> {
    [0.0, 0.25, 0.5].map(evidence).to_vec()
}

/// Of the predictions about plain SGD.
fn verdicts(runs: &[Evidence]) -> Vec<Verdict> {
    judge_all(runs).iter().take(6).map(|prediction| prediction.verdict).collect()
}

/// Of the predictions about winsorized SGD.
fn winsorized_verdicts(runs: &[Evidence]) -> Vec<Verdict> {
    judge_all(runs).iter().skip(6).map(|prediction| prediction.verdict).collect()
}

/// With plain spaces, where the sentences keep lines from breaking.
fn judged(runs: &[Evidence], index: usize) -> Prediction {
    let mut prediction = judge_all(runs).swap_remove(index);
    prediction.measured = prediction.measured.replace('\u{a0}', " ");
    prediction
}

#[test]
fn all_six_predictions_hold_when_everything_is_as_predicted() {
    let predictions: Vec<Prediction> = (0..6).map(|index| judged(&all_levels(), index)).collect();
    assert_eq!(
        judge_all(&all_levels()).iter().map(|p| p.section.as_str()).collect::<Vec<_>>(),
        ["2.2", "2.2", "2.2", "2.3", "2.4", "2.4", "3.2", "3.2", "3.3", "3.3"]
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
        "At ε = 0.25 α starts at 0.875 against a group size of 0.750 and the crossover statistic is 0.300 (p ≤ 0.001), \
         at ε = 0.5 α starts at 0.750 against a group size of 0.500 and the crossover statistic is 0.300 (p ≤ 0.001)."
    );
    assert_eq!(predictions[5].measured, "D after ten steps is 4.00 (ε = 0.25, p ≤ 0.001), 4.00 (ε = 0.5, p ≤ 0.001).");
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
    assert!(judged(&runs, 0).measured.ends_with("35 (ε = 0.25), not within 1\u{202f}000 steps (ε = 0.5)."));
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
    assert!(judged(&runs, 5).measured.contains("2.05 (ε = 0.25, p = 0.501; p ≤ 0.001)"));
}

#[test]
fn what_the_paper_says_of_sgd_is_judged_on_runs_of_sgd_alone() {
    let mut runs = all_levels();
    runs.push(Evidence { rule: "another".into(), half_loss_step: Some(0.0), ..evidence(0.75) });
    runs.push(Evidence { half_loss_step: Some(0.0), ..winsorized(0.75, 2.0) });
    assert_eq!(judged(&runs, 0).verdict, Verdict::Holds);
    let named = |rule: &str| -> Vec<Evidence> {
        all_levels().into_iter().map(|run| Evidence { rule: rule.into(), ..run }).collect()
    };
    assert_eq!(verdicts(&named("winsorized-0")), [Verdict::Holds; 6]);
    assert_eq!(verdicts(&named("another")), [Verdict::NotCheckable; 6]);
    assert_eq!(verdicts(&[]), [Verdict::NotCheckable; 6]);
}

#[test]
fn winsorized_at_level_0_stands_for_sgd_where_both_were_recorded() {
    let mut runs = all_levels();
    runs.push(Evidence { rule: "winsorized-0".into(), half_loss_step: Some(20.0), ..evidence(0.25) });
    let measured = judged(&runs, 0).measured;
    assert!(measured.ends_with("10 (ε = 0), 20 (ε = 0.25), 60 (ε = 0.5)."), "{measured}");
    runs.extend(whole_grid());
    runs.push(Evidence { final_overfit: Some(0.001), ..runs[3].clone() });
    let measured = judged(&runs, 6).measured;
    assert!(measured.contains("; 6.05, 6.00, 4.00, 2.40 % (ε = 0.25)"), "the mean of 12 % and 0.1 %: {measured}");
}

#[test]
fn all_four_predictions_of_winsorized_sgd_hold_when_everything_is_as_predicted() {
    assert_eq!(winsorized_verdicts(&whole_grid()), [Verdict::Holds; 4]);
    let measured: Vec<String> = (6..10).map(|index| judged(&whole_grid(), index).measured).collect();
    assert_eq!(
        measured[0],
        "For c = 0, 1, 2, 4 % the final overfit is 2.00, 1.00, 0.67, 0.40 % (ε = 0); 12.00, 6.00, 4.00, 2.40 % \
         (ε = 0.25); 22.00, 11.00, 7.33, 4.40 % (ε = 0.5)."
    );
    assert_eq!(
        measured[1],
        "For c = 0, 1, 2, 4 % the final training accuracy is 99.00, 85.50, 83.50, 79.50 % (ε = 0.25); 99.00, 83.00, \
         81.00, 77.00 % (ε = 0.5)."
    );
    assert_eq!(
        measured[2],
        "For c = 2, 4 % the training accuracy reaches 77.30, 77.10 % against 77.50 % (ε = 0.25); 54.80, 54.60 % against \
         55.00 % (ε = 0.5)."
    );
    assert_eq!(
        measured[3],
        "For c = 0, 1, 2, 4 % the slope of overfit in points per 1\u{202f}000 steps is 0.100, 0.0500, 0.0333, 0.0200 \
         (ε = 0); 0.350, 0.175, 0.117, 0.0700 (ε = 0.25); 0.600, 0.300, 0.200, 0.120 (ε = 0.5)."
    );
}

#[test]
fn a_prediction_of_winsorized_sgd_that_fails_says_where() {
    let mut runs = whole_grid();
    let changed = runs.iter_mut().find(|run| run.rule == "winsorized-2" && run.noise == 0.25).unwrap();
    changed.final_overfit = Some(0.07);
    changed.final_train_accuracy = Some(0.9);
    changed.max_train_accuracy = Some(0.7851);
    changed.overfit_slope = Some(0.0002);
    assert_eq!(winsorized_verdicts(&runs), [Verdict::Fails; 4]);
    let ends = [
        "% (ε = 0.5). It does not fall at ε = 0.25 (c from 1 to 2 %).",
        "% (ε = 0.5). It does not fall at ε = 0.25 (c from 1 to 2 %).",
        "% (ε = 0.5). Exceeded at ε = 0.25 (c = 2 %).",
        "0.120 (ε = 0.5). It does not fall at ε = 0.25 (c from 2 to 4 %).",
    ];
    for (index, end) in (6..).zip(ends) {
        let measured = judged(&runs, index).measured;
        assert!(measured.ends_with(end), "{measured}");
    }
}

#[test]
fn the_training_accuracy_may_exceed_the_proper_accuracy_by_the_tolerance_and_at_small_c() {
    let mut runs = whole_grid();
    for run in &mut runs {
        let more = if run.rule == "winsorized-1" { 0.2 } else { 0.009 };
        run.max_train_accuracy = run.proper_accuracy.map(|proper| proper + more);
    }
    assert_eq!(judged(&runs, 8).verdict, Verdict::Holds);
}

#[test]
fn without_noise_the_training_accuracy_need_not_fall_and_cannot_exceed_the_proper_accuracy() {
    let runs = [evidence(0.0), Evidence { final_train_accuracy: Some(1.0), ..winsorized(0.0, 2.0) }];
    assert_eq!(
        winsorized_verdicts(&runs),
        [Verdict::Holds, Verdict::NotCheckable, Verdict::NotCheckable, Verdict::Holds]
    );
    assert_eq!(judged(&runs, 8).measured, "Nothing to compare: no run has both c > 1 and corrupt examples.");
}

#[test]
fn one_level_of_winsorization_cannot_show_a_trend() {
    for runs in [all_levels(), vec![winsorized(0.25, 1.0)], vec![]] {
        assert_eq!(winsorized_verdicts(&runs), [Verdict::NotCheckable; 4]);
    }
    assert_eq!(judged(&all_levels(), 6).measured, "Nothing to compare: no noise level has it at two levels of c.");
    assert_eq!(winsorized_verdicts(&[winsorized(0.25, 2.0)])[2], Verdict::Holds, "the proper accuracy is no trend");
}

#[test]
fn a_noise_level_with_one_c_or_without_a_test_set_is_left_out() {
    let mut runs = whole_grid();
    runs.push(evidence(0.75));
    runs.iter_mut().filter(|run| run.noise == 0.5).for_each(|run| run.final_overfit = None);
    runs.retain(|run| run.noise != 0.25 || run.rule != "winsorized-4");
    let prediction = judged(&runs, 6);
    assert_eq!(prediction.verdict, Verdict::Holds);
    assert_eq!(
        prediction.measured,
        "The final overfit is 2.00, 1.00, 0.67, 0.40 % (ε = 0, c = 0, 1, 2, 4 %); 12.00, 6.00, 4.00 % (ε = 0.25, \
         c = 0, 1, 2 %)."
    );
}

#[test]
fn means_over_seeds_are_compared() {
    let mut runs = whole_grid();
    runs.extend(whole_grid());
    runs[4].final_overfit = Some(0.0);
    assert_eq!(runs[4].rule, "winsorized-1");
    assert!(judged(&runs, 6).measured.contains("12.00, 3.00, 4.00, 2.40 % (ε = 0.25)"));
    assert_eq!(judged(&runs, 6).verdict, Verdict::Fails);
}

#[test]
fn c_is_read_off_the_label_of_a_rule() {
    let levels = ["sgd", "winsorized-0", "winsorized-2.5", "winsorized-10"].map(winsorization);
    assert_eq!(levels, [Some(0.0), Some(0.0), Some(2.5), Some(10.0)]);
    let others =
        ["rolling-median", "median-of-means-3", "winsorized", "winsorized-", "winsorized-NaN", "winsorized-50"];
    assert_eq!(others.map(winsorization), [None; 6]);
}
