//! Every way in which a trace can be bad is an error that names the file and what to do.

mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, DictionaryArray, Float16Array, Float32Array, Float64Array, Int8Array, Int16Array,
    Int64Array, LargeStringArray, ListArray, RecordBatch, StringArray, StringViewArray, TimestampSecondArray,
    UInt8Array, UInt32Array, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Int8Type, Schema, UInt64Type};
use cograd_trace::{ExampleColumn, Run, Study, TraceError};
use common::{
    COORDINATES, POPULATION_STEPS, PopulationTable, Rows, STEPS, TRAIN, directory, edit_manifest, enter, record,
    remove, replace,
};
use parquet::file::properties::WriterProperties;
use serde_json::json;

const PART: &str = "gradients/part-00000.parquet";

/// The error of opening and reading a run after `damage`.
fn error_after(damage: impl FnOnce(&Path)) -> String {
    let study = tempfile::tempdir().unwrap();
    record(study.path()).unwrap();
    damage(&directory(study.path()));
    let read = Study::open(study.path()).and_then(|study| {
        let run = &study.runs()[0];
        run.map_steps(|_| ())?;
        run.map_population(|_| ())?;
        run.gradient_norms()?;
        run.inputs()?;
        run.coordinates()?;
        run.example_columns()?.iter().try_for_each(|(name, _)| run.example_column(name).map(|_| ()))?;
        run.metrics()?;
        run.snapshots().into_iter().try_for_each(|step| run.weights(step).map(|_| ()))?;
        run.verify()
    });
    let error = read.expect_err("a damaged run must not be read");
    let message = match std::error::Error::source(&error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    assert!(message.contains(study.path().to_str().unwrap()), "{message} does not name a path");
    message
}

#[track_caller]
fn assert_says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "`{message}` does not say `{part}`");
    }
}

#[test]
fn a_directory_that_is_no_study_is_named() {
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(Study::open(empty.path()), Err(TraceError::NotAStudy { .. })));
    assert!(matches!(Run::open(empty.path()), Err(TraceError::NotARun { .. })));
    fs::write(empty.path().join("study.toml"), "").unwrap();
    let error = Study::open(empty.path()).unwrap_err();
    assert_says(&error.to_string(), &["no finished run", empty.path().to_str().unwrap()]);
}

#[test]
fn another_format_version_is_named_with_ours() {
    let message = error_after(|run| {
        fs::write(run.join("manifest.json"), r#"{"format_version": 4, "everything": "else"}"#).unwrap();
    });
    assert_says(&message, &["manifest.json", "format_version 4", "reads versions 1 to 3"]);
}

#[test]
fn a_manifest_that_does_not_parse_is_named_with_line_and_field() {
    let truncate = |run: &Path| {
        let text = fs::read_to_string(run.join("manifest.json")).unwrap();
        fs::write(run.join("manifest.json"), &text[..text.len() / 2]).unwrap();
    };
    assert_says(&error_after(truncate), &["manifest.json", "not a valid manifest", "line"]);
    let nan = |run: &Path| {
        let text = fs::read_to_string(run.join("manifest.json")).unwrap();
        fs::write(run.join("manifest.json"), text.replace("\"noise\": 0.25", "\"noise\": NaN")).unwrap();
    };
    assert_says(&error_after(nan), &["manifest.json", "line 5"]);
    let nested = |run: &Path| edit_manifest(run, |manifest| manifest["conditions"]["layers"] = json!([1, 2]));
    assert_says(&error_after(nested), &["manifest.json", "condition `layers` is [1,2]", "line"]);
    let seed = |run: &Path| edit_manifest(run, |manifest| manifest["conditions"]["seed"] = json!("one"));
    assert_says(&error_after(seed), &["manifest.json", "seed is \"one\""]);
    let missing = |run: &Path| edit_manifest(run, |manifest| drop(manifest.as_object_mut().unwrap().remove("steps")));
    assert_says(&error_after(missing), &["manifest.json", "missing field `steps`"]);
    let unfinished = |run: &Path| edit_manifest(run, |manifest| manifest["status"] = json!("running"));
    assert_says(&error_after(unfinished), &["manifest.json", "running", "finished"]);
}

#[test]
fn a_manifest_that_cannot_be_is_refused() {
    let says = |field: &'static str, value: serde_json::Value, parts: &[&str]| {
        let message = error_after(|run| edit_manifest(run, |manifest| manifest[field] = value));
        assert_says(&message, &["manifest.json"]);
        assert_says(&message, parts);
    };
    says("conditions", json!({ "1st": 1 }), &["conditions: `1st` must be"]);
    says("task", json!({ "classes": 3, "class_names": ["a"] }), &["task: class_names has 1 names for 3 classes"]);
    says("task", json!({ "self_check": { "largest_relative_difference": -1.0, "examples": 2 } }), &["self_check"]);
    says("population_examples", json!(13), &["population_examples is 13"]);
    says("population_examples", json!(11), &["36 rows", "3 population steps of 11"]);
    says("skipped_steps", json!([{ "step": 3, "reason": "?" }]), &["skipped_steps: 3", "have rows"]);
    says("skipped_steps", json!([{ "step": 21, "reason": "?" }]), &["skipped_steps: 21", "0 to 20"]);
    let unordered = json!([{ "step": 5, "reason": "" }, { "step": 4, "reason": "" }]);
    says("skipped_steps", unordered, &["skipped_steps must ascend"]);
    says("run", json!("../x"), &["`../x`"]);
    says("run", json!("another"), &["`another`", "name of the directory"]);
    says("sampled_examples", json!(13), &["sampled_examples is 13"]);
    says("sampled_examples", json!(0), &["sampled_examples is 0"]);
    says("coordinates", json!(0), &["coordinates is 0"]);
    says("train_examples", json!(5_000_000_000_u64), &["train_examples"]);
    says("recorded_steps", json!([0, 0]), &["ascend"]);
    says("recorded_steps", json!([0, 21]), &["21", "steps 0 to 20"]);
    says("recorded_steps", json!([0, 1]), &["30 rows", "2 recorded steps of 5"]);
    says("population_steps", json!([0, 3, 3]), &["population_steps", "ascend"]);
    says("population_steps", json!([0, 3, 21]), &["21", "steps 0 to 20"]);
    says("population_steps", json!([0, 3]), &["36 rows", "2 population steps of 12"]);
}

#[test]
fn paths_of_the_manifest_stay_inside_the_run() {
    for path in ["../../secret", "/etc/passwd", "a//b", "..", "a\\b", "c:x", ""] {
        let message = error_after(|run| {
            let entry = json!({ "bytes": 1, "sha256": "0".repeat(64) });
            edit_manifest(run, |manifest| manifest["files"][path] = entry);
        });
        assert_says(&message, &["manifest.json", "inside the run directory"]);
    }
}

#[test]
fn a_file_the_manifest_should_list_is_named() {
    for file in ["examples.parquet", "parameters.parquet", "coordinates.parquet", "population/gradient-norms.parquet"] {
        let message = error_after(|run| {
            edit_manifest(run, |manifest| drop(manifest["files"].as_object_mut().unwrap().remove(file)));
        });
        assert_says(&message, &["manifest.json", file, "not listed"]);
    }
}

#[test]
fn a_missing_truncated_or_altered_file_is_named() {
    let files = [
        PART,
        "population/part-0000000003.parquet",
        "population/gradient-norms.parquet",
        "inputs.safetensors",
        "examples.parquet",
        "parameters.parquet",
        "coordinates.parquet",
        "metrics.parquet",
        "weights/step-00000020.safetensors",
    ];
    for file in files {
        assert_says(&error_after(|run| fs::remove_file(run.join(file)).unwrap()), &[file, "missing"]);
        let verified = |damage: fn(&mut Vec<u8>)| {
            let study = tempfile::tempdir().unwrap();
            let run = record(study.path()).unwrap();
            let path = run.directory().join(file);
            let mut bytes = fs::read(&path).unwrap();
            damage(&mut bytes);
            fs::write(&path, bytes).unwrap();
            run.verify().unwrap_err().to_string()
        };
        assert_says(&verified(|bytes| bytes.truncate(bytes.len() - 9)), &[file, "altered or truncated", "bytes where"]);
        assert_says(&verified(|bytes| bytes[20] ^= 1), &[file, "altered or truncated", "SHA-256"]);
    }
}

#[test]
fn no_altered_byte_of_a_gradient_file_can_panic_the_reader() {
    let study = tempfile::tempdir().unwrap();
    let directory = record(study.path()).unwrap().directory().to_path_buf();
    for halves in [false, true] {
        if halves {
            replace(&directory, PART, &Rows::new(&STEPS).halves(), 10, WriterProperties::default());
        }
        let (run, path) = (Run::open(&directory).unwrap(), directory.join(PART));
        let whole = fs::read(&path).unwrap();
        // Some are read as other numbers, which only the hash reveals.
        for place in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[place] ^= 0x55;
            fs::write(&path, bytes).unwrap();
            let _ = run.map_steps(|step| step.values.len());
            assert!(run.verify().is_err());
        }
        fs::write(&path, whole).unwrap();
    }
}

#[test]
fn no_altered_byte_of_a_population_file_can_panic_the_reader() {
    let study = tempfile::tempdir().unwrap();
    let run = record(study.path()).unwrap();
    let path = run.directory().join("population/part-0000000003.parquet");
    let whole = fs::read(&path).unwrap();
    for place in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x55;
        fs::write(&path, bytes).unwrap();
        let _ = run.map_population(|step| step.contributions.len());
        assert!(run.verify().is_err());
    }
}

#[test]
fn any_altered_byte_of_the_manifest_is_noticed() {
    let study = tempfile::tempdir().unwrap();
    record(study.path()).unwrap();
    let path = directory(study.path()).join("manifest.json");
    let whole = fs::read(&path).unwrap();
    for place in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[place] ^= [1, 2, 3, 0x20][place % 4];
        fs::write(&path, bytes).unwrap();
        assert!(Study::open(study.path()).is_err(), "byte {place}");
    }
    let text = String::from_utf8(whole).unwrap();
    fs::write(&path, text.replace("\"steps\": 20", "\"steps\": 30")).unwrap();
    let error = Study::open(study.path()).unwrap_err().to_string();
    assert_says(&error, &["manifest.json", "was altered", "seal"]);
}

#[test]
fn a_manifest_without_a_seal_is_refused() {
    let message = error_after(|run| {
        let mut manifest = common::manifest(run);
        manifest.seal = String::new();
        fs::write(run.join("manifest.json"), serde_json::to_vec(&manifest).unwrap()).unwrap();
    });
    assert_says(&message, &["manifest.json", "no field `seal`"]);
}

/// The error of reading the small run with this population, in files and row groups as said.
fn error_of_population(change: impl FnOnce(&mut PopulationTable), file: usize, group: usize) -> String {
    let mut rows = PopulationTable::new(&POPULATION_STEPS);
    change(&mut rows);
    error_after(|run| rows.replace(run, file, group, WriterProperties::default()))
}

#[test]
fn population_rows_that_are_missing_null_or_out_of_order_are_named() {
    let last = "population/part-02.parquet";
    let all = "population/part-00.parquet";
    let missing = |rows: &mut PopulationTable| rows.without = vec!["contribution_by_layer"];
    assert_says(&error_of_population(missing, 3, 1), &[all, "`contribution_by_layer`", "list<f64>[2]", "missing"]);
    assert_says(&error_of_population(|rows| rows.steps[7] = None, 3, 3), &[all, "row 7", "`step`", "null"]);
    assert_says(&error_of_population(|rows| rows.ids[26] = None, 1, 1), &[last, "row 2", "`example_id`", "null"]);
    let null = |rows: &mut PopulationTable| rows.totals[0][13] = None;
    assert_says(&error_of_population(null, 3, 1), &[all, "row 13", "`contribution`", "null"]);
    let null = |rows: &mut PopulationTable| rows.by_layer[0][13] = None;
    assert_says(&error_of_population(null, 3, 1), &[all, "row 13", "`contribution_by_layer`", "null"]);
    // Either a whole step has self terms or none of it.
    let null = |rows: &mut PopulationTable| rows.totals[1][13] = None;
    assert_says(&error_of_population(null, 3, 1), &[all, "row 13", "`self_term`", "null"]);
    let null = |rows: &mut PopulationTable| rows.by_layer[1][14] = None;
    assert_says(&error_of_population(null, 3, 1), &[all, "row 14", "`self_term_by_layer`", "null"]);
    let short = |rows: &mut PopulationTable| {
        rows.ragged = true;
        rows.by_layer[0][26] = Some(vec![Some(1.0)]);
    };
    assert_says(&error_of_population(short, 1, 1), &[last, "row 2", "has 1 values, but should have 2"]);
    let wide = |rows: &mut PopulationTable| {
        rows.ragged = true;
        rows.by_layer[0].iter_mut().for_each(|list| list.as_mut().unwrap().push(Some(1.0)));
    };
    assert_says(&error_of_population(wide, 1, 1), &["part-00.parquet", "row 0", "has 3 values, but should have 2"]);
    let step = |rows: &mut PopulationTable| rows.steps[35] = Some(3);
    assert_says(&error_of_population(step, 1, 1), &[last, "row 11", "is 3 where step 10", "population_steps"]);
    let swapped = |rows: &mut PopulationTable| rows.ids.swap(1, 2);
    assert_says(&error_of_population(swapped, 3, 3), &[all, "row 1", "is 2 where example 1", "all training examples"]);
}

#[test]
fn population_steps_that_are_cut_or_missing_are_named() {
    let cut = error_after(|run| {
        let batch = PopulationTable::new(&[3]).batch();
        replace(run, "population/part-0000000003.parquet", &batch, 8, WriterProperties::default());
    });
    assert_says(&cut, &["part-0000000003.parquet", "row group 0 has 8 rows", "12 examples of the population"]);
    let short = error_after(|run| {
        let batch = PopulationTable::new(&[3]).batch().slice(0, 11);
        replace(run, "population/part-0000000003.parquet", &batch, 100, WriterProperties::default());
    });
    assert_says(&short, &["manifest.json", "35 rows", "3 population steps of 12"]);
    let missing = error_after(|run| {
        fs::remove_file(run.join("population/part-0000000003.parquet")).unwrap();
        let file = "population/part-0000000003.parquet";
        edit_manifest(run, |manifest| drop(manifest["files"].as_object_mut().unwrap().remove(file)));
    });
    assert_says(&missing, &["24 rows", "3 population steps"]);
}

#[test]
fn a_population_value_that_is_not_finite_is_named_by_step_and_example() {
    let nan = |rows: &mut PopulationTable| rows.by_layer[1][2 * 12 + 4].as_mut().unwrap()[1] = Some(f64::NAN);
    let says = ["part-02.parquet", "`self_term_by_layer[1]` of example 4 at step 10 is NaN"];
    assert_says(&error_of_population(nan, 1, 1), &says);
    let infinite = |rows: &mut PopulationTable| rows.totals[0][0] = Some(f64::INFINITY);
    assert_says(&error_of_population(infinite, 3, 3), &["`contribution` of example 0 at step 0 is inf"]);
}

#[test]
fn impossible_gradient_norms_are_named_by_row() {
    let norms = |layers: Vec<u32>, last: f64| {
        let batch = RecordBatch::try_from_iter([
            (
                "step",
                Arc::new(Int64Array::from_iter_values(layers.iter().zip(0..).map(|(_, row)| [0, 3, 10][row / 2])))
                    as ArrayRef,
            ),
            ("layer", Arc::new(UInt32Array::from(layers.clone()))),
            ("gradient_norm_sq", Arc::new(Float64Array::from([vec![1.0; layers.len() - 1], vec![last]].concat()))),
        ]);
        let file = "population/gradient-norms.parquet";
        error_after(|run| replace(run, file, &batch.unwrap(), 100, WriterProperties::default()))
    };
    assert_says(&norms(vec![0, 1, 0, 1, 0], 1.0), &["gradient-norms.parquet", "has 5 rows"]);
    assert_says(&norms(vec![0, 1, 1, 0, 0, 1], 1.0), &["gradient-norms.parquet", "row 2", "in this order"]);
    assert_says(&norms(vec![0, 1, 0, 1, 0, 1], f64::NAN), &["gradient-norms.parquet", "row 5", "is NaN"]);
    assert_says(&norms(vec![0, 1, 0, 1, 0, 1], -1.0), &["gradient-norms.parquet", "row 5", "is -1"]);
}

#[test]
fn impossible_tensors_are_named() {
    let tensors = |file: &'static str, name: &str, shape: Vec<usize>| {
        let bytes = vec![0; 4 * shape.iter().product::<usize>()];
        let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape, &bytes).unwrap();
        let text = safetensors::serialize([(name, view)], None).unwrap();
        error_after(|run| {
            fs::write(run.join(file), text).unwrap();
            enter(run, file, 0);
        })
    };
    assert_says(&tensors("inputs.safetensors", "x", vec![4, 4]), &["inputs.safetensors", "[4, 4]", "5 sampled"]);
    assert_says(&tensors("inputs.safetensors", "x", vec![]), &["inputs.safetensors", "x has the shape []"]);
    let file = "weights/step-00000020.safetensors";
    assert_says(&tensors(file, "layer.0.weight", vec![4, 3]), &[file, "layer.0.weight", "[4, 3]", "[3, 4]"]);
    let garbage = error_after(|run| {
        fs::write(run.join(file), [0xff; 100]).unwrap();
        enter(run, file, 0);
    });
    assert_says(&garbage, &[file, "not safetensors"]);
}

/// The error of workers with these examples, as places among the sampled ones, at these steps.
fn error_of_workers(workers: &[(&str, &[usize], &[i64])]) -> String {
    error_after(|run| {
        remove(run, "gradients/");
        for (name, places, steps) in workers {
            let name = format!("gradients/{name}/part-0.parquet");
            let rows = Rows::of_worker(steps, places).fixed();
            replace(run, &name, &rows, 2 * places.len(), WriterProperties::default());
        }
    })
}

#[test]
fn workers_that_do_not_share_the_examples_out_are_named() {
    let all = &STEPS[..];
    let twice = error_of_workers(&[("a", &[0, 1, 2], all), ("b", &[2, 4], all)]);
    assert_says(&twice, &["gradients/b", "has example 5, which a has too"]);
    let short = error_of_workers(&[("a", &[0, 1, 2, 3], &STEPS[..5]), ("b", &[4], all)]);
    assert_says(&short, &["manifest.json", "26 rows", "6 recorded steps of 5"]);
    let uneven = error_of_workers(&[("a", &[0, 1, 2, 3], all), ("b", &[4], &STEPS[..5]), ("c", &[4], &STEPS[5..])]);
    assert_says(&uneven, &["gradients/b", "has 5 rows, not the same examples at each of 6 steps"]);
    let message = error_after(|run| {
        remove(run, "gradients/");
        let mut rows = Rows::of_worker(all, &[0, 1, 2]);
        rows.ids[7] = Some(8);
        replace(run, "gradients/a/part-0.parquet", &rows.fixed(), 6, WriterProperties::default());
        let rows = Rows::of_worker(all, &[3, 4]).fixed();
        replace(run, "gradients/b/part-0.parquet", &rows, 4, WriterProperties::default());
    });
    assert_says(&message, &["gradients/a/part-0.parquet", "row 7", "is 8 where example 2 is due at step 2"]);
    let unsorted = error_of_workers(&[("a", &[1, 0, 2], all), ("b", &[3, 4], all)]);
    assert_says(&unsorted, &["gradients/a/part-0.parquet", "row 1", "is 1 after 2", "ascend"]);
    let cut = error_after(|run| {
        remove(run, "gradients/");
        for (name, places, group) in [("a", &[0_usize, 1, 2][..], 6), ("b", &[3, 4], 3)] {
            let name = format!("gradients/{name}/part-0.parquet");
            replace(run, &name, &Rows::of_worker(all, places).fixed(), group, WriterProperties::default());
        }
    });
    assert_says(&cut, &["gradients/b/part-0.parquet", "row group 0 has 3 rows", "2 sampled examples"]);
    let strange = error_after(|run| {
        remove(run, "gradients/");
        for (name, rows) in [("a", Rows::of_worker(all, &[0, 1, 2])), ("b", Rows::of_worker(all, &[3, 4]))] {
            let mut rows = rows;
            rows.ids.iter_mut().filter(|id| **id == Some(11)).for_each(|id| *id = Some(9));
            let name = format!("gradients/{name}/part-0.parquet");
            let group = rows.ids.len();
            replace(run, &name, &rows.fixed(), group, WriterProperties::default());
        }
    });
    assert_says(&strange, &["gradients/b", "has example 9, none of the examples that examples.parquet marks"]);
    let mixed = error_after(|run| {
        let rows = Rows::of_worker(&[], &[0]).ragged();
        replace(run, "gradients/a/part-0.parquet", &rows, 1, WriterProperties::default());
    });
    assert_says(&mixed, &["manifest.json", "gradients", "directories of workers"]);
    let deep = error_after(|run| {
        edit_manifest(run, |manifest| {
            let entry = manifest["files"][PART].clone();
            manifest["files"]["gradients/a/b/part-0.parquet"] = entry;
        });
    });
    assert_says(&deep, &["manifest.json", "gradients/a/b/part-0.parquet", "gradients/WORKER/part-*.parquet"]);
}

#[test]
fn a_worker_without_self_terms_beside_one_with_them_is_named() {
    let message = error_after(|run| {
        remove(run, "population/part-");
        let mut table = PopulationTable::new(&POPULATION_STEPS);
        for worker in 0..2 {
            if worker == 1 {
                table.without = vec!["self_term"];
            }
            let batch = table.batch();
            let rows = (0..batch.num_rows() as u32).filter(|row| row % 2 == worker);
            let batch = arrow::compute::take_record_batch(&batch, &UInt32Array::from_iter_values(rows)).unwrap();
            let name = format!("population/{worker}/part-0.parquet");
            replace(run, &name, &batch, TRAIN / 2, WriterProperties::default());
        }
    });
    assert_says(&message, &["population/1", "no `self_term` at step 0"]);
}

#[test]
fn a_missing_or_mistyped_column_is_named_with_both_types() {
    let write = |batch: RecordBatch| error_after(|run| replace(run, PART, &batch, 30, WriterProperties::default()));
    let batch = Rows::new(&STEPS).fixed();
    let without = batch.project(&[0, 2]).unwrap();
    assert_says(&write(without), &[PART, "`example_id`", "u32", "missing (the file has step, gradient)"]);
    let signed = arrow::compute::cast(batch.column(1), &DataType::Int32).unwrap();
    let fields = [batch.schema().field(0).clone(), Field::new("example_id", DataType::Int32, false)];
    let fields = [&fields[..], &[batch.schema().field(2).clone()]].concat();
    let columns = vec![batch.column(0).clone(), signed, batch.column(2).clone()];
    let mistyped = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    assert_says(&write(mistyped), &[PART, "`example_id`", "u32", "is i32"]);
    let mut narrow = Rows::new(&STEPS);
    narrow.lists.iter_mut().for_each(|list| list.truncate(COORDINATES - 1));
    assert_says(&write(narrow.fixed()), &[PART, "`gradient`", "list<f32>[7] or list<f16>[7]", "list<f32>[6]"]);
    let doubles = arrow::compute::cast(batch.column(2), &DataType::new_list(DataType::Float64, true)).unwrap();
    let doubles = RecordBatch::try_from_iter([
        ("step", batch.column(0).clone()),
        ("example_id", batch.column(1).clone()),
        ("gradient", doubles),
    ]);
    assert_says(&write(doubles.unwrap()), &[PART, "`gradient`", "list<f16>[7]", "is list<f64>"]);
    let damaged = error_after(|run| {
        fs::write(run.join(PART), "not parquet at all").unwrap();
        enter(run, PART, 30);
    });
    assert_says(&damaged, &[PART, "cannot be read as Parquet"]);
}

/// The error of reading the small run with these gradient rows, in row groups of `group` rows.
fn error_of(change: impl FnOnce(&mut Rows), ragged: bool, group: usize) -> String {
    let mut rows = Rows::new(&STEPS);
    change(&mut rows);
    let batch = if ragged { rows.ragged() } else { rows.fixed() };
    error_after(|run| replace(run, PART, &batch, group, WriterProperties::default()))
}

#[test]
fn rows_that_are_null_out_of_order_or_of_other_examples_are_named() {
    assert_says(&error_of(|rows| rows.steps[7] = None, false, 30), &[PART, "row 7", "`step`", "null"]);
    assert_says(&error_of(|rows| rows.ids[12] = None, false, 10), &[PART, "row 12", "`example_id`", "null"]);
    assert_says(&error_of(|rows| rows.lists[11][3] = None, false, 10), &[PART, "row 11", "`gradient`", "null"]);
    assert_says(&error_of(|rows| rows.steps[29] = Some(3), false, 5), &[PART, "row 29", "is 3 where step 20"]);
    assert_says(&error_of(|rows| rows.steps.swap(4, 5), false, 30), &[PART, "row 4", "is 1 where step 0"]);
    assert_says(&error_of(|rows| rows.ids.swap(6, 7), false, 30), &[PART, "row 6", "is 5 where example 2"]);
    assert_says(&error_of(|rows| rows.ids[14] = Some(10), false, 30), &[PART, "row 14", "is 10 where example 11"]);
}

#[test]
fn gradients_of_another_length_are_named_by_row() {
    assert_says(
        &error_of(|rows| rows.lists[13].truncate(COORDINATES - 1), true, 30),
        &[PART, "row 13", "has 6 values, but should have 7"],
    );
    assert_says(&error_of(|rows| rows.lists[13].push(Some(1.0)), true, 5), &[PART, "row 13", "8 values"]);
    assert_says(&error_of(|rows| rows.lists[13].clear(), true, 5), &[PART, "row 13", "empty"]);
    let moved = |rows: &mut Rows| {
        let value = rows.lists[1].pop().unwrap();
        rows.lists[2].push(value);
    };
    assert_says(&error_of(moved, true, 30), &[PART, "row 1", "6 values"]);
}

#[test]
fn row_groups_that_cut_a_step_are_named() {
    assert_says(&error_of(|_| (), false, 8), &[PART, "row group 0 has 8 rows", "5 sampled examples"]);
}

#[test]
fn a_gradient_that_is_not_finite_is_named_by_step_and_example() {
    let message = error_of(|rows| rows.lists[22][6] = Some(f32::NAN), false, 10);
    assert_says(&message, &[PART, "example 5 at step 10 is NaN at coordinate 6"]);
    let message = error_of(|rows| rows.lists[0][0] = Some(f32::INFINITY), true, 30);
    assert_says(&message, &[PART, "example 1 at step 0 is inf at coordinate 0"]);
}

#[test]
fn rows_that_the_manifest_does_not_count_are_named() {
    let message = error_after(|run| {
        replace(run, "gradients/part-00001.parquet", &Rows::new(&STEPS[..1]).fixed(), 5, WriterProperties::default());
        edit_manifest(run, |manifest| {
            manifest["files"]["gradients/part-00001.parquet"]["rows"] = json!(0);
        });
    });
    assert_says(&message, &["gradients/part-00001.parquet", "has 5 rows, but the manifest says 0"]);
}

/// The small run's examples as another program might write them, after `change` of ids, pristine and sampled.
fn examples(change: impl FnOnce(&mut Vec<Option<u32>>, &mut Vec<bool>, &mut Vec<bool>)) -> RecordBatch {
    let mut ids: Vec<Option<u32>> = (0..TRAIN as u32).map(Some).collect();
    let mut pristine: Vec<bool> = (0..TRAIN).map(|id| id != 5).collect();
    let mut sampled: Vec<bool> = (0..TRAIN as u32).map(|id| common::SAMPLED.contains(&id)).collect();
    change(&mut ids, &mut pristine, &mut sampled);
    let labels = |noisy: u8| Arc::new(UInt8Array::from_iter_values((0..12).map(|id| if id == 5 { noisy } else { 0 })));
    RecordBatch::try_from_iter_with_nullable([
        ("example_id", Arc::new(UInt32Array::from(ids)) as ArrayRef, true),
        ("label", labels(1), true),
        ("original_label", labels(7), true),
        ("pristine", Arc::new(BooleanArray::from(pristine)), true),
        ("sampled", Arc::new(BooleanArray::from(sampled)), true),
    ])
    .unwrap()
}

#[test]
fn impossible_examples_are_named_by_row() {
    let error = |batch: RecordBatch| {
        error_after(|run| replace(run, "examples.parquet", &batch, 100, WriterProperties::default()))
    };
    let file = "examples.parquet";
    assert_says(&error(examples(|ids, _, _| ids[3] = None)), &[file, "row 3", "`example_id`", "null"]);
    assert_says(&error(examples(|ids, _, _| ids[3] = Some(4))), &[file, "row 3", "is 4", "in order"]);
    assert_says(
        &error(examples(|_, pristine, _| pristine[5] = true)),
        &[file, "row 5", "`pristine`", "is true", "original_label"],
    );
    assert_says(&error(examples(|_, _, sampled| sampled[0] = true)), &[file, "6 examples marked", "manifest says 5"]);
    assert_says(&error(examples(|_, _, _| ()).slice(0, 11)), &[file, "has 11 rows", "train_examples is 12"]);
    // The same number of other examples: the gradients are not theirs.
    let others = |_: &mut Vec<Option<u32>>, _: &mut Vec<bool>, sampled: &mut Vec<bool>| sampled.swap(0, 1);
    assert_says(&error(examples(others)), &[PART, "row 0", "is 1 where example 0"]);
    let subset = || {
        let all = examples(|_, _, _| ());
        let columns = all.schema().fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
        let marks = BooleanArray::from((0..TRAIN).map(|id| id > 3).collect::<Vec<_>>());
        let columns = columns.into_iter().zip(all.columns().iter().cloned());
        RecordBatch::try_from_iter(columns.chain([("population".to_string(), Arc::new(marks) as ArrayRef)])).unwrap()
    };
    assert_says(&error(subset()), &[file, "8 examples in the population", "manifest says 12"]);
}

/// Puts a column `x`, as another program might write it, into the small run's examples.
fn with_column(column: ArrayRef, properties: WriterProperties) -> (tempfile::TempDir, Run) {
    let study = tempfile::tempdir().unwrap();
    record(study.path()).unwrap();
    let all = examples(|_, _, _| ());
    let batch = RecordBatch::try_from_iter([
        ("x", column),
        ("sampled", all.column(4).clone()),
        ("example_id", all.column(0).clone()),
    ]);
    replace(&directory(study.path()), "examples.parquet", &batch.unwrap(), 5, properties);
    let run = Run::open(&directory(study.path())).unwrap();
    (study, run)
}

#[test]
fn columns_of_any_width_and_kind_of_storage_are_read() {
    let read = |column: ArrayRef| {
        let (_study, run) = with_column(column, WriterProperties::default());
        assert_eq!(run.examples().unwrap().len(), TRAIN);
        run.example_column("x").unwrap().unwrap()
    };
    let integers = ExampleColumn::Integers((0..12).map(|id| (id != 2).then_some(id)).collect());
    let values = |id: i64| (id != 2).then_some(id);
    assert_eq!(read(Arc::new(Int8Array::from_iter((0..12).map(|id| values(id).map(|id| id as i8))))), integers);
    assert_eq!(read(Arc::new(Int16Array::from_iter((0..12).map(|id| values(id).map(|id| id as i16))))), integers);
    assert_eq!(read(Arc::new(UInt64Array::from_iter((0..12).map(|id| values(id).map(|id| id as u64))))), integers);
    let keys = Int8Array::from_iter((0..12).map(|id| values(id).map(|id| id as i8)));
    let numbers = Arc::new(UInt64Array::from_iter_values(0..12));
    assert_eq!(read(Arc::new(DictionaryArray::<Int8Type>::new(keys, numbers))), integers);

    // NaN is how pandas writes that there is none.
    let halves = |id: i64| if id == 2 { f32::NAN } else { id as f32 / 2.0 };
    let numbers = ExampleColumn::Numbers((0..12).map(|id| (id != 2).then_some(id as f64 / 2.0)).collect());
    let floats = Float32Array::from_iter_values((0..12).map(halves));
    let half: ArrayRef = arrow::compute::cast(&floats, &DataType::Float16).unwrap();
    assert!(half.as_any().is::<Float16Array>());
    assert_eq!(read(half), numbers);
    assert_eq!(read(Arc::new(floats)), numbers);

    let texts: Vec<Option<String>> = (0..12).map(|id| (id != 2).then(|| format!("class {}", id % 3))).collect();
    let expected = ExampleColumn::Texts(texts.clone());
    assert_eq!(read(Arc::new(LargeStringArray::from(texts.clone()))), expected);
    assert_eq!(read(Arc::new(StringViewArray::from(texts.clone()))), expected);
    assert_eq!(read(Arc::new(texts.iter().map(Option::as_deref).collect::<DictionaryArray<Int8Type>>())), expected);
}

#[test]
fn a_column_that_cannot_be_read_is_no_harm_until_it_is_asked_for() {
    let times = Arc::new(TimestampSecondArray::from(vec![0; TRAIN]));
    let (_study, run) = with_column(times, WriterProperties::default());
    assert_eq!(run.examples().unwrap().len(), TRAIN);
    assert_eq!(run.example_columns().unwrap(), []);
    let message = run.example_column("x").unwrap_err().to_string();
    assert_says(&message, &["examples.parquet", "`x`", "integers", "Timestamp"]);

    let large = Arc::new(UInt64Array::from_iter_values((0..12).map(|id| u64::MAX - id)));
    let (_study, run) = with_column(large, WriterProperties::default());
    assert_says(&run.example_column("x").unwrap_err().to_string(), &["row 0", "`x`", "no 64-bit signed integer"]);

    let learned = error_after(|run| {
        let columns = examples(|_, _, _| ());
        let batch = RecordBatch::try_from_iter([
            ("example_id", columns.column(0).clone()),
            ("sampled", columns.column(4).clone()),
            ("learned_step", Arc::new(Int64Array::from_iter_values((0..12).map(|id| 3 - id))) as ArrayRef),
        ]);
        replace(run, "examples.parquet", &batch.unwrap(), 5, WriterProperties::default());
    });
    assert_says(&learned, &["examples.parquet", "row 4", "`learned_step`", "negative"]);
}

#[test]
fn what_a_small_file_stands_for_is_bounded() {
    // Twelve strings of 16 MB, all the same: 192 MB of text in a few hundred bytes.
    let text = "a".repeat(16 << 20);
    let column = Arc::new(StringArray::from(vec![text.as_str(); TRAIN]));
    let properties = WriterProperties::builder()
        .set_compression(parquet::basic::Compression::ZSTD(Default::default()))
        .set_statistics_enabled(parquet::file::properties::EnabledStatistics::None);
    let (_study, run) = with_column(column, properties.build());
    assert!(run.manifest().files["examples.parquet"].bytes < 100_000);
    assert_says(&run.example_column("x").unwrap_err().to_string(), &["examples.parquet", "`x`", "no column of groups"]);
    // One list of 17 million ones.
    let message = error_of(|rows| rows.lists[0].resize(17_500_000, Some(1.0)), true, 30);
    assert_says(&message, &[PART, "gradient", "claims 17500203 values in"]);
    // Sizes that only the manifest claims cost nothing.
    let message = error_after(|run| {
        edit_manifest(run, |manifest| {
            manifest["train_examples"] = json!(4_000_000_000_u64);
            manifest["population_steps"] = json!([]);
            manifest["population_examples"] = json!(4_000_000_000_u64);
            let files = manifest["files"].as_object_mut().unwrap();
            files.retain(|name, _| !name.starts_with("population"));
        });
    });
    assert_says(&message, &["examples.parquet", "has 12 rows", "train_examples is 4000000000"]);
    let message = error_after(|run| edit_manifest(run, |manifest| manifest["coordinates"] = json!(2_000_000_000)));
    assert_says(&message, &["list<f32>[2000000000]"]);
}

/// Rows of `parameters.parquet`, as another program might write them.
struct ParameterRows {
    places: Vec<i64>,
    names: Vec<Option<&'static str>>,
    shapes: Vec<Option<Vec<Option<u64>>>>,
}

#[test]
fn impossible_parameters_are_named_by_row() {
    let parameters = |change: fn(&mut ParameterRows)| {
        let shapes = [vec![3, 4], vec![3], vec![2, 3], vec![2]];
        let mut rows = ParameterRows {
            places: vec![0, 1, 2, 3],
            names: ["layer.0.weight", "layer.0.bias", "layer.1.weight", "layer.1.bias"].map(Some).to_vec(),
            shapes: shapes.map(|shape| Some(shape.into_iter().map(Some).collect())).to_vec(),
        };
        change(&mut rows);
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("parameter", Arc::new(Int64Array::from(rows.places)) as ArrayRef, true),
            ("name", Arc::new(StringArray::from(rows.names)), true),
            ("shape", Arc::new(ListArray::from_iter_primitive::<UInt64Type, _, _>(rows.shapes)), true),
        ]);
        error_after(|run| replace(run, "parameters.parquet", &batch.unwrap(), 100, WriterProperties::default()))
    };
    let file = "parameters.parquet";
    assert_says(&parameters(|rows| rows.places[2] = 3), &[file, "row 2", "`parameter`", "is 3"]);
    assert_says(&parameters(|rows| rows.names[1] = None), &[file, "row 1", "`name`", "null"]);
    assert_says(&parameters(|rows| rows.names[1] = Some("")), &[file, "row 1", "`name`", "1 to 1000 bytes"]);
    assert_says(&parameters(|rows| rows.names[3] = rows.names[0]), &[file, "row 3", "`name`", "layer.0.weight"]);
    assert_says(&parameters(|rows| rows.shapes[3] = None), &[file, "row 3", "`shape`", "null"]);
    assert_says(&parameters(|rows| rows.shapes[3] = Some(vec![None])), &[file, "row 3", "`shape`", "null"]);
    let large = parameters(|rows| rows.shapes[3] = Some(vec![Some(1 << 40); 2]));
    assert_says(&large, &[file, "row 3", "`shape`", "no tensor"]);
    // Fewer of them than the coordinates and the population say.
    let other = parameters(|rows| rows.names[2] = Some("layer.2.weight"));
    assert_says(&other, &["population", "`contribution_by_layer`", "list<f64>[3]"]);
    let mistyped = error_after(|run| {
        let batch = RecordBatch::try_from_iter([("parameter", Arc::new(StringArray::from(vec!["0"])) as ArrayRef)]);
        replace(run, file, &batch.unwrap(), 100, WriterProperties::default());
    });
    assert_says(&mistyped, &[file, "`parameter`", "integers", "is string"]);
}

#[test]
fn impossible_metrics_and_coordinates_are_named_by_row() {
    let metrics = |step: i64, split: &'static str, value: f64, examples: i64| {
        let batch = RecordBatch::try_from_iter([
            ("step", Arc::new(Int64Array::from(vec![0, step])) as ArrayRef),
            ("split", Arc::new(StringArray::from(vec!["test", split]))),
            ("group", Arc::new(StringArray::from(vec!["all", "all"]))),
            ("metric", Arc::new(StringArray::from(vec!["loss", "accuracy"]))),
            ("value", Arc::new(Float64Array::from(vec![1.0, value]))),
            ("examples", Arc::new(Int64Array::from(vec![1, examples]))),
        ]);
        error_after(|run| replace(run, "metrics.parquet", &batch.unwrap(), 100, WriterProperties::default()))
    };
    let file = "metrics.parquet";
    assert_says(&metrics(0, "", 1.0, 1), &[file, "row 1", "`split`", "1 to 1000 bytes"]);
    assert_says(&metrics(0, "test", 93.5, 1), &[file, "row 1", "`value`", "is 93.5", "[0, 1]"]);
    assert_says(&metrics(0, "test", f64::NAN, 1), &[file, "row 1", "`value`", "is NaN"]);
    assert_says(&metrics(-1, "test", 1.0, 1), &[file, "row 1", "`step`", "is -1"]);
    assert_says(&metrics(0, "test", 1.0, -1), &[file, "row 1", "`examples`", "is -1"]);
    let coordinates = |place: i64, parameter: i64, index: i64| {
        let column = |values: Vec<i64>| Arc::new(Int64Array::from(values)) as ArrayRef;
        let batch = RecordBatch::try_from_iter([
            ("coordinate", column(vec![0, 1, 2, 3, 4, 5, place])),
            ("parameter", column(vec![0, 0, 0, 0, 0, 1, parameter])),
            ("index", column(vec![0, 1, 2, 3, 4, 0, index])),
        ]);
        error_after(|run| replace(run, "coordinates.parquet", &batch.unwrap(), 100, WriterProperties::default()))
    };
    let file = "coordinates.parquet";
    assert_says(&coordinates(5, 0, 5), &[file, "row 6", "`coordinate`", "is 5"]);
    assert_says(&coordinates(6, 4, 0), &[file, "row 6", "`parameter`", "is 4", "4 parameters"]);
    assert_says(&coordinates(6, -1, 0), &[file, "row 6", "`parameter`", "is -1"]);
    assert_says(&coordinates(6, 3, 2), &[file, "row 6", "`index`", "is 2", "layer.1.bias has 2 values"]);
    assert_says(&coordinates(6, 3, -2), &[file, "row 6", "`index`", "is -2"]);
    assert_says(&coordinates(6, 1, 0), &[file, "row 6", "`index`", "earlier row"]);
}

#[test]
fn a_snapshot_that_is_not_there_is_told_with_those_that_are() {
    let study = tempfile::tempdir().unwrap();
    let error = record(study.path()).unwrap().weights(7).unwrap_err().to_string();
    assert_says(&error, &["no weights of step 7", "step 0, 20"]);
}
