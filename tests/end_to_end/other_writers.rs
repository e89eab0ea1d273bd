//! Traces that another program wrote, or an earlier version of this one: analysed, reported and audited like any other.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::Workplace;

/// A Python that has pyarrow: that of `COGRAD_PYTHON`, else `python3`; `None` without one.
fn python() -> Option<String> {
    let chosen = std::env::var("COGRAD_PYTHON").ok();
    let python = chosen.clone().unwrap_or_else(|| "python3".to_string());
    let works = Command::new(&python).args(["-c", "import numpy, pyarrow"]).output();
    if works.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    assert!(chosen.is_none(), "COGRAD_PYTHON={python} has no numpy and pyarrow");
    eprintln!("SKIPPED: python3 has no pyarrow; set COGRAD_PYTHON to a Python that has");
    None
}

/// The program `write_trace.py` of the format's document.
fn program() -> String {
    let document = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/trace-format.md")).unwrap();
    let begin = document.find("```python\n# write_trace.py\n").expect("the document has the program");
    let program = &document[begin + "```python\n".len()..];
    program[..program.find("```").expect("its end")].to_string()
}

/// An attention network with more than 256 classes, without label noise, with a skipped step: its parameters are called by their
/// names, its own columns are groups, and the audit finds nothing to object to.
#[test]
fn the_documents_attention_network_is_analysed_reported_and_audited_by_its_names() {
    let Some(python) = python() else { return };
    let place = Workplace::new();
    let written = Command::new(python).arg("-c").arg(program()).arg(place.path("study")).output().unwrap();
    assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));

    let inspected = place.cograd(["inspect", "study"]).output().unwrap();
    let inspected = String::from_utf8(inspected.stdout).unwrap();
    assert!(inspected.contains("attention.query.weight") && inspected.contains("overflowed"), "{inspected}");

    for (group_by, out) in [("genre", "by-genre"), ("repeats_a_token", "by-repeats"), ("mean_token:3", "by-mean")] {
        place.cograd(["analyze", "study", "--group-by", group_by, "--out", out, "-q"]).assert().success();
    }
    place.cograd(["analyze", "study", "--layers", "attention.*,head", "--out", "some-layers", "-q"]).assert().success();
    place.cograd(["analyze", "study", "--group-by", "genre", "-q"]).assert().success();
    place.cograd(["report", "study", "-q"]).assert().success();
    let page = fs::read_to_string(place.path("study/report/index.html")).unwrap();
    assert!(page.contains("attention.query") && page.contains("prose"), "names of layers and groups are on the page");
    assert!(!page.contains("pristine") && !page.contains("Predictions"), "nothing is said of label noise");
    place.cograd(["export", "study", "--table", "coherence", "-q"]).assert().success();
    let coherence = fs::read_to_string(place.path("study/export/coherence.csv")).unwrap();
    assert!(coherence.lines().any(|line| line.contains("attention.query")), "layers by name");
    let audit = place.cograd(["audit", "study"]).output().unwrap();
    assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stdout));
}

/// Real studies of versions 1 and 2 of the format.
#[test]
fn studies_of_earlier_formats_are_analysed_reported_and_audited() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("trace/tests/fixtures");
    for version in ["version-1", "version-2"] {
        let place = Workplace::new();
        let study = place.path("study");
        copy(&fixtures.join(version), &study);
        place.cograd(["analyze", "study", "-q"]).assert().success();
        place.cograd(["report", "study", "-q"]).assert().success();
        let audit = place.cograd(["audit", "study"]).output().unwrap();
        assert!(audit.status.success(), "{version}: {}", String::from_utf8_lossy(&audit.stdout));
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target)
        } else {
            fs::copy(entry.path(), &target).map(|_| ()).unwrap()
        }
    }
}
