//! Record, inspect, analyse and report through the binary, on the embedded digits.

use std::path::Path;

use cograd_results::{Results, Rows, TABLES};

use crate::common::{TINY, Workplace, files_below, run_directory};

const FIGURES: [&str; 5] =
    ["learning.svg", "shares.svg", "shares-null-band.svg", "contributions.svg", "contributions-null-band.svg"];

fn stdout(place: &Workplace, arguments: &[&str]) -> String {
    let done = place.cograd(arguments.iter().copied()).assert().success();
    String::from_utf8(done.get_output().stdout.clone()).expect("UTF-8")
}

fn results(study: &Path) -> Results {
    Results::open(&study.join("analysis")).expect("results")
}

fn table(study: &Path, name: &str) -> Rows {
    results(study).rows(name).expect("readable").expect("there")
}

/// The one row of a table with these texts in these columns and this noise.
fn row(rows: &Rows, noise: f64, texts: &[(&str, &str)]) -> usize {
    let is = |row: &usize| {
        rows.number("noise", *row) == Some(noise)
            && texts.iter().all(|(column, text)| rows.text(column, *row) == Some(text))
    };
    (0..rows.len()).find(is).unwrap_or_else(|| panic!("{texts:?}"))
}

#[test]
fn a_study_goes_from_experiment_to_page() {
    let place = Workplace::new();
    let study = place.record_tiny();
    assert!(study.join("study.toml").is_file());
    let run = run_directory(&study, "sgd_noise-0.5_seed-1");
    for file in ["manifest.json", "examples.parquet", "coordinates.parquet", "metrics.parquet", "inputs.safetensors"] {
        assert!(run.join(file).is_file(), "{file}");
    }

    let inspected = stdout(&place, &["inspect", "tiny", "--verify"]);
    assert!(inspected.contains("sgd_noise-0.5_seed-1") && inspected.contains("gradient"), "{inspected}");
    // Every step to 12, then 13, 16, 20, 25, 32, 40, 50.
    assert!(inspected.contains("20 steps, 0 to 50"), "{inspected}");
    assert!(inspected.contains("population/part-*.parquet (20 files)"), "{inspected}");
    assert!(inspected.contains("contribution f64, self_term f64, contribution_by_layer list<f64>[2]"), "{inspected}");

    let analysed = stdout(&place, &["analyze", "tiny", "--null-worlds", "200"]);
    assert!(analysed.contains("Next: cograd report tiny"), "{analysed}");
    for table in TABLES.iter().filter(|table| table.name != "matched") {
        assert!(study.join(format!("analysis/{}.parquet", table.name)).is_file(), "{}", table.name);
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
    let place = Workplace::new();
    let study = place.record_tiny();
    stdout(&place, &["analyze", "tiny", "--null-worlds", "50"]);
    let runs = table(&study, "runs");
    assert_eq!(runs.number("proper_accuracy", row(&runs, 0.0, &[])), Some(1.0));
    let tests = table(&study, "tests");
    for statistic in ["crossover", "difference_10"] {
        let clean = row(&tests, 0.0, &[("statistic", statistic), ("group_a", "pristine")]);
        assert_eq!(tests.number("p", clean), None, "{statistic}");
    }
}

#[test]
fn analysing_again_gives_the_same_bytes_whatever_the_threads() {
    let place = Workplace::new();
    place.record_tiny();
    stdout(&place, &["analyze", "tiny", "--null-worlds", "300", "--out", "one", "--threads", "1"]);
    stdout(&place, &["analyze", "tiny", "--null-worlds", "300", "--out", "three", "--threads", "3"]);
    assert!(files_below(&place.path("one")) == files_below(&place.path("three")));
}

#[test]
fn a_part_is_analysed_by_any_groups_without_recording_again() {
    let place = Workplace::new();
    let study = place.record_tiny();
    let part = ["--steps", "..=9", "--layers", "1", "--examples", "0..1000", "--halves", "0", "--group-by", "label"];
    stdout(&place, &[&["analyze", "tiny", "--null-worlds", "50"], &part[..]].concat());
    let options = serde_json::to_value(&results(&study).summary().options).expect("JSON");
    let expected = serde_json::json!({ "group_by": "label", "steps": "0..10", "layers": ["1"], "examples": "0..1000",
        "statistics": null, "halves": 0, "null_worlds": 50, "kept_worlds": 3, "seed": 0 });
    assert_eq!(options, expected);
    let runs = table(&study, "runs");
    assert_eq!((runs.count("recorded_steps", 1), runs.count("coordinates", 1)), (Some(10), Some(40)));
    assert!(runs.count("sampled_examples", 1).is_some_and(|n| n > 0 && n < 60));
}

#[test]
fn what_cannot_be_analysed_is_said_and_exits_with_1() {
    let place = Workplace::new();
    place.record_tiny();
    place.write("groups.csv", "example_id,group\n0,a\n");
    for (option, value, expected) in [
        ("--group-by", "labels", "labels"),
        ("--group-by", "groups.csv", "no group for example"),
        ("--layers", "2", "has no layer `2`: its layers are layer.0, layer.1"),
        ("--statistics", "shares,coherent", "no statistic `coherent` (did you mean `m_coherence`?); there are"),
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
    let place = Workplace::new();
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
    let place = Workplace::new();
    let study = place.record_tiny();
    let before = files_below(&study);
    let again = stdout(&place, &["record", "tiny.toml", "--out", "tiny"]);
    assert!(again.contains("2 recorded before"), "{again}");
    assert!(before == files_below(&study));
}

#[test]
fn quiet_prints_nothing() {
    let place = Workplace::new();
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
    let place = Workplace::new();
    stdout(&place, &["demo", "--out", "demo"]);
    let (groups, shares) = (table(&place.path("demo"), "groups"), table(&place.path("demo"), "shares"));
    let sampled = |group: &str| groups.number("sampled", row(&groups, 0.5, &[("group", group)])).expect("a number");
    let group_size = sampled("pristine") / (sampled("pristine") + sampled("corrupt"));
    let first = row(&shares, 0.5, &[("estimator", "paper"), ("group", "pristine")]);
    assert_eq!((shares.integer("step", first), shares.count("world", first)), (Some(0), Some(0)));
    assert!(shares.number("share", first).expect("α") > group_size);
    let tests = table(&place.path("demo"), "tests");
    let crossover = row(&tests, 0.5, &[("estimator", "paper"), ("statistic", "crossover"), ("group_a", "pristine")]);
    assert!(tests.number("observed", crossover).expect("K") > 0.0 && tests.number("p", crossover).expect("p") < 0.05);
    assert!(place.path("demo/report/index.html").is_file());
    assert!(place.path("demo-winsorize/report/winsorization.svg").is_file());
}

#[test]
fn chosen_statistics_are_computed_alone_and_all_are_listed() {
    let place = Workplace::new();
    let study = place.record_tiny();
    let listed = stdout(&place, &["analyze", "--statistics", "list"]);
    assert!(listed.lines().count() > 15 && listed.contains("gsnr") && listed.contains("shares"), "{listed}");
    stdout(&place, &["analyze", "tiny", "--statistics", "shares,cumulative", "--null-worlds", "50"]);
    let results = results(&study);
    let tables: Vec<&str> = results.tables().collect();
    assert!(
        tables.contains(&"shares") && tables.contains(&"differences") && !tables.contains(&"coherence"),
        "{tables:?}"
    );
    stdout(&place, &["report", "tiny"]);
}
