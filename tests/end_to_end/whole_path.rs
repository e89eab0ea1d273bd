//! Record, inspect, analyse and report through the binary, on the embedded digits.

use std::path::Path;

use crate::common::{Place, TINY, files_below, run_directory};

const RESULTS: [&str; 14] = [
    "curves.parquet",
    "learned.parquet",
    "overfit.parquet",
    "contributions.parquet",
    "decomposition.parquet",
    "cumulative.parquet",
    "null.parquet",
    "tests.parquet",
    "groups.parquet",
    "shares.parquet",
    "group_tests.parquet",
    "cross_terms.parquet",
    "coherence.parquet",
    "summary.json",
];

const FIGURES: [&str; 5] =
    ["figure-1.svg", "figure-2.svg", "figure-3.svg", "figure-2-null-band.svg", "figure-3-null-band.svg"];

fn stdout(place: &Place, arguments: &[&str]) -> String {
    let done = place.cograd(arguments.iter().copied()).assert().success();
    String::from_utf8(done.get_output().stdout.clone()).expect("UTF-8")
}

fn summary(study: &Path) -> serde_json::Value {
    let text = std::fs::read_to_string(study.join("analysis/summary.json")).expect("summary.json");
    serde_json::from_str(&text).expect("summary.json is JSON")
}

#[test]
fn a_study_goes_from_experiment_to_page() {
    let place = Place::new();
    let study = place.record_tiny();
    assert!(study.join("study.toml").is_file());
    let run = run_directory(&study, "sgd_noise-0.5_seed-1");
    for file in ["manifest.json", "examples.parquet", "coordinates.parquet", "metrics.parquet", "inputs.parquet"] {
        assert!(run.join(file).is_file(), "{file}");
    }

    let inspected = stdout(&place, &["inspect", "tiny", "--verify"]);
    assert!(inspected.contains("sgd_noise-0.5_seed-1") && inspected.contains("gradient"), "{inspected}");
    // Every step to 12, then 13, 16, 20, 25, 32, 40, 50.
    assert!(inspected.contains("20 steps, 0 to 50"), "{inspected}");
    assert!(inspected.contains("population/part-*.parquet (20 files)"), "{inspected}");
    assert!(inspected.contains("contribution f64, self_term f64, contribution_0 f64"), "{inspected}");

    let analysed = stdout(&place, &["analyze", "tiny", "--null-worlds", "200"]);
    assert!(analysed.contains("Next: cograd report tiny"), "{analysed}");
    for file in RESULTS {
        assert!(study.join("analysis").join(file).is_file(), "{file}");
    }

    let reported = stdout(&place, &["report", "tiny"]);
    assert!(reported.contains("index.html"), "{reported}");
    for figure in FIGURES {
        assert!(study.join("report").join(figure).is_file(), "{figure}");
    }
    let page = std::fs::read_to_string(study.join("report/index.html")).expect("the page");
    assert!(page.contains("<svg") && !page.contains("src=\"http") && !page.contains("href=\"http"));
}

#[test]
fn a_run_without_noise_has_null_statistics_and_no_error() {
    let place = Place::new();
    let study = place.record_tiny();
    stdout(&place, &["analyze", "tiny", "--null-worlds", "50"]);
    let summary = summary(&study);
    let clean = &summary["runs"][0];
    assert_eq!(clean["noise"], 0.0);
    assert_eq!(clean["pristine_fraction"], 1.0);
    assert!(clean["crossover"]["p"].is_null() && clean["difference_10"]["p"].is_null(), "{clean}");
}

#[test]
fn analysing_again_gives_the_same_bytes_whatever_the_threads() {
    let place = Place::new();
    place.record_tiny();
    stdout(&place, &["analyze", "tiny", "--null-worlds", "300", "--out", "one", "--threads", "1"]);
    stdout(&place, &["analyze", "tiny", "--null-worlds", "300", "--out", "three", "--threads", "3"]);
    assert!(files_below(&place.path("one")) == files_below(&place.path("three")));
}

#[test]
fn a_part_is_analysed_by_any_groups_without_recording_again() {
    let place = Place::new();
    let study = place.record_tiny();
    let part = ["--steps", "..=9", "--layers", "1", "--examples", "0..1000", "--bootstrap", "0", "--group-by", "label"];
    stdout(&place, &[&["analyze", "tiny", "--null-worlds", "50"], &part[..]].concat());
    let summary = summary(&study);
    let options = serde_json::json!({ "group_by": "label", "steps": "0..10", "layers": [1], "examples": "0..1000",
        "bootstrap": 0, "null_worlds": 50, "seed": 0 });
    assert_eq!(summary["options"], options);
    let run = &summary["runs"][1];
    assert_eq!((&run["recorded_steps"], &run["coordinates"]), (&10.into(), &40.into()));
    assert!(run["sampled_examples"].as_u64().is_some_and(|n| n > 0 && n < 60), "{run}");
}

#[test]
fn what_cannot_be_analysed_is_said_and_exits_with_1() {
    let place = Place::new();
    place.record_tiny();
    place.write("groups.csv", "example_id,group\n0,a\n");
    for (option, value, expected) in [
        ("--group-by", "labels", "labels"),
        ("--group-by", "groups.csv", "no group for example"),
        ("--layers", "2", "has no layer 2: its layers are 0, 1"),
        ("--steps", "1000..", "none of its recorded steps, 0 to"),
        ("--examples", "99999..", "sampled examples is in 99999.."),
    ] {
        let failed = place.cograd(["analyze", "tiny", option, value]).assert().code(1);
        let message = String::from_utf8(failed.get_output().stderr.clone()).expect("UTF-8");
        assert!(message.contains(expected), "{option} {value}: {message}");
    }
    assert!(!place.path("tiny/analysis/summary.json").exists());
}

#[test]
fn recording_gives_the_same_bytes_whatever_the_threads() {
    let place = Place::new();
    place.write("tiny.toml", TINY);
    for threads in ["1", "2", "3"] {
        stdout(&place, &["record", "tiny.toml", "--out", threads, "--threads", threads]);
    }
    let one = files_below(&place.path("1"));
    assert!(one.len() > 10, "{:?}", one.keys());
    assert!(one == files_below(&place.path("2")));
    assert!(one == files_below(&place.path("3")));
}

#[test]
fn recording_again_leaves_finished_runs_alone() {
    let place = Place::new();
    let study = place.record_tiny();
    let before = files_below(&study);
    let again = stdout(&place, &["record", "tiny.toml", "--out", "tiny"]);
    assert!(again.contains("2 recorded before"), "{again}");
    assert!(before == files_below(&study));
}

#[test]
fn quiet_prints_nothing() {
    let place = Place::new();
    place.write("tiny.toml", TINY);
    for arguments in [
        &["record", "tiny.toml", "--out", "tiny"][..],
        &["analyze", "tiny", "--null-worlds", "50"],
        &["report", "tiny"],
    ] {
        let done = place.cograd(arguments.iter().copied().chain(["--quiet"])).assert().success();
        assert!(done.get_output().stdout.is_empty() && done.get_output().stderr.is_empty(), "{arguments:?}");
    }
}

/// The paper's phenomena on the embedded digits, as the README promises them.
#[test]
fn the_demo_shows_the_papers_phenomena() {
    let place = Place::new();
    stdout(&place, &["demo", "--out", "demo"]);
    let summary = summary(&place.path("demo"));
    let half = summary["runs"].as_array().expect("runs").iter().find(|run| run["noise"] == 0.5).expect("noise 0.5");
    let number = |value: &serde_json::Value| value.as_f64().expect("a number");
    let group_size = number(&half["sampled_pristine"]) / number(&half["sampled_examples"]);
    assert!(number(&half["alpha_first"]) > group_size, "{half}");
    assert!(number(&half["crossover"]["value"]) > 0.0 && number(&half["crossover"]["p"]) < 0.05, "{half}");
    assert!(place.path("demo/report/index.html").is_file());
    assert!(place.path("demo-winsorize/report/figure-4.svg").is_file());
}
