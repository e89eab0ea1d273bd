//! The Python programs in docs/trace-format.md: one writes a trace that this crate reads, the other reads one of ours.
//!
//! They need a Python with pyarrow: that of `COGRAD_PYTHON`, else `python3`, whose lack skips the tests.

mod common;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use cograd_trace::{Conditions, ExampleColumn, Run, Study};

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
    let [run] = study.runs() else { panic!("one run") };
    run.verify().unwrap();
    let manifest = run.manifest();
    let conditions = Conditions::new(Some(0)).with("rule", "gd").with("learning_rate", 2.0);
    assert_eq!((&manifest.conditions, manifest.task.classes), (&conditions, Some(300)));
    assert_eq!(run.examples().unwrap().len(), manifest.train_examples);
    assert_eq!(run.coordinates().unwrap().len(), manifest.coordinates);
    let layers: Vec<_> = run.layers().unwrap().into_iter().map(|layer| (layer.name, layer.size.unwrap())).collect();
    let expected = [("embedding", 2400), ("attention.query", 72), ("norm", 16), ("head", 2700)];
    assert_eq!(layers, expected.map(|(name, size)| (name.to_string(), size)));

    let columns: Vec<String> = run.example_columns().unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(columns, ["label", "learned_step", "genre", "repeats_a_token", "mean_token"]);
    let Some(ExampleColumn::Integers(labels)) = run.example_column("label").unwrap() else { panic!("integers") };
    assert!(labels.iter().flatten().any(|label| *label > 255));
    let Some(ExampleColumn::Texts(genres)) = run.example_column("genre").unwrap() else { panic!("texts") };
    assert!(genres.iter().all(|genre| matches!(genre.as_deref(), Some("code" | "prose"))));
    let metrics = run.metrics().unwrap();
    assert!(metrics.iter().any(|row| row.metric == "perplexity") && metrics.iter().any(|row| row.group == "code"));

    let steps = run.map_steps(|step| (step.step, step.values.iter().any(|value| *value != 0.0))).unwrap();
    assert_eq!(steps, manifest.recorded_steps.iter().map(|step| (*step, true)).collect::<Vec<_>>());
    let [skipped] = &manifest.skipped_steps[..] else { panic!("one skipped step") };
    assert!(skipped.reason.contains("overflowed") && !manifest.recorded_steps.contains(&skipped.step));
    assert_eq!(run.inputs().unwrap().unwrap()[0].shape, [manifest.sampled_examples, 4]);
    assert_eq!(run.weights(12).unwrap().len(), 7);

    // The contributions of all examples add up to the squared norm of the full gradient, layer by layer.
    let sums = run.map_population(|step| {
        let layers = step.layers.iter().map(|layer| layer.contributions.iter().sum::<f64>());
        layers.map(|sum| (step.step, sum)).collect::<Vec<_>>()
    });
    let (sums, norms) = (sums.unwrap().concat(), run.gradient_norms().unwrap());
    assert_eq!((sums.len(), norms.len()), (4 * manifest.recorded_steps.len(), sums.len()));
    for ((step, sum), norm) in sums.iter().zip(&norms) {
        let norm_sq = norm.gradient_norm_sq;
        assert!(*step == norm.step && (sum - norm_sq).abs() < 1e-9 * norm_sq, "{step}: {sum} {norm_sq}");
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
    let names = common::parameters().into_iter().map(|parameter| parameter.name).collect::<Vec<_>>().join(" ");
    let recorded = common::STEPS.iter().zip(norms).map(|(step, norm)| format!("{step} {norm:.6}"));
    let population = sums.iter().map(|(step, sum)| format!("population {step} {sum:.6}"));
    let expected: Vec<String> = [format!("parameters {names}")].into_iter().chain(recorded).chain(population).collect();
    assert_eq!(printed.lines().collect::<Vec<_>>(), expected);
}
