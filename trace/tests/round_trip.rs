//! What is written is what is read, however the rows are laid out in files.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, NullArray, RecordBatch, UInt32Array};
use cograd_trace::{
    Condition, Conditions, Coordinate, ExampleColumn, Examples, Layer, Metric, Parameter, PopulationLayer,
    PopulationRows, Run, RunDescription, RunWriter, SelfCheck, SkippedStep, Status, Study, Task, TraceError,
};
use common::{
    COORDINATES, POPULATION_STEPS, PopulationTable, Rows, SAMPLED, STEPS, TRAIN, description, directory, expected,
    of_one_parameter, record, remove, replace, tensor,
};
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::reader::{FileReader, SerializedFileReader};
use proptest::prelude::*;

#[test]
fn everything_written_is_read_back() {
    let study = tempfile::tempdir().unwrap();
    let run = record(study.path()).unwrap();
    run.verify().unwrap();
    let examples = run.examples().unwrap();
    assert_eq!((examples.len(), examples.sampled_ids(), examples.population), (TRAIN, SAMPLED.to_vec(), None));
    for (name, column) in common::columns() {
        assert_eq!(run.example_column(name).unwrap(), Some(column));
    }
    assert_eq!(run.parameters().unwrap(), common::parameters());
    assert_eq!(run.coordinates().unwrap(), description().coordinates);
    assert_eq!(run.metrics().unwrap(), common::metrics());
    assert_eq!(common::read(&run).unwrap(), expected());
    assert_eq!(run.population_steps(), POPULATION_STEPS);
    assert_eq!(common::read_population(&run).unwrap(), common::expected_population());
    let norms: Vec<(i64, u32, f64)> =
        run.gradient_norms().unwrap().iter().map(|row| (row.step, row.layer, row.gradient_norm_sq)).collect();
    let expected = |step: &i64| [0, 1].map(|layer| (*step, layer, common::norms(*step)[layer as usize]));
    assert_eq!(norms, POPULATION_STEPS.iter().flat_map(expected).collect::<Vec<_>>());
    assert_eq!(run.inputs().unwrap().unwrap(), common::inputs());
    assert_eq!(run.snapshots(), [0, 20]);
    let columns = run.columns("gradients/part-00000.parquet").unwrap();
    let types: Vec<&str> = columns.iter().map(|(_, kind)| kind.as_str()).collect();
    assert_eq!(types, ["i64", "u32", "list<f32>[7]"]);
    // In the order of the parameters, whatever that of the file, and then whatever else is there.
    assert_eq!(run.weights(20).unwrap(), common::weights(20));
    assert_eq!(run.network_widths().unwrap(), Some(vec![4, 3, 2]));
}

#[test]
fn the_manifest_says_what_was_written() {
    let study = tempfile::tempdir().unwrap();
    let run = record(study.path()).unwrap();
    let manifest = run.manifest();
    assert_eq!((manifest.train_examples, manifest.sampled_examples, manifest.coordinates), (12, 5, 7));
    assert_eq!((manifest.recorded_steps.as_slice(), manifest.steps), (&STEPS[..], 20));
    assert_eq!((manifest.format_version, manifest.population_steps.as_slice()), (3, &POPULATION_STEPS[..]));
    assert_eq!((manifest.status, manifest.writer.as_str()), (Status::Finished, "test 1.0"));
    assert_eq!((&manifest.conditions, manifest.population_examples), (&description().conditions, TRAIN));
    let rows: BTreeMap<&str, u64> = manifest.files.iter().map(|(name, entry)| (name.as_str(), entry.rows)).collect();
    let expected = [
        ("coordinates.parquet", 7),
        ("examples.parquet", 12),
        ("gradients/part-00000.parquet", 30),
        ("inputs.safetensors", 0),
        ("metrics.parquet", 5),
        ("parameters.parquet", 4),
        ("population/gradient-norms.parquet", 6),
        ("population/part-0000000000.parquet", 12),
        ("population/part-0000000003.parquet", 12),
        ("population/part-0000000010.parquet", 12),
        ("weights/step-00000000.safetensors", 0),
        ("weights/step-00000020.safetensors", 0),
    ];
    assert_eq!(rows, BTreeMap::from(expected));
}

#[test]
fn a_run_is_the_same_bytes_every_time() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (one, other) = (record(one.path()).map(files), record(other.path()).map(files));
    assert_eq!(one.unwrap(), other.unwrap());
}

fn files(run: Run) -> BTreeMap<String, Vec<u8>> {
    let read = |name: &str| (name.to_string(), fs::read(run.directory().join(name)).unwrap());
    run.manifest().files.keys().map(String::as_str).chain(["manifest.json"]).map(read).collect()
}

#[test]
fn an_unfinished_run_is_listed_and_replaced_by_the_next_attempt() {
    let study = tempfile::tempdir().unwrap();
    let mut writer = RunWriter::create(study.path(), description()).unwrap();
    writer.write_gradients(0, &common::gradients(0)).unwrap();
    drop(writer);
    let partial = study.path().join("runs/.sgd_noise-0.25_seed-1.partial");
    assert!(partial.is_dir());
    let error = Study::open(study.path()).unwrap_err();
    assert!(error.to_string().contains("begun, not finished: sgd_noise-0.25_seed-1"), "{error}");
    record(study.path()).unwrap();
    assert!(!partial.exists());
    let study = Study::open(study.path()).unwrap();
    assert_eq!((study.runs().len(), study.unfinished().len(), study.experiment_toml()), (1, 0, None));
}

#[test]
fn a_recorded_run_is_not_overwritten() {
    let study = tempfile::tempdir().unwrap();
    record(study.path()).unwrap();
    let error = RunWriter::create(study.path(), description()).unwrap_err();
    assert!(matches!(error, TraceError::RunExists { .. }), "{error}");
}

/// Writes a run of these conditions, with neither gradients nor anything else.
fn write_run(study: &Path, run: &str, conditions: Conditions) {
    let description = RunDescription { run: run.to_string(), conditions, ..description() };
    RunWriter::create(study, description).unwrap().finish(&[], &[]).unwrap();
}

#[test]
fn runs_of_a_study_are_ordered_by_their_conditions_and_seed() {
    let study = tempfile::tempdir().unwrap();
    for (rule, width, seed) in [("sgd", 512, 10), ("sgd", 512, 9), ("m3", 1024, 1), ("sgd", 64, 11)] {
        let conditions = Conditions::new(Some(seed)).with("rule", rule).with("width", width);
        write_run(study.path(), &format!("{rule}-{width}-{seed}"), conditions);
    }
    fs::write(study.path().join("study.toml"), "name = \"x\"").unwrap();
    let runs = |study: &Study| -> Vec<String> { study.runs().iter().map(|run| run.manifest().run.clone()).collect() };
    let study = Study::open(study.path()).unwrap();
    assert_eq!(runs(&study), ["m3-1024-1", "sgd-64-11", "sgd-512-9", "sgd-512-10"]);
    assert_eq!(study.experiment_toml(), Some("name = \"x\""));
    assert!(common::read(&study.runs()[0]).unwrap().is_empty());
}

#[test]
fn two_runs_of_the_same_conditions_and_seed_are_refused_by_name() {
    let study = tempfile::tempdir().unwrap();
    let conditions = |seed| Conditions::new(seed).with("width", 2);
    write_run(study.path(), "cnn", conditions(Some(1)));
    write_run(study.path(), "other-seed", conditions(Some(2)));
    write_run(study.path(), "no-seed", conditions(None));
    write_run(study.path(), "wider", conditions(Some(1)).with("depth", 3));
    assert_eq!(Study::open(study.path()).unwrap().runs().len(), 4);
    // Another program writes 2 as 2.0.
    write_run(study.path(), "vit", Conditions::new(Some(1)).with("width", 2.0));
    let error = Study::open(study.path()).unwrap_err().to_string();
    assert!(error.contains("runs cnn and vit have the same conditions and seed (width 2, seed 1)"), "{error}");
}

#[test]
fn a_directory_may_be_spelled_with_its_key() {
    let study = tempfile::tempdir().unwrap();
    record(study.path()).unwrap();
    let (plain, keyed) = (directory(study.path()), study.path().join("runs/run=sgd_noise-0.25_seed-1"));
    fs::rename(&plain, &keyed).unwrap();
    let opened = Study::open(study.path()).unwrap();
    assert_eq!(opened.runs()[0].manifest().run, "sgd_noise-0.25_seed-1");
    assert_eq!(common::read(&opened.runs()[0]).unwrap(), expected());
    assert!(matches!(RunWriter::create(study.path(), description()), Err(TraceError::RunExists { .. })));
    fs::create_dir(&plain).unwrap();
    fs::copy(keyed.join("manifest.json"), plain.join("manifest.json")).unwrap();
    let error = Study::open(study.path()).unwrap_err().to_string();
    assert!(error.contains("both sgd_noise-0.25_seed-1 and run=sgd_noise-0.25_seed-1"), "{error}");
}

#[test]
fn conditions_and_task_come_back() {
    let study = tempfile::tempdir().unwrap();
    let conditions = Conditions::new(None).with("optimizer", "adamw").with("decay", 1e-3).with("augmented", false);
    let task = Task {
        loss: Some("label-smoothed cross-entropy".to_string()),
        reduction: Some("mean".to_string()),
        mode: Some("evaluation".to_string()),
        dtype: Some("bfloat16".to_string()),
        network: Some("transformer".to_string()),
        classes: Some(2),
        class_names: vec!["no".to_string(), "yes".to_string()],
        self_check: Some(SelfCheck { largest_relative_difference: 3e-6, examples: 8 }),
    };
    let described = RunDescription { conditions: conditions.clone(), task: task.clone(), ..description() };
    RunWriter::create(study.path(), described).unwrap().finish(&[], &[]).unwrap();
    let run = Run::open(&directory(study.path())).unwrap();
    assert_eq!((&run.manifest().conditions, &run.manifest().task), (&conditions, &task));
    assert_eq!(run.manifest().conditions.get("augmented"), Some(&Condition::Boolean(false)));
    assert_eq!((run.network_widths().unwrap(), run.manifest().conditions.seed()), (None, None));
}

#[test]
fn any_network_has_parameters_layers_and_coordinates() {
    let study = tempfile::tempdir().unwrap();
    let named = |name: &str, shape: &[u64], layer: &str, kind: &str| Parameter {
        layer: layer.to_string(),
        ..Parameter::new(name, shape, Some(kind))
    };
    let parameters = vec![
        Parameter::new("embedding", &[1000, 8], Some("embedding")),
        Parameter::new("blocks.0.attention.query.weight", &[8, 8], None),
        Parameter::new("blocks.0.attention.query.bias", &[8], None),
        named("blocks.0.norm.weight", &[8], "norms", "layer_norm"),
        Parameter::new("blocks.0.convolution.weight", &[4, 1, 3, 3], Some("conv2d")),
        named("blocks.1.norm.weight", &[8], "norms", "layer_norm"),
        Parameter::new("temperature", &[], None),
    ];
    let coordinates = vec![
        Coordinate { parameter: 6, index: 0 },
        Coordinate { parameter: 0, index: 7999 },
        Coordinate { parameter: 4, index: 35 },
        Coordinate { parameter: 2, index: 7 },
    ];
    let described =
        RunDescription { parameters: parameters.clone(), coordinates: coordinates.clone(), ..description() };
    RunWriter::create(study.path(), described).unwrap().finish(&[], &[]).unwrap();
    let run = Run::open(&directory(study.path())).unwrap();
    assert_eq!((run.parameters().unwrap(), run.coordinates().unwrap()), (parameters, coordinates));
    let layer = |name: &str, parameters: &[usize], size| Layer {
        name: name.to_string(),
        parameters: parameters.to_vec(),
        size: Some(size),
    };
    let expected = [
        layer("embedding", &[0], 8000),
        layer("blocks.0.attention.query", &[1, 2], 72),
        layer("norms", &[3, 5], 16),
        layer("blocks.0.convolution", &[4], 36),
        layer("temperature", &[6], 1),
    ];
    assert_eq!(run.layers().unwrap(), expected);
    let error = run.network_widths().unwrap_err().to_string();
    assert!(error.contains("`mlp`") && error.contains("layer 0"), "{error}");
}

#[test]
fn a_skipped_step_has_a_reason_and_no_rows() {
    let study = tempfile::tempdir().unwrap();
    let mut writer = RunWriter::create(study.path(), description()).unwrap();
    writer.write_gradients(0, &common::gradients(0)).unwrap();
    writer.skip_step(1, "the loss overflowed in float16").unwrap();
    writer.write_gradients(2, &common::gradients(2)).unwrap();
    let message = |result: Result<(), TraceError>| result.unwrap_err().to_string();
    assert!(message(writer.write_gradients(1, &common::gradients(1))).contains("step 1 was skipped"));
    assert!(message(writer.skip_step(1, "again")).contains("step 1 after"));
    assert!(message(writer.skip_step(2, "no")).contains("step 2 is recorded"));
    assert!(message(writer.skip_step(21, "no")).contains("steps 0 to 20"));
    // Weights are not gradients.
    writer.write_weights(1, &common::weights(1)).unwrap();
    writer.finish(&[], &[]).unwrap();
    let run = Run::open(&directory(study.path())).unwrap();
    let skipped = SkippedStep { step: 1, reason: "the loss overflowed in float16".to_string() };
    assert_eq!(
        (run.manifest().recorded_steps.as_slice(), &run.manifest().skipped_steps[..]),
        (&[0, 2][..], &[skipped][..])
    );
    assert_eq!(common::read(&run).unwrap().len(), 2);
}

#[test]
fn every_footer_says_what_its_file_is() {
    let study = tempfile::tempdir().unwrap();
    let run = record(study.path()).unwrap();
    for (name, table) in [
        ("parameters.parquet", "parameters"),
        ("coordinates.parquet", "coordinates"),
        ("examples.parquet", "examples"),
        ("metrics.parquet", "metrics"),
        ("gradients/part-00000.parquet", "gradients"),
        ("population/part-0000000003.parquet", "population"),
        ("population/gradient-norms.parquet", "population/gradient-norms"),
    ] {
        let file = SerializedFileReader::new(fs::File::open(run.directory().join(name)).unwrap()).unwrap();
        let keys = file.metadata().file_metadata().key_value_metadata().unwrap();
        let text = keys.iter().find(|key| key.key == "cograd").unwrap().value.clone().unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let expected = serde_json::json!({ "format_version": 3, "run": run.manifest().run, "table": table });
        assert_eq!(value, expected, "{name}");
    }
}

#[test]
fn free_columns_of_every_kind_come_back_and_pristine_is_derived() {
    let study = tempfile::tempdir().unwrap();
    let every = |value: fn(usize) -> Option<f64>| (0..TRAIN).map(value).collect::<Vec<_>>();
    let texts = (0..TRAIN).map(|id| (id != 3).then(|| format!("sentence {}", id % 4))).collect();
    let columns = [
        ("surprise", ExampleColumn::Numbers(every(|id| (id > 1).then_some(id as f64 / 7.0)))),
        ("kind", ExampleColumn::Texts(texts)),
        ("rare", ExampleColumn::Booleans((0..TRAIN).map(|id| Some(id % 5 == 0)).collect())),
        ("label", ExampleColumn::Integers((0..TRAIN as i64).map(|id| Some(100_000 * id)).collect())),
    ];
    RunWriter::create(study.path(), description()).unwrap().finish(&columns, &[]).unwrap();
    let run = Run::open(&directory(study.path())).unwrap();
    for (name, column) in columns {
        assert_eq!(run.example_column(name).unwrap(), Some(column), "{name}");
    }
    let named = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(name, kind)| (name.to_string(), kind.to_string())).collect()
    };
    let expected = named(&[("surprise", "f64"), ("kind", "string"), ("rare", "bool"), ("label", "i64")]);
    assert_eq!(run.example_columns().unwrap(), expected);
    // Neither the keys nor what cannot be derived.
    for name in ["sampled", "example_id", "population", "pristine", "weather"] {
        assert_eq!(run.example_column(name).unwrap(), None, "{name}");
    }

    let study = tempfile::tempdir().unwrap();
    let run = record(study.path()).unwrap();
    let expected = named(&[("label", "i64"), ("original_label", "i64"), ("learned_step", "i64"), ("pristine", "bool")]);
    assert_eq!(run.example_columns().unwrap(), expected);
    let pristine = ExampleColumn::Booleans((0..TRAIN).map(|id| Some(id != 5)).collect());
    assert_eq!(run.example_column("pristine").unwrap(), Some(pristine));
}

#[test]
fn a_population_may_be_a_subset_and_lack_self_terms() {
    let study = tempfile::tempdir().unwrap();
    let ids = vec![0, 3, 4, 11];
    let described = RunDescription { population_ids: Some(ids.clone()), ..description() };
    let mut writer = RunWriter::create(study.path(), described).unwrap();
    let (first, second) = ([1.0, 2.0, -3.0, 4.5], [10.0, 20.0, 30.0, 40.0]);
    let layer = |contributions| PopulationLayer { contributions, self_terms: None };
    let layers = [layer(&first[..]), layer(&second)];
    writer.write_population(3, &PopulationRows { layers: &layers, gradient_norms_sq: &[4.5, 100.0] }).unwrap();
    let layers = [layers[0], PopulationLayer { contributions: &second, self_terms: Some(&first) }];
    let error = writer.write_population(4, &PopulationRows { layers: &layers, gradient_norms_sq: &[4.5, 100.0] });
    assert!(error.unwrap_err().to_string().contains("self terms of 1 layers of 2"));
    writer.finish(&[], &[]).unwrap();
    let run = Run::open(&directory(study.path())).unwrap();
    assert_eq!(run.manifest().population_examples, 4);
    let marked: Vec<bool> = (0..TRAIN as u32).map(|id| ids.contains(&id)).collect();
    let Examples { population, sampled } = run.examples().unwrap();
    assert_eq!((population, sampled.len()), (Some(marked), TRAIN));
    let totals = vec![11.0, 22.0, 27.0, 44.5];
    let columns = [Some(totals), None, Some(first.to_vec()), None, Some(second.to_vec()), None];
    assert_eq!(common::read_population(&run).unwrap(), [(3, ids, columns.to_vec())]);
}

#[test]
fn large_runs_are_cut_into_row_groups_of_whole_steps_and_part_files() {
    let study = tempfile::tempdir().unwrap();
    // 2 MiB a step, hardly compressible: 4 steps a row group, 8 row groups a part.
    let (n, d, steps) = (16, 32_768, 40);
    let description = RunDescription {
        steps: 100,
        train_examples: n,
        example_ids: (0..n as u32).collect(),
        ..of_one_parameter(u64::from(d), description())
    };
    let value = |step: i64, place: u32| {
        let mixed = place.wrapping_mul(0x9e37_79b1) ^ (step as u32).wrapping_mul(0x85eb_ca6b);
        let mixed = (mixed ^ mixed >> 16).wrapping_mul(0x7feb_352d);
        // Any bits but those of NaN and the infinities.
        f32::from_bits((mixed ^ mixed >> 15).wrapping_mul(0x846c_a68b) & 0xbfff_ffff)
    };
    let mut writer = RunWriter::create(study.path(), description).unwrap();
    for step in 0..steps {
        let values: Vec<f32> = (0..n as u32 * d).map(|place| value(step, place)).collect();
        writer.write_gradients(step, &values).unwrap();
    }
    let manifest = writer.finish(&[], &[]).unwrap();
    let parts: Vec<&str> =
        manifest.files.keys().filter(|name| name.starts_with("gradients/")).map(String::as_str).collect();
    assert_eq!(parts, ["gradients/part-00000.parquet", "gradients/part-00001.parquet"]);
    let run = Run::open(&directory(study.path())).unwrap();
    let (verified, steps_read) = rayon::join(
        || run.verify(),
        || {
            run.map_steps(|step| {
                let same = |(place, found): (usize, &f32)| found.to_bits() == value(step.step, place as u32).to_bits();
                assert!(step.values.iter().enumerate().all(same));
                step.step
            })
        },
    );
    verified.unwrap();
    assert_eq!(steps_read.unwrap(), (0..steps).collect::<Vec<_>>());
}

/// Lays the small run's gradients out anew: so many steps in each part file and in each row group.
fn lay_out(run: &Path, parts: &[usize], group: usize, ragged: bool, properties: &WriterProperties) {
    remove(run, "gradients/");
    let mut first = 0;
    for (part, steps) in parts.iter().enumerate() {
        let rows = Rows::new(&STEPS[first..first + steps]);
        let batch = if ragged { rows.ragged() } else { rows.fixed() };
        let name = format!("gradients/part-{part:05}.parquet");
        replace(run, &name, &batch, group * SAMPLED.len(), properties.clone());
        first += steps;
    }
}

#[test]
fn the_layout_in_files_and_row_groups_changes_nothing() {
    let encodings = [
        WriterProperties::builder().set_compression(Compression::SNAPPY),
        WriterProperties::builder().set_dictionary_enabled(false).set_writer_version(WriterVersion::PARQUET_2_0),
        WriterProperties::builder()
            .set_data_page_row_count_limit(2)
            .set_write_batch_size(2)
            .set_column_dictionary_enabled("gradient.list.item".into(), false)
            .set_column_encoding("gradient.list.item".into(), Encoding::BYTE_STREAM_SPLIT),
    ];
    let encodings = encodings.map(|properties| properties.build());
    for parts in [vec![6], vec![1, 1, 1, 2, 1], vec![3, 3]] {
        for (group, ragged) in [(1, false), (2, true), (6, false)] {
            for properties in &encodings {
                let study = tempfile::tempdir().unwrap();
                record(study.path()).unwrap();
                lay_out(&directory(study.path()), &parts, group, ragged, properties);
                let run = Run::open(&directory(study.path())).unwrap();
                run.verify().unwrap();
                assert_eq!(common::read(&run).unwrap(), expected(), "{parts:?} {group} {ragged}");
            }
        }
    }
}

#[test]
fn the_layout_of_the_population_changes_nothing() {
    let plain = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let small_pages = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_data_page_row_count_limit(5)
        .set_write_batch_size(5)
        .build();
    for (file, group, ragged) in [(1, 1, false), (3, 1, true), (2, 2, false), (3, 3, true)] {
        for properties in [&plain, &small_pages] {
            let study = tempfile::tempdir().unwrap();
            record(study.path()).unwrap();
            let table = PopulationTable { ragged, ..PopulationTable::new(&POPULATION_STEPS) };
            table.replace(&directory(study.path()), file, group, properties.clone());
            let run = Run::open(&directory(study.path())).unwrap();
            run.verify().unwrap();
            assert_eq!(common::read_population(&run).unwrap(), common::expected_population(), "{file} {group}");
        }
    }
}

#[test]
fn columns_of_self_terms_may_be_missing_or_null() {
    let missing = |table: &mut PopulationTable| table.without = vec!["self_term", "self_term_by_layer"];
    let null = |table: &mut PopulationTable| {
        table.totals[1].fill(None);
        table.by_layer[1].fill(None);
    };
    for (change, ragged) in [(missing as fn(&mut PopulationTable), false), (null, false), (null, true)] {
        let study = tempfile::tempdir().unwrap();
        record(study.path()).unwrap();
        let mut table = PopulationTable { ragged, ..PopulationTable::new(&POPULATION_STEPS) };
        change(&mut table);
        table.replace(&directory(study.path()), 2, 1, WriterProperties::default());
        let read = common::read_population(&Run::open(&directory(study.path())).unwrap()).unwrap();
        let expected = common::expected_population().into_iter().map(|(step, ids, mut columns)| {
            [1, 3, 5].into_iter().for_each(|column| columns[column] = None);
            (step, ids, columns)
        });
        assert_eq!(read, expected.collect::<Vec<_>>());
    }
}

/// Examples of each of several workers, as places among the sampled ones.
const WORKERS: [(&str, &[usize]); 3] = [("rank-0", &[0, 3]), ("rank-1", &[4]), ("rank-10", &[1, 2])];

#[test]
fn steps_of_several_workers_are_put_together_whatever_their_layout() {
    let small_pages = WriterProperties::builder().set_data_page_row_count_limit(2).set_write_batch_size(2).build();
    for (groups, parts) in [([1, 1, 1], 1), ([6, 6, 6], 1), ([2, 3, 4], 1), ([4, 1, 6], 2), ([3, 2, 5], 3)] {
        for halves in [false, true] {
            let study = tempfile::tempdir().unwrap();
            record(study.path()).unwrap();
            let run = directory(study.path());
            remove(&run, "gradients/");
            for ((name, places), group) in WORKERS.iter().zip(groups) {
                for part in 0..parts {
                    let steps = &STEPS[part * STEPS.len() / parts..(part + 1) * STEPS.len() / parts];
                    let rows = Rows::of_worker(steps, places);
                    let batch = if halves { rows.halves() } else { rows.fixed() };
                    let name = format!("gradients/{name}/part-{part:05}.parquet");
                    replace(&run, &name, &batch, group * places.len(), small_pages.clone());
                }
            }
            let run = Run::open(&run).unwrap();
            run.verify().unwrap();
            // The small run's values are exact in f16.
            assert_eq!(common::read(&run).unwrap(), expected(), "{groups:?} {parts} {halves}");
        }
    }
}

#[test]
fn the_population_may_be_of_several_workers_too() {
    let study = tempfile::tempdir().unwrap();
    record(study.path()).unwrap();
    let run = directory(study.path());
    remove(&run, "population/part-");
    let all = PopulationTable::new(&POPULATION_STEPS).batch();
    for (worker, group) in [(0, 2), (1, 3)] {
        let rows = (0..all.num_rows() as u32).filter(|row| (row % TRAIN as u32).is_multiple_of(3) == (worker == 0));
        let rows = arrow::array::UInt32Array::from_iter_values(rows);
        let batch = arrow::compute::take_record_batch(&all, &rows).unwrap();
        let examples = if worker == 0 { 4 } else { 8 };
        let name = format!("population/worker={worker}/part-0.parquet");
        replace(&run, &name, &batch, group * examples, WriterProperties::default());
    }
    let run = Run::open(&run).unwrap();
    run.verify().unwrap();
    assert_eq!(common::read_population(&run).unwrap(), common::expected_population());
}

#[test]
fn a_column_of_nulls_without_a_type_is_none() {
    let study = tempfile::tempdir().unwrap();
    record(study.path()).unwrap();
    let sampled: Vec<bool> = (0..TRAIN as u32).map(|id| SAMPLED.contains(&id)).collect();
    let columns: [(&str, ArrayRef, bool); 4] = [
        ("example_id", Arc::new(UInt32Array::from_iter_values(0..TRAIN as u32)), false),
        ("sampled", Arc::new(BooleanArray::from(sampled)), false),
        ("learned_step", Arc::new(NullArray::new(TRAIN)), true),
        ("population", Arc::new(NullArray::new(TRAIN)), true),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    replace(&directory(study.path()), "examples.parquet", &batch, TRAIN, WriterProperties::default());
    let run = Run::open(&directory(study.path())).unwrap();
    assert_eq!(run.examples().unwrap().sampled_ids(), SAMPLED);
    assert_eq!((run.example_column("learned_step").unwrap(), run.example_columns().unwrap()), (None, Vec::new()));
}

#[test]
fn gradients_in_f16_are_widened() {
    let study = tempfile::tempdir().unwrap();
    record(study.path()).unwrap();
    let name = "gradients/part-00000.parquet";
    let split = WriterProperties::builder()
        .set_column_dictionary_enabled("gradient.list.item".into(), false)
        .set_column_encoding("gradient.list.item".into(), Encoding::BYTE_STREAM_SPLIT)
        .set_compression(Compression::ZSTD(Default::default()));
    let mut rows = Rows::new(&STEPS);
    rows.lists[7][2] = Some(0.1);
    for properties in [WriterProperties::default(), split.build()] {
        replace(&directory(study.path()), name, &rows.halves(), 10, properties);
        let run = Run::open(&directory(study.path())).unwrap();
        assert_eq!(run.columns(name).unwrap()[2].1, "list<f16>[7]");
        let read = common::read(&run).unwrap();
        assert_eq!(read[1].2[2 * COORDINATES + 2], 0.099_975_586);
        assert_eq!(read[3], expected()[3]);
    }
}

#[test]
fn a_run_without_population_inputs_or_a_known_network_is_read() {
    let study = tempfile::tempdir().unwrap();
    let description = RunDescription { task: Task::default(), ..description() };
    let mut writer = RunWriter::create(study.path(), description).unwrap();
    common::write_population(&mut writer, 3).unwrap();
    writer.finish(&common::columns(), &[]).unwrap();
    let run = Run::open(&directory(study.path())).unwrap();
    assert_eq!(common::read_population(&run).unwrap(), common::expected_population()[1..2]);
    assert_eq!((run.inputs().unwrap(), run.network_widths().unwrap()), (None, None));

    let study = tempfile::tempdir().unwrap();
    RunWriter::create(study.path(), common::description()).unwrap().finish(&common::columns(), &[]).unwrap();
    let run = Run::open(&directory(study.path())).unwrap();
    assert!(common::read_population(&run).unwrap().is_empty() && run.gradient_norms().unwrap().is_empty());
}

#[test]
fn inputs_are_any_tensors_with_a_row_for_each_sampled_example() {
    let study = tempfile::tempdir().unwrap();
    let mut writer = RunWriter::create(study.path(), description()).unwrap();
    let inputs = [tensor("image", &[5, 2, 3], |place| place as f32), tensor("position", &[5], |place| place as f32)];
    writer.write_inputs(&inputs).unwrap();
    writer.finish(&[], &[]).unwrap();
    let run = Run::open(&directory(study.path())).unwrap();
    assert_eq!(run.inputs().unwrap().unwrap(), inputs);
}

#[test]
fn steps_come_in_order_whatever_the_number_of_threads() {
    let study = tempfile::tempdir().unwrap();
    record(study.path()).unwrap();
    lay_out(&directory(study.path()), &[2, 4], 1, false, &WriterProperties::default());
    let run = Run::open(&directory(study.path())).unwrap();
    for threads in [1, 4] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert_eq!(pool.install(|| common::read(&run)).unwrap(), expected());
        assert_eq!(pool.install(|| common::read_population(&run)).unwrap(), common::expected_population());
    }
}

#[test]
fn many_steps_of_one_row_group_are_handed_on_in_order_until_one_is_refused() {
    let study = tempfile::tempdir().unwrap();
    let mut writer = RunWriter::create(study.path(), RunDescription { steps: 3000, ..description() }).unwrap();
    (0..3000).for_each(|step| writer.write_gradients(step, &common::gradients(step)).unwrap());
    writer.finish(&[], &[]).unwrap();
    let run = Run::open(&directory(study.path())).unwrap();
    assert_eq!(run.row_groups().unwrap().len(), 1);
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        for refused in [0, 700, 3000] {
            let mut due = 0;
            let taken = pool.install(|| {
                run.each_step(
                    0..1,
                    |mut step| Ok((step.step(), step.read(None)?.to_vec())),
                    |(step, values)| {
                        assert_eq!((step, values), (due, common::gradients(due)));
                        due += 1;
                        if step == refused { Err(step) } else { Ok(()) }
                    },
                )
            });
            assert_eq!(taken.unwrap(), if refused < 3000 { Err(refused) } else { Ok(()) });
            assert_eq!(due, 3000.min(refused + 1));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_finite_gradients_come_back_bit_for_bit(
        n in 1_usize..6,
        d in 1_usize..12,
        steps in proptest::collection::btree_set(0_i64..1000, 0..6),
        bits in proptest::collection::vec(any::<u32>(), 1..64),
        learned in proptest::option::of(0_i64..1000),
        loss in any::<f64>(),
    ) {
        let study = tempfile::tempdir().unwrap();
        let finite = |bits: u32| Some(f32::from_bits(bits)).filter(|value| value.is_finite()).unwrap_or(-0.0);
        let values = |step: i64| -> Vec<f32> {
            (0..n * d).map(|place| finite(bits[(place + step as usize) % bits.len()].rotate_left(step as u32))).collect()
        };
        let description = RunDescription {
            steps: 1000,
            train_examples: 2 * n,
            example_ids: (0..n as u32).map(|example| 2 * example).collect(),
            ..of_one_parameter(d as u64, description())
        };
        let columns = [("learned_step", ExampleColumn::Integers(vec![learned; 2 * n]))];
        let [split, group, metric] = ["test", "all", "loss"].map(str::to_string);
        let metrics = [Metric { step: 3, split, group, metric, value: loss, examples: 1 }];
        let mut writer = RunWriter::create(study.path(), description).unwrap();
        for step in &steps {
            writer.write_gradients(*step, &values(*step)).unwrap();
        }
        writer.finish(&columns, &metrics).unwrap();
        let run = Run::open(&directory(study.path())).unwrap();
        run.verify().unwrap();
        let [(name, column)] = columns;
        prop_assert_eq!(run.example_column(name).unwrap(), Some(column));
        prop_assert_eq!(run.metrics().unwrap()[0].value.to_bits(), loss.to_bits());
        let read = run.map_steps(|step| (step.step, step.values.iter().map(|value| value.to_bits()).collect::<Vec<_>>())).unwrap();
        let written: Vec<_> = steps.iter().map(|step| (*step, values(*step).iter().map(|value| value.to_bits()).collect())).collect();
        prop_assert_eq!(read, written);
    }
}

#[test]
fn what_cannot_be_written_is_refused_and_named() {
    let study = tempfile::tempdir().unwrap();
    let create = |change: fn(&mut RunDescription)| {
        let mut description = description();
        change(&mut description);
        RunWriter::create(study.path(), description).unwrap_err().to_string()
    };
    assert!(create(|description| description.run = "../elsewhere".to_string()).contains("../elsewhere"));
    let conditions = |name: &'static str, value: f64| {
        let described = RunDescription { conditions: Conditions::new(None).with(name, value), ..description() };
        RunWriter::create(study.path(), described).unwrap_err().to_string()
    };
    assert!(conditions("noise", f64::NAN).contains("`noise` is NaN"));
    assert!(conditions("seed", 1.0).contains("`seed` must be"));
    assert!(create(|description| description.task.classes = Some(0)).contains("classes is 0"));
    assert!(create(|description| description.example_ids = vec![3, 3]).contains("example_ids must ascend"));
    assert!(create(|description| description.example_ids = vec![3, 12]).contains("example 12"));
    assert!(create(|description| description.population_ids = Some(vec![])).contains("population_ids is empty"));
    assert!(create(|description| description.population_ids = Some(vec![12])).contains("example 12"));
    assert!(create(|description| description.coordinates[2].parameter = 4).contains("coordinate 2: parameter is 4"));
    assert!(create(|description| description.coordinates[2].index = 12).contains("layer.0.weight has 12 values"));
    assert!(create(|description| description.coordinates[2] = description.coordinates[1]).contains("earlier row"));
    assert!(create(|description| description.parameters[3].name = "layer.0.bias".to_string()).contains("parameter 3"));
    assert!(create(|description| description.parameters[3].name = String::new()).contains("parameter 3: name"));
    assert!(create(|description| description.parameters[3].shape = vec![1 << 40; 2]).contains("no tensor"));
    assert!(create(|description| description.coordinates.clear()).contains("coordinates is 0"));
    assert!(!study.path().join("runs").exists());

    let mut writer = RunWriter::create(study.path(), description()).unwrap();
    writer.write_gradients(3, &common::gradients(3)).unwrap();
    let mut bad = common::gradients(4);
    bad[2 * COORDINATES + 6] = f32::NEG_INFINITY;
    let error = writer.write_gradients(4, &bad).unwrap_err().to_string();
    assert!(error.contains("example 5 at step 4 is -inf at coordinate 6"), "{error}");
    let message = |result: Result<(), TraceError>| result.unwrap_err().to_string();
    assert!(message(writer.write_gradients(3, &common::gradients(3))).contains("after those of step 3"));
    assert!(message(writer.write_gradients(21, &common::gradients(3))).contains("steps 0 to 20"));
    assert!(message(writer.write_gradients(5, &bad[1..])).contains("34 gradient values"));
    let population = |writer: &mut RunWriter, step, examples: usize, layers: usize, bad: f64, norm: f64| {
        let values = [&vec![1.0; examples - 1][..], &[bad]].concat();
        let layer = PopulationLayer { contributions: &vec![1.0; examples], self_terms: Some(&values) };
        writer.write_population(step, &PopulationRows { layers: &vec![layer; layers], gradient_norms_sq: &[1.0, norm] })
    };
    population(&mut writer, 3, TRAIN, 2, 1.0, 1.0).unwrap();
    assert!(message(population(&mut writer, 3, TRAIN, 2, 1.0, 1.0)).contains("population of step 3 after"));
    assert!(message(population(&mut writer, 21, TRAIN, 2, 1.0, 1.0)).contains("steps 0 to 20"));
    assert!(message(population(&mut writer, 4, TRAIN - 1, 2, 1.0, 1.0)).contains("12 values"));
    assert!(message(population(&mut writer, 4, TRAIN, 1, 1.0, 1.0)).contains("1 layers and 2 norms, not 2"));
    assert!(message(population(&mut writer, 4, TRAIN, 2, 1.0, -1.0)).contains("squared norm is -1"));
    let error = message(population(&mut writer, 4, TRAIN, 2, f64::NAN, 1.0));
    assert!(error.contains("`self_term_by_layer[0]` of example 11 at step 4 is NaN"), "{error}");
    // Each finite, but not their sum.
    let error = message(population(&mut writer, 4, TRAIN, 2, f64::MAX, 1.0));
    assert!(error.contains("`self_term` of example 11 at step 4 is inf"), "{error}");
    let wrong = |shape: &[usize]| cograd_trace::Tensor { values: vec![0.0; 3], ..tensor("x", shape, |_| 0.0) };
    assert!(message(writer.write_inputs(&[wrong(&[4, 1])])).contains("x has the shape [4, 1], not 5 rows"));
    assert!(message(writer.write_inputs(&[wrong(&[5, 1])])).contains("x has 3 values"));
    assert!(message(writer.write_weights(0, &[wrong(&[2, 2])])).contains("x has 3 values"));
    assert!(message(writer.write_weights(21, &common::weights(0))).contains("steps 0 to 20"));
    assert!(
        message(writer.write_weights(0, &[tensor("x", &[1], |_| 0.0), tensor("x", &[1], |_| 0.0)])).contains("two")
    );
    let finish = |name: &str, column: ExampleColumn| {
        let study = tempfile::tempdir().unwrap();
        let writer = RunWriter::create(study.path(), description()).unwrap();
        let columns = [&common::columns()[..], &[(name, column)]].concat();
        writer.finish(&columns, &[]).unwrap_err().to_string()
    };
    let booleans = |values: usize| ExampleColumn::Booleans(vec![Some(true); values]);
    assert!(finish("rare", booleans(11)).contains("`rare` of the examples has 11 values, not 12"));
    assert!(finish("sampled", booleans(12)).contains("column `sampled` already"));
    assert!(finish("label", booleans(12)).contains("column `label` already"));
    assert!(finish("pristine", booleans(12)).contains("example 5: pristine is true, but label"));
}

#[test]
fn a_study_that_cannot_be_made_is_an_error_that_names_the_path() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("runs"), "a file").unwrap();
    let error = RunWriter::create(directory.path(), description()).unwrap_err().to_string();
    assert!(error.contains("cannot create") && error.contains("runs"), "{error}");
}
