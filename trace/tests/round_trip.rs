//! What is written is what is read, however the rows are laid out in files.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use cograd_trace::{
    Coordinate, Example, LayerWeights, Metric, PopulationLayer, PopulationRows, Run, RunDescription, RunWriter, Split,
    Status, Study, Subset, TraceError,
};
use common::{
    COORDINATES, POPULATION_STEPS, PopulationTable, Rows, SAMPLED, STEPS, TRAIN, description, directory, edit_manifest,
    expected, record, replace,
};
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::{WriterProperties, WriterVersion};
use proptest::prelude::*;

#[test]
fn everything_written_is_read_back() {
    let study = tempfile::tempdir().unwrap();
    let run = record(study.path()).unwrap();
    run.verify().unwrap();
    assert_eq!(run.examples().unwrap(), common::examples());
    assert_eq!(run.coordinates().unwrap(), description().coordinates);
    assert_eq!(run.metrics().unwrap(), common::metrics());
    assert_eq!(common::read(&run).unwrap(), expected());
    assert_eq!(run.population_steps(), POPULATION_STEPS);
    assert_eq!(common::read_population(&run).unwrap(), common::expected_population());
    let norms: Vec<(i64, u32, f64)> =
        run.gradient_norms().unwrap().iter().map(|row| (row.step, row.layer, row.gradient_norm_sq)).collect();
    let expected = |step: &i64| [0, 1].map(|layer| (*step, layer, common::norms(*step)[layer as usize]));
    assert_eq!(norms, POPULATION_STEPS.iter().flat_map(expected).collect::<Vec<_>>());
    assert_eq!(run.inputs().unwrap().unwrap(), common::inputs().chunks(4).map(<[f32]>::to_vec).collect::<Vec<_>>());
    assert_eq!(run.snapshots(), [0, 20]);
    let columns = run.columns("gradients/part-00000.parquet").unwrap();
    let types: Vec<&str> = columns.iter().map(|(_, kind)| kind.as_str()).collect();
    assert_eq!(types, ["i64", "u32", "list<f32>[7]"]);
    let layers = run.weights(20).unwrap();
    assert_eq!((layers.len(), layers[1].fan_in, layers[1].fan_out), (2, 3, 2));
    assert_eq!((layers[0].weight[11], &layers[0].bias[..]), (0.5, &[1.0, 2.0, 3.0][..]));
}

#[test]
fn the_manifest_says_what_was_written() {
    let study = tempfile::tempdir().unwrap();
    let run = record(study.path()).unwrap();
    let manifest = run.manifest();
    assert_eq!((manifest.train_examples, manifest.sampled_examples, manifest.coordinates), (12, 5, 7));
    assert_eq!((manifest.recorded_steps.as_slice(), manifest.steps), (&STEPS[..], 20));
    assert_eq!((manifest.format_version, manifest.population_steps.as_slice()), (2, &POPULATION_STEPS[..]));
    assert_eq!((manifest.status, manifest.noise, manifest.writer.as_str()), (Status::Finished, 0.25, "test 1.0"));
    let rows: BTreeMap<&str, u64> = manifest.files.iter().map(|(name, entry)| (name.as_str(), entry.rows)).collect();
    let expected = [
        ("coordinates.parquet", 7),
        ("examples.parquet", 12),
        ("gradients/part-00000.parquet", 30),
        ("inputs.parquet", 5),
        ("metrics.parquet", 4),
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

#[test]
fn runs_of_a_study_are_ordered_by_rule_noise_and_seed() {
    let study = tempfile::tempdir().unwrap();
    for (rule, noise, seed) in [("sgd", 0.5, 10), ("sgd", 0.5, 9), ("m3", 1.0, 1), ("sgd", 0.25, 11)] {
        let run = format!("{rule}_noise-{noise}_seed-{seed}");
        let description = RunDescription { run, rule: rule.to_string(), noise, seed, ..description() };
        let writer = RunWriter::create(study.path(), description).unwrap();
        writer.finish(&common::examples(), &[]).unwrap();
    }
    cograd_trace::write_atomically(&study.path().join("study.toml"), b"name = \"x\"").unwrap();
    let study = Study::open(study.path()).unwrap();
    let runs: Vec<&str> = study.runs().iter().map(|run| run.manifest().run.as_str()).collect();
    assert_eq!(runs, ["m3_noise-1_seed-1", "sgd_noise-0.25_seed-11", "sgd_noise-0.5_seed-9", "sgd_noise-0.5_seed-10"]);
    assert_eq!(study.experiment_toml(), Some("name = \"x\""));
    assert!(common::read(&study.runs()[0]).unwrap().is_empty());
}

#[test]
fn large_runs_are_cut_into_row_groups_of_whole_steps_and_part_files() {
    let study = tempfile::tempdir().unwrap();
    // 2 MiB a step, hardly compressible: 4 steps a row group, 8 row groups a part.
    let (n, d, steps) = (16, 32_768, 40);
    let description = RunDescription {
        network: Vec::new(),
        steps: 100,
        train_examples: n,
        example_ids: (0..n as u32).collect(),
        coordinates: (0..d).map(|coordinate| Coordinate { coordinate, layer: 0, row: 0, column: coordinate }).collect(),
        ..description()
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
    let examples: Vec<Example> = (0..n as u32)
        .map(|example_id| Example {
            example_id,
            label: 0,
            original_label: 0,
            pristine: true,
            sampled: true,
            learned_step: None,
        })
        .collect();
    let manifest = writer.finish(&examples, &[]).unwrap();
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
    fs::remove_file(run.join("gradients/part-00000.parquet")).unwrap();
    edit_manifest(run, |manifest| {
        manifest["files"].as_object_mut().unwrap().remove("gradients/part-00000.parquet");
    });
    let mut first = 0;
    for (part, steps) in parts.iter().enumerate() {
        let rows = Rows::of(&STEPS[first..first + steps]);
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
    for (file, group) in [(1, 1), (3, 1), (2, 2), (3, 3)] {
        for properties in [&plain, &small_pages] {
            let study = tempfile::tempdir().unwrap();
            record(study.path()).unwrap();
            PopulationTable::of(&POPULATION_STEPS).replace(&directory(study.path()), file, group, properties.clone());
            let run = Run::open(&directory(study.path())).unwrap();
            run.verify().unwrap();
            assert_eq!(common::read_population(&run).unwrap(), common::expected_population(), "{file} {group}");
        }
    }
}

#[test]
fn a_run_without_population_inputs_or_a_known_network_is_read() {
    let study = tempfile::tempdir().unwrap();
    let description = RunDescription { network: Vec::new(), ..description() };
    let mut writer = RunWriter::create(study.path(), description).unwrap();
    assert!(writer.write_inputs(&common::inputs()).is_err());
    common::write_population(&mut writer, 3).unwrap();
    writer.finish(&common::examples(), &[]).unwrap();
    let run = Run::open(&directory(study.path())).unwrap();
    assert_eq!(common::read_population(&run).unwrap(), common::expected_population()[1..2]);
    assert_eq!(run.inputs().unwrap(), None);

    let study = tempfile::tempdir().unwrap();
    RunWriter::create(study.path(), common::description()).unwrap().finish(&common::examples(), &[]).unwrap();
    let run = Run::open(&directory(study.path())).unwrap();
    assert!(common::read_population(&run).unwrap().is_empty() && run.gradient_norms().unwrap().is_empty());
    assert_eq!(run.inputs().unwrap(), None);
}

#[test]
fn a_run_of_format_1_is_read() {
    let study = tempfile::tempdir().unwrap();
    record(study.path()).unwrap();
    let directory = directory(study.path());
    let path = directory.join("manifest.json");
    let mut manifest: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let fields = manifest.as_object_mut().unwrap();
    fields.insert("format_version".to_string(), 1.into());
    assert!(fields.remove("seal").is_some() && fields.remove("population_steps").is_some());
    let files = fields["files"].as_object_mut().unwrap();
    files.retain(|name, _| !name.starts_with("population") && name != "inputs.parquet");
    fs::write(&path, serde_json::to_vec(&manifest).unwrap()).unwrap();
    let run = Run::open(&directory).unwrap();
    run.verify().unwrap();
    assert_eq!(common::read(&run).unwrap(), expected());
    assert!(run.population_steps().is_empty() && common::read_population(&run).unwrap().is_empty());
    assert!(run.gradient_norms().unwrap().is_empty());
    assert_eq!(run.inputs().unwrap(), None);
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
            network: vec![],
            steps: 1000,
            train_examples: 2 * n,
            example_ids: (0..n as u32).map(|example| 2 * example).collect(),
            coordinates: (0..d as u32).map(|place| Coordinate { coordinate: place, layer: place, row: 0, column: 0 }).collect(),
            ..description()
        };
        let examples: Vec<Example> = (0..2 * n as u32)
            .map(|example_id| Example { example_id, label: 1, original_label: 2, pristine: false, sampled: example_id % 2 == 0, learned_step: learned })
            .collect();
        let metrics = [Metric { step: 3, split: Split::Test, subset: Subset::All, examples: 1, loss, accuracy: 1.0 }];
        let mut writer = RunWriter::create(study.path(), description).unwrap();
        for step in &steps {
            writer.write_gradients(*step, &values(*step)).unwrap();
        }
        writer.finish(&examples, &metrics).unwrap();
        let run = Run::open(&directory(study.path())).unwrap();
        run.verify().unwrap();
        prop_assert_eq!(run.examples().unwrap(), examples);
        prop_assert_eq!(run.metrics().unwrap()[0].loss.to_bits(), loss.to_bits());
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
    assert!(create(|description| description.noise = f64::NAN).contains("noise is NaN"));
    assert!(create(|description| description.example_ids = vec![3, 3]).contains("ascend"));
    assert!(create(|description| description.example_ids = vec![3, 12]).contains("example 12"));
    assert!(create(|description| description.coordinates[2].row = 3).contains("coordinate 2: row is 3"));
    assert!(create(|description| description.coordinates[2].layer = 2).contains("layer is 2"));
    assert!(
        create(|description| description.coordinates[2] = Coordinate { coordinate: 2, ..description.coordinates[1] })
            .contains("earlier row")
    );
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
        let layer = PopulationLayer { contributions: &vec![1.0; examples], self_terms: &values };
        writer.write_population(step, &PopulationRows { layers: &vec![layer; layers], gradient_norms_sq: &[1.0, norm] })
    };
    population(&mut writer, 3, TRAIN, 2, 1.0, 1.0).unwrap();
    assert!(message(population(&mut writer, 3, TRAIN, 2, 1.0, 1.0)).contains("population of step 3 after"));
    assert!(message(population(&mut writer, 21, TRAIN, 2, 1.0, 1.0)).contains("steps 0 to 20"));
    assert!(message(population(&mut writer, 4, TRAIN - 1, 2, 1.0, 1.0)).contains("12 values"));
    assert!(message(population(&mut writer, 4, TRAIN, 1, 1.0, 1.0)).contains("1 layers and 2 norms, not 2"));
    assert!(message(population(&mut writer, 4, TRAIN, 2, 1.0, -1.0)).contains("squared norm is -1"));
    let error = message(population(&mut writer, 4, TRAIN, 2, f64::NAN, 1.0));
    assert!(error.contains("`self_term` of example 11 at step 4 is NaN"), "{error}");
    // Each finite, but not their sum.
    let error = message(population(&mut writer, 4, TRAIN, 2, f64::MAX, 1.0));
    assert!(error.contains("`self_term` of example 11 at step 4 is inf"), "{error}");
    assert!(message(writer.write_inputs(&[0.0; 19])).contains("19 inputs, not 5 × 4"));
    assert!(message(writer.write_inputs(&[f32::NAN; 20])).contains("finite"));
    let layer = LayerWeights { fan_in: 2, fan_out: 2, weight: &[0.0; 3], bias: &[0.0; 2] };
    assert!(message(writer.write_weights(0, &[layer])).contains("layer 0"));
    let mut examples = common::examples();
    examples[4].sampled = true;
    let error = writer.finish(&examples, &[]).unwrap_err().to_string();
    assert!(error.contains("not those whose gradients"), "{error}");
}

#[test]
fn a_study_that_cannot_be_made_is_an_error_that_names_the_path() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("runs"), "a file").unwrap();
    let error = RunWriter::create(directory.path(), description()).unwrap_err().to_string();
    assert!(error.contains("cannot create") && error.contains("runs"), "{error}");
}
