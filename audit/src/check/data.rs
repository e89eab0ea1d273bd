//! The trace against the data set: what it says of every example at every snapshot, and what became of the weights where one step
//! lies between two snapshots.

use std::collections::{BTreeMap, BTreeSet};

use cograd_recorder::data::{Dataset, Examples as Images, Values};
use cograd_recorder::{Batch, Experiment, NetworkKind, Optimizer};
use cograd_trace::Manifest;
use rayon::prelude::*;

use crate::check::seeds::draw_sorted;
use crate::check::{gradients, layered_data, learned_steps};
use crate::claim::Claim;
use crate::examples::integers;
use crate::plain::full_gradient::{Example, FullGradient};
use crate::plain::network::{Logits, Network};
use crate::plain::random::{of_recorder, shuffle_front};
use crate::plain::rate::rate;
use crate::plain::rule::Rule;
use crate::tally::{Number, Tally, told};
use crate::trace::Trace;

/// The recorder's purpose of the order of an epoch.
const MINIBATCHES: u64 = 4;
/// Its purpose of the examples of the data set that are trained on.
const SUBSET: u64 = 6;
/// What f32 may lose of a loss, a gradient or a weight, of the sizes that they are proportional to.
const ROUNDING: f64 = 1e-6;
const OF_WEIGHT: f64 = 1.2e-7;
/// The smallest number of f32, by multiples of which a smaller product or learning rate is off.
pub(super) const SMALLEST: f64 = 1.401298464324817e-45;

/// The data set, as the audit reads it.
pub(super) struct Data<'a> {
    images: &'a Images,
    pub labels: Vec<usize>,
}

impl Data<'_> {
    /// What the network is given of an example: its pixels, scaled as the recorder does, its numbers or its words.
    pub fn input(&self, example: usize) -> Vec<f32> {
        let width = self.images.width();
        let places = example * width..(example + 1) * width;
        match &self.images.values {
            Values::Bytes { values, maximum } => {
                values[places].iter().map(|&pixel| f32::from(pixel) / f32::from(*maximum)).collect()
            }
            Values::Numbers(values) => values[places].to_vec(),
            Values::Tokens { values, .. } => values.text(example).iter().map(|&token| token as f32).collect(),
        }
    }

    /// What a network answers to every example; its error if it has none.
    pub fn logits<E: Send>(&self, of: impl Fn(&[f32]) -> Result<Logits, E> + Sync) -> Result<Vec<Logits>, E> {
        (0..self.labels.len()).into_par_iter().map(|example| of(&self.input(example))).collect()
    }
}

/// What is compared at the snapshots.
#[derive(Default)]
pub(super) struct Claims {
    curves: Tally,
    learned: Tally,
}

impl Claims {
    /// With what became of the population and of the updates.
    pub fn into_claims(self, population: Result<Tally, String>, updates: Claim, subject: &str) -> Vec<Claim> {
        let of_population = "the population is that of the data set, at snapshots";
        vec![
            self.curves.into_claim("losses and accuracies are those of the data set, at snapshots", subject),
            self.learned.into_claim("learned steps of all examples agree with the snapshots", subject),
            match population {
                Ok(tally) => tally.into_claim(of_population, subject),
                Err(why) => Claim::fail(of_population, subject, why),
            },
            updates,
        ]
    }
}

/// Of a run that cograd recorded; `kind` is that of its network, if it is no multilayer perceptron.
pub(crate) fn check(
    trace: &Trace,
    kind: Option<&NetworkKind>,
    experiment: &Experiment,
    data: &Dataset,
    subject: &str,
) -> Vec<Claim> {
    let (all, seed) = (data.train.labels.len(), trace.manifest().conditions.seed());
    let rows = experiment.data.examples.zip(seed).map(|(amount, seed)| draw_sorted(all, amount, seed, SUBSET, 0));
    let rows = rows.map(|rows| rows.into_iter().map(|row| row as u32).collect::<Vec<u32>>());
    let subset = rows.map(|rows| data.subset(&rows));
    let data = subset.as_ref().unwrap_or(data);
    let of_data = "the examples are those of the data set";
    let examples = of_examples(trace, data);
    if examples.failed() > 0 {
        return vec![examples.into_claim(of_data, subject)];
    }
    let label = |example: usize| trace.examples.class(example).unwrap_or(usize::MAX);
    let train = Data { images: &data.train, labels: (0..trace.examples.count).map(label).collect() };
    let test = Data { images: &data.test, labels: data.test.labels.iter().map(|label| (*label).into()).collect() };
    let mut claims = vec![examples.into_claim(of_data, subject)];
    match kind {
        Some(kind) => match layered_data::check(trace, kind, experiment, [&train, &test], subject) {
            Ok(of_data) => claims.extend(of_data),
            Err(why) => {
                let rest = "losses, learned steps, population and updates are those of the data set";
                claims.push(Claim::unchecked(rest, subject, why));
            }
        },
        None => claims.extend(of_perceptron(trace, experiment, [&train, &test], subject)),
    }
    claims
}

fn of_perceptron(trace: &Trace, experiment: &Experiment, [train, test]: [&Data<'_>; 2], subject: &str) -> Vec<Claim> {
    let mut claims = Claims::default();
    for (&step, network) in trace.networks() {
        let of = |data: &Data<'_>| -> Vec<Logits> {
            let Ok(logits) = data.logits::<std::convert::Infallible>(|input| Ok(network.forward(input).logits));
            logits
        };
        let (of_train, of_test) = (of(train), of(test));
        at_snapshot(trace, step, [(&of_train, train), (&of_test, test)], &mut claims);
    }
    let updates = updates(trace, experiment, train.labels.len(), subject, |step, minibatch, rule, settings| {
        let (from, to) = (trace.networks().get(&step)?, trace.networks().get(&(step + 1))?);
        let example = |&example: &usize| Example::new(from, &train.input(example), train.labels[example]);
        let made: Vec<Example> = minibatch.par_iter().map(example).collect();
        Some(Ok(update([from, to], &made, rule, settings, step)))
    });
    claims.into_claims(contributions(trace, train), updates, subject)
}

/// Labels before the noise, and inputs of the sample.
fn of_examples(trace: &Trace, data: &Dataset) -> Tally {
    let (examples, images) = (&trace.examples, &data.train);
    let mut tally = Tally::default();
    tally.check(examples.count == images.len(), || format!("there are {}, not {}", examples.count, images.len()));
    let widths = trace.widths.as_deref().unwrap_or_default();
    tally.check(widths.first().is_none_or(|width| *width == images.width()), || "images have another size".to_string());
    if tally.failed() > 0 {
        return tally;
    }
    for (example, found) in integers(&examples.original_label).unwrap_or_default().iter().enumerate() {
        let label = i64::from(images.labels[example]);
        tally.check(*found == Some(label), || {
            format!("example {example} has the original label {}, not {label}", told(*found))
        });
    }
    let data = Data { images, labels: Vec::new() };
    for (&example, input) in examples.sampled.iter().zip(trace.inputs.iter().flatten()) {
        let is_near = |(found, made): (&f32, &f32)| (found - made).abs() <= f32::EPSILON;
        let made = data.input(example);
        tally.check(input.iter().zip(&made).all(is_near), || format!("the input of example {example} is another"));
    }
    tally
}

/// Losses and accuracies, and learned steps, at the snapshot of a step, from what its network answers to training and test set.
pub(super) fn at_snapshot(
    trace: &Trace,
    step: i64,
    [(of_train, train), (of_test, test)]: [(&[Logits], &Data<'_>); 2],
    Claims { curves, learned }: &mut Claims,
) {
    let is_evaluated = learned_steps::evaluated(&trace.metrics).contains(&step);
    for (example, logits) in of_train.iter().enumerate() {
        learned_steps::check(&trace.examples, example, step, logits, is_evaluated, learned);
    }
    for metric in trace.metrics.iter().filter(|metric| metric.step == step) {
        let (forwards, labels, members) = match &*metric.split {
            "train" => (of_train, &train.labels, trace.examples.named(&metric.group)),
            "test" if metric.group == "all" => (of_test, &test.labels, (0..test.labels.len()).collect()),
            _ => continue,
        };
        let place = || format!("{} {} of {} at step {step}", metric.split, metric.metric, metric.group);
        let count = members.len() as f64;
        match &*metric.metric {
            "loss" => {
                let (mut loss, mut size) = (0.0, 0.0);
                for &example in &members {
                    let (of_example, of_size) = forwards[example].loss(labels[example]);
                    loss += of_example / count;
                    size += of_size / count;
                }
                curves.close(metric.value, Number { value: loss, scale: size, allowed: ROUNDING }, place);
            }
            "accuracy" => {
                let right = |lead_of: f64| {
                    let is = |&&example: &&usize| {
                        let (prediction, lead) = forwards[example].prediction();
                        if lead < 1.0 { lead_of > 0.0 } else { prediction == labels[example] }
                    };
                    members.iter().filter(is).count() as f64
                };
                let (low, high, found) = (right(0.0), right(1.0), metric.value * count);
                curves.check(low - 1e-6 <= found && found <= high + 1e-6, || {
                    format!("{}: {found} are right, recomputed {low} to {high}", place())
                });
            }
            "chance" => {
                let (expected, allowed) = chance(&train.labels, forwards);
                curves.close(metric.value, Number { value: expected, scale: 1.0, allowed }, place);
            }
            _ => {}
        }
    }
}

/// The accuracy of these answers on permuted labels, and what f32 may change of it: answers that it may give otherwise.
fn chance(labels: &[usize], forwards: &[Logits]) -> (f64, f64) {
    let mut frequencies: BTreeMap<usize, f64> = BTreeMap::new();
    for label in labels {
        *frequencies.entry(*label).or_default() += 1.0 / labels.len() as f64;
    }
    let (mut expected, mut allowed) = (0.0, 1e-9);
    for forward in forwards {
        let (prediction, lead) = forward.prediction();
        expected += frequencies.get(&prediction).unwrap_or(&0.0) / forwards.len() as f64;
        allowed += f64::from(u8::from(lead < 1.0)) / forwards.len() as f64;
    }
    (expected, allowed)
}

/// Contributions and self terms of all examples.
fn contributions(trace: &Trace, train: &Data<'_>) -> Result<Tally, String> {
    let of_step = trace.run.map_population(|step| {
        let network = trace.networks().get(&step.step)?;
        let example = |example: usize| Example::new(network, &train.input(example), train.labels[example]);
        let full = FullGradient::new(network, train.labels.len(), example);
        let of_example = |(place, &id): (usize, &u32)| {
            let example_id = id as usize;
            let (mut tally, own) = (Tally::default(), example(example_id));
            for (layer, recorded) in step.layers.iter().enumerate().take(network.layers.len()) {
                let expected = full.contribution(network, &own, layer);
                let at = || format!("contribution of example {id} over layer {layer} at step {}", step.step);
                tally.close(recorded.contributions[place], expected, at);
            }
            let own_terms =
                step.layers.iter().map(|layer| Some(layer.self_terms?[place])).collect::<Option<Vec<f64>>>();
            if let Some(recorded) = own_terms {
                let label = train.labels[example_id];
                gradients::check_self_terms(network, &own.forward, label, &recorded, example_id, &mut tally);
            }
            tally
        };
        let tallies: Vec<Tally> = step.example_ids.par_iter().enumerate().map(of_example).collect();
        Some(tallies)
    });
    let mut sum = Tally::default();
    let steps = of_step.map_err(|error| error.to_string())?;
    steps.into_iter().flatten().flatten().for_each(|tally| sum.add(tally));
    Ok(sum)
}

/// From one snapshot to the next step's: the rule and the learning rate.
/// `update` compares that of a step with what a rule makes of its minibatch at a learning rate and weight decay; `None` without both snapshots.
pub(super) fn updates(
    trace: &Trace,
    experiment: &Experiment,
    examples: usize,
    subject: &str,
    update: impl Fn(i64, &[usize], Rule, [f64; 2]) -> Option<Result<Tally, String>>,
) -> Claim {
    let claim = "consecutive snapshots follow the rule and the learning rate";
    let manifest = trace.manifest();
    let Some(seed) = manifest.conditions.seed() else {
        return Claim::unchecked(claim, subject, "the run has no seed, which draws the minibatches");
    };
    let (mut tally, mut others) = (Tally::default(), BTreeSet::new());
    let snapshots = trace.run.snapshots();
    for step in snapshots.iter().copied().filter(|step| snapshots.contains(&(step + 1))) {
        match rule(manifest, step).zip(weight_decay(experiment.training.optimizer)) {
            Some((rule, decay)) => {
                let minibatch = minibatch(experiment.training.batch, examples, seed, step as u64);
                let rate = rate(&experiment.training, step as u64);
                match update(step, &minibatch, rule, [rate, decay]) {
                    Some(Ok(of_step)) => tally.add(of_step),
                    Some(Err(why)) => return Claim::unchecked(claim, subject, why),
                    None => {}
                }
            }
            None => drop(others.insert(step)),
        }
    }
    match others.is_empty() {
        false => {
            let name = |condition: &str| manifest.conditions.text(condition).unwrap_or("sgd");
            let why = format!("`{}` with `{}` needs more than one minibatch", name("rule"), name("optimizer"));
            Claim::unchecked(claim, subject, format!("{why}: use --replay"))
        }
        true => tally.into_claim(claim, subject),
    }
}

/// The weight decay of SGD, whose steps are functions of their minibatch alone.
fn weight_decay(optimizer: Optimizer) -> Option<f64> {
    match optimizer {
        Optimizer::Sgd { weight_decay } => Some(weight_decay),
        Optimizer::Momentum { .. } | Optimizer::Adam { .. } | Optimizer::AdamW { .. } => None,
    }
}

/// The rule of the run at a step, if it is a function of the minibatch alone.
fn rule(manifest: &Manifest, step: i64) -> Option<Rule> {
    let number = |name: &str| manifest.conditions.number(name);
    match manifest.conditions.text("rule")? {
        "sgd" => Some(Rule::Mean),
        "winsorized" => Some(Rule::Winsorized { percent: number("winsorization")? }),
        "median-of-means" => Some(Rule::MedianOfMeans { groups: number("groups")? as usize }),
        "rolling-median" if step < 2 => Some(Rule::Mean),
        _ => None,
    }
}

/// The examples of a step: a slice of the order of its epoch.
fn minibatch(batch: Batch, examples: usize, seed: u64, step: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..examples).collect();
    let Batch::Size(size) = batch else { return order };
    let size = size.clamp(1, examples.max(1));
    let an_epoch = examples.div_ceil(size).max(1) as u64;
    shuffle_front(&mut order, examples.saturating_sub(1), &mut of_recorder(seed, MINIBATCHES, step / an_epoch));
    let start = (step % an_epoch) as usize * size;
    order[start..examples.min(start + size)].to_vec()
}

fn update([from, to]: [&Network; 2], minibatch: &[Example], rule: Rule, [rate, decay]: [f64; 2], step: i64) -> Tally {
    let mut tally = Tally::default();
    for (layer, (before, after)) in from.layers.iter().zip(&to.layers).enumerate() {
        let of_row = |row: usize| {
            let mut tally = Tally::default();
            for column in 0..=before.fan_in {
                let column = Some(column).filter(|column| *column < before.fan_in);
                let at =
                    |of: &crate::plain::network::Layer| column.map_or(of.bias[row], |c| of.weight[row * of.fan_in + c]);
                let (mut gradients, mut size, mut slack) = (Vec::with_capacity(minibatch.len()), 0.0, 0.0);
                for example in minibatch {
                    let [value, of_size, of_slack] = example.gradient(layer, row, column);
                    gradients.push(value);
                    size += of_size / minibatch.len() as f64;
                    slack += of_slack;
                }
                let (old, new) = (at(before), at(after));
                let expected = old - rate * (rule.direction(&gradients) + decay * old);
                let scale = OF_WEIGHT * old.abs().max(new.abs())
                    + rate * (ROUNDING * (size + decay * old.abs()) + slack)
                    + SMALLEST * (1.0 + rate) * (2.0 + size + old.abs());
                tally.close(new, Number { value: expected, scale, allowed: 1.0 }, || {
                    let of = column.map_or("the bias".to_string(), |column| format!("column {column}"));
                    format!("after step {step} row {row}, {of} of layer {layer}")
                });
            }
            tally
        };
        let rows: Vec<Tally> = (0..before.fan_out).into_par_iter().map(of_row).collect();
        rows.into_iter().for_each(|row| tally.add(row));
    }
    tally
}
