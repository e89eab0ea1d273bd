//! Networks of other kinds than a multilayer perceptron against the whole data set: losses, accuracies, learned steps and contributions of
//! every example at every snapshot, and one update where two snapshots follow each other.

use std::collections::BTreeMap;

use cograd_recorder::{Experiment, NetworkKind};
use rayon::prelude::*;

use crate::check::data::{self, Claims, Data, SMALLEST};
use crate::check::layered::{is_of, off_by, self_term, size};
use crate::claim::Claim;
use crate::plain::layered::{Gradient, Layered};
use crate::plain::rule::Rule;
use crate::tally::{Number, Tally};
use crate::trace::Trace;

/// The rounding of a weight in f32.
const OF_WEIGHT: f64 = 1.2e-7;
/// Numbers of the gradients of a minibatch that are held at once: 1 GB.
const MOST_NUMBERS: usize = 1 << 27;

/// Of a run of `kind`, trained on `train` and tested on `test`.
pub(super) fn check(
    trace: &Trace,
    kind: &NetworkKind,
    experiment: &Experiment,
    [train, test]: [&Data<'_>; 2],
    subject: &str,
) -> Result<Vec<Claim>, String> {
    let network = |step: i64| {
        let snapshot = trace.run.weights(step).map_err(|error| error.to_string())?;
        Layered::new(kind, &snapshot).map(|network| (step, network)).map_err(|error| error.to_string())
    };
    let networks: BTreeMap<i64, Layered> =
        trace.run.snapshots().into_iter().map(network).collect::<Result<_, String>>()?;
    let mut claims = Claims::default();
    for (&step, network) in &networks {
        let [of_train, of_test] = [train, test].map(|data| data.logits(|input| network.logits(input)));
        let [of_train, of_test] = [text(of_train)?, text(of_test)?];
        data::at_snapshot(trace, step, [(&of_train, train), (&of_test, test)], &mut claims);
    }
    let population = contributions(trace, &networks, train);
    let updates = data::updates(trace, experiment, train.labels.len(), subject, |step, minibatch, rule, settings| {
        update(trace, [networks.get(&step)?, networks.get(&(step + 1))?], (train, minibatch), rule, settings, step)
    });
    Ok(claims.into_claims(population, updates, subject))
}

fn text<T>(found: candle_core::Result<T>) -> Result<T, String> {
    found.map_err(|error| error.to_string())
}

/// The gradient of an example of the training set.
fn gradient(network: &Layered, train: &Data<'_>, example: usize) -> Result<Gradient, String> {
    text(network.gradient(&train.input(example), train.labels[example]))
}

/// The sum of the gradients of all examples.
struct Sum {
    /// By parameter.
    values: BTreeMap<String, Vec<f64>>,
    /// By layer: by how much f32 may have it otherwise.
    slack: Vec<f64>,
}

impl Sum {
    /// Of all examples of the training set, in blocks whose sums are added in order.
    fn new(network: &Layered, train: &Data<'_>, layers: &[&str]) -> Result<Sum, String> {
        let examples: Vec<usize> = (0..train.labels.len()).collect();
        let of_block = |block: &[usize]| -> Result<Sum, String> {
            let mut sum = Sum { values: BTreeMap::new(), slack: vec![0.0; layers.len()] };
            for &example in block {
                let own = gradient(network, train, example)?;
                layers.iter().zip(&mut sum.slack).for_each(|(layer, slack)| *slack += off_by(&own, layer));
                sum.add(own.values);
            }
            Ok(sum)
        };
        let blocks: Vec<Sum> =
            examples.par_chunks(examples.len().div_ceil(16).max(1)).map(of_block).collect::<Result<_, String>>()?;
        let mut total = Sum { values: BTreeMap::new(), slack: vec![0.0; layers.len()] };
        for block in blocks {
            total.slack.iter_mut().zip(&block.slack).for_each(|(sum, slack)| *sum += slack);
            total.add(block.values);
        }
        Ok(total)
    }

    fn add(&mut self, gradient: BTreeMap<String, Vec<f64>>) {
        for (name, values) in gradient {
            match self.values.get_mut(&name) {
                Some(sums) => sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value),
                None => drop(self.values.insert(name, values)),
            }
        }
    }

    /// What an example contributes over a layer, the `place`-th.
    fn contribution(&self, own: &Gradient, layer: &str, place: usize) -> Number {
        let (mut sum, mut norm_sq) = (0.0, 0.0);
        for (name, values) in own.values.iter().filter(|(name, _)| is_of(layer, name)) {
            for (value, of_sum) in values.iter().zip(&self.values[name]) {
                sum += value * of_sum;
                norm_sq += of_sum * of_sum;
            }
        }
        let off_by = off_by(own, layer) * (norm_sq.sqrt() + self.slack[place]) + size(own, layer) * self.slack[place];
        Number { value: sum, scale: off_by.max(f64::MIN_POSITIVE), allowed: 1.0 }
    }
}

/// Contributions and self terms of all examples at the snapshots.
fn contributions(trace: &Trace, networks: &BTreeMap<i64, Layered>, train: &Data<'_>) -> Result<Tally, String> {
    let layers: Vec<&str> = trace.layers.iter().map(|layer| layer.name.as_str()).collect();
    let of_step = trace.run.map_population(|step| {
        let network = networks.get(&step.step)?;
        let of_example = |sum: &Sum, place: usize| -> Result<Tally, String> {
            let example = step.example_ids[place] as usize;
            let (own, mut tally) = (gradient(network, train, example)?, Tally::default());
            for (index, (recorded, layer)) in step.layers.iter().zip(&layers).enumerate() {
                let at = |what: &str| format!("{what} of example {example} over {layer} at step {}", step.step);
                tally.close(recorded.contributions[place], sum.contribution(&own, layer, index), || at("contribution"));
                if let Some(self_terms) = recorded.self_terms {
                    tally.close(self_terms[place], self_term(&own, layer), || at("self term"));
                }
            }
            Ok(tally)
        };
        let sum = Sum::new(network, train, &layers);
        let of_all = |sum: Sum| (0..step.example_ids.len()).into_par_iter().map(|it| of_example(&sum, it)).collect();
        Some(sum.and_then(of_all))
    });
    let mut tally = Tally::default();
    for of_step in of_step.map_err(|error| error.to_string())?.into_iter().flatten() {
        let of_step: Vec<Tally> = of_step?;
        of_step.into_iter().for_each(|of_example| tally.add(of_example));
    }
    Ok(tally)
}

/// From the snapshot of a step to that of the next; `None` if it cannot be made.
fn update(
    trace: &Trace,
    [from, to]: [&Layered; 2],
    (train, minibatch): (&Data<'_>, &[usize]),
    rule: Rule,
    [rate, decay]: [f64; 2],
    step: i64,
) -> Option<Result<Tally, String>> {
    let parameters: u64 = trace.parameters.iter().map(|parameter| parameter.size()).sum();
    if minibatch.len() as u64 * parameters > MOST_NUMBERS as u64 {
        let why = format!("a minibatch has {} gradients of {parameters} values, too many to hold", minibatch.len());
        return Some(Err(why));
    }
    let gradients: Result<Vec<Gradient>, String> =
        minibatch.par_iter().map(|&example| gradient(from, train, example)).collect();
    let gradients = match gradients {
        Ok(gradients) => gradients,
        Err(why) => return Some(Err(why)),
    };
    let of_parameter = |parameter: &cograd_trace::Parameter| -> Result<Tally, String> {
        let (name, mut tally) = (&parameter.name, Tally::default());
        let layer = name.rsplit_once('.').map_or("", |(layer, _)| layer);
        let off_by = gradients.iter().map(|own| off_by(own, layer));
        // A mean is off by the mean; what takes one example's value for another's by the root of the sum of squares at most.
        let slack = match rule {
            Rule::Mean => off_by.sum::<f64>() / gradients.len() as f64,
            _ => off_by.map(|off_by| off_by * off_by).sum::<f64>().sqrt(),
        };
        let [before, after] = [from.values(name), to.values(name)].map(text);
        let mut of_coordinate = vec![0.0; gradients.len()];
        let (mut distance, mut norm_sq, mut direction_sq, mut values) = (0.0_f64, 0.0_f64, 0.0_f64, 0.0_f64);
        for (place, (old, new)) in before?.into_iter().zip(after?).enumerate() {
            let own = gradients.iter().map(|own| own.values[name][place]);
            of_coordinate.iter_mut().zip(own).for_each(|(value, own)| *value = own);
            let direction = rule.direction(&of_coordinate);
            let expected = old - rate * (direction + decay * old);
            (direction_sq, values) = (direction_sq + direction * direction, values + 1.0);
            distance += (new - expected).powi(2);
            norm_sq += old.powi(2).max(new.powi(2));
        }
        let smallest = SMALLEST * (1.0 + rate) * ((4.0 * values).sqrt() + direction_sq.sqrt() + norm_sq.sqrt());
        let scale = OF_WEIGHT * (1.0 + rate * decay) * norm_sq.sqrt() + rate * slack + smallest;
        let expected = Number { value: 0.0, scale, allowed: 1.0 };
        tally.close(distance.sqrt(), expected, || {
            format!("distance of {name} after step {step} from what the rule makes")
        });
        Ok(tally)
    };
    let tallies: Result<Vec<Tally>, String> = trace.parameters.par_iter().map(of_parameter).collect();
    Some(tallies.map(|tallies| {
        let mut sum = Tally::default();
        tallies.into_iter().for_each(|tally| sum.add(tally));
        sum
    }))
}

#[cfg(test)]
mod tests {
    use cograd_trace::ExampleColumn;

    use super::*;
    use crate::claim::Verdict;
    use crate::plain::recordings::{Recording, all};

    fn checked(recording: &Recording, trace: &Trace, experiment: &Experiment) -> Vec<(String, Verdict, String)> {
        let kind = &recording.experiment.network.kind;
        let claims = data::check(trace, Some(kind), experiment, &recording.data, "it");
        claims.into_iter().map(|claim| (claim.claim, claim.verdict, claim.why)).collect()
    }

    fn verdicts(recording: &Recording, trace: &Trace, experiment: &Experiment) -> Vec<Verdict> {
        checked(recording, trace, experiment).into_iter().map(|(_, verdict, _)| verdict).collect()
    }

    #[test]
    fn recordings_of_every_kind_and_rule_are_of_their_data() {
        for rule in ["\"sgd\"", "\"winsorized\", percent = 30", "\"median-of-means\""] {
            for recording in all(rule) {
                let trace = Trace::read(&recording.run).unwrap();
                let checked = checked(&recording, &trace, &recording.experiment);
                assert!(checked.len() == 5 && checked.iter().all(|of| of.1 == Verdict::Pass), "{checked:?}");
            }
        }
    }

    #[test]
    fn what_is_not_of_the_data_fails() {
        use Verdict::{Fail, Pass};
        for recording in all("\"sgd\"") {
            let read = || Trace::read(&recording.run).unwrap();
            let mut experiment = recording.experiment.clone();
            experiment.training.learning_rate *= 1.01;
            assert_eq!(verdicts(&recording, &read(), &experiment), [Pass, Pass, Pass, Pass, Fail]);
            let mut trace = read();
            let metric = trace.metrics.iter_mut().find(|metric| metric.split == "test" && metric.metric == "loss");
            metric.unwrap().value *= 1.001;
            assert_eq!(verdicts(&recording, &trace, &recording.experiment), [Pass, Fail, Pass, Pass, Pass]);
            let mut trace = read();
            let learned = trace.examples.learned_step.as_mut().unwrap();
            learned.iter_mut().for_each(|step| *step = if *step == Some(0) { None } else { Some(0) });
            assert_eq!(verdicts(&recording, &trace, &recording.experiment), [Pass, Pass, Fail, Pass, Pass]);
            // Another label of one example changes its gradient, and with it what all contribute.
            let mut trace = read();
            let Some(ExampleColumn::Integers(labels)) = &mut trace.examples.label else { panic!("it has labels") };
            labels[3] = labels[3].map(|label| (label + 1) % 3);
            let verdicts = verdicts(&recording, &trace, &recording.experiment);
            assert_eq!([verdicts[0], verdicts[1], verdicts[3]], [Pass, Fail, Fail]);
        }
    }
}
