//! Curves over seeds and between studies, against cases computed by hand.

use std::fs;
use std::path::PathBuf;

use cograd_analysis::{AnalysisError, CompareOptions, NoObserver, Options, analyze, compare, curve};
use cograd_trace::Split;
use polars::prelude::DataFrame;
use tempfile::TempDir;

use crate::support::*;

/// An analysed study of one condition whose training loss at steps 0 and 10 is given for each seed.
fn study(name: &str, rule: &str, losses: &[[f64; 2]]) -> TempDir {
    let study = TempDir::new().unwrap();
    fs::write(study.path().join("study.toml"), format!("name = \"{name}\"\n")).unwrap();
    for (losses, seed) in losses.iter().zip(1..) {
        let run = Synthetic::new(&[true, false, true, false], 5, &[0, 1, 2], seed);
        let metrics = vec![metric(0, Split::Train, losses[0]), metric(10, Split::Train, losses[1])];
        Synthetic { rule: rule.into(), seed, metrics, ..run }.write(study.path());
    }
    let options = Options { null_worlds: 19, bootstrap: 0, ..Options::default() };
    analyze(study.path(), None, &options, &NoObserver).unwrap();
    study
}

fn rows_of(table: &DataFrame, curve: &str, step: Option<i64>) -> Vec<usize> {
    let (curves, steps) = (table.column("curve").unwrap(), table.column("step").unwrap());
    let (curves, steps) = (curves.str().unwrap(), steps.i64().unwrap());
    (0..table.height()).filter(|&row| curves.get(row) == Some(curve) && steps.get(row) == step).collect()
}

fn number(table: &DataFrame, column: &str, row: usize) -> Option<f64> {
    table.column(column).unwrap().f64().unwrap().get(row)
}

fn close(value: Option<f64>, expected: f64) {
    assert!((value.unwrap() - expected).abs() < 1e-6, "{value:?} is not {expected}");
}

#[test]
fn curves_over_three_seeds_have_their_mean_and_students_interval() {
    let study = study("three", "sgd", &[[1.0, 2.0], [3.0, 2.0], [5.0, 2.0]]);
    let table = read(&study.path().join("analysis"), "over_seeds.parquet");
    let [row] = rows_of(&table, "train_loss", Some(0))[..] else { panic!("one row a step") };
    assert_eq!(table.column("seeds").unwrap().u32().unwrap().get(row), Some(3));
    close(number(&table, "mean", row), 3.0);
    close(number(&table, "lower", row), 3.0 - 4.302_652_730 * 2.0 / 3f64.sqrt());
    let [row] = rows_of(&table, "train_loss", Some(10))[..] else { panic!("one row a step") };
    assert_eq!([number(&table, "lower", row), number(&table, "upper", row)], [Some(2.0), Some(2.0)]);
    // Every curve that the tables have: of no test set there is none.
    assert!(rows_of(&table, "test_loss", Some(0)).is_empty());
    for curve in ["alpha", "cumulative_difference", "share", "learned_corrupt"] {
        assert!(!rows_of(&table, curve, Some(0)).is_empty(), "{curve}");
    }
}

#[test]
fn one_seed_is_its_own_mean_without_an_interval() {
    let study = study("one", "sgd", &[[1.5, 0.5]]);
    let analysis = study.path().join("analysis");
    let over_seeds = read(&analysis, "over_seeds.parquet");
    let decomposition = read(&analysis, "decomposition.parquet");
    let estimators = over_seeds.column("estimator").unwrap().str().unwrap();
    let mut rows = rows_of(&over_seeds, "alpha", Some(1));
    rows.retain(|&row| estimators.get(row) == Some("paper"));
    let [row] = rows[..] else { panic!("one row an estimator") };
    // World 0, its second step.
    assert_eq!(number(&over_seeds, "mean", row), number(&decomposition, "alpha", 1));
    assert_eq!(number(&over_seeds, "lower", row), None);
}

#[test]
fn curves_are_those_of_the_actual_world_by_run() {
    let study = study("two", "sgd", &[[1.0, 0.5], [2.0, 0.25]]);
    let runs = curve::of_results(&study.path().join("analysis")).unwrap();
    assert_eq!(runs.iter().map(|run| run.seed).collect::<Vec<_>>(), [1, 2]);
    let name = |curve: &str| curve::CurveName { curve: curve.into(), ..curve::CurveName::default() };
    assert_eq!(runs[1].curves[&name("train_loss")], [(0, Some(2.0)), (10, Some(0.25))]);
    let alpha = curve::CurveName { estimator: Some("paper".into()), ..name("alpha") };
    assert_eq!(runs[0].curves[&alpha].iter().map(|point| point.0).collect::<Vec<_>>(), [0, 1, 2]);
}

fn compared(a: &TempDir, b: &TempDir, out: &TempDir) -> DataFrame {
    let options = CompareOptions { curves: vec!["train_loss".into()], ..CompareOptions::default() };
    let studies: Vec<PathBuf> = [a, b].map(|study| study.path().to_path_buf()).into();
    compare(&studies, &options, out.path()).unwrap();
    read(out.path(), "comparison-tests.parquet")
}

#[test]
fn the_difference_of_two_studies_is_tested_by_hand() {
    // At step 0 the case of the unit test; at step 10 the same twice as far apart.
    let a = study("a", "sgd", &[[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]);
    let b = study("b", "median-of-means-3", &[[4.0, 8.0], [6.0, 10.0], [8.0, 12.0]]);
    let out = TempDir::new().unwrap();
    let tests = compared(&a, &b, &out);
    let [row] = rows_of(&tests, "train_loss", Some(0))[..] else { panic!("matched by noise, one rule a study") };
    close(number(&tests, "difference", row), -4.0);
    close(number(&tests, "freedom", row), 50.0 / 17.0);
    close(number(&tests, "p", row), 0.054_786_766);
    // Two steps: the larger p stays, the smaller doubles.
    close(number(&tests, "p_holm", row), 0.054_786_766);
    let [later] = rows_of(&tests, "train_loss", Some(10))[..] else { panic!("a row a step") };
    close(number(&tests, "p_holm", later), 2.0 * number(&tests, "p", later).unwrap());
    let [mean] = rows_of(&tests, "train_loss", None)[..] else { panic!("a row of the mean") };
    close(number(&tests, "difference", mean), -6.0);
    close(number(&tests, "t", mean), -6.0 / (5.0f64 / 3.0).sqrt());
    assert_eq!(number(&tests, "p_holm", mean), None);
    let rows = read(out.path(), "comparison.parquet");
    assert_eq!(rows.height(), 4, "two studies, two steps");
}

#[test]
fn single_seeds_have_a_difference_and_no_test() {
    let (a, b) = (study("a", "sgd", &[[1.0, 1.0]]), study("b", "sgd", &[[4.0, 3.5]]));
    let tests = compared(&a, &b, &TempDir::new().unwrap());
    let [row] = rows_of(&tests, "train_loss", Some(10))[..] else { panic!("a row a step") };
    assert_eq!((number(&tests, "difference", row), number(&tests, "p", row)), (Some(-2.5), None));
}

#[test]
fn comparing_needs_two_different_studies_with_results() {
    let a = study("a", "sgd", &[[1.0, 1.0]]);
    let (out, empty) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let compare = |studies: &[&TempDir]| {
        let studies: Vec<PathBuf> = studies.iter().map(|study| study.path().to_path_buf()).collect();
        compare(&studies, &CompareOptions::default(), out.path()).unwrap_err()
    };
    assert!(matches!(compare(&[&a]), AnalysisError::OneStudy));
    assert!(matches!(compare(&[&a, &a]), AnalysisError::StudyTwice { .. }));
    assert!(matches!(compare(&[&a, &empty]), AnalysisError::NotAnalysed { .. }));
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0);
}
