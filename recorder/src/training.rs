//! One run, from the initial weights to the finished trace, in the order it happens.

use std::path::Path;

use candle_core::Tensor;
use cograd_trace::{
    Coordinate, ExampleColumn, Manifest, Metric, Parameter, PopulationLayer, PopulationRows, Resumed, RunDescription,
    RunWriter, Task, TraceError,
};

use crate::checkpoint::{Interval, decode, encode};
use crate::data::Dataset;
use crate::error::RecordError;
use crate::experiment::Experiment;
use crate::initial;
use crate::minibatches::Minibatches;
use crate::network::{Evaluation, Network, Weight, sampled_gradients};
use crate::noise::noisy_labels;
use crate::optimizer::Update;
use crate::random::{Purpose, stream};
use crate::rule::{RuleError, Step};
use crate::sample::{sample_examples, sample_training_set, sample_weights};
use crate::schedule::RecordingSteps;
use crate::study::{Plan, Recording, RunStart};

/// All of a run that changes from step to step. Everything else follows from the experiment and the seed.
pub(crate) struct State {
    /// Number of updates made, t: the network holds w_t.
    pub step: u64,
    pub network: Network,
    pub update: Update,
    /// First evaluated step at which each training example's argmax was its label.
    pub learned_steps: Vec<Option<i64>>,
    pub metrics: Vec<Evaluated>,
}

/// The sets that are evaluated: split and group.
pub(crate) const SETS: [(&str, &str); 4] =
    [("train", "all"), ("train", "pristine"), ("train", "corrupt"), ("test", "all")];

/// One evaluation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Evaluated {
    pub step: i64,
    /// Place among [`SETS`].
    pub set: u8,
    /// Number of examples.
    pub examples: u32,
    /// Mean cross-entropy, in nats.
    pub loss: f64,
    /// Fraction of them whose argmax is their label.
    pub accuracy: f64,
}

impl Evaluated {
    /// Its loss and accuracy as the trace has them.
    fn metrics(&self) -> [Metric; 2] {
        let (split, group) = SETS[usize::from(self.set)];
        [("loss", self.loss), ("accuracy", self.accuracy)].map(|(metric, value)| Metric {
            step: self.step,
            split: split.to_string(),
            group: group.to_string(),
            metric: metric.to_string(),
            value,
            examples: self.examples.into(),
        })
    }
}

/// What became of a run.
pub(crate) enum Trained {
    Finished(Box<Manifest>),
    /// It was asked to stop, and a checkpoint was taken before this step.
    Stopped {
        step: u64,
    },
}

/// Trains one network and records it, from where it was interrupted if it was.
///
/// Everything recorded at step t is evaluated at w_t, before update t; the last evaluation is at w_T.
pub(crate) fn train(recording: &Recording<'_>, index: usize, plan: &Plan) -> Result<Trained, RecordError> {
    let (experiment, whole) = (plan.experiment.as_ref(), recording.data(plan)?);
    let training = &experiment.training;
    let (widths, seed) = (experiment.network.widths(whole), plan.seed);
    let rows = experiment.data.examples.map(|amount| sample_training_set(whole.train.len(), amount, seed));
    let subset = rows.as_ref().map(|rows| whole.subset(rows));
    let data = subset.as_ref().unwrap_or(whole);
    let noise = &mut stream(seed, Purpose::Noise, 0);
    let (originals, others) = (&data.train.labels, data.noise_file.as_deref());
    let labels = noisy_labels(experiment.data.noise, originals, others, data.classes, plan.noise, noise);
    let mut minibatches = Minibatches::new(training.batch, labels.len(), seed);
    let sample = Sample::draw(experiment, data, &labels, &widths, seed)?;
    let due = RecordingSteps::new(&experiment.schedule, training.steps);

    let first = || {
        Ok(State {
            step: 0,
            network: match &experiment.network.initial {
                Some(reference) => initial::network(reference, &widths, seed)?,
                None => Network::glorot_uniform(&widths, &mut stream(seed, Purpose::Initialisation, 0))?,
            },
            update: Update::new(plan.rule.update_rule(seed), training.optimizer.optimizer()),
            learned_steps: vec![None; labels.len()],
            metrics: Vec::new(),
        })
    };
    let description = describe(plan, &widths, &sample, labels.len());
    let (mut writer, mut state, discarded) = match begin(recording.study, description, &sample.inputs, first)? {
        Begun::Finished(manifest) => return Ok(Trained::Finished(manifest)),
        Begun::Recording { writer, state, discarded } => (writer, state, discarded),
    };
    let (runs, steps, discarded) = (recording.runs, training.steps, discarded.as_deref());
    recording.observer.run_started(&RunStart { run: &plan.id, index, runs, steps, from: state.step, discarded });
    let mut interval = Interval::new(&experiment.checkpoint, state.step);

    loop {
        let step = state.step;
        let stops = step < training.steps && recording.should_stop();
        if stops || interval.is_due(step) {
            let (columns, metrics) = tables(&state, &labels, data, rows.as_deref());
            writer.checkpoint_with(&encode(&state)?, &columns, &metrics)?;
            interval.taken(step);
        }
        if stops {
            return Ok(Trained::Stopped { step });
        }
        if is_due(&due.evaluations, step) {
            evaluate(&mut state, data, &labels, plan)?;
        }
        if is_due(&due.snapshots, step) {
            write_snapshot(&mut writer, step, &state.network)?;
        }
        if is_due(&due.gradients, step) {
            let pass = state.network.forward(&sample.inputs)?;
            let deltas = state.network.backward(&pass, &sample.labels)?;
            ensure_finite(deltas.evaluation(), plan, step, "training", |row| sample.examples[row] as usize)?;
            writer.write_gradients(step as i64, &sampled_gradients(&pass, &deltas, &sample.weights)?)?;
        }
        if is_due(&due.population, step) {
            write_population(&mut writer, &state, data, &labels, plan)?;
        }
        if step == training.steps {
            break;
        }

        let examples = minibatches.of_step(step);
        let pass = state.network.forward(&data.train.pixels().gather(examples)?)?;
        let deltas = state.network.backward(&pass, &select(&labels, examples))?;
        ensure_finite(deltas.evaluation(), plan, step, "training", |row| examples[row] as usize)?;
        let learning_rate = training.schedule.rate(training.learning_rate, step, training.steps);
        let of_step = Step { number: step, pass: &pass, deltas: &deltas, learning_rate };
        let made = state.update.make(&mut state.network, &of_step);
        made.map_err(|problem| refused(problem, plan, step, examples))?;
        state.step += 1;
        recording.observer.step(&plan.id, state.step);
    }

    let (columns, metrics) = tables(&state, &labels, data, rows.as_deref());
    Ok(Trained::Finished(Box::new(writer.finish(&columns, &metrics)?)))
}

/// What is known of the training examples, and the metrics so far. `rows` are those of the file, if not all are trained on.
fn tables(
    state: &State,
    labels: &[u8],
    data: &Dataset,
    rows: Option<&[u32]>,
) -> (Vec<(&'static str, ExampleColumn)>, Vec<Metric>) {
    let column = |labels: &[u8]| ExampleColumn::Integers(labels.iter().map(|label| Some((*label).into())).collect());
    let mut columns = vec![
        ("label", column(labels)),
        ("original_label", column(&data.train.labels)),
        ("learned_step", ExampleColumn::Integers(state.learned_steps.clone())),
    ];
    if let Some(rows) = rows {
        columns.push(("row", ExampleColumn::Integers(rows.iter().map(|row| Some((*row).into())).collect())));
    }
    (columns, state.metrics.iter().flat_map(Evaluated::metrics).collect())
}

/// A run about to be trained.
enum Begun {
    /// Only its name was missing.
    Finished(Box<Manifest>),
    Recording {
        writer: Box<RunWriter>,
        state: State,
        /// Why it begins although an interrupted attempt was there.
        discarded: Option<String>,
    },
}

/// Continues what is there of a run if that is possible, and begins it otherwise.
fn begin(
    study: &Path,
    description: RunDescription,
    inputs: &Tensor,
    initial: impl Fn() -> Result<State, RecordError>,
) -> Result<Begun, RecordError> {
    let discarded = match RunWriter::resume(study, &description) {
        Ok(Resumed::Nothing) => None,
        Ok(Resumed::Finished(manifest)) => return Ok(Begun::Finished(manifest)),
        Ok(Resumed::Continued(writer, bytes)) => {
            let mut state = initial()?;
            match decode(&bytes, &mut state) {
                Ok(()) if state.step > description.steps => {
                    let (step, steps) = (state.step, description.steps);
                    Some(format!("its checkpoint is of step {step}, but the run has {steps}"))
                }
                Ok(()) => return Ok(Begun::Recording { writer, state, discarded: None }),
                Err(message) => Some(format!("its checkpoint cannot be continued from: {message}")),
            }
        }
        Err(error @ TraceError::Checkpoint { .. }) => Some(error.to_string()),
        Err(error) => return Err(error.into()),
    };
    let mut writer = Box::new(RunWriter::create(study, description)?);
    let (shape, values) = (inputs.dims().to_vec(), inputs.flatten_all()?.to_vec1::<f32>()?);
    writer.write_inputs(&[cograd_trace::Tensor { name: "input".to_string(), shape, values }])?;
    Ok(Begun::Recording { writer, state: initial()?, discarded })
}

/// What the gradients are recorded of: fixed examples and weights.
struct Sample {
    /// Rows of the training set, ascending.
    examples: Vec<u32>,
    /// Their pixels, `[n, width]`.
    inputs: Tensor,
    /// The labels they are trained on.
    labels: Vec<u8>,
    /// The weights whose gradients are recorded.
    weights: Vec<Weight>,
}

impl Sample {
    fn draw(
        experiment: &Experiment,
        data: &Dataset,
        labels: &[u8],
        widths: &[usize],
        seed: u64,
    ) -> Result<Sample, RecordError> {
        let examples = sample_examples(labels.len(), experiment.sample.examples, seed);
        Ok(Sample {
            inputs: data.train.pixels().gather(&examples)?,
            labels: select(labels, &examples),
            weights: sample_weights(widths, experiment.sample.weights_per_layer, seed),
            examples,
        })
    }
}

/// The rule's error, with the run, the step and the example of the training set.
fn refused(problem: RuleError, plan: &Plan, step: u64, minibatch: &[u32]) -> RecordError {
    let run = plan.id.clone();
    match problem {
        RuleError::Network(problem) => problem.into(),
        RuleError::NotFinite { what, layer, example } => {
            RecordError::NotFinite { run, step, what, layer, example: minibatch[example] as usize }
        }
        problem => RecordError::Rule { run, step, problem },
    }
}

fn describe(plan: &Plan, widths: &[usize], sample: &Sample, train_examples: usize) -> RunDescription {
    let named = |part: &str, layer: usize, shape: &[u64]| {
        Parameter::new(&format!("layer.{layer}.{part}"), shape, Some("linear"))
    };
    let layers = widths.windows(2).enumerate().flat_map(|(layer, pair)| {
        let [fan_in, fan_out] = [pair[0] as u64, pair[1] as u64];
        [named("weight", layer, &[fan_out, fan_in]), named("bias", layer, &[fan_out])]
    });
    let coordinate = |weight: &Weight| Coordinate {
        parameter: 2 * weight.layer,
        index: u64::from(weight.row) * widths[weight.layer as usize] as u64 + u64::from(weight.column),
    };
    let [loss, mode, dtype, network] = ["cross-entropy", "train", "float32", "mlp"].map(|text| Some(text.to_string()));
    RunDescription {
        run: plan.id.clone(),
        conditions: plan.conditions(),
        task: Task { loss, mode, dtype, network, classes: widths.last().map(|width| *width as u64), ..Task::default() },
        steps: plan.experiment.training.steps,
        writer: concat!("cograd-recorder ", env!("CARGO_PKG_VERSION")).to_string(),
        train_examples,
        example_ids: sample.examples.clone(),
        population_ids: None,
        parameters: layers.collect(),
        coordinates: sample.weights.iter().map(coordinate).collect(),
    }
}

fn is_due(steps: &[u64], step: u64) -> bool {
    steps.binary_search(&step).is_ok()
}

fn select(labels: &[u8], examples: &[u32]) -> Vec<u8> {
    examples.iter().map(|&example| labels[example as usize]).collect()
}

/// Evaluates both sets at w_t, and notes which training examples are learned.
fn evaluate(state: &mut State, data: &Dataset, labels: &[u8], plan: &Plan) -> Result<(), RecordError> {
    let step = state.step;
    let train = state.network.evaluate(data.train.pixels(), labels)?;
    ensure_finite(&train, plan, step, "training", |row| row)?;
    let test = state.network.evaluate(data.test.pixels(), &data.test.labels)?;
    ensure_finite(&test, plan, step, "test", |row| row)?;

    for (learned, (prediction, label)) in state.learned_steps.iter_mut().zip(train.predictions.iter().zip(labels)) {
        if learned.is_none() && prediction == label {
            *learned = Some(step as i64);
        }
    }
    let pristine = |row: usize| labels[row] == data.train.labels[row];
    let sets = [
        mean(step, 0, &train, labels, |_| true),
        mean(step, 1, &train, labels, pristine),
        mean(step, 2, &train, labels, |row| !pristine(row)),
        mean(step, 3, &test, &data.test.labels, |_| true),
    ];
    state.metrics.extend(sets.into_iter().flatten());
    Ok(())
}

/// Mean loss and accuracy of the examples of a set that `belong` to it; `None` if none do.
fn mean(
    step: u64,
    set: u8,
    evaluation: &Evaluation,
    labels: &[u8],
    belongs: impl Fn(usize) -> bool,
) -> Option<Evaluated> {
    let (mut examples, mut loss, mut right) = (0_u32, 0.0, 0_u32);
    for row in (0..labels.len()).filter(|&row| belongs(row)) {
        examples += 1;
        loss += evaluation.losses[row];
        right += u32::from(evaluation.predictions[row] == labels[row]);
    }
    let count = f64::from(examples);
    let evaluated =
        Evaluated { step: step as i64, set, examples, loss: loss / count, accuracy: f64::from(right) / count };
    (examples > 0).then_some(evaluated)
}

fn ensure_finite(
    evaluation: &Evaluation,
    plan: &Plan,
    step: u64,
    set: &'static str,
    example_of: impl Fn(usize) -> usize,
) -> Result<(), RecordError> {
    match evaluation.first_non_finite() {
        None => Ok(()),
        Some(row) => {
            let (run, loss) = (plan.id.clone(), evaluation.losses[row]);
            Err(RecordError::Diverged { run, step, set, example: example_of(row), loss })
        }
    }
}

/// Writes what every training example contributes at w_t, over all parameters.
fn write_population(
    writer: &mut RunWriter,
    state: &State,
    data: &Dataset,
    labels: &[u8],
    plan: &Plan,
) -> Result<(), RecordError> {
    let step = state.step;
    let population = state.network.population(data.train.pixels(), labels)?;
    ensure_finite(&population.evaluation, plan, step, "training", |row| row)?;
    let layers: Vec<PopulationLayer<'_>> = population
        .layers
        .iter()
        .map(|layer| PopulationLayer { contributions: &layer.contributions, self_terms: Some(&layer.self_terms) })
        .collect();
    let norms: Vec<f64> = population.layers.iter().map(|layer| layer.gradient_norm_sq).collect();
    Ok(writer.write_population(step as i64, &PopulationRows { layers: &layers, gradient_norms_sq: &norms })?)
}

fn write_snapshot(writer: &mut RunWriter, step: u64, network: &Network) -> Result<(), RecordError> {
    let layers = network.layer_parameters()?.into_iter().enumerate().flat_map(|(layer, parameters)| {
        let shape = vec![parameters.fan_out, parameters.fan_in];
        let tensor =
            |part, shape, values| cograd_trace::Tensor { name: format!("layer.{layer}.{part}"), shape, values };
        [tensor("weight", shape, parameters.weight), tensor("bias", vec![parameters.fan_out], parameters.bias)]
    });
    Ok(writer.write_weights(step as i64, &layers.collect::<Vec<_>>())?)
}
