//! One run, from the initial weights to the finished trace, in the order it happens.

use std::path::Path;

use candle_core::Tensor;
use cograd_trace::{
    Coordinate, Example, LayerWeights, Manifest, Metric, PopulationLayer, PopulationRows, Resumed, RunDescription,
    RunWriter, Split, Subset, TraceError,
};

use crate::checkpoint::{Interval, decode, encode};
use crate::data::Dataset;
use crate::error::RecordError;
use crate::experiment::Experiment;
use crate::minibatches::Minibatches;
use crate::network::{Evaluation, Network, sampled_gradients};
use crate::noise::permute_labels;
use crate::random::{Purpose, stream};
use crate::rule::{RuleError, Step, UpdateRule};
use crate::sample::{sample_coordinates, sample_examples};
use crate::schedule::RecordingSteps;
use crate::study::{Plan, Recording, RunStart};

/// All of a run that changes from step to step. Everything else follows from the experiment and the seed.
pub(crate) struct State {
    /// Number of updates made, t: the network holds w_t.
    pub step: u64,
    pub network: Network,
    pub rule: Box<dyn UpdateRule>,
    /// First evaluated step at which each training example's argmax was its label.
    pub learned_steps: Vec<Option<i64>>,
    pub metrics: Vec<Metric>,
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
    let (experiment, data) = (recording.experiment, recording.data);
    let training = &experiment.training;
    let (widths, seed) = (experiment.network.widths(data), plan.seed);
    let labels = permute_labels(&data.train.labels, plan.noise, &mut stream(seed, Purpose::Noise, 0));
    let mut minibatches = Minibatches::new(training.batch, labels.len(), seed);
    let sample = Sample::draw(experiment, data, &labels, &widths, seed)?;
    let due = RecordingSteps::new(&experiment.schedule, training.steps);

    let initial = || {
        Ok(State {
            step: 0,
            network: Network::glorot_uniform(&widths, &mut stream(seed, Purpose::Initialisation, 0))?,
            rule: plan.rule.update_rule(seed),
            learned_steps: vec![None; labels.len()],
            metrics: Vec::new(),
        })
    };
    let description = describe(plan, widths.clone(), training.steps, &sample, labels.len());
    let (mut writer, mut state, discarded) = match begin(recording.study, description, &sample.inputs, initial)? {
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
            writer.checkpoint(&encode(&state)?)?;
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
            writer.write_gradients(step as i64, &sampled_gradients(&pass, &deltas, &sample.coordinates)?)?;
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
        let update = Step { number: step, pass: &pass, deltas: &deltas, learning_rate: training.learning_rate };
        state.rule.update(&mut state.network, &update).map_err(|problem| refused(problem, plan, step, examples))?;
        state.step += 1;
        recording.observer.step(&plan.id, state.step);
    }

    let examples = example_table(&data.train.labels, &labels, &sample.examples, &state.learned_steps);
    Ok(Trained::Finished(Box::new(writer.finish(&examples, &state.metrics)?)))
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
                Ok(()) => return Ok(Begun::Recording { writer, state, discarded: None }),
                Err(message) => Some(format!("its checkpoint cannot be continued from: {message}")),
            }
        }
        Err(error @ TraceError::Checkpoint { .. }) => Some(error.to_string()),
        Err(error) => return Err(error.into()),
    };
    let mut writer = Box::new(RunWriter::create(study, description)?);
    writer.write_inputs(&inputs.flatten_all()?.to_vec1::<f32>()?)?;
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
    coordinates: Vec<Coordinate>,
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
            coordinates: sample_coordinates(widths, experiment.sample.weights_per_layer, seed),
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

fn describe(plan: &Plan, network: Vec<usize>, steps: u64, sample: &Sample, train_examples: usize) -> RunDescription {
    RunDescription {
        run: plan.id.clone(),
        rule: plan.rule.label(),
        noise: plan.noise,
        seed: plan.seed,
        network,
        steps,
        writer: concat!("cograd-recorder ", env!("CARGO_PKG_VERSION")).to_string(),
        train_examples,
        example_ids: sample.examples.clone(),
        coordinates: sample.coordinates.clone(),
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
    let subsets = [
        mean(step, Split::Train, Subset::All, &train, labels, |_| true),
        mean(step, Split::Train, Subset::Pristine, &train, labels, pristine),
        mean(step, Split::Train, Subset::Corrupt, &train, labels, |row| !pristine(row)),
        mean(step, Split::Test, Subset::All, &test, &data.test.labels, |_| true),
    ];
    state.metrics.extend(subsets.into_iter().flatten());
    Ok(())
}

/// Mean loss and accuracy of the examples that `belong`; `None` if none do.
fn mean(
    step: u64,
    split: Split,
    subset: Subset,
    evaluation: &Evaluation,
    labels: &[u8],
    belongs: impl Fn(usize) -> bool,
) -> Option<Metric> {
    let (mut examples, mut loss, mut right) = (0_u32, 0.0, 0_u32);
    for row in (0..labels.len()).filter(|&row| belongs(row)) {
        examples += 1;
        loss += evaluation.losses[row];
        right += u32::from(evaluation.predictions[row] == labels[row]);
    }
    let count = f64::from(examples);
    let metric =
        Metric { step: step as i64, split, subset, examples, loss: loss / count, accuracy: f64::from(right) / count };
    (examples > 0).then_some(metric)
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
        .map(|layer| PopulationLayer { contributions: &layer.contributions, self_terms: &layer.self_terms })
        .collect();
    let norms: Vec<f64> = population.layers.iter().map(|layer| layer.gradient_norm_sq).collect();
    Ok(writer.write_population(step as i64, &PopulationRows { layers: &layers, gradient_norms_sq: &norms })?)
}

fn write_snapshot(writer: &mut RunWriter, step: u64, network: &Network) -> Result<(), RecordError> {
    let layers = network.layer_parameters()?;
    let layers: Vec<LayerWeights<'_>> = layers
        .iter()
        .map(|layer| LayerWeights {
            fan_in: layer.fan_in,
            fan_out: layer.fan_out,
            weight: &layer.weight,
            bias: &layer.bias,
        })
        .collect();
    Ok(writer.write_weights(step as i64, &layers)?)
}

fn example_table(original: &[u8], labels: &[u8], sampled: &[u32], learned_steps: &[Option<i64>]) -> Vec<Example> {
    let rows = original.iter().zip(labels).zip(learned_steps).enumerate();
    rows.map(|(row, ((&original_label, &label), &learned_step))| Example {
        example_id: row as u32,
        label,
        original_label,
        pristine: label == original_label,
        sampled: sampled.binary_search(&(row as u32)).is_ok(),
        learned_step,
    })
    .collect()
}
