//! Verdicts on the paper's predictions: what holds, what fails, and what was not recorded.

use cograd_analysis::Options;
use cograd_results::prediction::PREDICTIONS;
use cograd_trace::{Conditions, ExampleColumn, Metric};

use crate::support::*;

/// Training examples of a run, and sampled ones of each group.
const EXAMPLES: usize = 80;
const SAMPLED: usize = 8;
const CLASSES: u64 = 10;

/// What a run is to show.
#[derive(Clone, Debug)]
struct Evidence {
    rule: &'static str,
    /// c in percent, of winsorized SGD.
    level: Option<f64>,
    noise: f64,
    seed: u64,
    /// `None`: the loss is never halved.
    half_loss_step: Option<i64>,
    early_slope: f64,
    /// `None`: never, most of them.
    median_pristine: Option<i64>,
    median_corrupt: Option<i64>,
    /// The gradient of a pristine example at the recorded steps, as a multiple of that of a corrupt one.
    strengths: Vec<f64>,
    /// How far the gradients of half of the examples lie above, of the others below that of their group.
    scatter: f64,
    final_train_accuracy: f64,
    max_train_accuracy: f64,
    /// At the last evaluation; `None`: there is no test set.
    final_overfit: Option<f64>,
    overfit_slope: f64,
}

impl Evidence {
    /// In which every prediction holds, the more noise the slower.
    fn new(noise: f64) -> Evidence {
        Evidence {
            rule: "sgd",
            level: None,
            noise,
            seed: 1,
            half_loss_step: Some(20 + (100.0 * noise) as i64),
            early_slope: 0.05 - 0.04 * noise,
            median_pristine: Some(5 + (20.0 * noise) as i64),
            median_corrupt: Some(200),
            strengths: [vec![3.0; 9], vec![1.0]].concat(),
            scatter: 0.25,
            final_train_accuracy: 0.99,
            max_train_accuracy: 1.0,
            final_overfit: Some(0.02 + 0.9 * noise),
            overfit_slope: 0.001 + 0.01 * noise,
        }
    }

    /// Of winsorized SGD, in which every prediction holds.
    fn winsorized(noise: f64, percent: f64) -> Evidence {
        let sgd = Evidence::new(noise);
        let (kept, proper) = (1.0 / (1.0 + percent), sgd.proper_accuracy());
        Evidence {
            rule: "winsorized",
            level: Some(percent),
            final_train_accuracy: proper * (1.0 - 0.02 * percent),
            max_train_accuracy: proper - 0.001 * percent,
            final_overfit: sgd.final_overfit.map(|overfit| kept * overfit),
            overfit_slope: kept * sgd.overfit_slope,
            ..sgd
        }
    }

    /// How many of the training examples are pristine.
    fn pristine(&self) -> usize {
        (EXAMPLES as f64 * (1.0 - 0.9 * self.noise)).round() as usize
    }

    fn proper_accuracy(&self) -> f64 {
        self.pristine() as f64 / EXAMPLES as f64
    }

    fn conditions(&self) -> Conditions {
        let conditions = conditions(self.rule, self.noise, self.seed);
        self.level.map_or(conditions.clone(), |level| conditions.with("winsorization", level))
    }

    fn run(&self) -> Synthetic {
        let pristine: Vec<bool> = (0..EXAMPLES).map(|i| i < self.pristine()).collect();
        let first_of = |first: usize, past: usize| first..past.min(first + SAMPLED);
        let sampled: Vec<usize> = first_of(0, self.pristine()).chain(first_of(self.pristine(), EXAMPLES)).collect();
        let learned = pristine.iter().map(|is| if *is { self.median_pristine } else { self.median_corrupt });
        let gradient = |strength: f64, i: usize| {
            let scatter = if i.is_multiple_of(2) { self.scatter } else { -self.scatter };
            (if pristine[i] { strength } else { 1.0 } + scatter) as f32
        };
        let gradients = |strength: &f64| sampled.iter().map(|&i| gradient(*strength, i)).collect();
        Synthetic {
            conditions: self.conditions(),
            classes: Some(CLASSES),
            examples: EXAMPLES,
            sampled: sampled.iter().map(|&i| i as u32).collect(),
            columns: vec![
                ("pristine", booleans(&pristine)),
                ("learned_step", ExampleColumn::Integers(learned.collect())),
            ],
            metrics: self.metrics(),
            steps: (0..).zip(self.strengths.iter().map(gradients)).collect(),
            ..Synthetic::new(&vec![true; sampled.len()], 1, &[], 0)
        }
    }

    fn metrics(&self) -> Vec<Metric> {
        let loss = |step, loss| metric(step, "train", "loss", loss);
        let accuracy = |step, split, value| metric(step, split, "accuracy", value);
        let mut metrics = vec![loss(0, 2.0), loss(10, 2.0 - 10.0 * self.early_slope), loss(1000, 1.5)];
        metrics.extend(self.half_loss_step.map(|step| loss(step, 1.0)));
        let train = self.final_train_accuracy;
        metrics.extend([accuracy(0, "train", train), accuracy(1000, "train", train)]);
        metrics.push(accuracy(500, "train", self.max_train_accuracy.max(train)));
        // ta − (ε/K + (1 − ε) va) is the overfit, which has grown in a straight line over a thousand steps.
        let test = |overfit: f64| (train - self.noise / CLASSES as f64 - overfit) / (1.0 - self.noise);
        if let Some(overfit) = self.final_overfit.filter(|_| self.noise < 1.0) {
            let values = [(0, overfit - self.overfit_slope), (1000, overfit)];
            metrics.extend(values.map(|(step, overfit)| accuracy(step, "test", test(overfit))));
        }
        metrics
    }
}

fn all_levels() -> Vec<Evidence> {
    [0.0, 0.25, 0.5].map(Evidence::new).to_vec()
}

/// c = 0 (plain SGD), 1, 2 and 4 at three noise levels.
fn whole_grid() -> Vec<Evidence> {
    let winsorized =
        [1.0, 2.0, 4.0].into_iter().flat_map(|c| [0.0, 0.25, 0.5].map(|noise| Evidence::winsorized(noise, c)));
    all_levels().into_iter().chain(winsorized).collect()
}

struct Judged(Table);

fn judge(runs: &[Evidence]) -> Judged {
    judge_with(runs, &Options { null_worlds: 199, ..only(&["shares", "cumulative"]) })
}

fn judge_with(runs: &[Evidence], options: &Options) -> Judged {
    Judged(analysed(&runs.iter().map(Evidence::run).collect::<Vec<_>>(), options).table("predictions"))
}

/// Judged by the learning curves alone.
fn judge_curves(runs: &[Evidence]) -> Judged {
    judge_with(runs, &only(&["overfit"]))
}

impl Judged {
    /// The verdict on a prediction as a whole, and why it is not checkable.
    fn whole(&self, prediction: &str) -> (String, String) {
        let row = self.0.row(&[("prediction", prediction), ("quantity", "null")]);
        for column in ["noise", "winsorization", "measured", "compared_with", "p"] {
            assert_eq!(self.0.text(column, row), "null", "{prediction} {column}");
        }
        (self.0.text("verdict", row), self.0.text("reason", row))
    }

    fn verdict(&self, prediction: &str) -> String {
        self.whole(prediction).0
    }

    fn verdicts(&self, predictions: &[&str]) -> Vec<String> {
        predictions.iter().map(|prediction| self.verdict(prediction)).collect()
    }

    #[track_caller]
    fn assert_not_checkable(&self, prediction: &str, reason: &str) {
        assert_eq!(self.whole(prediction), ("not checkable".to_string(), reason.to_string()), "{prediction}");
    }

    /// Noise, c, measured, what it is compared with and the verdict of each number, in order.
    fn numbers(&self, prediction: &str, quantity: &str) -> Vec<String> {
        let columns = ["noise", "winsorization", "measured", "compared_with", "verdict"];
        let short = |column: &str, row: usize| match column {
            "measured" | "compared_with" => self.0.number(column, row).map_or("-".into(), short),
            _ => self.0.text(column, row).replace("null", "-"),
        };
        let rows = self.0.rows(&[("prediction", prediction), ("quantity", quantity), ("reason", "null")]);
        rows.into_iter().map(|row| columns.map(|column| short(column, row)).join(" ")).collect()
    }
}

/// Rounded to four digits after the point, without zeros at the end.
fn short(value: f64) -> String {
    ((value * 1e4).round() / 1e4).to_string()
}

/// The predictions about plain SGD, and those about winsorized SGD.
const OF_SGD: [&str; 6] =
    ["slower_learning", "pristine_first", "pristine_slower", "smaller_gradient", "crosses_over", "early_contribution"];
const OF_WINSORIZED: [&str; 4] = ["less_overfit", "lower_accuracy", "proper_accuracy", "slower_overfit"];

#[test]
fn all_six_predictions_hold_when_everything_is_as_predicted() {
    let judged = judge(&all_levels());
    assert_eq!(judged.verdicts(&OF_SGD), ["holds"; 6]);
    assert_eq!(
        judged.numbers("slower_learning", "half_loss_step"),
        ["0 - 20 - -", "0.25 - 45 20 holds", "0.5 - 70 45 holds"]
    );
    // At noise 0 no example is corrupt.
    assert_eq!(judged.numbers("pristine_first", "median_learned_step"), ["0.25 - 10 200 holds", "0.5 - 15 200 holds"]);
    assert_eq!(
        judged.numbers("pristine_slower", "median_learned_step"),
        ["0 - 5 - -", "0.25 - 10 5 holds", "0.5 - 15 10 holds"]
    );
    assert_eq!(
        judged.numbers("smaller_gradient", "early_slope"),
        ["0 - 0.05 - -", "0.25 - 0.04 0.05 holds", "0.5 - 0.03 0.04 holds"]
    );
    // Shares of eight of 3 and eight of 1, and of sixteen of 1; D is 9 · 2 · 32.
    assert_eq!(judged.numbers("crosses_over", "first_share"), ["0.25 - 0.75 0.5 holds", "0.5 - 0.75 0.5 holds"]);
    assert_eq!(judged.numbers("crosses_over", "crossover"), ["0.25 - 0.25 0 holds", "0.5 - 0.25 0 holds"]);
    assert_eq!(judged.numbers("early_contribution", "difference_10"), ["0.25 - 576 0 holds", "0.5 - 576 0 holds"]);
    let significant =
        |quantity| judged.0.numbers("p", &[("quantity", quantity)]).into_iter().all(|p| p.is_some_and(|p| p <= 0.05));
    assert!(significant("crossover") && significant("difference_10"));
    assert!(judged.0.numbers("p", &[("quantity", "first_share")]).iter().all(Option::is_none));
}

#[test]
fn the_rows_are_the_predictions_in_the_order_of_the_paper_each_before_its_numbers() {
    let judged = judge(&whole_grid());
    let mut order = judged.0.texts("prediction", &[]);
    order.dedup();
    assert_eq!(order, PREDICTIONS.each_ref().map(|prediction| prediction.name));
    for prediction in &PREDICTIONS {
        let quantities = judged.0.texts("quantity", &[("prediction", prediction.name)]);
        assert_eq!(quantities[0], "null");
        let defined: Vec<&str> = prediction.quantities.iter().map(|quantity| quantity.name).collect();
        assert!(quantities[1..].iter().all(|quantity| defined.contains(&quantity.as_str())), "{quantities:?}");
    }
    assert_eq!(judged.verdicts(&[OF_SGD.as_slice(), &OF_WINSORIZED].concat()), ["holds"; 10]);
    assert_eq!(judged.0.rows(&[("reason", "null")]).len(), judged.0.len());
}

#[test]
fn one_level_against_the_trend_fails_even_by_a_tie() {
    for (step, median) in [(45, 10), (30, 7)] {
        let mut runs = all_levels();
        (runs[2].half_loss_step, runs[2].median_pristine) = (Some(step), Some(median));
        runs[2].early_slope = runs[1].early_slope;
        let judged = judge_curves(&runs);
        assert_eq!(judged.verdicts(&["slower_learning", "pristine_slower", "smaller_gradient"]), ["fails"; 3]);
        assert_eq!(judged.numbers("slower_learning", "half_loss_step")[2], format!("0.5 - {step} 45 fails"));
    }
}

#[test]
fn one_noise_level_cannot_show_a_trend() {
    let judged = judge(&[Evidence::new(0.25)]);
    for prediction in ["slower_learning", "pristine_slower", "smaller_gradient"] {
        judged.assert_not_checkable(prediction, "one noise level cannot show a trend");
    }
    assert_eq!(judged.numbers("slower_learning", "half_loss_step"), ["0.25 - 45 - -"]);
    assert_eq!(judged.verdicts(&["pristine_first", "crosses_over", "early_contribution"]), ["holds"; 3]);
}

#[test]
fn without_corrupt_examples_nothing_can_be_compared() {
    let judged = judge(&[Evidence::new(0.0)]);
    assert_eq!(judged.verdicts(&OF_SGD), ["not checkable"; 6]);
    judged.assert_not_checkable("pristine_first", "no noise level has both pristine and corrupt examples");
    judged.assert_not_checkable("early_contribution", "no noise level has both pristine and corrupt examples");
    judged.assert_not_checkable("crosses_over", "neither ε = 0.25 nor ε = 0.5 was recorded");
}

#[test]
fn a_level_never_reached_is_late_and_two_of_them_tell_nothing() {
    let mut runs = all_levels();
    runs[2].half_loss_step = None;
    let judged = judge_curves(&runs);
    assert_eq!(judged.verdict("slower_learning"), "holds");
    assert_eq!(judged.numbers("slower_learning", "half_loss_step")[2], "0.5 - inf 45 holds");
    runs[1].half_loss_step = None;
    let reason = "a number or a p-value that it is judged by is missing, or no level reaches it";
    judge_curves(&runs).assert_not_checkable("slower_learning", reason);
    runs[0].half_loss_step = None;
    runs[2].half_loss_step = Some(3);
    assert_eq!(judge_curves(&runs).verdict("slower_learning"), "fails");
}

#[test]
fn corrupt_before_pristine_fails() {
    for (median, verdict) in [(Some(3), "fails"), (Some(15), "fails"), (Some(16), "holds"), (None, "holds")] {
        let mut runs = all_levels();
        runs[2].median_corrupt = median;
        assert_eq!(judge_curves(&runs).verdict("pristine_first"), verdict, "{median:?}");
    }
    let mut runs = all_levels();
    (runs[1].median_corrupt, runs[1].median_pristine) = (None, None);
    assert_eq!(judge_curves(&runs).verdict("pristine_first"), "not checkable");
}

#[test]
fn crossing_over_needs_the_start_the_sign_and_the_p_value() {
    let judged = |change: fn(&mut Evidence)| {
        let mut runs = all_levels();
        change(&mut runs[1]);
        judge(&runs)
    };
    // α starts below the size of the group, and falls from there.
    let start = judged(|run| run.strengths = [vec![0.9; 9], vec![0.1]].concat());
    assert_eq!(start.verdict("crosses_over"), "fails");
    assert_eq!(start.numbers("crosses_over", "first_share")[0], "0.25 - 0.4737 0.5 fails");
    assert!(start.numbers("crosses_over", "crossover")[0].ends_with("holds"));
    let sign = judged(|run| run.strengths = [vec![3.0; 9], vec![6.0]].concat());
    assert_eq!(sign.verdict("crosses_over"), "fails");
    assert_eq!(sign.numbers("crosses_over", "crossover")[0], "0.25 - -0.1071 0 fails");
    assert!(sign.numbers("crosses_over", "first_share")[0].ends_with("holds"));
    let p_value = judged(|run| (run.strengths, run.scatter) = ([vec![1.5; 9], vec![1.2]].concat(), 4.0));
    assert_eq!(p_value.verdict("crosses_over"), "fails");
    assert_eq!(p_value.numbers("crosses_over", "crossover")[0], "0.25 - 0.0545 0 fails");
    let p = p_value.0.value("p", &[("quantity", "crossover"), ("noise", "0.25")]).unwrap();
    assert!(p > 0.05, "{p}");
    // Without null worlds there is no p-value.
    let reason = "a number or a p-value that it is judged by is missing, or no level reaches it";
    let without = judge_with(&all_levels(), &only(&["shares", "cumulative"]));
    without.assert_not_checkable("crosses_over", reason);
    without.assert_not_checkable("early_contribution", reason);
    assert_eq!(without.numbers("crosses_over", "crossover")[0], "0.25 - 0.25 0 not checkable");
    judge(&[Evidence::new(0.75)]).assert_not_checkable("crosses_over", "neither ε = 0.25 nor ε = 0.5 was recorded");
}

#[test]
fn contributing_more_needs_the_sign_and_the_p_value_at_every_noise_level() {
    for (strengths, scatter) in [(vec![0.5; 10], 0.25), (vec![1.1; 10], 4.0)] {
        let mut runs = all_levels();
        runs.push(Evidence { strengths, scatter, ..Evidence::new(0.75) });
        let judged = judge(&runs);
        assert_eq!(judged.verdict("early_contribution"), "fails");
        assert!(judged.numbers("early_contribution", "difference_10")[..2].iter().all(|row| row.ends_with("holds")));
    }
    // Fewer than ten steps are recorded.
    let mut runs = all_levels();
    runs[2].strengths = vec![3.0, 3.0, 1.0];
    let judged = judge(&runs);
    assert_eq!(judged.verdicts(&["early_contribution", "crosses_over"]), ["not checkable", "holds"]);
    assert_eq!(judged.numbers("early_contribution", "difference_10")[1], "0.5 - - 0 not checkable");
}

#[test]
fn seeds_are_averaged_and_every_seed_must_be_significant() {
    let mut runs = all_levels();
    runs.extend(all_levels().into_iter().map(|run| Evidence { seed: 2, ..run }));
    runs[1].half_loss_step = Some(55);
    let judged = judge(&runs);
    assert_eq!(judged.verdicts(&OF_SGD), ["holds"; 6]);
    assert_eq!(judged.numbers("slower_learning", "half_loss_step")[1], "0.25 - 50 20 holds");
    (runs[1].strengths, runs[1].scatter) = (vec![1.1; 10], 4.0);
    let judged = judge(&runs);
    assert_eq!(judged.verdict("early_contribution"), "fails");
    // The mean of 576 and 10 · 0.1 · 16.8 is right, the larger of the two p-values is not.
    assert_eq!(judged.numbers("early_contribution", "difference_10")[0], "0.25 - 296.4 0 fails");
    assert!(judged.0.value("p", &[("quantity", "difference_10"), ("noise", "0.25")]).unwrap() > 0.05);
}

#[test]
fn what_the_paper_says_of_sgd_is_judged_on_runs_of_sgd_alone() {
    let mut runs = all_levels();
    runs.push(Evidence { rule: "another", half_loss_step: Some(1), ..Evidence::new(0.75) });
    runs.push(Evidence { half_loss_step: Some(1), ..Evidence::winsorized(0.75, 2.0) });
    assert_eq!(judge_curves(&runs).verdict("slower_learning"), "holds");
    let named = |rule, level| -> Vec<Evidence> {
        all_levels().into_iter().map(|run| Evidence { rule, level, ..run }).collect()
    };
    assert_eq!(judge(&named("winsorized", Some(0.0))).verdicts(&OF_SGD), ["holds"; 6]);
    let another = judge(&named("another", None));
    for prediction in PREDICTIONS {
        another.assert_not_checkable(prediction.name, "no run is of the rules sgd or winsorized");
    }
    let winsorized = judge(&named("winsorized", Some(2.0)));
    OF_SGD.iter().for_each(|prediction| winsorized.assert_not_checkable(prediction, "no run is of plain SGD"));
}

#[test]
fn winsorized_at_level_0_stands_for_sgd_where_both_were_recorded() {
    let zero = Evidence { rule: "winsorized", level: Some(0.0), half_loss_step: Some(30), ..Evidence::new(0.25) };
    let mut runs = all_levels();
    runs.push(zero.clone());
    let numbers = judge_curves(&runs).numbers("slower_learning", "half_loss_step");
    assert_eq!(numbers, ["0 - 20 - -", "0.25 - 30 20 holds", "0.5 - 70 30 holds"]);
    let mut runs = whole_grid();
    runs.push(Evidence { seed: 1, final_overfit: Some(0.245), ..zero.clone() });
    runs.push(Evidence { seed: 2, final_overfit: Some(0.255), ..zero });
    let numbers = judge_curves(&runs).numbers("less_overfit", "final_overfit");
    assert_eq!(numbers[4], "0.25 0 0.25 - -", "the mean of both, without that of sgd");
}

#[test]
fn all_four_predictions_of_winsorized_sgd_hold_when_everything_is_as_predicted() {
    let judged = judge_curves(&whole_grid());
    assert_eq!(judged.verdicts(&OF_WINSORIZED), ["holds"; 4]);
    let overfit = judged.numbers("less_overfit", "final_overfit");
    let expected = [
        "0 0 0.02 - -",
        "0 1 0.01 0.02 holds",
        "0 2 0.0067 0.01 holds",
        "0 4 0.004 0.0067 holds",
        "0.25 0 0.245 - -",
        "0.25 1 0.1225 0.245 holds",
        "0.25 2 0.0817 0.1225 holds",
        "0.25 4 0.049 0.0817 holds",
    ];
    assert_eq!((overfit.len(), &overfit[..8]), (12, expected.map(str::to_string).as_slice()));
    // Of noise levels with corrupt examples only.
    let accuracy = judged.numbers("lower_accuracy", "final_train_accuracy");
    let expected =
        ["0.25 0 0.99 - -", "0.25 1 0.7595 0.99 holds", "0.25 2 0.744 0.7595 holds", "0.25 4 0.713 0.744 holds"];
    assert_eq!((accuracy.len(), &accuracy[..4]), (8, expected.map(str::to_string).as_slice()));
    let proper = judged.numbers("proper_accuracy", "max_train_accuracy");
    let expected =
        ["0.25 2 0.773 0.775 holds", "0.25 4 0.771 0.775 holds", "0.5 2 0.548 0.55 holds", "0.5 4 0.546 0.55 holds"];
    assert_eq!(proper, expected);
    let slope = judged.numbers("slower_overfit", "overfit_slope");
    assert_eq!((slope.len(), slope[8].as_str(), slope[9].as_str()), (12, "0.5 0 0.006 - -", "0.5 1 0.003 0.006 holds"));
}

#[test]
fn a_prediction_of_winsorized_sgd_that_fails_says_where() {
    let mut runs = whole_grid();
    let changed = runs.iter_mut().find(|run| run.level == Some(2.0) && run.noise == 0.25).unwrap();
    changed.final_overfit = Some(0.13);
    changed.final_train_accuracy = 0.77;
    changed.max_train_accuracy = 0.7851;
    changed.overfit_slope = 0.0002;
    let judged = judge_curves(&runs);
    assert_eq!(judged.verdicts(&OF_WINSORIZED), ["fails"; 4]);
    let failing = |prediction: &str, quantity: &str| -> Vec<String> {
        judged.numbers(prediction, quantity).into_iter().filter(|row| row.ends_with("fails")).collect()
    };
    assert_eq!(failing("less_overfit", "final_overfit"), ["0.25 2 0.13 0.1225 fails"]);
    assert_eq!(failing("lower_accuracy", "final_train_accuracy"), ["0.25 2 0.77 0.7595 fails"]);
    assert_eq!(failing("proper_accuracy", "max_train_accuracy"), ["0.25 2 0.7851 0.775 fails"]);
    assert_eq!(failing("slower_overfit", "overfit_slope"), ["0.25 4 0.0007 0.0002 fails"]);
}

#[test]
fn the_training_accuracy_may_exceed_the_proper_accuracy_by_the_tolerance_and_at_small_c() {
    let mut runs = whole_grid();
    for run in &mut runs {
        let more = if run.level == Some(1.0) { 0.2 } else { 0.009 };
        run.max_train_accuracy = (run.proper_accuracy() + more).min(1.0);
    }
    assert_eq!(judge_curves(&runs).verdict("proper_accuracy"), "holds");
}

#[test]
fn without_noise_the_training_accuracy_need_not_fall_and_cannot_exceed_the_proper_accuracy() {
    let runs = [Evidence::new(0.0), Evidence { final_train_accuracy: 1.0, ..Evidence::winsorized(0.0, 2.0) }];
    let judged = judge_curves(&runs);
    assert_eq!(judged.verdicts(&OF_WINSORIZED), ["holds", "not checkable", "not checkable", "holds"]);
    judged.assert_not_checkable("proper_accuracy", "no run has both c > 1 and corrupt examples");
    judged.assert_not_checkable("lower_accuracy", "no noise level has the number at two levels of c");
}

#[test]
fn one_level_of_winsorization_cannot_show_a_trend() {
    let reason = "no noise level has the number at two levels of c";
    for runs in [all_levels(), vec![Evidence::winsorized(0.25, 1.0)]] {
        let judged = judge_curves(&runs);
        assert_eq!(judged.verdicts(&OF_WINSORIZED), ["not checkable"; 4]);
        judged.assert_not_checkable("less_overfit", reason);
        judged.assert_not_checkable("slower_overfit", reason);
    }
    let one = judge_curves(&[Evidence::winsorized(0.25, 2.0)]);
    assert_eq!(one.verdict("proper_accuracy"), "holds", "the proper accuracy is no trend");
}

#[test]
fn a_noise_level_with_one_c_or_without_a_test_set_is_left_out() {
    let mut runs = whole_grid();
    runs.push(Evidence::new(0.75));
    runs.iter_mut().filter(|run| run.noise == 0.5).for_each(|run| run.final_overfit = None);
    runs.retain(|run| run.noise != 0.25 || run.level != Some(4.0));
    let judged = judge_curves(&runs);
    assert_eq!(judged.verdict("less_overfit"), "holds");
    let levels: Vec<String> = judged
        .numbers("less_overfit", "final_overfit")
        .iter()
        .map(|row| row.split(' ').take(2).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(levels, ["0 0", "0 1", "0 2", "0 4", "0.25 0", "0.25 1", "0.25 2"]);
}

#[test]
fn means_over_seeds_are_compared() {
    let mut runs = whole_grid();
    runs.extend(whole_grid().into_iter().map(|run| Evidence { seed: 2, ..run }));
    assert_eq!((runs[4].level, runs[4].noise), (Some(1.0), 0.25));
    runs[4].final_overfit = Some(0.0025);
    let judged = judge_curves(&runs);
    assert_eq!(judged.verdict("less_overfit"), "fails");
    assert_eq!(
        judged.numbers("less_overfit", "final_overfit")[5..7],
        ["0.25 1 0.0625 0.245 holds", "0.25 2 0.0817 0.0625 fails"]
    );
}

#[test]
fn runs_that_differ_in_anything_else_are_not_judged() {
    let with = |run: &Evidence, name: &str, value: f64| {
        let run = run.run();
        Synthetic { conditions: run.conditions.clone().with(name, value), ..run }
    };
    let runs: Vec<Synthetic> = all_levels()
        .iter()
        .map(|run| with(run, "width", 512.0))
        .chain(all_levels().iter().map(|run| with(run, "width", 1024.0)))
        .chain([with(&Evidence::new(0.75), "rate", 0.1)])
        .collect();
    let judged = Judged(analysed(&runs, &only(&["overfit"])).table("predictions"));
    assert_eq!(judged.0.len(), 10);
    for prediction in PREDICTIONS {
        judged.assert_not_checkable(prediction.name, "the runs differ in rate, width too");
    }
    // One value of it makes no difference.
    let runs: Vec<Synthetic> = all_levels().iter().map(|run| with(run, "width", 512.0)).collect();
    assert_eq!(Judged(analysed(&runs, &only(&["overfit"])).table("predictions")).verdict("slower_learning"), "holds");
}

#[test]
fn of_other_groups_nothing_is_said_of_pristine_examples() {
    let options = Options { group_by: Some("learned".into()), null_worlds: 19, ..only(&["shares", "cumulative"]) };
    let judged = judge_with(&all_levels(), &options);
    for prediction in ["pristine_first", "pristine_slower", "crosses_over", "early_contribution"] {
        judged.assert_not_checkable(prediction, "the examples are grouped by learned, not by pristine");
    }
    assert_eq!(judged.verdicts(&["slower_learning", "smaller_gradient"]), ["holds"; 2]);
}

#[test]
fn what_was_not_recorded_is_said_to_be_missing() {
    let bare = |noise: f64| Synthetic { metrics: vec![], steps: vec![], ..Evidence::new(noise).run() };
    let judged = Judged(analysed(&[bare(0.25), bare(0.5)], &only(&["shares", "cumulative"])).table("predictions"));
    judged.assert_not_checkable("slower_learning", "the number it is judged by was not recorded");
    judged.assert_not_checkable("smaller_gradient", "the number it is judged by was not recorded");
    let missing = "a number or a p-value that it is judged by is missing, or no level reaches it";
    judged.assert_not_checkable("crosses_over", missing);
    judged.assert_not_checkable("early_contribution", missing);
    // What is not computed is missing, too.
    let judged = judge_curves(&all_levels());
    judged.assert_not_checkable("crosses_over", missing);
    assert_eq!(judged.verdict("slower_learning"), "holds");
}

#[test]
fn a_study_without_noise_has_no_predictions() {
    let run = Evidence::new(0.0).run();
    let conditions = Conditions::new(Some(1)).with("rule", "sgd");
    let analysed = analysed(&[Synthetic { conditions, ..run }], &only(&["overfit", "shares"]));
    assert!(!analysed.has("predictions"));
    // A condition of this name that is no number is no noise level.
    let worded = Synthetic { conditions: Conditions::new(Some(1)).with("noise", "none"), ..Evidence::new(0.0).run() };
    assert!(!crate::support::analysed(&[worded], &only(&["overfit"])).has("predictions"));
}
