//! The Python programs in docs/trace-format.md: one writes a trace that this crate reads, the other reads one of ours.
//!
//! They need a Python with pyarrow: that of `COGRAD_PYTHON`, else `python3`, whose lack skips the tests.

mod common;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use cograd_trace::{Run, Study};

/// A Python that has pyarrow, or `None` after saying so past the capture of test output.
fn python() -> Option<String> {
    let chosen = std::env::var("COGRAD_PYTHON").ok();
    let python = chosen.clone().unwrap_or_else(|| "python3".to_string());
    let works = Command::new(&python).args(["-c", "import numpy, pyarrow"]).output();
    if works.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    assert!(chosen.is_none(), "COGRAD_PYTHON={python} has no numpy and pyarrow");
    let _ = writeln!(std::io::stderr(), "SKIPPED: python3 has no pyarrow; set COGRAD_PYTHON to a Python that has");
    None
}

/// The Python program in the format's document whose first line is `# NAME`.
fn program(name: &str) -> String {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/trace-format.md");
    let text = fs::read_to_string(document).unwrap();
    let begin =
        text.find(&format!("```python\n# {name}\n")).expect("the document has the program") + "```python\n".len();
    let end = text[begin..].find("```").expect("its end");
    text[begin..begin + end].to_string()
}

fn run_program(python: &str, name: &str, argument: &Path) -> String {
    let output = Command::new(python).arg("-c").arg(program(name)).arg(argument).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_trace_written_by_pyarrow_from_the_document_is_read() {
    let Some(python) = python() else { return };
    let study = tempfile::tempdir().unwrap();
    run_program(&python, "write_trace.py", study.path());
    let study = Study::open(study.path()).unwrap();
    for run in study.runs() {
        run.verify().unwrap();
        let manifest = run.manifest();
        assert_eq!(run.examples().unwrap().len(), manifest.train_examples);
        assert_eq!(run.coordinates().unwrap().len(), manifest.coordinates);
        assert!(!run.metrics().unwrap().is_empty());
        let steps = run.map_steps(|step| (step.step, step.values.iter().any(|value| *value != 0.0))).unwrap();
        assert_eq!(steps, manifest.recorded_steps.iter().map(|step| (*step, true)).collect::<Vec<_>>());
        assert_eq!(run.inputs().unwrap().unwrap().len(), manifest.sampled_examples);
        // The contributions of all examples add up to the squared norm of the full gradient.
        let sums = run.map_population(|step| (step.step, step.contributions.iter().sum::<f64>())).unwrap();
        let norms = run.gradient_norms().unwrap();
        assert_eq!(sums.len(), manifest.recorded_steps.len());
        for ((step, sum), norm) in sums.iter().zip(&norms) {
            let norm_sq = norm.gradient_norm_sq;
            assert!(*step == norm.step && (sum - norm_sq).abs() < 1e-5 * norm_sq, "{step}: {sum} {norm_sq}");
        }
    }
}

#[test]
fn a_trace_of_ours_is_read_by_pyarrow_as_the_document_says() {
    let Some(python) = python() else { return };
    let study = tempfile::tempdir().unwrap();
    let run: Run = common::record(study.path()).unwrap();
    let printed = run_program(&python, "read_trace.py", run.directory());
    let norms = run.map_steps(|step| step.values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>()).unwrap();
    let sums = run.map_population(|step| (step.step, step.contributions.iter().sum::<f64>())).unwrap();
    let recorded = common::STEPS.iter().zip(norms).map(|(step, norm)| format!("{step} {norm:.6}"));
    let population = sums.iter().map(|(step, sum)| format!("population {step} {sum:.6}"));
    let expected: Vec<String> = recorded.chain(population).collect();
    assert_eq!(printed.lines().collect::<Vec<_>>(), expected);
}
