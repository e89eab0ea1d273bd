//! Every way in which a trace can be bad is an error that names the file and what to do.

mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, RecordBatch, StringArray, UInt8Array, UInt32Array,
};
use arrow::datatypes::{DataType, Field, Schema};
use cograd_trace::{Run, Study, TraceError};
use common::{
    COORDINATES, POPULATION_STEPS, PopulationTable, Rows, STEPS, directory, edit_manifest, enter, record, replace,
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
        fs::write(run.join("manifest.json"), r#"{"format_version": 3, "everything": "else"}"#).unwrap();
    });
    assert_says(&message, &["manifest.json", "format_version 3", "reads versions 1 to 2"]);
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
    says("noise", json!(1.5), &["noise is 1.5"]);
    says("run", json!("../x"), &["`../x`"]);
    says("run", json!("another"), &["`another`", "name of the directory"]);
    says("sampled_examples", json!(13), &["sampled_examples is 13"]);
    says("sampled_examples", json!(0), &["sampled_examples is 0"]);
    says("coordinates", json!(0), &["coordinates is 0"]);
    says("train_examples", json!(5_000_000_000_u64), &["train_examples"]);
    says("network", json!([4, 0]), &["network is [4, 0]"]);
    says("recorded_steps", json!([0, 0]), &["ascend"]);
    says("recorded_steps", json!([0, 21]), &["21", "steps 0 to 20"]);
    says("recorded_steps", json!([0, 1]), &["30 rows", "2 recorded steps of 5"]);
    says("population_steps", json!([0, 3, 3]), &["population_steps", "ascend"]);
    says("population_steps", json!([0, 3, 21]), &["21", "steps 0 to 20"]);
    says("population_steps", json!([0, 3]), &["36 rows", "2 population steps of 12"]);
    says("network", json!([]), &["inputs.parquet", "network"]);
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
    for file in ["examples.parquet", "coordinates.parquet", "population/gradient-norms.parquet"] {
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
        "inputs.parquet",
        "examples.parquet",
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
    let run = record(study.path()).unwrap();
    let path = run.directory().join(PART);
    let whole = fs::read(&path).unwrap();
    // Some are read as other numbers, which only the hash reveals.
    for place in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x55;
        fs::write(&path, bytes).unwrap();
        let _ = run.map_steps(|step| step.values.len());
        assert!(run.verify().is_err());
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
fn a_manifest_of_format_2_without_a_seal_is_refused() {
    let message = error_after(|run| {
        let mut manifest = common::manifest(run);
        manifest.seal = String::new();
        fs::write(run.join("manifest.json"), serde_json::to_vec(&manifest).unwrap()).unwrap();
    });
    assert_says(&message, &["manifest.json", "no field `seal`"]);
}

/// The error of reading the small run with this population, in files and row groups as said.
fn error_of_population(change: impl FnOnce(&mut PopulationTable), file: usize, group: usize) -> String {
    let mut rows = PopulationTable::of(&POPULATION_STEPS);
    change(&mut rows);
    error_after(|run| rows.replace(run, file, group, WriterProperties::default()))
}

#[test]
fn population_rows_that_are_missing_null_or_out_of_order_are_named() {
    let last = "population/part-02.parquet";
    let all = "population/part-00.parquet";
    let missing = |rows: &mut PopulationTable| drop(rows.columns.remove(3));
    assert_says(&error_of_population(missing, 3, 1), &[all, "`self_term_0`", "f64", "missing"]);
    assert_says(&error_of_population(|rows| rows.steps[7] = None, 3, 3), &[all, "row 7", "`step`", "null"]);
    assert_says(&error_of_population(|rows| rows.ids[26] = None, 1, 1), &[last, "row 2", "`example_id`", "null"]);
    let null = |rows: &mut PopulationTable| rows.columns[4].1[13] = None;
    assert_says(&error_of_population(null, 3, 1), &[all, "row 13", "`contribution_1`", "null"]);
    let step = |rows: &mut PopulationTable| rows.steps[35] = Some(3);
    assert_says(&error_of_population(step, 1, 1), &[last, "row 11", "is 3 where step 10", "population_steps"]);
    let swapped = |rows: &mut PopulationTable| rows.ids.swap(1, 2);
    assert_says(&error_of_population(swapped, 3, 3), &[all, "row 1", "is 2 where example 1", "all training examples"]);
}

#[test]
fn population_steps_that_are_cut_or_missing_are_named() {
    let cut = error_after(|run| {
        let batch = PopulationTable::of(&[3]).batch();
        replace(run, "population/part-0000000003.parquet", &batch, 8, WriterProperties::default());
    });
    assert_says(&cut, &["part-0000000003.parquet", "row group 0 has 8 rows", "12 training examples"]);
    let short = error_after(|run| {
        let batch = PopulationTable::of(&[3]).batch().slice(0, 11);
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
    let nan = |rows: &mut PopulationTable| rows.columns[5].1[2 * 12 + 4] = Some(f64::NAN);
    assert_says(&error_of_population(nan, 1, 1), &["part-02.parquet", "`self_term_1` of example 4 at step 10 is NaN"]);
    let infinite = |rows: &mut PopulationTable| rows.columns[0].1[0] = Some(f64::INFINITY);
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
fn impossible_inputs_are_named_by_row() {
    let inputs = |ids: [u32; 5], change: fn(&mut Vec<Vec<Option<f32>>>)| {
        let mut lists = vec![vec![Some(1.0); 4]; 5];
        change(&mut lists);
        let lists = ListArray::from_iter_primitive::<arrow::datatypes::Float32Type, _, _>(lists.into_iter().map(Some));
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("example_id", Arc::new(UInt32Array::from(ids.to_vec())) as ArrayRef, true),
            ("input", Arc::new(lists), true),
        ]);
        error_after(|run| replace(run, "inputs.parquet", &batch.unwrap(), 100, WriterProperties::default()))
    };
    assert_says(&inputs([1, 2, 5, 8, 10], |_| ()), &["inputs.parquet", "examples.parquet marks as sampled"]);
    let sampled = common::SAMPLED;
    assert_says(&inputs(sampled, |lists| lists[2].truncate(3)), &["inputs.parquet", "row 2", "3 values, not 4"]);
    assert_says(&inputs(sampled, |lists| lists[3][1] = None), &["inputs.parquet", "row 3", "null"]);
    assert_says(&inputs(sampled, |lists| lists[4][0] = Some(f32::NAN)), &["inputs.parquet", "row 4", "NaN"]);
}

#[test]
fn a_missing_or_mistyped_column_is_named_with_both_types() {
    let write = |batch: RecordBatch| error_after(|run| replace(run, PART, &batch, 30, WriterProperties::default()));
    let batch = Rows::of(&STEPS).fixed();
    let without = batch.project(&[0, 2]).unwrap();
    assert_says(&write(without), &[PART, "`example_id`", "u32", "missing (the file has step, gradient)"]);
    let signed = arrow::compute::cast(batch.column(1), &DataType::Int32).unwrap();
    let fields = [batch.schema().field(0).clone(), Field::new("example_id", DataType::Int32, false)];
    let fields = [&fields[..], &[batch.schema().field(2).clone()]].concat();
    let columns = vec![batch.column(0).clone(), signed, batch.column(2).clone()];
    let mistyped = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    assert_says(&write(mistyped), &[PART, "`example_id`", "u32", "is i32"]);
    let mut narrow = Rows::of(&STEPS);
    narrow.lists.iter_mut().for_each(|list| list.truncate(COORDINATES - 1));
    assert_says(&write(narrow.fixed()), &[PART, "`gradient`", "list<f32>[7]", "list<f32>[6]"]);
    let damaged = error_after(|run| {
        fs::write(run.join(PART), "not parquet at all").unwrap();
        enter(run, PART, 30);
    });
    assert_says(&damaged, &[PART, "cannot be read as Parquet"]);
}

/// The error of reading the small run with these gradient rows, in row groups of `group` rows.
fn error_of(change: impl FnOnce(&mut Rows), ragged: bool, group: usize) -> String {
    let mut rows = Rows::of(&STEPS);
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
        &[PART, "row 13", "6 values", "coordinates is 7"],
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
        replace(run, "gradients/part-00001.parquet", &Rows::of(&STEPS[..1]).fixed(), 5, WriterProperties::default());
        edit_manifest(run, |manifest| {
            manifest["files"]["gradients/part-00001.parquet"]["rows"] = json!(0);
        });
    });
    assert_says(&message, &["gradients/part-00001.parquet", "has 5 rows, but the manifest says 0"]);
}

/// The small run's examples as another program might write them, after `change`.
fn examples(change: impl FnOnce(&mut Vec<Option<u32>>, &mut Vec<bool>, &mut Vec<bool>)) -> RecordBatch {
    let rows = common::examples();
    let mut ids: Vec<Option<u32>> = rows.iter().map(|row| Some(row.example_id)).collect();
    let (mut pristine, mut sampled) =
        (rows.iter().map(|row| row.pristine).collect(), rows.iter().map(|row| row.sampled).collect());
    change(&mut ids, &mut pristine, &mut sampled);
    RecordBatch::try_from_iter_with_nullable([
        ("example_id", Arc::new(UInt32Array::from(ids)) as arrow::array::ArrayRef, true),
        ("label", Arc::new(UInt8Array::from_iter_values(rows.iter().map(|row| row.label))), true),
        ("original_label", Arc::new(UInt8Array::from_iter_values(rows.iter().map(|row| row.original_label))), true),
        ("pristine", Arc::new(BooleanArray::from(pristine)), true),
        ("sampled", Arc::new(BooleanArray::from(sampled)), true),
        ("learned_step", Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.learned_step))), true),
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
        &[file, "row 5", "`pristine`", "original_label 7"],
    );
    assert_says(&error(examples(|_, _, sampled| sampled[0] = true)), &[file, "marks 6", "manifest says 5"]);
    assert_says(&error(examples(|_, _, _| ()).slice(0, 11)), &[file, "has 11 rows", "train_examples is 12"]);
    // The same number of other examples: the gradients are not theirs.
    let others = |_: &mut Vec<Option<u32>>, _: &mut Vec<bool>, sampled: &mut Vec<bool>| sampled.swap(0, 1);
    assert_says(&error(examples(others)), &[PART, "row 0", "is 1 where example 0"]);
}

#[test]
fn impossible_metrics_and_coordinates_are_named_by_row() {
    let metrics = |split: &'static str, accuracy: f64| {
        let batch = RecordBatch::try_from_iter([
            ("step", Arc::new(Int64Array::from(vec![0, 1])) as arrow::array::ArrayRef),
            ("split", Arc::new(StringArray::from(vec!["test", split]))),
            ("subset", Arc::new(StringArray::from(vec!["all", "all"]))),
            ("examples", Arc::new(UInt32Array::from(vec![1, 1]))),
            ("loss", Arc::new(arrow::array::Float64Array::from(vec![1.0, 1.0]))),
            ("accuracy", Arc::new(arrow::array::Float64Array::from(vec![1.0, accuracy]))),
        ]);
        error_after(|run| replace(run, "metrics.parquet", &batch.unwrap(), 100, WriterProperties::default()))
    };
    assert_says(&metrics("validation", 1.0), &["metrics.parquet", "row 1", "`validation`", "train or test"]);
    assert_says(&metrics("train", f64::NAN), &["metrics.parquet", "row 1", "`accuracy`", "NaN"]);
    let coordinates = |layer: u32| {
        let column = |values: Vec<u32>| Arc::new(UInt32Array::from(values)) as arrow::array::ArrayRef;
        let batch = RecordBatch::try_from_iter([
            ("coordinate", column((0..7).collect())),
            ("layer", column(vec![0, 0, 0, 0, 0, 0, layer])),
            ("row", column(vec![0, 1, 2, 0, 1, 2, 0])),
            ("column", column(vec![0, 0, 0, 1, 1, 1, 2])),
        ]);
        error_after(|run| replace(run, "coordinates.parquet", &batch.unwrap(), 100, WriterProperties::default()))
    };
    assert_says(&coordinates(2), &["coordinates.parquet", "row 6", "`layer`", "[4, 3, 2]"]);
}

#[test]
fn a_snapshot_that_is_not_there_is_told_with_those_that_are() {
    let study = tempfile::tempdir().unwrap();
    let error = record(study.path()).unwrap().weights(7).unwrap_err().to_string();
    assert_says(&error, &["no weights of step 7", "step 0, 20"]);
}
