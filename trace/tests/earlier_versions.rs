//! Studies of versions 1 and 2 of the format, recorded by the programs of their time, are read as version 3.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use cograd_trace::{Condition, Conditions, Coordinate, ExampleColumn, Layer, Metric, Parameter, Run, Study, Task};
use common::{edit_manifest, replace};
use parquet::file::properties::WriterProperties;
use serde_json::json;

fn fixture(version: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/version-{version}"))
}

/// A copy of a run of version 2, to be changed.
fn copy_of_version_2() -> (tempfile::TempDir, PathBuf) {
    let (study, from) = (tempfile::tempdir().unwrap(), fixture(2).join("runs/sgd_noise-0.5_seed-3"));
    let run = study.path().join("runs/sgd_noise-0.5_seed-3");
    for file in Run::open(&from).unwrap().manifest().files.keys().map(String::as_str).chain(["manifest.json"]) {
        fs::create_dir_all(run.join(file).parent().unwrap()).unwrap();
        fs::copy(from.join(file), run.join(file)).unwrap();
    }
    (study, run)
}

fn conditions(rule: &str, seed: u64) -> Conditions {
    Conditions::new(Some(seed)).with("rule", rule).with("noise", 0.5)
}

/// What the runs of both fixtures have in common.
fn check_run(run: &Run, squares: f64) {
    run.verify().unwrap();
    let (manifest, mlp) = (run.manifest(), Some("mlp".to_string()));
    let task = Task { loss: Some("cross-entropy".to_string()), network: mlp, classes: Some(10), ..Task::default() };
    assert_eq!((&manifest.task, manifest.skipped_steps.len(), manifest.population_examples), (&task, 0, 72));
    assert_eq!(run.network_widths().unwrap(), Some(vec![64, 6, 10]));
    let shapes: [(&str, &[u64]); 4] =
        [("layer.0.weight", &[6, 64]), ("layer.0.bias", &[6]), ("layer.1.weight", &[10, 6]), ("layer.1.bias", &[10])];
    let parameters = shapes.map(|(name, shape)| Parameter::new(name, shape, Some("linear")));
    assert_eq!(run.parameters().unwrap(), parameters);
    let sizes: Vec<_> = run.layers().unwrap().into_iter().map(|Layer { name, size, .. }| (name, size)).collect();
    assert_eq!(sizes, [("layer.0".to_string(), Some(390)), ("layer.1".to_string(), Some(70))]);
    assert_eq!(run.coordinates().unwrap().len(), 10);

    let steps = run.map_steps(|step| {
        assert_eq!((step.example_ids.len(), step.coordinates), (8, 10));
        (step.step, step.values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>())
    });
    let (steps, sums): (Vec<i64>, Vec<f64>) = steps.unwrap().into_iter().unzip();
    assert_eq!(steps, [0, 1, 2, 3, 10]);
    assert!((sums.iter().sum::<f64>() - squares).abs() < 1e-12, "{sums:?}");

    let names: Vec<String> = run.example_columns().unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["label", "original_label", "pristine", "learned_step"]);
    let names = ["layer.0.weight", "layer.0.bias", "layer.1.weight", "layer.1.bias"];
    assert_eq!(run.snapshots(), [0, 1, 10, 12]);
    assert!(run.weights(12).unwrap().iter().map(|tensor| tensor.name.as_str()).eq(names));
}

#[test]
fn version_1_is_read() {
    let study = Study::open(&fixture(1)).unwrap();
    assert_eq!(study.runs().len(), 2);
    for (run, (seed, squares)) in study.runs().iter().zip([(3, 2.071206479558923), (4, 0.4127511002749574)]) {
        assert_eq!((run.manifest().format_version, &run.manifest().conditions), (1, &conditions("sgd", seed)));
        check_run(run, squares);
        assert!(run.population_steps().is_empty() && common::read_population(run).unwrap().is_empty());
        assert!(run.gradient_norms().unwrap().is_empty());
        assert_eq!(run.inputs().unwrap(), None);
    }
}

#[test]
fn version_2_is_read() {
    let study = Study::open(&fixture(2)).unwrap();
    let [sgd, winsorized] = study.runs() else { panic!("two runs") };
    assert_eq!((sgd.manifest().format_version, &sgd.manifest().conditions), (2, &conditions("sgd", 3)));
    let expected = conditions("winsorized", 3).with("winsorization", 2.5);
    assert_eq!(winsorized.manifest().conditions, expected);
    assert!(matches!(winsorized.manifest().conditions.get("noise"), Some(Condition::Number(_))));
    check_run(sgd, 2.071206479558923);
    check_run(winsorized, 2.095639181379784);

    assert_eq!(sgd.examples().unwrap().sampled_ids(), [9, 32, 34, 36, 39, 45, 58, 61]);
    let column = |name: &str| match sgd.example_column(name).unwrap().unwrap() {
        ExampleColumn::Integers(values) => values[..6].to_vec(),
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!(column("label"), [0, 1, 2, 6, 4, 6].map(Some));
    assert_eq!(column("original_label"), [0, 1, 2, 3, 4, 5].map(Some));
    assert_eq!(column("learned_step"), [None, None, None, Some(10), None, Some(10)]);
    let ExampleColumn::Booleans(pristine) = sgd.example_column("pristine").unwrap().unwrap() else { panic!() };
    assert_eq!(pristine[..6], [true, true, true, false, true, false].map(Some));

    let coordinates = sgd.coordinates().unwrap();
    assert_eq!(coordinates[0], Coordinate { parameter: 0, index: 11 });
    assert_eq!(coordinates[7], Coordinate { parameter: 2, index: 5 * 6 + 2 });

    let metrics = sgd.metrics().unwrap();
    assert_eq!(metrics.len(), 32);
    let pristine = |metric: &str, value| Metric {
        step: 0,
        split: "train".to_string(),
        group: "pristine".to_string(),
        metric: metric.to_string(),
        value,
        examples: 42,
    };
    let expected = [pristine("loss", 2.2790104750611224), pristine("accuracy", 0.11904761904761904)];
    assert_eq!(metrics[2..4], expected);

    let sums = sgd.map_population(|step| {
        assert_eq!((step.example_ids.len(), step.layers.len()), (72, 2));
        let total: f64 = step.layers.iter().map(|layer| layer.self_terms.unwrap()[5]).sum();
        assert!((total - step.self_terms.unwrap()[5]).abs() < 1e-12);
        let self_terms: f64 = step.layers[1].self_terms.unwrap().iter().sum();
        (step.step, step.contributions.iter().sum::<f64>(), self_terms)
    });
    let expected = [
        (0, 324.81585736240964, 101.01915031261613),
        (1, 294.33396840897797, 100.56465203249107),
        (10, 195.97627625183685, 94.5741987550949),
    ];
    for (found, expected) in sums.unwrap().into_iter().zip(expected) {
        assert_eq!(found.0, expected.0);
        assert!((found.1 - expected.1).abs() < 1e-9 && (found.2 - expected.2).abs() < 1e-9, "{found:?}");
    }
    let norms = sgd.gradient_norms().unwrap();
    assert_eq!((norms.len(), norms[1].layer, norms[1].gradient_norm_sq), (6, 1, 59.28672107274019));

    let inputs = sgd.inputs().unwrap().unwrap();
    assert_eq!((inputs.len(), inputs[0].name.as_str(), &inputs[0].shape[..]), (1, "input", &[8, 64][..]));
    assert_eq!(inputs[0].values[64..69], [0.0, 0.12156863, 0.8117647, 1.0, 1.0]);
}

#[test]
fn a_network_that_version_2_does_not_state_has_layers_of_unknown_size() {
    let (study, run) = copy_of_version_2();
    let column = |values: [u32; 10]| Arc::new(UInt32Array::from(values.to_vec())) as ArrayRef;
    let batch = RecordBatch::try_from_iter([
        ("coordinate", column([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])),
        ("layer", column([0, 0, 0, 1, 1, 1, 7, 7, 4_000_000_000, 4_000_000_000])),
        ("row", column([0, 0, 1, 0, 0, 1, 0, 0, 0, 1])),
        ("column", column([0, 1, 0, 0, 1, 0, 0, 1, 0, 0])),
    ]);
    replace(&run, "coordinates.parquet", &batch.unwrap(), 100, WriterProperties::default());
    edit_manifest(&run, |manifest| {
        manifest["network"] = json!([]);
        manifest["files"].as_object_mut().unwrap().remove("inputs.parquet");
        manifest["rule"] = json!("adamw(lr=0.1)");
    });
    let study = Study::open(study.path()).unwrap();
    let run = &study.runs()[0];
    assert_eq!(run.manifest().conditions, conditions("adamw(lr=0.1)", 3));
    assert_eq!((run.manifest().task.network.as_deref(), run.network_widths().unwrap()), (None, None));
    let layer =
        |place: usize, number: u32| Layer { name: format!("layer.{number}"), parameters: vec![place], size: None };
    assert_eq!(run.layers().unwrap(), [layer(0, 0), layer(1, 1), layer(2, 7), layer(3, 4_000_000_000)]);
    let parameters = run.parameters().unwrap();
    assert_eq!((parameters.len(), parameters[2].name.as_str(), parameters[2].shape.len()), (4, "layer.7", 0));
    let places: Vec<u32> = run.coordinates().unwrap().iter().map(|coordinate| coordinate.parameter).collect();
    assert_eq!(places, [0, 0, 0, 1, 1, 1, 2, 2, 3, 3]);
    // The population has those that it was recorded of.
    assert_eq!(run.gradient_norms().unwrap().len(), 6);
    assert_eq!(run.map_population(|step| step.layers.len()).unwrap(), [2, 2, 2]);
    assert_eq!(run.weights(0).unwrap().len(), 4);
}

/// The error of reading a run of version 2 after `damage`.
fn error_after(damage: impl FnOnce(&Path)) -> String {
    let (_study, run) = copy_of_version_2();
    damage(&run);
    let read = Run::open(&run).and_then(|run| {
        run.coordinates()?;
        run.metrics()?;
        run.inputs()?;
        run.map_population(|_| ())?;
        run.gradient_norms()
    });
    read.unwrap_err().to_string()
}

#[test]
fn bad_input_of_version_2_is_named_as_ever() {
    let says = |message: String, parts: &[&str]| {
        parts.iter().for_each(|part| assert!(message.contains(part), "`{message}` does not say `{part}`"));
    };
    let field = |name: &'static str, value: serde_json::Value| {
        error_after(|run| edit_manifest(run, |manifest| manifest[name] = value))
    };
    says(field("noise", json!(1.5)), &["manifest.json", "noise is 1.5"]);
    says(field("network", json!([4, 0])), &["manifest.json", "network is [4, 0]"]);
    says(field("network", json!([])), &["manifest.json", "inputs.parquet", "network"]);
    says(field("network", json!([64, 6, 3])), &["coordinates.parquet", "`layer`", "[64, 6, 3]"]);
    says(field("network", json!([65, 6, 10])), &["inputs.parquet", "list<f32>[64]"]);
    let missing = error_after(|run| {
        edit_manifest(run, |manifest| drop(manifest["files"].as_object_mut().unwrap().remove("coordinates.parquet")));
    });
    says(missing, &["manifest.json", "coordinates.parquet is not listed"]);
    let column = |name: &'static str, values: Vec<u32>| {
        error_after(|run| {
            let columns = [("coordinate", 0), ("layer", 0), ("row", 0), ("column", 1)].map(|(other, step)| {
                let values = if other == name { values.clone() } else { (0..10).map(|row| row * step).collect() };
                let values = if other == "coordinate" && other != name { (0..10).collect() } else { values };
                (other, Arc::new(UInt32Array::from(values)) as ArrayRef)
            });
            let batch = RecordBatch::try_from_iter(columns).unwrap();
            replace(run, "coordinates.parquet", &batch, 100, WriterProperties::default());
        })
    };
    says(column("coordinate", vec![1; 10]), &["coordinates.parquet", "row 0", "`coordinate`", "in the order"]);
    says(column("column", vec![3; 10]), &["coordinates.parquet", "row 1", "earlier row"]);
    let step = error_after(|run| {
        let name = "population/part-0000000001.parquet";
        fs::copy(run.join("population/part-0000000000.parquet"), run.join(name)).unwrap();
        common::enter(run, name, 72);
    });
    says(step, &["part-0000000001.parquet", "row 0", "is 0 where step 1 is due"]);
}
