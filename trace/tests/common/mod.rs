//! A small run to write, read, rewrite and damage.
#![allow(dead_code, reason = "every test file uses its own part")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, FixedSizeListArray, Float32Array, Float64Array, Int64Array, ListArray, RecordBatch, UInt32Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Float64Type, Schema};
use cograd_trace::{
    Conditions, Coordinate, ExampleColumn, Manifest, Metric, Parameter, PopulationLayer, PopulationRows, Run,
    RunDescription, RunWriter, Task, Tensor, TraceError, sealed, sha256_of_file,
};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

/// Sizes of the small run: m, n, d.
pub const TRAIN: usize = 12;
pub const SAMPLED: [u32; 5] = [1, 2, 5, 8, 11];
pub const COORDINATES: usize = 7;
pub const STEPS: [i64; 6] = [0, 1, 2, 3, 10, 20];
pub const POPULATION_STEPS: [i64; 3] = [0, 3, 10];

/// A run of a network 4-3-2.
pub fn description() -> RunDescription {
    let task = Task { network: Some("mlp".to_string()), loss: Some("cross-entropy".to_string()), ..Task::default() };
    let coordinate = |place| Coordinate { parameter: 0, index: place % 3 * 4 + place / 3 };
    RunDescription {
        run: "sgd_noise-0.25_seed-1".to_string(),
        conditions: Conditions::new(Some(1)).with("rule", "sgd").with("noise", 0.25),
        task,
        steps: 20,
        writer: "test 1.0".to_string(),
        train_examples: TRAIN,
        example_ids: SAMPLED.to_vec(),
        population_ids: None,
        parameters: parameters(),
        coordinates: (0..COORDINATES as u64).map(coordinate).collect(),
    }
}

pub fn parameters() -> Vec<Parameter> {
    let shapes: [(&str, &[u64]); 4] =
        [("layer.0.weight", &[3, 4]), ("layer.0.bias", &[3]), ("layer.1.weight", &[2, 3]), ("layer.1.bias", &[2])];
    shapes.map(|(name, shape)| Parameter::new(name, shape, Some("linear"))).to_vec()
}

/// One parameter of so many values, and all of its coordinates.
pub fn of_one_parameter(d: u64, description: RunDescription) -> RunDescription {
    RunDescription {
        task: Task::default(),
        parameters: vec![Parameter::new("embedding", &[d], None)],
        coordinates: (0..d).map(|index| Coordinate { parameter: 0, index }).collect(),
        ..description
    }
}

/// What is known of the examples: example 5 had another label, example 0, 3, … were never learned.
pub fn columns() -> Vec<(&'static str, ExampleColumn)> {
    let ids = || 0..TRAIN as i64;
    let label = ids().map(|id| Some(id % 2)).collect();
    let original = ids().map(|id| Some(if id == 5 { 7 } else { id % 2 })).collect();
    let learned = ids().map(|id| (id % 3 != 0).then_some(id)).collect();
    vec![
        ("label", ExampleColumn::Integers(label)),
        ("original_label", ExampleColumn::Integers(original)),
        ("learned_step", ExampleColumn::Integers(learned)),
    ]
}

pub fn metrics() -> Vec<Metric> {
    let metric = |step, split: &str, group: &str, metric: &str, value, examples| Metric {
        step,
        split: split.to_string(),
        group: group.to_string(),
        metric: metric.to_string(),
        value,
        examples,
    };
    vec![
        metric(0, "train", "all", "loss", 2.3, 12),
        metric(0, "train", "all", "accuracy", 0.25, 12),
        metric(0, "train", "corrupt", "loss", f64::INFINITY, 1),
        metric(20, "validation", "rare words", "perplexity", 75.0, 4),
        metric(20, "train", "all", "learning_rate", 0.1, 0),
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
        |layer: usize| PopulationLayer { contributions: &values[2 * layer], self_terms: Some(&values[2 * layer + 1]) };
    let rows = PopulationRows { layers: &[layer(0), layer(1)], gradient_norms_sq: &norms(step) };
    writer.write_population(step, &rows)
}

pub fn tensor(name: &str, shape: &[usize], values: impl FnMut(usize) -> f32) -> Tensor {
    let size: usize = shape.iter().product();
    Tensor { name: name.to_string(), shape: shape.to_vec(), values: (0..size).map(values).collect() }
}

/// The inputs of the sampled examples.
pub fn inputs() -> Vec<Tensor> {
    vec![tensor("input", &[SAMPLED.len(), 4], |place| place as f32 / 16.0)]
}

/// All parameters at a step, and a buffer that is none.
pub fn weights(step: i64) -> Vec<Tensor> {
    let shape = |parameter: &Parameter| parameter.shape.iter().map(|length| *length as usize).collect::<Vec<_>>();
    let value = |place| place as f32 + step as f32;
    let weights = parameters().into_iter().map(|parameter| tensor(&parameter.name, &shape(&parameter), value));
    weights.chain([tensor("batches", &[], |_| 3.0)]).collect()
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
    writer.write_weights(0, &weights(0))?;
    writer.write_weights(20, &weights(20))?;
    writer.finish(&columns(), &metrics())?;
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

/// Step, examples and columns of a population step: the totals and, layer by layer, the contributions and self terms.
pub type Population = (i64, Vec<u32>, Vec<Option<Vec<f64>>>);

/// Every population step as read.
pub fn read_population(run: &Run) -> Result<Vec<Population>, TraceError> {
    run.map_population(|step| {
        let layers = step.layers.iter().flat_map(|layer| [Some(layer.contributions), layer.self_terms]);
        let columns = [Some(step.contributions), step.self_terms].into_iter().chain(layers);
        (step.step, step.example_ids.to_vec(), columns.map(|column| column.map(<[f64]>::to_vec)).collect())
    })
}

/// What `read_population` should return.
pub fn expected_population() -> Vec<Population> {
    let step = |step: &i64| {
        let layers = population(*step);
        let sum = |place: usize| layers[place].iter().zip(&layers[place + 2]).map(|(l, r)| l + r).collect();
        let columns = [sum(0), sum(1)].into_iter().chain(layers.clone()).map(Some).collect();
        (*step, (0..TRAIN as u32).collect(), columns)
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
    fs::create_dir_all(run.join(name).parent().unwrap()).unwrap();
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
    pub fn new(steps: &[i64]) -> Rows {
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

    /// With fixed-size lists of f16.
    pub fn halves(&self) -> RecordBatch {
        let values = arrow::compute::cast(&self.values(), &DataType::Float16).unwrap();
        let item = Arc::new(Field::new("item", DataType::Float16, true));
        self.batch(Arc::new(FixedSizeListArray::new(item, self.lists[0].len() as i32, values, None)))
    }

    /// Those of some of the sampled examples alone, by their places.
    pub fn of_worker(steps: &[i64], places: &[usize]) -> Rows {
        let all = Rows::new(steps);
        let rows = (0..steps.len()).flat_map(|step| places.iter().map(move |place| step * SAMPLED.len() + place));
        let rows: Vec<usize> = rows.collect();
        Rows {
            steps: rows.iter().map(|row| all.steps[*row]).collect(),
            ids: rows.iter().map(|row| all.ids[*row]).collect(),
            lists: rows.iter().map(|row| all.lists[*row].clone()).collect(),
        }
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

/// A list of a population file, which another program may leave out or write wrongly.
pub type List = Option<Vec<Option<f64>>>;

/// Rows of a population file that a test wants to write its own way.
#[derive(Clone)]
pub struct PopulationTable {
    pub steps: Vec<Option<i64>>,
    pub ids: Vec<Option<u32>>,
    pub totals: [Vec<Option<f64>>; 2],
    pub by_layer: [Vec<List>; 2],
    /// Columns that are left out.
    pub without: Vec<&'static str>,
    /// Lists of any length, instead of a fixed size.
    pub ragged: bool,
}

impl PopulationTable {
    pub fn new(steps: &[i64]) -> PopulationTable {
        let rows = || steps.iter().flat_map(|step| (0..TRAIN).map(|row| (population(*step), row)));
        let lists =
            |place: usize| rows().map(move |(all, row)| Some(vec![Some(all[place][row]), Some(all[place + 2][row])]));
        let totals = |place: usize| rows().map(move |(all, row)| Some(all[place][row] + all[place + 2][row])).collect();
        PopulationTable {
            steps: steps.iter().flat_map(|step| [Some(*step); TRAIN]).collect(),
            ids: steps.iter().flat_map(|_| (0..TRAIN as u32).map(Some)).collect(),
            totals: [totals(0), totals(1)],
            by_layer: [lists(0).collect(), lists(1).collect()],
            without: Vec::new(),
            ragged: false,
        }
    }

    pub fn batch(&self) -> RecordBatch {
        let totals = |place: usize| -> ArrayRef { Arc::new(Float64Array::from(self.totals[place].clone())) };
        let lists = |place: usize| -> ArrayRef {
            let (lists, width) = (self.by_layer[place].iter().cloned(), 2);
            match self.ragged {
                true => Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(lists)),
                false => Arc::new(FixedSizeListArray::from_iter_primitive::<Float64Type, _, _>(lists, width)),
            }
        };
        let columns: [(&str, ArrayRef); 6] = [
            ("step", Arc::new(Int64Array::from(self.steps.clone()))),
            ("example_id", Arc::new(UInt32Array::from(self.ids.clone()))),
            ("contribution", totals(0)),
            ("self_term", totals(1)),
            ("contribution_by_layer", lists(0)),
            ("self_term_by_layer", lists(1)),
        ];
        let columns = columns.into_iter().filter(|(name, _)| !self.without.contains(name));
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
    }

    /// Puts the rows in place of the small run's population, in files of so many steps each and row groups of so many.
    pub fn replace(&self, run: &Path, file: usize, group: usize, properties: WriterProperties) {
        let batch = self.batch();
        remove(run, "population/part-");
        for (part, first) in (0..batch.num_rows()).step_by(file * TRAIN).enumerate() {
            let rows = (batch.num_rows() - first).min(file * TRAIN);
            let name = format!("population/part-{part:02}.parquet");
            replace(run, &name, &batch.slice(first, rows), group * TRAIN, properties.clone());
        }
    }
}

/// Removes the files whose names begin so.
pub fn remove(run: &Path, begin: &str) {
    let names: Vec<String> = manifest(run).files.into_keys().filter(|name| name.starts_with(begin)).collect();
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
