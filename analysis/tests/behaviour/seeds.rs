//! Curves over seeds and between studies, against cases computed by hand.

use std::fs;
use std::path::PathBuf;

use cograd_analysis::{AnalysisError, CompareOptions, Comparison, NoObserver, Options, analyze, compare};
use cograd_results::{Results, ResultsError};
use cograd_trace::{Condition, Conditions};
use tempfile::TempDir;

use crate::support::*;

/// A run whose training loss at steps 0 and 10 is given.
fn with_losses(conditions: Conditions, losses: [f64; 2]) -> Synthetic {
    let metrics = [0, 10].into_iter().zip(losses).flat_map(|(step, loss)| evaluation(step, "train", loss)).collect();
    Synthetic { conditions, metrics, ..Synthetic::new(&[true, false, true, false], 5, &[0, 1, 2], 1) }
}

/// An analysed study of these runs.
fn study_of(name: &str, runs: &[Synthetic]) -> TempDir {
    let study = TempDir::new().unwrap();
    fs::write(study.path().join("study.toml"), format!("name = \"{name}\"\n")).unwrap();
    runs.iter().for_each(|run| run.write(study.path()));
    analyze(study.path(), None, &only(&["metrics", "learned", "shares", "cumulative"]), &NoObserver).unwrap();
    study
}

/// An analysed study of one condition whose training loss at steps 0 and 10 is given for each seed.
fn study(name: &str, rule: &str, losses: &[[f64; 2]]) -> TempDir {
    let runs = losses.iter().zip(1..).map(|(losses, seed)| with_losses(conditions(rule, 0.5, seed), *losses));
    study_of(name, &runs.collect::<Vec<_>>())
}

fn table(directory: &std::path::Path, name: &str) -> Table {
    Table(Results::open(directory).unwrap().rows(name).unwrap().unwrap())
}

fn close(value: Option<f64>, expected: f64) {
    assert!((value.unwrap() - expected).abs() < 1e-6, "{value:?} is not {expected}");
}

#[test]
fn curves_over_three_seeds_have_their_mean_and_students_interval() {
    let study = study("three", "sgd", &[[1.0, 2.0], [3.0, 2.0], [5.0, 2.0]]);
    let table = table(&study.path().join("analysis"), "over_seeds");
    let row = table.row(&[("curve", "train_loss"), ("step", "0")]);
    assert_eq!(table.text("seeds", row), "3");
    close(table.number("mean", row), 3.0);
    close(table.number("lower", row), 3.0 - 4.302_652_730 * 2.0 / 3f64.sqrt());
    close(table.number("upper", row), 3.0 + 4.302_652_730 * 2.0 / 3f64.sqrt());
    let row = table.row(&[("curve", "train_loss"), ("step", "10")]);
    assert_eq!(["lower", "upper"].map(|end| table.number(end, row)), [Some(2.0), Some(2.0)]);
    // Every curve that the tables have: of no test set there is none.
    assert_eq!(table.rows(&[("curve", "test_loss")]).len(), 0);
    // At step 0 half of the first seed's examples are right, and fewer are known to be learned: which is not known.
    for (curve, a, b, seeds) in [
        ("share", "pristine", "null", "3"),
        ("difference", "pristine", "corrupt", "3"),
        ("learned", "corrupt", "null", "2"),
        ("learned", "null", "null", "2"),
    ] {
        let row = table.row(&[("curve", curve), ("group_a", a), ("group_b", b), ("step", "0")]);
        assert_eq!(table.text("seeds", row), seeds, "{curve}");
    }
}

#[test]
fn one_seed_is_its_own_mean_without_an_interval() {
    let study = study("one", "sgd", &[[1.5, 0.5]]);
    let [over_seeds, curves] = ["over_seeds", "curves"].map(|name| table(&study.path().join("analysis"), name));
    let name = ["curve", "estimator", "layer", "group_a", "group_b", "step"];
    assert_eq!(over_seeds.len(), curves.len());
    for row in 0..curves.len() {
        let texts = name.map(|column| curves.text(column, row));
        let wanted: Vec<(&str, &str)> =
            name.iter().zip(&texts).map(|(column, text)| (*column, text.as_str())).collect();
        let of_seeds = over_seeds.row(&wanted);
        assert_eq!(over_seeds.number("mean", of_seeds), curves.number("value", row));
        let seeds = if curves.number("value", row).is_some() { "1" } else { "0" };
        assert_eq!(
            ["seeds", "lower", "upper"].map(|column| over_seeds.text(column, of_seeds)),
            [seeds, "null", "null"]
        );
    }
}

#[test]
fn a_seed_without_a_value_at_a_step_is_not_counted_there() {
    // The second seed is evaluated at other steps, and its loss at step 10 is not finite.
    let mut other = with_losses(conditions("sgd", 0.5, 2), [4.0, f64::INFINITY]);
    other.metrics.extend(evaluation(20, "train", 1.0));
    other.metrics.retain(|metric| metric.metric == "loss");
    let study = study_of("two", &[with_losses(conditions("sgd", 0.5, 1), [2.0, 1.0]), other]);
    let table = table(&study.path().join("analysis"), "over_seeds");
    let at = |step| {
        let row = table.row(&[("curve", "train_loss"), ("step", step)]);
        (table.text("seeds", row), table.number("mean", row), table.number("lower", row).is_some())
    };
    assert_eq!(at("0"), ("2".into(), Some(3.0), true));
    assert_eq!(at("10"), ("1".into(), Some(1.0), false));
    assert_eq!(at("20"), ("1".into(), Some(1.0), false));
}

#[test]
fn curves_are_those_of_the_actual_world_by_run() {
    let runs = [1, 2].map(|seed| with_losses(conditions("sgd", 0.5, seed), [seed as f64, 0.5]));
    let options = Options { kept_worlds: 3, ..only(&["metrics", "learned", "shares", "cumulative", "gradient_norm"]) };
    let analysed = analysed(&runs, &options);
    let curves = analysed.table("curves");
    assert_eq!(curves.numbers("value", &[("run", &runs[1].id()), ("curve", "train_loss")]), [Some(2.0), Some(0.5)]);
    let alpha = [("run", runs[0].id()), ("curve", "share".into()), ("group_a", "pristine".into())];
    let alpha: Vec<(&str, &str)> = alpha.iter().map(|(column, text)| (*column, text.as_str())).collect();
    assert_eq!(curves.texts("step", &alpha), ["0", "1", "2"]);
    let actual = [("run", runs[0].id()), ("world", "0".into()), ("group", "pristine".into())];
    let actual: Vec<(&str, &str)> = actual.iter().map(|(column, text)| (*column, text.as_str())).collect();
    assert_eq!(curves.numbers("value", &alpha), analysed.table("shares").numbers("share", &actual));
    let names: std::collections::BTreeSet<String> = curves.texts("curve", &[]).into_iter().collect();
    let expected = ["cumulative", "difference", "gradient_norm_sq", "learned", "share", "train_accuracy", "train_loss"];
    assert!(names.iter().eq(expected), "{names:?}");
}

fn paths(studies: &[&TempDir]) -> Vec<PathBuf> {
    studies.iter().map(|study| study.path().to_path_buf()).collect()
}

fn of_curves(curves: &[&str]) -> CompareOptions {
    CompareOptions { curves: curves.iter().map(|curve| curve.to_string()).collect(), ..CompareOptions::default() }
}

fn compared(studies: &[&TempDir], options: &CompareOptions) -> (Comparison, [Table; 2]) {
    let out = TempDir::new().unwrap();
    let comparison = compare(&paths(studies), options, out.path()).unwrap_or_else(|error| panic!("{error:?}"));
    (comparison, ["comparison", "comparison_tests"].map(|name| table(out.path(), name)))
}

#[test]
fn the_difference_of_two_studies_is_tested_by_hand() {
    // At step 0 the case of the unit test; at step 10 the same twice as far apart.
    let a = study("a", "sgd", &[[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]);
    let b = study("b", "median-of-means-3", &[[4.0, 8.0], [6.0, 10.0], [8.0, 12.0]]);
    let (comparison, [means, tests]) = compared(&[&a, &b], &of_curves(&["train_loss"]));
    assert_eq!((comparison.studies, comparison.seeds), (vec!["a".to_string(), "b".to_string()], 3));
    // Matched by noise; that the rules differ is what is compared.
    let row = tests.row(&[("step", "0")]);
    let names = ["noise", "curve", "study_a", "study_b", "seeds_a", "seeds_b"];
    assert_eq!(names.map(|column| tests.text(column, row)), ["0.5", "train_loss", "a", "b", "3", "3"]);
    close(tests.number("difference", row), -4.0);
    close(tests.number("freedom", row), 50.0 / 17.0);
    close(tests.number("t", row), -4.0 / (5.0f64 / 3.0).sqrt());
    close(tests.number("p", row), 0.054_786_766);
    let ends = ["lower", "upper"].map(|end| tests.number(end, row).unwrap());
    close(Some((ends[0] + ends[1]) / 2.0), -4.0);
    assert!(ends[1] > 0.0);
    // Two steps: the larger p stays, the smaller doubles.
    close(tests.number("p_holm", row), 0.054_786_766);
    let later = tests.row(&[("step", "10")]);
    close(tests.number("p_holm", later), 2.0 * tests.number("p", later).unwrap());
    let mean = tests.row(&[("step", "null")]);
    close(tests.number("difference", mean), -6.0);
    close(tests.number("t", mean), -6.0 / (5.0f64 / 3.0).sqrt());
    assert_eq!(tests.number("p_holm", mean), None);
    assert_eq!((tests.len(), means.len()), (3, 4), "two studies, two steps");
    assert_eq!(means.numbers("mean", &[("study", "b")]), [Some(6.0), Some(10.0)]);
    close(means.value("lower", &[("study", "a"), ("step", "0")]), 2.0 - 4.302_652_730 / 3f64.sqrt());
}

#[test]
fn single_seeds_have_a_difference_and_no_test() {
    let (a, b) = (study("a", "sgd", &[[1.0, 1.0]]), study("b", "sgd", &[[4.0, 3.5]]));
    let (comparison, [_, tests]) = compared(&[&a, &b], &of_curves(&["train_loss"]));
    let row = tests.row(&[("step", "10")]);
    let columns = ["difference", "t", "freedom", "p", "lower", "upper", "p_holm"];
    assert_eq!(columns.map(|column| tests.number(column, row)), [Some(-2.5), None, None, None, None, None, None]);
    assert_eq!(comparison.seeds, 1);
}

#[test]
fn only_common_steps_are_compared_and_the_mean_is_over_those_that_every_run_has() {
    let mut a = [1, 2].map(|seed| with_losses(conditions("sgd", 0.5, seed), [seed as f64, 2.0 * seed as f64]));
    // One run of a has a further evaluation, which one of b has too; step 30 b has alone.
    a[0].metrics.extend(evaluation(20, "train", 9.0));
    let mut b = [1, 2].map(|seed| with_losses(conditions("sgd", 0.5, seed), [10.0 + seed as f64, 20.0]));
    b[1].metrics.extend(evaluation(20, "train", 5.0).into_iter().chain(evaluation(30, "train", 1.0)));
    let (a, b) = (study_of("a", &a), study_of("b", &b));
    let (_, [means, tests]) = compared(&[&a, &b], &of_curves(&["train_loss"]));
    assert_eq!(tests.texts("step", &[]), ["null", "0", "10", "20"]);
    // Means over the runs of steps 0 and 10: (1.5, 3) and (11.5, 20).
    close(tests.number("difference", 0), 2.25 - 15.75);
    close(tests.number("difference", 3), 4.0);
    assert_eq!(["seeds_a", "seeds_b", "p"].map(|column| tests.text(column, 3)), ["1", "1", "null"]);
    assert_eq!(means.texts("step", &[("study", "b")]), ["0", "10", "20", "30"]);
}

#[test]
fn runs_are_matched_by_what_varies_within_a_study() {
    let runs = |offset: f64, seeds: u64| -> Vec<Synthetic> {
        let of = |network: &str, loss: f64, seed| {
            with_losses(conditions("sgd", 0.5, seed).with("network", network), [loss + offset + seed as f64, 1.0])
        };
        (1..=seeds).flat_map(|seed| [of("narrow", 10.0, seed), of("wide", 100.0, seed)]).collect()
    };
    let (a, b) = (study_of("a", &runs(0.0, 2)), study_of("b", &runs(5.0, 3)));
    let (comparison, [means, tests]) = compared(&[&a, &b], &of_curves(&["train_loss"]));
    assert_eq!(comparison.seeds, 2);
    for (network, mean) in [("narrow", 10.0), ("wide", 100.0)] {
        let row = tests.row(&[("network", network), ("step", "0")]);
        assert_eq!(["seeds_a", "seeds_b"].map(|column| tests.text(column, row)), ["2", "3"]);
        close(tests.number("difference", row), -5.5);
        close(means.value("mean", &[("network", network), ("study", "a"), ("step", "0")]), mean + 1.5);
    }
    // A study without that condition has nothing that matches, and says so by rows without a partner.
    let c = study("c", "sgd", &[[1.0, 1.0]]);
    let (_, [means, tests]) = compared(&[&a, &c], &of_curves(&["train_loss"]));
    assert_eq!((tests.len(), means.rows(&[("network", "null"), ("study", "c")]).len()), (0, 2));
}

#[test]
fn conditions_are_matched_by_their_values_whatever_their_types() {
    let of = |name: &str, widths: [Condition; 2]| {
        let runs = widths.map(|width| with_losses(conditions("sgd", 0.5, 1).with("width", width), [1.0, 2.0]));
        study_of(name, &runs)
    };
    let whole = of("whole", [512_i64.into(), 1024_i64.into()]);
    for (name, widths, matched) in [
        ("real", [512.0.into(), 0.5.into()], "512"),
        ("text", ["512".into(), "wide".into()], "512"),
        ("other", [true.into(), "1024".into()], "1024"),
    ] {
        let (_, [means, tests]) = compared(&[&whole, &of(name, widths)], &of_curves(&["train_loss"]));
        assert_eq!(tests.texts("width", &[]), [matched; 3], "{name}");
        assert_eq!(means.len(), 4 * 2, "{name}");
    }
}

#[test]
fn of_three_studies_every_two_are_tested() {
    let studies = [1.0, 2.0, 4.0].map(|loss| study(&format!("loss-{loss}"), "sgd", &[[loss, 1.0], [loss + 1.0, 2.0]]));
    let (comparison, [means, tests]) = compared(&studies.each_ref(), &of_curves(&["train_loss"]));
    assert_eq!(comparison.studies, ["loss-1", "loss-2", "loss-4"]);
    assert_eq!(means.rows(&[("step", "0")]).len(), 3);
    let pairs = [("loss-1", "loss-2", -1.0), ("loss-1", "loss-4", -3.0), ("loss-2", "loss-4", -2.0)];
    for (a, b, difference) in pairs {
        let of_pair = [("study_a", a), ("study_b", b)];
        assert_eq!(tests.value("difference", &[of_pair[0], of_pair[1], ("step", "0")]), Some(difference));
        // At step 10 nothing differs. Holm's correction is of the two steps of a pair.
        assert_eq!(tests.value("p", &[of_pair[0], of_pair[1], ("step", "10")]), Some(1.0));
        let [p, corrected] =
            ["p", "p_holm"].map(|column| tests.value(column, &[of_pair[0], of_pair[1], ("step", "0")]).unwrap());
        close(Some(corrected), 2.0 * p);
    }
    assert_eq!(tests.len(), 3 * 3);
}

#[test]
fn curves_are_asked_for_by_their_names_or_by_those_they_had() {
    let a = study("a", "sgd", &[[1.0, 1.0], [2.0, 1.0]]);
    let b = study("b", "sgd", &[[1.0, 1.0], [3.0, 1.0]]);
    let rows = |curves: &[&str]| compared(&[&a, &b], &of_curves(curves)).1[0].all(&[]);
    let names = |curves: &[&str]| {
        let table = compared(&[&a, &b], &of_curves(curves)).1.into_iter().next().unwrap();
        let of = |row| ["curve", "group_a", "group_b"].map(|column| table.text(column, row)).join(" ");
        let mut names: Vec<String> = (0..table.len()).map(of).collect();
        names.dedup();
        names
    };
    assert_eq!(names(&["alpha"]), ["share pristine null"]);
    assert_eq!(names(&["share"]), ["share corrupt null", "share pristine null"]);
    assert_eq!(names(&["learned_corrupt"]), ["learned corrupt null"]);
    assert_eq!(
        names(&["cumulative_difference", "train_loss"]),
        ["difference pristine corrupt", "train_loss null null"]
    );
    let usual = names(&[]);
    let expected = [
        "train_accuracy null null",
        "train_loss null null",
        "learned pristine null",
        "learned corrupt null",
        "share pristine null",
        "difference pristine corrupt",
    ];
    assert_eq!(usual, expected);
    assert_eq!(rows(&["beta"]).len(), 2 * 3);
}

#[test]
fn estimators_can_be_chosen_and_curves_without_one_stay() {
    let run = |loss: f64| with_losses(conditions("sgd", 0.5, 1), [loss, 1.0]).with_population(&[0, 1]);
    let (a, b) = (study_of("a", &[run(1.0)]), study_of("b", &[run(2.0)]));
    let options = CompareOptions { estimators: vec!["exact".into()], ..of_curves(&["alpha", "train_loss"]) };
    let (_, [means, _]) = compared(&[&a, &b], &options);
    assert_eq!(means.rows(&[("estimator", "exact"), ("curve", "share")]).len(), 2 * 2);
    assert_eq!(means.rows(&[("estimator", "null"), ("curve", "train_loss")]).len(), 2 * 2);
    assert_eq!(means.len(), 8);
}

fn error_of(paths: &[PathBuf], options: &CompareOptions) -> AnalysisError {
    let out = TempDir::new().unwrap();
    let error = compare(paths, options, out.path()).unwrap_err();
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0, "{error}");
    error
}

#[test]
fn comparing_needs_two_different_studies_with_results() {
    let a = study("a", "sgd", &[[1.0, 1.0]]);
    let empty = TempDir::new().unwrap();
    let error = |studies: &[&TempDir]| error_of(&paths(studies), &CompareOptions::default());
    assert!(matches!(error(&[&a]), AnalysisError::OneStudy));
    assert!(matches!(error(&[&a, &a]), AnalysisError::StudyTwice { .. }));
    assert!(matches!(error(&[&a, &empty]), AnalysisError::Results(ResultsError::NotAnalysed { .. })));
    let b = study("b", "sgd", &[[1.0, 1.0]]);
    let unknown = error_of(&paths(&[&a, &b]), &of_curves(&["train_los"])).to_string();
    assert!(unknown.contains("no curve `train_los`") && unknown.contains("train_accuracy, train_loss"), "{unknown}");
    let options = CompareOptions { estimators: vec!["papers".into()], ..CompareOptions::default() };
    assert!(error_of(&paths(&[&a, &b]), &options).to_string().contains("no estimator `papers`"));
    // A curve of the names that curves had may be in neither.
    let other = study_of(
        "other",
        &[Synthetic { metrics: vec![], steps: vec![], ..with_losses(conditions("sgd", 0.5, 1), [0.0; 2]) }],
    );
    assert!(matches!(error_of(&paths(&[&a, &other]), &of_curves(&["alpha"])), AnalysisError::NothingInCommon));
}

#[test]
fn studies_may_be_named_by_their_results_and_are_told_apart_by_their_paths() {
    let (a, b) = (study("same", "sgd", &[[1.0, 1.0]]), study("same", "sgd", &[[2.0, 1.0]]));
    let out = TempDir::new().unwrap();
    let studies = [a.path().join("analysis"), b.path().to_path_buf()];
    let comparison = compare(&studies, &of_curves(&["train_loss"]), out.path()).unwrap();
    assert_eq!(comparison.studies, studies.each_ref().map(|path| path.display().to_string()));
    assert!(comparison.files[2].ends_with("summary.json"));
    let summary = Results::open(out.path()).unwrap().summary().clone();
    let sha256 = cograd_trace::sha256_of_file(&studies[0].join("summary.json")).unwrap();
    assert_eq!((summary.compared.len(), &summary.compared[0].summary_sha256), (2, &sha256));
    assert_eq!(summary.conditions.iter().map(|condition| condition.name.as_str()).collect::<Vec<_>>(), ["noise"]);
}

/// Changes one byte in the middle of a file.
pub fn alter(path: &std::path::Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn altered_results_are_not_compared() {
    for file in ["curves.parquet", "summary.json"] {
        let (a, b) = (study("a", "sgd", &[[1.0, 1.0]]), study("b", "sgd", &[[2.0, 1.0]]));
        alter(&b.path().join("analysis").join(file));
        let error = error_of(&paths(&[&a, &b]), &CompareOptions::default()).to_string();
        assert!(error.contains(file) && error.contains("run `cograd analyze` again"), "{error}");
        // The hash is checked, and nothing is parsed.
        assert!(file != "curves.parquet" || error.contains("altered"), "{error}");
    }
}
