//! Learning curves, the fraction learned, and what is read off them.

use cograd_trace::{ExampleColumn, Metric};

use crate::support::*;

fn with_learned(pristine: &[bool], learned: &[Option<i64>]) -> Synthetic {
    let run = Synthetic::new(pristine, 2, &[], 1);
    run.with_column("learned_step", ExampleColumn::Integers(learned.to_vec()))
}

fn evaluated(run: Synthetic, steps: &[i64]) -> Synthetic {
    Synthetic { metrics: steps.iter().map(|&step| metric(step, "train", "loss", 1.0)).collect(), ..run }
}

#[test]
fn the_fraction_learned_by_hand() {
    // Pristine learned at 0, 4, never; corrupt at 4. Of the second example nothing was sampled.
    let run = with_learned(&[true, true, true, false], &[Some(0), Some(4), None, Some(4)]);
    let run = Synthetic { sampled: vec![0, 2, 3], ..evaluated(run, &[3, 0, 4]) };
    let learned = analysed(&[run], &only(&["learned"])).table("learned");
    let row = |row: usize| ["step", "group", "examples", "learned", "fraction"].map(|column| learned.text(column, row));
    assert_eq!(learned.len(), 9);
    assert_eq!(row(0), ["0", "all", "4", "1", "0.25"]);
    assert_eq!(row(1), ["0", "pristine", "3", "1", &(1.0 / 3.0).to_string()]);
    assert_eq!(row(2), ["0", "corrupt", "1", "0", "0"]);
    assert_eq!(row(3), ["3", "all", "4", "1", "0.25"]);
    assert_eq!(row(6), ["4", "all", "4", "3", "0.75"]);
    assert_eq!(row(8), ["4", "corrupt", "1", "1", "1"]);
}

#[test]
fn the_fraction_of_an_empty_group_is_missing() {
    let run = evaluated(with_learned(&[true], &[Some(0)]), &[0]);
    let learned = analysed(&[run], &only(&["learned"])).table("learned");
    let row = learned.row(&[("group", "corrupt")]);
    assert_eq!((learned.text("examples", row), learned.number("fraction", row)), ("0".into(), None));
}

#[test]
fn of_a_trace_without_learning_steps_or_evaluations_nothing_is_known() {
    let never_evaluated = with_learned(&[true, false], &[Some(0), None]);
    let mut no_column = evaluated(never_evaluated.clone(), &[0, 5]);
    no_column.columns.retain(|(name, _)| *name != "learned_step");
    no_column.conditions = conditions("sgd", 0.5, 2);
    let analysed = analysed(&[never_evaluated, no_column], &only(&["learned"]));
    assert_eq!(analysed.table("learned").len(), 0);
    assert_eq!(analysed.table("curves").len(), 0);
}

#[test]
fn one_group_of_all_examples_is_not_counted_twice() {
    let run = evaluated(with_learned(&[true, false], &[Some(0), None]), &[0, 5]);
    let options = cograd_analysis::Options { group_by: Some("all".into()), ..only(&["learned"]) };
    let analysed = analysed(&[run], &options);
    assert_eq!(analysed.table("learned").len(), 2);
    assert_eq!(analysed.table("over_seeds").texts("seeds", &[]), ["1", "1"]);
}

/// Runs of as many noise levels 1/8, 2/8, … as there are changes to be made to a run.
fn at_levels<T>(changes: Vec<T>, run: impl Fn(T) -> Synthetic) -> Vec<Synthetic> {
    let levels = changes.into_iter().zip(1..);
    let at = |(change, level)| Synthetic { conditions: conditions("sgd", f64::from(level) / 8.0, 1), ..run(change) };
    levels.map(at).collect()
}

/// What a prediction was judged by at each of the noise levels, `None` if there is no row.
fn measured(runs: &[Synthetic], prediction: &str) -> Vec<Option<f64>> {
    let predictions = analysed(runs, &only(&["metrics"])).table("predictions");
    let noise = |level: usize| (level as f64 / 8.0).to_string();
    let rows = |level| predictions.rows(&[("prediction", prediction), ("noise", &noise(level))]);
    (1..=runs.len()).map(|level| rows(level).first().and_then(|&row| predictions.number("measured", row))).collect()
}

#[test]
fn the_median_learning_step_by_hand() {
    let cases: Vec<&[Option<i64>]> = vec![
        &[Some(9), Some(1), Some(3)],
        &[Some(9), Some(1), Some(3), Some(4)],
        &[Some(9), None, Some(3)],
        &[Some(9), None],
        &[None],
    ];
    let mut runs = at_levels(cases, |learned| with_learned(&vec![true; learned.len()], learned));
    // One that has no pristine example.
    let corrupt = with_learned(&[false], &[Some(0)]);
    runs.push(Synthetic { conditions: conditions("sgd", 0.75, 1), ..corrupt });
    let infinite = Some(f64::INFINITY);
    assert_eq!(measured(&runs, "pristine_slower"), [Some(3.0), Some(3.5), Some(9.0), infinite, infinite, None]);
}

#[test]
fn the_loss_is_halved_at_the_first_evaluation_that_shows_it() {
    let metrics: Vec<Metric> =
        [(0, 2.0), (5, 1.5), (9, 1.0), (12, 0.1)].map(|(step, loss)| metric(step, "train", "loss", loss)).to_vec();
    let of_tests = vec![metric(0, "test", "loss", 2.0), metric(1, "test", "loss", 0.5)];
    let of_a_group = metrics.iter().map(|metric| Metric { group: "pristine".into(), ..metric.clone() }).collect();
    let mut reversed = metrics.clone();
    reversed.reverse();
    let cases = vec![
        reversed,
        metrics[..2].to_vec(),
        metrics[..1].to_vec(),
        metrics[1..].to_vec(),
        of_tests,
        of_a_group,
        metrics.clone(),
    ];
    let runs = at_levels(cases, |metrics| Synthetic { metrics, ..with_learned(&[true], &[None]) });
    let expected = [Some(9.0), Some(f64::INFINITY), None, None, None, None, Some(9.0)];
    assert_eq!(measured(&runs, "slower_learning"), expected);
}

#[test]
fn the_early_slope_is_taken_over_ten_steps_or_to_the_first_evaluation_after() {
    let metrics = [(0, 2.0), (5, 1.5), (9, 1.1), (12, 0.1)].map(|(step, loss)| metric(step, "train", "loss", loss));
    let cases = vec![metrics.to_vec(), vec![metrics[0].clone(), metrics[3].clone()], metrics[..1].to_vec()];
    let runs = at_levels(cases, |metrics| Synthetic { metrics, ..with_learned(&[true], &[None]) });
    let slopes = measured(&runs, "smaller_gradient");
    assert_close(slopes[0].unwrap(), 0.1, 1e-14);
    assert_close(slopes[1].unwrap(), 1.9 / 12.0, 1e-14);
    assert_eq!(slopes[2], None);
}

#[test]
fn a_loss_that_is_not_finite_is_null_and_spoils_nothing_else() {
    let run = with_learned(&[true, false], &[None, None]);
    let losses = [(0, 2.0), (5, f64::INFINITY), (9, f64::NAN), (10, 0.5)];
    let metrics = losses.map(|(step, loss)| metric(step, "train", "loss", loss)).to_vec();
    let analysed = analysed(&[Synthetic { metrics, ..run }], &only(&["metrics"]));
    let table = analysed.table("metrics");
    assert_eq!(table.numbers("value", &[]), [Some(2.0), None, None, Some(0.5)]);
    assert_eq!(table.texts("examples", &[]), ["10"; 4]);
    assert_eq!(analysed.table("runs").number("final_train_loss", 0), Some(0.5));
    let halved = analysed.table("predictions").value("measured", &[("quantity", "half_loss_step")]);
    assert_eq!(halved, Some(10.0));
}
