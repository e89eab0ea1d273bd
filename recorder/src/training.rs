//! One run, from the initial weights to the finished trace, in the order it happens.

use std::path::Path;

use candle_core::{DType, Tensor};
use cograd_trace::{
    Coordinate, ExampleColumn, Manifest, Metric, Parameter, Resumed, RunDescription, RunWriter, Task, TraceError,
};

use crate::architecture::{self, Trainable};
use crate::checkpoint::{Interval, decode, encode};
use crate::data::Dataset;
use crate::error::RecordError;
use crate::experiment::{Experiment, Rule};
use crate::initial;
use crate::minibatches::Minibatches;
use crate::model::write_population;
use crate::network::{Evaluation, LayerPopulation};
use crate::noise::noisy_labels;
use crate::optimizer::Update;
use crate::preconditioned::Preconditioned;
use crate::random::{Purpose, stream};
use crate::rule::RuleError;
use crate::sample::{sample_coordinates, sample_examples, sample_training_set};
use crate::schedule::RecordingSteps;
use crate::study::{Plan, Recording, RunStart};

/// All of a run that changes from step to step. Everything else follows from the experiment and the seed.
pub(crate) struct State {
    /// Number of updates made, t: the network holds w_t.
    pub step: u64,
    pub network: Box<dyn Trainable>,
    pub update: Update,
    /// First evaluated step at which each training example's argmax was its label.
    pub learned_steps: Vec<Option<i64>>,
    pub metrics: Vec<Evaluated>,
}

impl State {
    /// Whether the metrics are those of all evaluations before its step, of which these are due.
    pub fn has_evaluated(&self, due: &[u64]) -> bool {
        let mut evaluated: Vec<i64> = self.metrics.iter().map(|metric| metric.step).collect();
        evaluated.dedup();
        let before = due.iter().take_while(|step| **step < self.step).map(|step| *step as i64);
        before.eq(evaluated)
    }
}

/// The sets that are evaluated: split and group.
pub(crate) const SETS: [(&str, &str); 4] =
    [("train", "all"), ("train", "pristine"), ("train", "corrupt"), ("test", "all")];

/// What is measured of a set.
pub(crate) const METRICS: [&str; 3] = ["loss", "accuracy", "chance"];

/// One number of an evaluation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Evaluated {
    pub step: i64,
    /// Place among [`SETS`].
    pub set: u8,
    /// Place among [`METRICS`].
    pub metric: u8,
    /// Number of examples.
    pub examples: u32,
    /// Mean cross-entropy in nats, the fraction whose argmax is their label, or the fraction to be expected of permuted labels.
    pub value: f64,
}

impl Evaluated {
    /// As the trace has it.
    fn as_metric(&self) -> Metric {
        let ((split, group), metric) = (SETS[usize::from(self.set)], METRICS[usize::from(self.metric)]);
        Metric {
            step: self.step,
            split: split.to_string(),
            group: group.to_string(),
            metric: metric.to_string(),
            value: self.value,
            examples: self.examples.into(),
        }
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
    let seed = plan.seed;
    let rows = experiment.data.examples.map(|amount| sample_training_set(whole.train.len(), amount, seed));
    let subset = rows.as_ref().map(|rows| whole.subset(rows));
    let data = subset.as_ref().unwrap_or(whole);
    let noise = &mut stream(seed, Purpose::Noise, 0);
    let (originals, others) = (&data.train.labels, data.noise_file.as_deref());
    let labels = noisy_labels(experiment.data.noise, originals, others, data.classes, plan.noise, noise);
    let mut minibatches = Minibatches::new(training.batch, labels.len(), seed);
    let network = || architecture::network(&experiment.network.kind, data, seed);
    let parameters = network()?.parameters();
    let sample = Sample::draw(experiment, data, &labels, &parameters, seed)?;
    let is_preconditioned = experiment.sample.preconditioned;
    let preconditioned =
        is_preconditioned.then(|| Preconditioned::new(&experiment.network.kind, &parameters, &sample.coordinates));
    let due = RecordingSteps::new(&experiment.schedule, training.steps);

    let first = || -> Result<State, RecordError> {
        let mut network = network()?;
        if let Some(reference) = &experiment.network.initial {
            network.set_weights(initial::weights(reference, &network.parameters(), seed)?)?;
        }
        Ok(State {
            step: 0,
            network,
            update: Update::new(plan.rule.update_rule(seed), training.optimizer.optimizer()),
            learned_steps: vec![None; labels.len()],
            metrics: Vec::new(),
        })
    };
    let description = describe(plan, data.classes, parameters, &sample, labels.len());
    let (mut writer, mut state, discarded) =
        match begin(recording.study, description, &sample.inputs, &due.evaluations, first)? {
            Begun::Finished(manifest) => return Ok(Trained::Finished(manifest)),
            Begun::Recording { writer, state, discarded } => (writer, state, discarded),
        };
    let (runs, steps, from, recorded) = (recording.runs, training.steps, state.step, &due.all()[..]);
    let discarded = discarded.as_deref();
    recording.observer.run_started(&RunStart { run: &plan.id, index, runs, steps, from, recorded, discarded });
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
            writer.write_weights(step as i64, &state.network.weights()?)?;
        }
        let mut rows_to_divide = None;
        if is_due(&due.gradients, step) {
            let (evaluation, rows) = state.network.gradients_at(&sample.inputs, &sample.labels, &sample.coordinates)?;
            ensure_finite(&evaluation, plan, step, "training", |row| sample.examples[row] as usize)?;
            match preconditioned {
                Some(_) => rows_to_divide = Some(rows),
                None => writer.write_gradients(step as i64, &rows).map_err(|problem| unwritten(problem, plan, step))?,
            }
        }
        if is_due(&due.population, step) {
            let population = state.network.population(data.train.inputs(), &labels)?;
            ensure_finite(&population.evaluation, plan, step, "training", |row| row)?;
            ensure_norms(&population.layers, plan, step)?;
            write_population(&mut writer, step, &population.layers)
                .map_err(|problem| unwritten(problem, plan, step))?;
        }
        if step == training.steps {
            break;
        }

        let examples = minibatches.of_step(step);
        let (inputs, of_examples) = (data.train.inputs().gather(examples)?, select(&labels, examples));
        let learning_rate = training.schedule.rate(training.learning_rate, step, training.steps);
        let made = state.network.update((&inputs, &of_examples), &mut state.update, step, learning_rate);
        let evaluation = made.map_err(|problem| refused(problem, plan, step, examples))?;
        ensure_finite(&evaluation, plan, step, "training", |row| examples[row] as usize)?;
        if let Some((preconditioned, mut rows)) = preconditioned.as_ref().zip(rows_to_divide) {
            preconditioned.divide(&mut rows, &state.update, step);
            writer.write_gradients(step as i64, &rows).map_err(|problem| unwritten(problem, plan, step))?;
        }
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
    (columns, state.metrics.iter().map(Evaluated::as_metric).collect())
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
    evaluations: &[u64],
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
                Ok(()) if !state.has_evaluated(evaluations) => Some(format!(
                    "its checkpoint is of step {}, but its evaluations are not those before that step",
                    state.step
                )),
                Ok(()) => return Ok(Begun::Recording { writer, state, discarded: None }),
                Err(message) => Some(format!("its checkpoint cannot be continued from: {message}")),
            }
        }
        Err(error @ TraceError::Checkpoint { .. }) => Some(error.to_string()),
        Err(error) => return Err(error.into()),
    };
    let mut writer = Box::new(RunWriter::create(study, description)?);
    let (shape, values) = (inputs.dims().to_vec(), inputs.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?);
    writer.write_inputs(&[cograd_trace::Tensor { name: "input".to_string(), shape, values }])?;
    Ok(Begun::Recording { writer, state: initial()?, discarded })
}

/// What the gradients are recorded of: fixed examples and coordinates.
struct Sample {
    /// Rows of the training set, ascending.
    examples: Vec<u32>,
    /// What the network is given of them, `[n, width]`.
    inputs: Tensor,
    /// The labels they are trained on.
    labels: Vec<u8>,
    /// Where their gradients are recorded.
    coordinates: Vec<Coordinate>,
}

impl Sample {
    fn draw(
        experiment: &Experiment,
        data: &Dataset,
        labels: &[u8],
        parameters: &[Parameter],
        seed: u64,
    ) -> Result<Sample, RecordError> {
        let examples = sample_examples(labels.len(), experiment.sample.examples, seed);
        Ok(Sample {
            inputs: data.train.inputs().gather(&examples)?,
            labels: select(labels, &examples),
            coordinates: sample_coordinates(parameters, experiment.sample.weights_per_layer, seed),
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
            let (example, advice) = (minibatch[example] as usize, advice(plan, step));
            RecordError::NotFinite { run, step, what, layer, example, advice }
        }
        problem => RecordError::Rule { run, step, problem },
    }
}

/// Why something was not written: if it is no finite number, with the run, the step, and what to change.
fn unwritten(problem: impl Into<RecordError>, plan: &Plan, step: u64) -> RecordError {
    let (what, value) = match problem.into() {
        RecordError::Trace(TraceError::NonFinite { example_id, value, .. }) => {
            (format!("gradient of training example {example_id}"), f64::from(value))
        }
        RecordError::Trace(TraceError::NonFinitePopulation { example_id, value, .. }) => {
            (format!("contribution of training example {example_id} to the gradient"), value)
        }
        problem => return problem,
    };
    RecordError::Unrecordable { run: plan.id.clone(), step, what, value, advice: advice(plan, step) }
}

/// An error if the squared norm of the gradient of a layer is no finite number.
fn ensure_norms(layers: &[LayerPopulation], plan: &Plan, step: u64) -> Result<(), RecordError> {
    match layers.iter().map(|layer| layer.gradient_norm_sq).find(|norm| !norm.is_finite()) {
        None => Ok(()),
        Some(value) => {
            let (run, what) = (plan.id.clone(), "squared norm of the gradient".to_string());
            Err(RecordError::Unrecordable { run, step, what, value, advice: advice(plan, step) })
        }
    }
}

fn describe(
    plan: &Plan,
    classes: usize,
    parameters: Vec<Parameter>,
    sample: &Sample,
    train_examples: usize,
) -> RunDescription {
    let network = plan.experiment.network.kind.name();
    let [loss, mode, dtype, network] =
        ["cross-entropy", "train", "float32", network].map(|text| Some(text.to_string()));
    RunDescription {
        run: plan.id.clone(),
        conditions: plan.conditions(),
        task: Task { loss, mode, dtype, network, classes: Some(classes as u64), ..Task::default() },
        steps: plan.experiment.training.steps,
        writer: concat!("cograd-recorder ", env!("CARGO_PKG_VERSION")).to_string(),
        train_examples,
        example_ids: sample.examples.clone(),
        population_ids: None,
        parameters,
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
    let train = state.network.evaluate(data.train.inputs(), labels)?;
    ensure_finite(&train, plan, step, "training", |row| row)?;
    let test = state.network.evaluate(data.test.inputs(), &data.test.labels)?;
    ensure_finite(&test, plan, step, "test", |row| row)?;

    for (learned, (prediction, label)) in state.learned_steps.iter_mut().zip(train.predictions.iter().zip(labels)) {
        if learned.is_none() && prediction == label {
            *learned = Some(step as i64);
        }
    }
    let pristine = |row: usize| labels[row] == data.train.labels[row];
    let test_labels = &data.test.labels;
    let sets = [
        means(step, 0, &train, labels, |_| true),
        means(step, 1, &train, labels, pristine),
        means(step, 2, &train, labels, |row| !pristine(row)),
        means(step, 3, &test, test_labels, |_| true),
    ];
    state.metrics.extend(sets.into_iter().flatten().flatten());
    let (examples, value) = (test_labels.len() as u32, chance(labels, &test.predictions));
    state.metrics.extend(value.map(|value| Evaluated { step: step as i64, set: 3, metric: 2, examples, value }));
    Ok(())
}

/// Mean loss and accuracy of the examples of a set that `belong` to it; `None` if none do.
fn means(
    step: u64,
    set: u8,
    evaluation: &Evaluation,
    labels: &[u8],
    belongs: impl Fn(usize) -> bool,
) -> Option<[Evaluated; 2]> {
    let (mut examples, mut loss, mut right) = (0_u32, 0.0, 0_u32);
    for row in (0..labels.len()).filter(|&row| belongs(row)) {
        examples += 1;
        loss += evaluation.losses[row];
        right += u32::from(evaluation.predictions[row] == labels[row]);
    }
    let mean =
        |metric, sum: f64| Evaluated { step: step as i64, set, metric, examples, value: sum / f64::from(examples) };
    (examples > 0).then(|| [mean(0, loss), mean(1, f64::from(right))])
}

/// The accuracy that these predictions would have on permuted labels, Σ_k p_k f_k: p_k the frequency of class k among the training
/// labels, f_k that among the predictions. `None` without any. Source: [S 9].
fn chance(labels: &[u8], predictions: &[u8]) -> Option<f64> {
    let counts = |classes: &[u8]| {
        let mut counts = [0_u64; 256];
        classes.iter().for_each(|class| counts[usize::from(*class)] += 1);
        counts
    };
    let pairs = counts(labels).into_iter().zip(counts(predictions)).map(|(label, prediction)| label * prediction);
    let all = labels.len() as f64 * predictions.len() as f64;
    (all > 0.0).then(|| pairs.sum::<u64>() as f64 / all)
}

/// Why what a run computes at a step is no longer finite, and what to change.
fn advice(plan: &Plan, step: u64) -> &'static str {
    match plan.rule {
        _ if step == 0 => {
            "no update was made yet, so the data or the initial weights are too large: scale the columns of the data down, or begin \
             with smaller weights,"
        }
        Rule::NormClipped { noise, .. } if noise > 0.0 => {
            "training diverged: lower training.learning_rate, or the noise or the norm of the rule,"
        }
        _ => "training diverged: lower training.learning_rate",
    }
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
            Err(RecordError::Diverged { run, step, set, example: example_of(row), loss, advice: advice(plan, step) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::chance;

    #[test]
    fn chance_is_the_accuracy_of_the_same_answers_on_permuted_labels() {
        // Half the labels are 0 and a quarter 1; three of four answers are 0, one is 1.
        assert_eq!(chance(&[0, 0, 1, 2], &[0, 0, 0, 1]), Some(0.5 * 0.75 + 0.25 * 0.25));
        assert_eq!(chance(&[3, 3], &[4]), Some(0.0));
        assert_eq!(chance(&[7], &[7, 7]), Some(1.0));
        assert_eq!(chance(&[1], &[]), None);
    }
}
