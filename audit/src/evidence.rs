//! What is kept of a run for the claims of the whole study: its numbers in the summary, and what predictions need.

use cograd_trace::{Metric, Split, Subset};

use crate::plain::overfit::Overfit;
use crate::plain::permutation::Exceedances;
use crate::plain::{bootstrap, curves, learned, matched, overfit};
use crate::recompute::{Estimate, Recomputed};
use crate::record::Test;
use crate::sheet::Value;
use crate::tally::Number;
use crate::tree::Tree;

/// A run's part in the claims of the study.
pub(crate) struct Evidence {
    pub rule: String,
    /// Winsorization level in percent, 0 for plain SGD; `None` for another rule.
    pub percent: Option<f64>,
    pub noise: f64,
    pub seed: u64,
    pub steps: u64,
    /// What `runs` of the summary must say.
    pub summary: Tree,
    pub overfit: Vec<Overfit>,
    pub half_loss_step: Option<f64>,
    pub early_slope: Option<f64>,
    pub median_pristine: Option<f64>,
    pub median_corrupt: Option<f64>,
    /// α_0; `None` if step 0 is not recorded.
    pub alpha_0: Option<f64>,
    /// |P|/n; `None` without both groups.
    pub group_size: Option<f64>,
    pub crossover: Test,
    pub difference_10: Test,
    pub proper_accuracy: Option<f64>,
}

impl Evidence {
    pub(crate) fn of(run: &Recomputed) -> Evidence {
        let manifest = &run.manifest;
        let paper = run.paper();
        let pristine = paper.record.pristine.iter().filter(|&&is| is).count();
        let n = paper.record.pristine.len();
        let alpha = paper.pristine.worlds[0].decomposition.first().and_then(|at| at.alpha).map(|alpha| alpha.value);
        Evidence {
            rule: manifest.rule.clone(),
            percent: winsorization(&manifest.rule),
            noise: manifest.noise,
            seed: manifest.seed,
            steps: manifest.steps,
            summary: summary(run),
            overfit: run.overfit(),
            half_loss_step: curves::half_loss_step(&run.metrics),
            early_slope: curves::early_slope(&run.metrics),
            median_pristine: learned::median(&run.examples, Subset::Pristine),
            median_corrupt: learned::median(&run.examples, Subset::Corrupt),
            alpha_0: alpha.filter(|_| paper.record.contiguous() > 0),
            group_size: (pristine > 0 && pristine < n).then(|| pristine as f64 / n as f64),
            crossover: test(paper, "crossover"),
            difference_10: test(paper, "difference_10"),
            proper_accuracy: run.proper_accuracy(),
        }
    }

    /// The largest training accuracy.
    pub(crate) fn max_train_accuracy(&self) -> Option<f64> {
        matched::largest(&self.overfit)
    }
}

impl Test {
    /// Number of null worlds at least as extreme.
    pub(crate) fn exceedances(&self) -> Option<Exceedances> {
        self.tested.filter(|_| self.worlds > 0).map(|tested| tested.exceedances)
    }
}

/// c of `winsorized-c`, 0 of `sgd`.
fn winsorization(rule: &str) -> Option<f64> {
    match rule.strip_prefix("winsorized-") {
        Some(percent) => percent.parse().ok().filter(|percent| (0.0..50.0).contains(percent)),
        None => (rule == "sgd").then_some(0.0),
    }
}

fn test(estimate: &Estimate, name: &str) -> Test {
    let of_name = estimate.pristine.tests.iter().find(|(known, _)| *known == name);
    of_name.map_or(Test { observed: None, worlds: 0, tested: None }, |(_, test)| test.clone())
}

fn test_tree(estimate: &Estimate, name: &str) -> Tree {
    let names = ["value", "worlds", "exceedances", "p", "p_lower", "p_upper"];
    Tree::Object(names.into_iter().zip(test(estimate, name).cells().into_iter().map(Tree::from)).collect())
}

fn simultaneous(estimate: &Estimate) -> Tree {
    Tree::Object(vec![("alpha", test_tree(estimate, "alpha")), ("difference", test_tree(estimate, "difference"))])
}

/// α at the first or the last step.
fn alpha(estimate: &Estimate, last: bool) -> Tree {
    let decomposition = &estimate.pristine.worlds[0].decomposition;
    let at = if last { decomposition.last() } else { decomposition.first() };
    number(at.and_then(|at| at.alpha))
}

fn number(number: Option<Number>) -> Tree {
    number.map_or(Value::Null, Value::Number).into()
}

/// One object of `runs` in the summary.
fn summary(run: &Recomputed) -> Tree {
    let (manifest, paper) = (&run.manifest, run.paper());
    let overfit = run.overfit();
    let pristine = paper.record.pristine.iter().filter(|&&is| is).count();
    let winsorization = winsorization(&manifest.rule);
    let slope = overfit::slope(&overfit).map_or(Value::Null, |(slope, size)| Value::near(Some(slope), size));
    Tree::Object(vec![
        ("run", manifest.run.as_str().into()),
        ("rule", manifest.rule.as_str().into()),
        ("winsorization", Value::exact(winsorization).into()),
        ("noise", Value::exact(Some(manifest.noise)).into()),
        ("seed", Value::Int(i64::try_from(manifest.seed).unwrap_or(i64::MAX)).into()),
        ("network", Tree::List(manifest.network.iter().map(|&width| width.into()).collect())),
        ("steps", Value::Int(manifest.steps as i64).into()),
        ("train_examples", run.examples.len().into()),
        ("pristine_fraction", Value::plain(run.proper_accuracy()).into()),
        ("sampled_examples", run.selected.len().into()),
        ("sampled_pristine", pristine.into()),
        ("coordinates", run.coordinates.into()),
        ("recorded_steps", paper.record.steps.len().into()),
        ("contiguous_steps", paper.record.contiguous().into()),
        ("trace_bytes", Value::Int(manifest.files.values().map(|file| file.bytes as i64).sum()).into()),
        ("manifest_sha256", run.manifest_sha256.as_str().into()),
        ("writer", manifest.writer.as_str().into()),
        ("alpha_first", alpha(paper, false)),
        ("alpha_last", alpha(paper, true)),
        ("crossover", test_tree(paper, "crossover")),
        ("difference_10", test_tree(paper, "difference_10")),
        ("simultaneous", simultaneous(paper)),
        ("final", last_evaluation(&run.metrics)),
        (
            "overfit",
            Tree::Object(vec![
                ("final", Value::near(overfit.last().and_then(|at| at.overfit), 1.0).into()),
                ("slope", slope.into()),
            ]),
        ),
        ("max_train_accuracy", Value::exact(matched::largest(&overfit)).into()),
        ("population", population(run)),
        // A sentence, if there is something to explain.
        ("population_left_out", if run.is_population_left_out { Tree::Anything } else { Value::Null.into() }),
    ])
}

fn last_evaluation(metrics: &[Metric]) -> Tree {
    let last = |split: Split| curves::of_split(metrics, split).last().copied();
    let (train, test) = (last(Split::Train), last(Split::Test));
    let cell = |value: Option<f64>| Tree::from(Value::exact(value));
    Tree::Object(vec![
        ("train_loss", cell(train.map(|metric| metric.loss))),
        ("train_accuracy", cell(train.map(|metric| metric.accuracy))),
        ("test_loss", cell(test.map(|metric| metric.loss))),
        ("test_accuracy", cell(test.map(|metric| metric.accuracy))),
    ])
}

fn population(run: &Recomputed) -> Tree {
    let Some(exact) = run.estimates.iter().find(|estimate| estimate.record.estimator == "exact") else {
        return Value::Null.into();
    };
    Tree::Object(vec![
        ("steps", exact.record.steps.len().into()),
        ("contiguous_steps", exact.record.contiguous().into()),
        ("alpha_first", alpha(exact, false)),
        ("alpha_last", alpha(exact, true)),
        ("crossover", test_tree(exact, "crossover")),
        ("difference_10", test_tree(exact, "difference_10")),
        ("simultaneous", simultaneous(exact)),
        ("coverage", coverage(run, exact)),
    ])
}

/// At how many steps the population as estimated from the sample has an interval that covers the exact value; where rounding
/// decides whether it does, either will do.
fn coverage(run: &Recomputed, exact: &Estimate) -> Tree {
    let Some(estimated) = &run.population else { return Value::Null.into() };
    let (sampled, whole) = (&run.paper().record.steps, &exact.record.steps);
    let actual = &exact.pristine.worlds[0];
    let covered = |intervals: Vec<&bootstrap::Estimate>, values: Vec<Option<Number>>| {
        let (mut low, mut high, mut of) = (0, 0, 0);
        for (step, estimate) in sampled.iter().zip(intervals) {
            let value =
                whole.iter().position(|known| known == step).and_then(|place| values.get(place).copied().flatten());
            if let Some((certain, possible)) = value.and_then(|value| estimate.covers(value.value)) {
                low += i64::from(certain);
                high += i64::from(possible);
                of += 1;
            }
        }
        let count = if low == high { Value::Int(low) } else { Value::Ints(low, high) };
        Tree::Object(vec![("covered", count.into()), ("of", Value::Int(of).into())])
    };
    Tree::Object(vec![
        (
            "alpha",
            covered(
                estimated.decomposition.iter().map(|at| &at.alpha).collect(),
                actual.decomposition.iter().map(|at| at.alpha).collect(),
            ),
        ),
        (
            "difference",
            covered(
                estimated.cumulative.iter().map(|at| &at[2]).collect(),
                actual.cumulative.iter().map(|at| at.difference).collect(),
            ),
        ),
    ])
}
