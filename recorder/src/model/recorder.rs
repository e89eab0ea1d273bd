//! Records a model while its own training loop runs.

use std::path::Path;

use candle_core::Tensor;
use cograd_trace::{
    Conditions, Coordinate, ExampleColumn, Manifest, Metric, PopulationLayer, PopulationRows, Resumed, RunDescription,
    RunWriter, Task,
};

use super::Model;
use super::probe::{Probe, batches};
use crate::error::RecordError;
use crate::experiment::Schedules;
use crate::network::LayerPopulation;
use crate::random::{Purpose, sample, stream};
use crate::sample::sample_examples;
use crate::schedule::RecordingSteps;

/// Differences from plain autograd, relative to the norm of an example's gradient, at which recording stops.
const LARGEST_DIFFERENCE: f64 = 1e-4;

/// What a run is and what is recorded of it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Run id, the name of its directory.
    pub run: String,
    /// What the run is made under, and its seed.
    pub conditions: Conditions,
    /// What is trained.
    pub task: Task,
    /// Updates that the run makes, T.
    pub steps: u64,
    /// From which the sampled examples and coordinates are drawn.
    pub seed: u64,
    /// Number of sampled training examples, n.
    pub examples: usize,
    /// Number of sampled coordinates of each parameter; all of a parameter that has fewer.
    pub coordinates: usize,
    /// When anything is recorded. (Evaluations are the training loop's own.)
    pub schedules: Schedules,
    /// Examples of a pass: bounds the memory.
    pub batch: usize,
}

impl Settings {
    /// A run of so many updates, recorded as experiments are by default: 400 examples, 300 coordinates a parameter.
    pub fn new(run: &str, steps: u64) -> Settings {
        Settings {
            run: run.to_string(),
            conditions: Conditions::default(),
            task: Task::default(),
            steps,
            seed: 1,
            examples: 400,
            coordinates: 300,
            schedules: Schedules::default(),
            batch: 256,
        }
    }
}

/// The m training examples.
#[derive(Clone, Copy, Debug)]
pub struct TrainingSet<'a> {
    /// `[m, …]`.
    pub inputs: &'a Tensor,
    /// What the model's losses are given, `[m, …]`.
    pub labels: &'a Tensor,
}

/// Records one run. At step t everything is at w_t, before update t.
pub struct Recorder {
    writer: RunWriter,
    run: String,
    inputs: Tensor,
    labels: Tensor,
    examples: Vec<u32>,
    coordinates: Vec<Vec<usize>>,
    due: RecordingSteps,
    batch: usize,
    checked: bool,
}

/// What became of an earlier attempt at the run.
pub enum Begun {
    /// There was none.
    New(Recorder),
    /// It goes on from its last checkpoint, given with these bytes.
    Continued(Recorder, Vec<u8>),
    /// The run is there already.
    Finished(Box<Manifest>),
}

impl Recorder {
    /// Begins a run in `STUDY/runs`, or continues it from its last checkpoint.
    ///
    /// # Errors
    /// Settings are impossible or the directory cannot be written.
    pub fn begin(
        study: &Path,
        model: &dyn Model,
        data: TrainingSet<'_>,
        settings: &Settings,
    ) -> Result<Begun, RecordError> {
        let parameters = Probe::new(model).parameters();
        let train_examples = data.inputs.dim(0)?;
        let examples = sample_examples(train_examples, settings.examples, settings.seed);
        let coordinates: Vec<Vec<usize>> = parameters
            .iter()
            .enumerate()
            .map(|(place, parameter)| {
                let generator = &mut stream(settings.seed, Purpose::Coordinates, place as u64);
                sample(parameter.size() as u32, settings.coordinates, generator)
                    .into_iter()
                    .map(|it| it as usize)
                    .collect()
            })
            .collect();
        let listed = coordinates.iter().enumerate().flat_map(|(parameter, places)| {
            places.iter().map(move |&index| Coordinate { parameter: parameter as u32, index: index as u64 })
        });
        let description = RunDescription {
            run: settings.run.clone(),
            conditions: settings.conditions.clone(),
            task: settings.task.clone(),
            steps: settings.steps,
            // Not the name of `cograd record`, of whose runs the audit knows how they were trained.
            writer: concat!("cograd-recorder-model ", env!("CARGO_PKG_VERSION")).to_string(),
            train_examples,
            example_ids: examples.clone(),
            population_ids: None,
            coordinates: listed.collect(),
            parameters,
        };
        let rows = Tensor::new(examples.as_slice(), data.inputs.device())?;
        let (inputs, labels) = (data.inputs.index_select(&rows, 0)?, data.labels.index_select(&rows, 0)?);
        let due = RecordingSteps::new(&settings.schedules, settings.steps);
        let recorder = |writer| Recorder {
            writer,
            run: settings.run.clone(),
            inputs,
            labels,
            examples,
            coordinates,
            due,
            batch: settings.batch.max(1),
            checked: false,
        };
        Ok(match RunWriter::resume(study, &description)? {
            Resumed::Nothing => Begun::New(recorder(RunWriter::create(study, description)?)),
            Resumed::Continued(writer, state) => Begun::Continued(recorder(*writer), state),
            Resumed::Finished(manifest) => Begun::Finished(manifest),
        })
    }

    /// Records what is due at step t, w_t being the weights of the model. `data` are looked at at population steps.
    ///
    /// The first recorded step compares two examples with plain autograd over batches of one.
    ///
    /// # Errors
    /// A parameter received no gradient, recorded gradients differ from plain autograd, the tensor library refuses, or
    /// the trace cannot be written. A step whose losses are not finite is none: it is recorded as skipped.
    pub fn step(&mut self, step: u64, model: &dyn Model, data: TrainingSet<'_>) -> Result<(), RecordError> {
        let due = |steps: &[u64]| steps.binary_search(&step).is_ok();
        let (gradients, population, snapshot) =
            (due(&self.due.gradients), due(&self.due.population), due(&self.due.snapshots));
        if !(gradients || population || snapshot) {
            return Ok(());
        }
        let probe = Probe::new(model);
        if snapshot {
            self.writer.write_weights(step as i64, &probe.weights()?)?;
        }
        if gradients && !self.write_gradients(step, &probe)? {
            return Ok(self.writer.skip_step(step as i64, "a loss is not finite")?);
        }
        if population {
            self.write_population(step, &probe, data)?;
        }
        Ok(())
    }

    /// Whether the losses were finite and the gradients are written.
    fn write_gradients(&mut self, step: u64, probe: &Probe<'_>) -> Result<bool, RecordError> {
        let mut rows = Vec::with_capacity(self.examples.len() * self.coordinates.iter().map(Vec::len).sum::<usize>());
        for batch in batches(&self.inputs, &self.labels, self.batch) {
            let (inputs, labels) = batch?;
            let (losses, gradients) = probe.gradients_at(&inputs, &labels, &self.coordinates)?;
            if losses.iter().any(|loss| !loss.is_finite()) {
                return Ok(false);
            }
            rows.extend(gradients);
        }
        self.check(probe)?;
        self.writer.write_gradients(step as i64, &rows)?;
        Ok(true)
    }

    fn check(&mut self, probe: &Probe<'_>) -> Result<(), RecordError> {
        if std::mem::replace(&mut self.checked, true) {
            return Ok(());
        }
        let two = self.examples.len().min(2);
        let (inputs, labels) = (self.inputs.narrow(0, 0, two)?, self.labels.narrow(0, 0, two)?);
        let (difference, parameter) = probe.largest_difference(&inputs, &labels, &self.coordinates)?;
        if difference <= LARGEST_DIFFERENCE {
            return Ok(());
        }
        Err(RecordError::Differs { run: self.run.clone(), parameter, difference })
    }

    fn write_population(&mut self, step: u64, probe: &Probe<'_>, data: TrainingSet<'_>) -> Result<(), RecordError> {
        let found = probe.population(|| batches(data.inputs, data.labels, self.batch))?;
        write_population(&mut self.writer, step, &found.by_layer(&probe.parameters()))
    }

    /// Makes everything recorded so far last, together with bytes of the training loop, so that both go on from here.
    ///
    /// # Errors
    /// A file cannot be written; the last checkpoint is then still good.
    pub fn checkpoint(&mut self, state: &[u8]) -> Result<(), RecordError> {
        Ok(self.writer.checkpoint(state)?)
    }

    /// Ends the run: columns about its m examples (`label`, `original_label`, `learned_step` or one's own), and metrics.
    ///
    /// # Errors
    /// A column or metric is impossible, or a file cannot be written.
    pub fn finish(self, columns: &[(&str, ExampleColumn)], metrics: &[Metric]) -> Result<Manifest, RecordError> {
        Ok(self.writer.finish(columns, metrics)?)
    }
}

/// Writes the population of a step, layer by layer.
pub(crate) fn write_population(
    writer: &mut RunWriter,
    step: u64,
    layers: &[LayerPopulation],
) -> Result<(), RecordError> {
    let rows = layers
        .iter()
        .map(|layer| PopulationLayer { contributions: &layer.contributions, self_terms: Some(&layer.self_terms) });
    let (rows, norms): (Vec<_>, Vec<f64>) =
        (rows.collect(), layers.iter().map(|layer| layer.gradient_norm_sq).collect());
    Ok(writer.write_population(step as i64, &PopulationRows { layers: &rows, gradient_norms_sq: &norms })?)
}
