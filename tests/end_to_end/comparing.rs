//! Studies beside each other and results in other formats, through the binary.

use std::fs;

use crate::common::{TINY, Workplace, files_below};

/// Records and analyses [`TINY`] with some lines replaced, as the study of a name.
fn analysed(place: &Workplace, name: &str, changes: &[(&str, &str)]) {
    let text =
        changes.iter().fold(TINY.replace("name = \"tiny\"", &format!("name = \"{name}\"")), |text, (from, to)| {
            assert!(text.contains(from), "{from}");
            text.replace(from, to)
        });
    let file = format!("{name}.toml");
    place.write(&file, &text);
    place.cograd(["record", &file, "--out", name, "--quiet"]).assert().success();
    place.cograd(["analyze", name, "--null-worlds", "50", "--halves", "40", "--quiet"]).assert().success();
}

fn failure(place: &Workplace, arguments: &[&str]) -> String {
    let failed = place.cograd(arguments.iter().copied()).assert().code(1);
    String::from_utf8(failed.get_output().stderr.clone()).expect("UTF-8")
}

const SEEDS: (&str, &str) = ("seeds = [1]", "seeds = [1, 2, 3]");

#[test]
fn studies_with_seeds_are_compared_and_tested() {
    let place = Workplace::new();
    analysed(&place, "slow", &[SEEDS]);
    analysed(&place, "fast", &[SEEDS, ("learning_rate = 0.1", "learning_rate = 0.5")]);
    let compared = place.cograd(["compare", "slow", "fast"]).assert().success();
    let said = String::from_utf8(compared.get_output().stdout.clone()).expect("UTF-8");
    assert!(said.contains("comparison/index.html") && !said.contains("no difference was tested"), "{said}");
    for file in [
        "comparison.parquet",
        "comparison_tests.parquet",
        "summary.json",
        "train-accuracy.svg",
        "test-loss.svg",
        "share-paper.svg",
        "index.html",
        "manifest.json",
    ] {
        assert!(place.path("comparison").join(file).is_file(), "{file}");
    }
    let page = fs::read_to_string(place.path("comparison/index.html")).expect("the page");
    assert!(page.contains("Comparison of slow, fast") && page.contains("comparison_tests.parquet"));
    assert!(page.contains("<td>3, 3</td>"), "seeds of both");
    let figure = fs::read_to_string(place.path("comparison/train-accuracy.svg")).expect("a figure");
    for text in ["slow", "fast", "label noise ε = 0.5", "mean over seeds, 95 % t interval"] {
        assert!(figure.contains(&format!(">{text}<")), "{text}");
    }
}

#[test]
fn chosen_curves_of_single_seeds_are_compared_without_tests() {
    let place = Workplace::new();
    analysed(&place, "one", &[]);
    analysed(&place, "other", &[("noise = [0.0, 0.5]", "noise = [0.5, 0.75]")]);
    let arguments = ["compare", "one", "other/analysis", "--curve", "beta", "--estimator", "paper", "--out", "out"];
    let compared = place.cograd(arguments).assert().success();
    let said = String::from_utf8(compared.get_output().stdout.clone()).expect("UTF-8");
    assert!(said.contains("no difference was tested"), "{said}");
    let files: Vec<String> = fs::read_dir(place.path("out"))
        .expect("the comparison")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".svg"))
        .collect();
    assert_eq!(files, ["share-paper.svg"]);
}

#[test]
fn what_cannot_be_compared_is_said() {
    let place = Workplace::new();
    analysed(&place, "one", &[]);
    place.record_tiny();
    let said = failure(&place, &["compare", "one", "tiny"]);
    assert!(said.contains("tiny") && said.contains("cograd analyze"), "{said}");
    for again in ["one", "one/analysis", "./one"] {
        let said = failure(&place, &["compare", "one", again]);
        assert!(said.contains("named twice"), "{said}");
    }
    fs::rename(place.path("tiny"), place.path("other")).expect("renamed");
    place.cograd(["analyze", "other", "--null-worlds", "50", "--quiet"]).assert().success();
    let said = failure(&place, &["compare", "one", "other", "--curve", "gamma"]);
    assert!(said.contains("gamma") && said.contains("alpha") && said.contains("train_loss"), "{said}");
    let said = failure(&place, &["compare", "one", "other", "--estimator", "guess"]);
    assert!(said.contains("guess") && said.contains("paper"), "{said}");
    assert!(!place.path("comparison").exists());
    place.cograd(["compare", "one"]).assert().code(2);
}

#[test]
fn results_are_exported_with_every_row_and_digit() {
    let place = Workplace::new();
    analysed(&place, "study", &[]);
    place.cograd(["export", "study", "--format", "csv", "--format", "json"]).assert().success();
    let export = place.path("study/export");
    let json = fs::read(export.join("shares.json")).expect("JSON");
    let rows: Vec<serde_json::Value> = serde_json::from_slice(&json).expect("an array of objects");
    let csv = fs::read_to_string(export.join("shares.csv")).expect("CSV");
    let mut lines = csv.lines();
    let header: Vec<&str> = lines.next().expect("a header").split(',').collect();
    assert_eq!(&header[..4], ["run", "noise", "rule", "seed"]);
    let column = header.iter().position(|name| *name == "share").expect("share");
    let fields: Vec<&str> = lines.map(|line| line.split(',').nth(column).expect("a field")).collect();
    for (field, row) in fields.iter().zip(&rows) {
        let value = &row.as_object().expect("a row")["share"];
        assert_eq!(field.is_empty(), value.is_null(), "{field:?} {value}");
    }
    assert!(fields.contains(&""), "a run without noise has no shares");
    assert_eq!(csv.lines().count(), rows.len() + 1);
    let tables = |directory: &str, ending: &str| {
        let entries = fs::read_dir(place.path(directory)).expect("a directory");
        let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> = names.filter_map(|name| Some(name.strip_suffix(ending)?.to_string())).collect();
        names.sort();
        names
    };
    let all = tables("study/analysis", ".parquet");
    assert!(all.iter().any(|name| name == "over_seeds"), "{all:?}");
    assert_eq!(tables("study/export", ".csv"), all);
    assert_eq!(tables("study/export", ".json"), all);
}

/// Results are all that a report needs: they can be kept, and drawn again, without the study.
#[test]
fn results_alone_are_drawn_as_those_of_their_study() {
    let place = Workplace::new();
    analysed(&place, "study", &[]);
    place.cograd(["report", "study", "--quiet"]).assert().success();
    fs::rename(place.path("study/analysis"), place.path("results")).expect("moved");
    place.cograd(["report", "results", "--out", "drawn", "--quiet"]).assert().success();
    assert_eq!(files_below(&place.path("drawn")), files_below(&place.path("study/report")));
}

/// The results that the documents are about are drawn from the repository alone.
#[test]
fn kept_results_are_drawn() {
    let place = Workplace::new();
    let kept = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/results");
    let entries = fs::read_dir(kept).expect("the kept results").map(|entry| entry.expect("an entry").path());
    let studies: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    assert!(!studies.is_empty());
    for study in studies {
        let name = study.file_name().expect("a name").to_string_lossy().into_owned();
        place.cograd(["report", &study.to_string_lossy(), "--out", &name, "--quiet"]).assert().success();
        assert!(place.path(&name).join("overview.svg").is_file() || place.path(&name).join("overview-1.svg").is_file());
    }
}

#[test]
fn an_export_names_unknown_tables_and_missing_results() {
    let place = Workplace::new();
    place.record_tiny();
    let said = failure(&place, &["export", "tiny"]);
    assert!(said.contains("tiny/analysis") && said.contains("cograd analyze"), "{said}");
    place.cograd(["analyze", "tiny", "--null-worlds", "50", "--quiet"]).assert().success();
    let said = failure(&place, &["export", "tiny", "--table", "curve"]);
    assert!(said.contains("`curve`") && said.contains("curves") && said.contains("tests"), "{said}");
    assert!(!place.path("tiny/export").exists());
    place.cograd(["export", "tiny", "--table", "tests", "--table", "null", "--quiet"]).assert().success();
    // Two tables, and the marker of the command.
    assert_eq!(fs::read_dir(place.path("tiny/export")).expect("the export").count(), 3);
    place.cograd(["export", "tiny", "--format", "xml"]).assert().code(2);
}
