//! A small run to write, read, rewrite and damage.
#![allow(dead_code, reason = "every test file uses its own part")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, FixedSizeListArray, Float32Array, Float64Array, Int64Array, ListArray, RecordBatch, UInt32Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Schema};
use cograd_trace::{
    Coordinate, Example, LayerWeights, Manifest, Metric, PopulationLayer, PopulationRows, Run, RunDescription,
    RunWriter, Split, Subset, TraceError, sealed, sha256_of_file,
};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

/// Sizes of the small run: m, n, d.
pub const TRAIN: usize = 12;
pub const SAMPLED: [u32; 5] = [1, 2, 5, 8, 11];
pub const COORDINATES: usize = 7;
pub const STEPS: [i64; 6] = [0, 1, 2, 3, 10, 20];
pub const POPULATION_STEPS: [i64; 3] = [0, 3, 10];

pub fn description() -> RunDescription {
    RunDescription {
        run: "sgd_noise-0.25_seed-1".to_string(),
        rule: "sgd".to_string(),
        noise: 0.25,
        seed: 1,
        network: vec![4, 3, 2],
        steps: 20,
        writer: "test 1.0".to_string(),
        train_examples: TRAIN,
        example_ids: SAMPLED.to_vec(),
        coordinates: (0..COORDINATES as u32)
            .map(|coordinate| Coordinate { coordinate, layer: 0, row: coordinate % 3, column: coordinate / 3 })
            .collect(),
    }
}

pub fn examples() -> Vec<Example> {
    (0..TRAIN as u32)
        .map(|example_id| Example {
            example_id,
            label: (example_id % 2) as u8,
            original_label: if example_id == 5 { 7 } else { (example_id % 2) as u8 },
            pristine: example_id != 5,
            sampled: SAMPLED.contains(&example_id),
            learned_step: (example_id % 3 != 0).then_some(i64::from(example_id)),
        })
        .collect()
}

pub fn metrics() -> Vec<Metric> {
    let metric =
        |step, split, subset, examples, loss, accuracy| Metric { step, split, subset, examples, loss, accuracy };
    vec![
        metric(0, Split::Train, Subset::All, 12, 2.3, 0.25),
        metric(0, Split::Train, Subset::Pristine, 11, 2.2, 0.125),
        metric(0, Split::Train, Subset::Corrupt, 1, f64::INFINITY, 1.0),
        metric(20, Split::Test, Subset::All, 4, 0.1, 0.75),
    ]
}

/// The gradients of a step, all different.
pub fn gradients(step: i64) -> Vec<f32> {
    (0..SAMPLED.len() * COORDINATES).map(|place| step as f32 * 0.5 - place as f32 * 0.125).collect()
}

/// The values of the population at a step, all different: contributions and self terms of layer 0, then of layer 1.
pub fn population(step: i64) -> [Vec<f64>; 4] {
    let value = |column: usize, example: usize| (step as f64 + 0.1) * (example as f64 - 3.3) + 100.0 * column as f64;
    std::array::from_fn(|column| (0..TRAIN).map(|example| value(column, example)).collect())
}

/// Squared norms of the gradient of both layers at a step; no decimal fraction has their bits.
pub fn norms(step: i64) -> [f64; 2] {
    [(step as f64 + 2.0).sqrt(), (step as f64 + 1.0) / 3.0]
}

pub fn write_population(writer: &mut RunWriter, step: i64) -> Result<(), TraceError> {
    let values = population(step);
    let layer =
        |layer: usize| PopulationLayer { contributions: &values[2 * layer], self_terms: &values[2 * layer + 1] };
    let rows = PopulationRows { layers: &[layer(0), layer(1)], gradient_norms_sq: &norms(step) };
    writer.write_population(step, &rows)
}

/// The inputs of the sampled examples.
pub fn inputs() -> Vec<f32> {
    (0..SAMPLED.len() * 4).map(|place| place as f32 / 16.0).collect()
}

pub fn record(study: &Path) -> Result<Run, TraceError> {
    let mut writer = RunWriter::create(study, description())?;
    writer.write_inputs(&inputs())?;
    for step in STEPS {
        writer.write_gradients(step, &gradients(step))?;
        if POPULATION_STEPS.contains(&step) {
            write_population(&mut writer, step)?;
        }
    }
    let weight = [0.5; 12];
    let layers = [
        LayerWeights { fan_in: 4, fan_out: 3, weight: &weight, bias: &[1.0, 2.0, 3.0] },
        LayerWeights { fan_in: 3, fan_out: 2, weight: &weight[..6], bias: &[0.0; 2] },
    ];
    writer.write_weights(0, &layers)?;
    writer.write_weights(20, &layers)?;
    writer.finish(&examples(), &metrics())?;
    Run::open(&directory(study))
}

pub fn directory(study: &Path) -> PathBuf {
    study.join("runs").join(description().run)
}

/// Step, example ids and gradients.
pub type Step = (i64, Vec<u32>, Vec<f32>);

/// Every step's gradients as read.
pub fn read(run: &Run) -> Result<Vec<Step>, TraceError> {
    run.map_steps(|step| (step.step, step.example_ids.to_vec(), step.values.to_vec()))
}

/// Step and columns of a population step: the totals and, layer by layer, the contributions and self terms.
pub type Population = (i64, Vec<Vec<f64>>);

/// Every population step as read.
pub fn read_population(run: &Run) -> Result<Vec<Population>, TraceError> {
    run.map_population(|step| {
        let layers = step.layers.iter().flat_map(|layer| [layer.contributions, layer.self_terms]);
        let columns = [step.contributions, step.self_terms].into_iter().chain(layers);
        (step.step, columns.map(<[f64]>::to_vec).collect())
    })
}

/// What `read_population` should return.
pub fn expected_population() -> Vec<Population> {
    let step = |step: &i64| {
        let columns = PopulationTable::of(&[*step]).columns.into_iter();
        (*step, columns.map(|(_, values)| values.into_iter().map(|value| value.unwrap()).collect()).collect())
    };
    POPULATION_STEPS.iter().map(step).collect()
}

/// What `read` should return.
pub fn expected() -> Vec<Step> {
    STEPS.iter().map(|step| (*step, SAMPLED.to_vec(), gradients(*step))).collect()
}

/// Changes the manifest and seals it anew, as another program would write it.
pub fn edit_manifest(run: &Path, edit: impl FnOnce(&mut serde_json::Value)) {
    let path = run.join("manifest.json");
    let mut manifest = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    edit(&mut manifest);
    fs::write(&path, sealed(&manifest).unwrap()).unwrap();
}

/// Enters a file that was rewritten into the manifest.
pub fn enter(run: &Path, name: &str, rows: u64) {
    let path = run.join(name);
    let (bytes, sha256) = (fs::metadata(&path).unwrap().len(), sha256_of_file(&path).unwrap());
    let entry = serde_json::json!({ "rows": rows, "bytes": bytes, "sha256": sha256 });
    edit_manifest(run, |manifest| manifest["files"][name] = entry);
}

/// Replaces a Parquet file by `batch`, in row groups of `group` rows, and enters it in the manifest.
pub fn replace(run: &Path, name: &str, batch: &RecordBatch, group: usize, properties: WriterProperties) {
    let properties = properties.into_builder().set_max_row_group_row_count(Some(group)).build();
    let file = File::create(run.join(name)).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    enter(run, name, batch.num_rows() as u64);
}

/// Rows of a gradient file that a test wants to write its own way.
#[derive(Clone)]
pub struct Rows {
    pub steps: Vec<Option<i64>>,
    pub ids: Vec<Option<u32>>,
    pub lists: Vec<Vec<Option<f32>>>,
}

impl Rows {
    pub fn of(steps: &[i64]) -> Rows {
        let ids = |_: &i64| SAMPLED.map(Some);
        let rows = |step: &i64| gradients(*step).chunks(COORDINATES).map(some).collect::<Vec<_>>();
        Rows {
            steps: steps.iter().flat_map(|step| [Some(*step); SAMPLED.len()]).collect(),
            ids: steps.iter().flat_map(ids).collect(),
            lists: steps.iter().flat_map(rows).collect(),
        }
    }

    /// With nullable columns and fixed-size lists, as pyarrow writes them.
    pub fn fixed(&self) -> RecordBatch {
        let item = Arc::new(Field::new("item", DataType::Float32, true));
        let list = FixedSizeListArray::new(item, self.lists[0].len() as i32, self.values(), None);
        self.batch(Arc::new(list))
    }

    /// With lists of any length.
    pub fn ragged(&self) -> RecordBatch {
        let item = Arc::new(Field::new("item", DataType::Float32, true));
        let offsets = OffsetBuffer::from_lengths(self.lists.iter().map(Vec::len));
        self.batch(Arc::new(ListArray::new(item, offsets, self.values(), None)))
    }

    fn values(&self) -> ArrayRef {
        Arc::new(Float32Array::from_iter(self.lists.iter().flatten().copied()))
    }

    fn batch(&self, lists: ArrayRef) -> RecordBatch {
        let fields = vec![
            Field::new("step", DataType::Int64, true),
            Field::new("example_id", DataType::UInt32, true),
            Field::new("gradient", lists.data_type().clone(), true),
        ];
        let steps = Arc::new(Int64Array::from(self.steps.clone()));
        let ids = Arc::new(UInt32Array::from(self.ids.clone()));
        RecordBatch::try_new(Arc::new(Schema::new(fields)), vec![steps, ids, lists]).unwrap()
    }
}

/// Rows of a population file that a test wants to write its own way: a step, an example and the columns of values.
#[derive(Clone)]
pub struct PopulationTable {
    pub steps: Vec<Option<i64>>,
    pub ids: Vec<Option<u32>>,
    pub columns: Vec<(String, Vec<Option<f64>>)>,
}

impl PopulationTable {
    pub fn of(steps: &[i64]) -> PopulationTable {
        let names = ["contribution_0", "self_term_0", "contribution_1", "self_term_1"];
        let values = |column: usize| steps.iter().flat_map(|step| population(*step)[column].clone()).collect();
        let columns: Vec<Vec<f64>> = (0..4).map(values).collect();
        let sum = |place: usize| columns[place].iter().zip(&columns[place + 2]).map(|(l, r)| Some(l + r)).collect();
        let totals = [("contribution".to_string(), sum(0)), ("self_term".to_string(), sum(1))];
        let layers = names
            .iter()
            .zip(&columns)
            .map(|(name, column)| (name.to_string(), column.iter().copied().map(Some).collect()));
        PopulationTable {
            steps: steps.iter().flat_map(|step| [Some(*step); TRAIN]).collect(),
            ids: steps.iter().flat_map(|_| (0..TRAIN as u32).map(Some)).collect(),
            columns: totals.into_iter().chain(layers).collect(),
        }
    }

    pub fn batch(&self) -> RecordBatch {
        let steps: ArrayRef = Arc::new(Int64Array::from(self.steps.clone()));
        let ids: ArrayRef = Arc::new(UInt32Array::from(self.ids.clone()));
        let keys = [("step".to_string(), steps), ("example_id".to_string(), ids)];
        let values = self
            .columns
            .iter()
            .map(|(name, values)| (name.clone(), Arc::new(Float64Array::from(values.clone())) as ArrayRef));
        let columns = keys.into_iter().chain(values).map(|(name, array)| (name, array, true));
        RecordBatch::try_from_iter_with_nullable(columns).unwrap()
    }

    /// Puts the rows in place of the small run's population, in files of so many steps each and row groups of so many.
    pub fn replace(&self, run: &Path, file: usize, group: usize, properties: WriterProperties) {
        let batch = self.batch();
        remove_population(run);
        for (part, first) in (0..batch.num_rows()).step_by(file * TRAIN).enumerate() {
            let rows = (batch.num_rows() - first).min(file * TRAIN);
            let name = format!("population/part-{part:02}.parquet");
            replace(run, &name, &batch.slice(first, rows), group * TRAIN, properties.clone());
        }
    }
}

/// Removes the part files of the small run's population.
fn remove_population(run: &Path) {
    let names: Vec<String> =
        manifest(run).files.into_keys().filter(|name| name.starts_with("population/part-")).collect();
    for name in names {
        fs::remove_file(run.join(&name)).unwrap();
        edit_manifest(run, |manifest| drop(manifest["files"].as_object_mut().unwrap().remove(&name)));
    }
}

fn some(values: &[f32]) -> Vec<Option<f32>> {
    values.iter().copied().map(Some).collect()
}

pub fn manifest(run: &Path) -> Manifest {
    serde_json::from_slice(&fs::read(run.join("manifest.json")).unwrap()).unwrap()
}
