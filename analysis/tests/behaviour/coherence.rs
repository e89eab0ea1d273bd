//! Coherence statistics, their intervals and the population estimator, against slow twins that know no Gram matrix.

use std::collections::{BTreeMap, BTreeSet};

use cograd_analysis::kernel::batches;
use cograd_analysis::kernel::coordinate::{Agreements, Coordinates, Ratios};
use cograd_analysis::kernel::gram::Gram;
use cograd_analysis::kernel::halves::{Halves, Measured, Recorded, interval};
use cograd_analysis::kernel::moments::Moments;
use cograd_analysis::statistic::{Compute, Statistic, aligned_fraction, diversity, m_coherence, noise_scale};
use cograd_analysis::{Estimator, Options};
use cograd_trace::{Coordinate, Parameter};
use proptest::prelude::*;

use crate::support::*;

/// A sample of n examples, with gradients at one step.
#[derive(Clone, Debug)]
struct Case {
    gradients: Vec<f32>,
    /// Of every sampled example: a, b or c.
    groups: Vec<u8>,
    labels: Vec<u8>,
    /// The parameter of each coordinate: the first layer has one, the second has a weight and a bias.
    parameters: Vec<u32>,
    population: usize,
    halves: usize,
}

const SEED: u64 = 5;
const GROUPS: [&str; 3] = ["a", "b", "c"];
const LAYERS: [&str; 2] = ["first", "second"];

impl Case {
    /// Three groups, two labels, two layers of three parameters with their coordinates mixed; gradients of noise and a common
    /// direction.
    fn new(n: usize, d: usize, seed: u64) -> Case {
        let mut generator = generator(seed);
        let parameter = |j: usize| [0, 1, 0, 0, 2, 0][j % 6];
        let gradients = (0..n * d).map(|_| (normal(&mut generator) + 0.5) as f32).collect();
        let mut case = Case {
            gradients,
            groups: (0..n).map(|_| (uniform(&mut generator) * 3.0) as u8).collect(),
            labels: (0..n).map(|_| 3 + 4 * (uniform(&mut generator) * 2.0) as u8).collect(),
            parameters: (0..d).map(parameter).collect(),
            population: 2 * n + 1,
            halves: 60,
        };
        (case.groups[0], case.labels[0]) = (2, 3);
        case
    }

    fn n(&self) -> usize {
        self.groups.len()
    }

    fn d(&self) -> usize {
        self.parameters.len()
    }

    /// Numbers of values of the parameters.
    fn sizes(&self) -> [u64; 3] {
        [7, 5, 1].map(|factor| factor * self.d() as u64)
    }

    /// The group of an example of the population, of which the first n are sampled.
    fn group(&self, i: usize) -> u8 {
        self.groups.get(i).copied().unwrap_or(i as u8 % 3)
    }

    fn run(&self) -> Synthetic {
        let names = ["first.weight", "second.weight", "second.bias"];
        let before = |j: usize| self.parameters[..j].iter().filter(|of| **of == self.parameters[j]).count();
        let group = |i: usize| GROUPS[usize::from(self.group(i))];
        let label = |i: usize| i64::from(self.labels.get(i).copied().unwrap_or(9));
        Synthetic {
            columns: vec![
                ("group", texts((0..self.population).map(group))),
                ("label", integers((0..self.population).map(label))),
            ],
            examples: self.population,
            sampled: (0..self.n() as u32).collect(),
            parameters: names
                .iter()
                .zip(self.sizes())
                .map(|(name, size)| Parameter::new(name, &[size], None))
                .collect(),
            coordinates: (0..self.d())
                .map(|j| Coordinate { parameter: self.parameters[j], index: before(j) as u64 })
                .collect(),
            ..Synthetic::new(&vec![true; self.n()], self.d(), &[], 0)
        }
    }

    fn coherence(&self) -> Coherence {
        coherence(std::slice::from_ref(self))
    }

    /// The recorded coordinates of a layer, or of all.
    fn columns(&self, layer: Option<usize>) -> Vec<usize> {
        let of = |parameter: u32| usize::from(parameter > 0);
        (0..self.d()).filter(|&j| layer.is_none_or(|layer| of(self.parameters[j]) == layer)).collect()
    }

    /// Of each parameter in a layer, or in all, that has some: its recorded coordinates, and how many values it has.
    fn strata(&self, layer: Option<usize>) -> Vec<(Vec<usize>, f64)> {
        let of_parameter = |parameter: u32| -> Vec<usize> {
            self.columns(layer).into_iter().filter(|&j| self.parameters[j] == parameter).collect()
        };
        let sized = |parameter: u32| (of_parameter(parameter), self.sizes()[parameter as usize] as f64);
        (0..3).map(sized).filter(|(columns, _)| !columns.is_empty()).collect()
    }

    fn row(&self, i: usize, columns: &[usize]) -> Vec<f64> {
        columns.iter().map(|&j| f64::from(self.gradients[i * self.d() + j])).collect()
    }

    fn rows(&self, columns: &[usize]) -> Vec<Vec<f64>> {
        (0..self.n()).map(|i| self.row(i, columns)).collect()
    }

    fn halves(&self) -> Halves {
        let recorded =
            |(columns, size): (Vec<usize>, f64)| Recorded { coordinates: columns.len(), values: Some(size as u64) };
        let parameters: Vec<Recorded> = self.strata(None).into_iter().map(recorded).collect();
        Halves::new(SEED, &self.run().id(), self.n(), self.halves, &parameters)
    }

    /// The sample, and then each half.
    fn parts(&self) -> Vec<Chosen> {
        let halves = self.halves();
        let own = Chosen {
            examples: (0..self.n() as u32).collect(),
            batched: halves.shuffled.clone(),
            columns: self.strata(None).into_iter().map(|(columns, size)| (columns, Some(size))).collect(),
        };
        let half = |(half, examples): (usize, &[u32])| {
            let strata = self.strata(None).into_iter().zip(&halves.coordinates);
            let taken = |((columns, size), of): ((Vec<usize>, f64), &_)| {
                let of: &cograd_analysis::kernel::halves::HalfCoordinates = of;
                let is_taken = &of.taken[half * columns.len()..(half + 1) * columns.len()];
                let columns = columns.iter().zip(is_taken).filter(|(_, is)| **is).map(|(column, _)| *column).collect();
                (columns, Some(size))
            };
            Chosen { examples: examples.to_vec(), batched: examples.to_vec(), columns: strata.map(taken).collect() }
        };
        std::iter::once(own).chain(halves.examples().enumerate().map(half)).collect()
    }

    /// The classes, ascending.
    fn classes(&self) -> Vec<u8> {
        self.labels.iter().copied().collect::<BTreeSet<u8>>().into_iter().collect()
    }
}

/// The sample, or a half of it.
struct Chosen {
    examples: Vec<u32>,
    /// Whose slices are batches.
    batched: Vec<u32>,
    /// The coordinates of each parameter, and how many values it has.
    columns: Vec<(Vec<usize>, Option<f64>)>,
}

impl Chosen {
    /// In a layer, or in all: coordinates, and what each stands for.
    fn scaled(&self, case: &Case, layer: Option<usize>) -> Vec<(Vec<usize>, f64)> {
        let in_layer = case.columns(layer);
        let of_layer =
            |(columns, size): &(Vec<usize>, Option<f64>)| (columns.clone(), size.unwrap() / columns.len() as f64);
        self.columns.iter().map(of_layer).filter(|(columns, _)| in_layer.contains(&columns[0])).collect()
    }
}

/// The results of cases at steps 0, 1, …, which differ in their gradients only.
struct Coherence {
    analysed: Analysed,
    values: BTreeMap<(String, String), Measured>,
}

fn coherence(steps: &[Case]) -> Coherence {
    let case = &steps[0];
    let gradients = steps.iter().map(|step| step.gradients.clone());
    let run = Synthetic { steps: (0..).zip(gradients).collect(), ..case.run() };
    let options = Options {
        seed: SEED,
        halves: case.halves,
        group_by: Some("group".into()),
        statistics: Some(STATISTICS.map(str::to_string).to_vec()),
        ..only(&[])
    };
    Coherence::new(analysed(&[run], &options))
}

/// All of the inner products and the coordinates.
const STATISTICS: [&str; 14] = [
    "aligned_fraction",
    "class_stiffness",
    "confusion",
    "cross_terms",
    "disparity",
    "diversity",
    "effective_rank",
    "gsnr",
    "m_coherence",
    "noise_scale",
    "population",
    "same_sign",
    "stiffness",
    "shares",
];

impl Coherence {
    fn new(analysed: Analysed) -> Coherence {
        let table = analysed.table("coherence");
        let mut values = BTreeMap::new();
        for row in table.rows(&[("step", "0")]) {
            let mut ends = ["lower", "upper"].map(|end| table.number(end, row));
            let unbounded = table.boolean("unbounded", row) == Some(true);
            assert_eq!(ends[0].is_some(), ends[1].is_some() != unbounded);
            if unbounded {
                ends[1] = Some(f64::INFINITY);
            }
            let measured = Measured { value: table.number("value", row), interval: ends[0].zip(ends[1]) };
            let key = ["estimator", "layer", "statistic", "group_a", "group_b"].map(|column| table.text(column, row));
            let twice = values.insert((key[..2].join(" "), key[2..].join(" ")), measured);
            assert!(twice.is_none(), "{key:?} must be there once");
        }
        Coherence { analysed, values }
    }

    #[track_caller]
    fn found(&self, estimator: Estimator, layer: Option<usize>, statistic: &str, pair: Option<[&str; 2]>) -> Measured {
        let layer = layer.map_or("null", |layer| LAYERS[layer]);
        let [a, b] = pair.unwrap_or(["null"; 2]);
        let key = (format!("{} {layer}", estimator.as_str()), format!("{statistic} {a} {b}"));
        *self.values.get(&key).unwrap_or_else(|| panic!("{key:?} must be there"))
    }

    #[track_caller]
    fn value(&self, estimator: Estimator, statistic: &str) -> Option<f64> {
        self.found(estimator, None, statistic, None).value
    }

    /// A value of a table of groups, estimated for the population, at a step.
    fn estimated(&self, table: &str, column: &str, step: usize, wanted: Wanted<'_>) -> Measured {
        let (table, step) = (self.analysed.table(table), step.to_string());
        let at = [("estimator", "population"), ("step", step.as_str())];
        let row = table.row(&at.iter().chain(wanted).copied().collect::<Vec<_>>());
        let ends = ["lower", "upper"].map(|end| table.number(end, row));
        Measured { value: table.number(column, row), interval: ends[0].zip(ends[1]) }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The places of two draws of distinct examples, for every ordered pair of draws.
fn pairs(draws: &[u32]) -> Vec<(usize, usize)> {
    let all = draws.iter().flat_map(|&i| draws.iter().map(move |&j| (i as usize, j as usize)));
    all.filter(|(i, j)| i != j).collect()
}

/// The two moments of the draws, from O and Q over some coordinates each times a factor, for `examples` examples.
fn slow_moments(case: &Case, strata: &[(Vec<usize>, f64)], draws: &[u32], examples: usize) -> Option<Moments> {
    let (mut pair_mean, mut self_mean) = (0.0, 0.0);
    for (columns, scale) in strata {
        let rows = case.rows(columns);
        let inner: Vec<f64> = pairs(draws).iter().map(|&(i, j)| dot(&rows[i], &rows[j])).collect();
        let selves: Vec<f64> = draws.iter().map(|&i| dot(&rows[i as usize], &rows[i as usize])).collect();
        pair_mean += scale * mean(&inner)?;
        self_mean += scale * mean(&selves)?;
    }
    let m = examples as f64;
    let norm_sq = m * (m - 1.0) * pair_mean + m * self_mean;
    Some(Moments { examples: m, norm_sq, self_sum: m * self_mean, sampled: false })
}

fn slow_closed_form(statistic: &str, moments: &Moments, estimator: Estimator) -> Option<f64> {
    let Moments { examples: n, norm_sq, self_sum, .. } = *moments;
    let variance = (self_sum - norm_sq / n) / (n - 1.0);
    let bias = if estimator == Estimator::Paper { variance / n } else { 0.0 };
    let mean_norm_sq = norm_sq / n / n - bias;
    let value = match statistic {
        "m_coherence" => norm_sq / self_sum,
        "diversity" if norm_sq > 0.0 => self_sum / norm_sq,
        "aligned_fraction" if norm_sq > 0.0 => (norm_sq - self_sum) / norm_sq,
        "noise_scale" if mean_norm_sq > 0.0 => variance / mean_norm_sq,
        _ => f64::NAN,
    };
    Some(value).filter(|value| value.is_finite())
}

const CLOSED_FORMS: [&str; 4] = ["m_coherence", "diversity", "aligned_fraction", "noise_scale"];

/// Statistics of the examples of one half (or of the sample itself), in `columns`.
fn slow_value(case: &Case, statistic: &str, columns: &[usize], of: &Chosen) -> Option<f64> {
    let (rows, draws) = (case.rows(columns), of.examples.as_slice());
    let all: Vec<u32> = (0..case.n() as u32).collect();
    let of_class = |same: bool| -> Vec<(usize, usize)> {
        pairs(draws).into_iter().filter(|&(i, j)| (case.labels[i] == case.labels[j]) == same).collect()
    };
    let at = |place: usize, of: &[u32]| of.iter().map(|&i| rows[i as usize][place]).collect::<Vec<f64>>();
    let varies = |values: &[f64]| values.iter().any(|value| *value != values[0]);
    match statistic {
        "gsnr" | "gsnr_plugin" => {
            let ratio = |values: &[f64]| {
                let (mean, n) = (mean(values).unwrap(), values.len() as f64);
                let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
                (mean * mean - variance / n) / variance
            };
            // Coordinates that vary in the sample; in a half they may be 0 throughout.
            let varying = (0..columns.len()).filter(|&place| varies(&at(place, &all)));
            let of_half = varying.map(|place| match at(place, draws) {
                values if varies(&values) => ratio(&values),
                values if values.iter().all(|value| *value == 0.0) => 0.0,
                _ => f64::NAN,
            });
            let bias = if statistic == "gsnr" { 0.0 } else { 1.0 / case.n() as f64 };
            mean(&of_half.collect::<Vec<f64>>()).map(|mean| mean + bias)
        }
        "same_sign" => {
            let share = |place: usize| {
                let sum: f64 = at(place, &all).iter().sum();
                let agrees = |value: &&f64| **value * sum > 0.0;
                let values = at(place, draws);
                (sum != 0.0).then(|| values.iter().filter(agrees).count() as f64 / values.len() as f64)
            };
            mean(&(0..columns.len()).filter_map(share).collect::<Vec<f64>>())
        }
        "same_sign_chance" => {
            let chance = |place: usize| {
                let values = at(place, &all);
                let count = values.iter().filter(|value| **value != 0.0).count();
                let odd = (count - 1) / 2 * 2 + 1;
                // Of all signs of the others, how often it is that of the majority.
                let others = (odd - 1) as i32;
                let choose = (0..others / 2).fold(1.0, |choose, k| choose * f64::from(others - k) / f64::from(k + 1));
                count as f64 / case.n() as f64 * (0.5 + choose / 2_f64.powi(odd as i32))
            };
            let signed = (0..columns.len()).filter(|&place| at(place, &all).iter().sum::<f64>() != 0.0);
            mean(&signed.map(chance).collect::<Vec<f64>>())
        }
        "disparity" => {
            let size = (case.n() / 10).max(1);
            let batch_mean = |batch: &[u32]| -> Vec<f64> {
                let sum = |place: usize| batch.iter().map(|&i| rows[i as usize][place]).sum::<f64>();
                (0..columns.len()).map(|place| sum(place) / size as f64).collect()
            };
            let means: Vec<Vec<f64>> = of.batched.chunks_exact(size).map(batch_mean).collect();
            let mut distances = Vec::new();
            for (a, first) in means.iter().enumerate() {
                for second in &means[a + 1..] {
                    distances.push(first.iter().zip(second).map(|(x, y)| (x - y).powi(2)).sum::<f64>().sqrt());
                }
            }
            mean(&distances)
        }
        "confusion" => {
            let inner = pairs(draws).into_iter().map(|(i, j)| dot(&rows[i], &rows[j]));
            inner.reduce(f64::min).map(|minimum| (-minimum).max(0.0))
        }
        "stiffness_sign" => slow_sign(&rows, &pairs(draws)),
        "stiffness_cosine" => slow_cosine(&rows, &pairs(draws)),
        "stiffness_sign_within_class" => slow_sign(&rows, &of_class(true)),
        "stiffness_sign_between_classes" => slow_sign(&rows, &of_class(false)),
        "stiffness_cosine_within_class" => slow_cosine(&rows, &of_class(true)),
        "stiffness_cosine_between_classes" => slow_cosine(&rows, &of_class(false)),
        "stiffness_sign_within_class_macro" => slow_macro(case, slow_sign, &rows, draws, true),
        "stiffness_sign_between_classes_macro" => slow_macro(case, slow_sign, &rows, draws, false),
        "stiffness_cosine_within_class_macro" => slow_macro(case, slow_cosine, &rows, draws, true),
        "stiffness_cosine_between_classes_macro" => slow_macro(case, slow_cosine, &rows, draws, false),
        other => panic!("{other} has no slow twin"),
    }
}

fn slow_sign(rows: &[Vec<f64>], pairs: &[(usize, usize)]) -> Option<f64> {
    let sign = |&(i, j): &(usize, usize)| match dot(&rows[i], &rows[j]) {
        inner if inner > 0.0 => 1.0,
        inner if inner < 0.0 => -1.0,
        _ => 0.0,
    };
    mean(&pairs.iter().map(sign).collect::<Vec<f64>>())
}

fn slow_cosine(rows: &[Vec<f64>], pairs: &[(usize, usize)]) -> Option<f64> {
    let norm = |i: usize| dot(&rows[i], &rows[i]).sqrt();
    let cosine = |&(i, j): &(usize, usize)| {
        let cosine = dot(&rows[i], &rows[j]) / (norm(i) * norm(j));
        (norm(i) > 0.0 && norm(j) > 0.0).then_some(cosine)
    };
    mean(&pairs.iter().filter_map(cosine).collect::<Vec<f64>>())
}

type OfPairs = fn(&[Vec<f64>], &[(usize, usize)]) -> Option<f64>;

/// The mean over the classes, or over the pairs of two, of the mean over the pairs of examples.
fn slow_macro(case: &Case, slow: OfPairs, rows: &[Vec<f64>], draws: &[u32], same: bool) -> Option<f64> {
    let classes = case.classes();
    let of_classes = classes.iter().flat_map(|a| classes.iter().map(move |b| (*a, *b)));
    let means = of_classes.filter(|(a, b)| a <= b && (a == b) == same).filter_map(|(a, b)| {
        let is = |(i, j): &(usize, usize)| (case.labels[*i], case.labels[*j]) == (a, b);
        slow(rows, &pairs(draws).into_iter().filter(is).collect::<Vec<_>>())
    });
    mean(&means.collect::<Vec<f64>>())
}

const PAPER: [&str; 16] = [
    "gsnr",
    "gsnr_plugin",
    "same_sign",
    "same_sign_chance",
    "disparity",
    "confusion",
    "stiffness_sign_within_class_macro",
    "stiffness_sign_between_classes_macro",
    "stiffness_cosine_within_class_macro",
    "stiffness_cosine_between_classes_macro",
    "stiffness_sign",
    "stiffness_cosine",
    "stiffness_sign_within_class",
    "stiffness_sign_between_classes",
    "stiffness_cosine_within_class",
    "stiffness_cosine_between_classes",
];

/// How the interval comes of the halves.
#[derive(Clone, Copy, PartialEq)]
enum Interval {
    None,
    Of,
    OfReciprocal,
}

/// `values` are of the sample and then of each half.
#[track_caller]
fn assert_measured(what: &str, n: usize, found: Measured, values: Vec<Option<f64>>, kind: Interval, scale: f64) {
    let close = |a: Option<f64>, b: Option<f64>, tolerance: f64| match (a, b) {
        (Some(a), Some(b)) => a == b || (a - b).abs() <= tolerance * a.abs().max(b.abs()).max(scale),
        (a, b) => a == b,
    };
    let value = values[0];
    assert!(close(found.value, value, 1e-9), "{what}: {:?} is not {value:?}", found.value);
    let inverse = |value: f64| if value > 0.0 { 1.0 / value } else { f64::INFINITY };
    let numbers = |change: fn(f64) -> f64| values[1..].iter().map(move |value| value.map_or(f64::NAN, change));
    let expected = match (kind, value) {
        (Interval::None, _) | (_, None) => None,
        (Interval::Of, Some(value)) => interval(n, value, numbers(|value| value)),
        (Interval::OfReciprocal, Some(value)) => interval(n, 1.0 / value, numbers(|value| 1.0 / value))
            .filter(|(_, upper)| *upper > 0.0)
            .map(|(lower, upper)| (inverse(upper), inverse(lower))),
    };
    // The reciprocal of an end near 0 has no digits left.
    let tolerance = if kind == Interval::OfReciprocal { 2e-3 } else { 5e-5 };
    for (end, name) in [(0, "lower"), (1, "upper")] {
        let end_of = |interval: Option<(f64, f64)>| interval.map(|(lower, upper)| [lower, upper][end]);
        let (found, expected) = (end_of(found.interval), end_of(expected));
        let both_far = found.zip(expected).is_some_and(|(a, b)| a > 1e3 * scale.max(1.0) && b > 1e3 * scale.max(1.0));
        assert!(both_far || close(found, expected, tolerance), "{what}, {name}: {found:?} is not {expected:?}");
    }
}

/// Whether an interval is told by how many examples each class has.
fn told(case: &Case, statistic: &str) -> Interval {
    let count = |class: &u8| case.labels.iter().filter(|label| *label == class).count();
    match statistic {
        "confusion" | "same_sign_chance" => Interval::None,
        name if name.ends_with("_macro") && case.classes().iter().any(|class| count(class) < 4) => Interval::None,
        _ => Interval::Of,
    }
}

/// Every statistic and every interval of a case is that of the slow twins.
fn assert_as_the_slow_twins(case: &Case) {
    let step = case.coherence();
    let parts = case.parts();
    let coordinates_told = case.strata(None).iter().all(|(columns, _)| columns.len() >= 4);
    for layer in [None, Some(0), Some(1)] {
        let columns = case.columns(layer);
        for statistic in PAPER {
            let values = parts.iter().map(|of| slow_value(case, statistic, &columns, of)).collect();
            let what = format!("{statistic} of {layer:?}");
            let found = step.found(Estimator::Paper, layer, statistic, None);
            let scale = if statistic.starts_with("stiff") { 1.0 } else { 1e-3 };
            assert_measured(&what, case.n(), found, values, told(case, statistic), scale);
        }
        for (estimator, examples) in [(Estimator::Paper, case.n()), (Estimator::Population, case.population)] {
            let moments = |of: &Chosen| match estimator {
                Estimator::Paper => slow_moments(case, &[(columns.clone(), 1.0)], &of.examples, examples),
                _ => slow_moments(case, &of.scaled(case, layer), &of.examples, examples),
            };
            // A norm that is nothing but rounding is missing to one and huge to the other.
            let is_rounding = |of: &Chosen| {
                moments(of).is_some_and(|of| {
                    let pairs = of.norm_sq - of.self_sum;
                    of.norm_sq.abs() <= 1e-5 * of.self_sum || pairs.abs() <= 1e-5 * of.self_sum
                })
            };
            if parts.iter().any(is_rounding) {
                continue;
            }
            for statistic in CLOSED_FORMS {
                let kind = match statistic {
                    _ if estimator == Estimator::Population && !coordinates_told => Interval::None,
                    "noise_scale" | "diversity" => Interval::OfReciprocal,
                    _ => Interval::Of,
                };
                // In a half the reciprocal may be negative.
                let value = |of: &Chosen| match (kind, statistic, of.examples.len() < case.n()) {
                    (Interval::OfReciprocal, "diversity", true) => moments(of).map(|of| of.self_sum / of.norm_sq),
                    (Interval::OfReciprocal, _, true) => moments(of).map(|of| {
                        let n = of.examples;
                        let variance = (of.self_sum - of.norm_sq / n) / (n - 1.0);
                        let bias = if estimator == Estimator::Paper { variance / n } else { 0.0 };
                        variance / (of.norm_sq / n / n - bias)
                    }),
                    _ => moments(of).and_then(|moments| slow_closed_form(statistic, &moments, estimator)),
                };
                let found = step.found(estimator, layer, statistic, None);
                let what = format!("{statistic} of {estimator:?} {layer:?}");
                assert_measured(&what, case.n(), found, parts.iter().map(value).collect(), kind, 0.1);
            }
        }
        assert_pairs_of_groups(case, &step, layer, &parts);
    }
}

fn assert_pairs_of_groups(case: &Case, step: &Coherence, layer: Option<usize>, parts: &[Chosen]) {
    let rows = case.rows(&case.columns(layer));
    let classes = case.classes();
    let names: Vec<String> = classes.iter().map(u8::to_string).collect();
    let class: Vec<u8> =
        case.labels.iter().map(|label| classes.iter().position(|c| c == label).unwrap() as u8).collect();
    for (statistics, groups, names) in [
        (["stiffness_sign", "stiffness_cosine"], &case.groups, GROUPS.to_vec()),
        (["class_stiffness_sign", "class_stiffness_cosine"], &class, names.iter().map(String::as_str).collect()),
    ] {
        let occurs =
            |group: &usize| names.len() != 3 || (0..case.population).any(|i| usize::from(case.group(i)) == *group);
        let occurring: Vec<usize> = (0..names.len()).filter(occurs).collect();
        let size = |group: usize| groups.iter().filter(|of| usize::from(**of) == group).count();
        for (a, b) in occurring.iter().flat_map(|a| occurring.iter().map(move |b| (*a, *b))).filter(|(a, b)| a <= b) {
            let pairs_in = |of: &Chosen| -> Vec<(usize, usize)> {
                let is = |&(i, j): &(usize, usize)| {
                    let of = (usize::from(groups[i]), usize::from(groups[j]));
                    of == (a, b) || of == (b, a)
                };
                pairs(&of.examples).into_iter().filter(is).collect()
            };
            let kind = if size(a).min(size(b)) < 4 { Interval::None } else { Interval::Of };
            for (statistic, slow) in statistics.into_iter().zip([slow_sign, slow_cosine]) {
                let found = step.found(Estimator::Paper, layer, statistic, Some([names[a], names[b]]));
                let values = parts.iter().map(|of| slow(&rows, &pairs_in(of))).collect();
                let what = format!("{statistic} of {layer:?}, {} and {}", names[a], names[b]);
                assert_measured(&what, case.n(), found, values, kind, 1.0);
            }
        }
    }
}

#[test]
fn every_statistic_and_interval_is_that_of_pairs_drawn_one_by_one() {
    assert_as_the_slow_twins(&Case::new(24, 9, 1));
    // Several blocks of one cell, several slabs of coordinates, batches of more than one with examples left over.
    let mut large = Case { halves: 41, ..Case::new(83, 150, 2) };
    large.groups.fill(2);
    assert_as_the_slow_twins(&large);
}

#[test]
fn zero_gradients_dead_coordinates_and_ties_are_as_in_the_slow_twins() {
    let mut case = Case::new(26, 12, 3);
    let d = case.d();
    // Two examples without gradient, two equal ones, two coordinates without any, one constant, one of a single example.
    for i in 0..26 {
        let row = &mut case.gradients[i * d..(i + 1) * d];
        (row[0], row[1], row[2]) = (0.0, 0.0, 0.75);
        row[3] = if i == 7 { 1e-3 } else { 0.0 };
    }
    case.gradients[4 * d..6 * d].fill(0.0);
    let copy = case.gradients[8 * d..9 * d].to_vec();
    case.gradients[9 * d..10 * d].copy_from_slice(&copy);
    assert_as_the_slow_twins(&case);
}

#[test]
fn gradients_far_from_one_lose_nothing() {
    for scale in [1e-30_f32, 1e30] {
        let mut case = Case::new(24, 9, 4);
        // The layers differ by another factor of a million.
        let parameters = case.parameters.clone();
        let factor =
            |j: usize| if parameters[j % 9] == 0 { scale } else { scale * 1e-6_f32.powf(scale.log10().signum()) };
        case.gradients.iter_mut().enumerate().for_each(|(j, value)| *value *= factor(j));
        assert_as_the_slow_twins(&case);
    }
}

#[test]
fn nearly_equal_gradients_keep_their_variance() {
    // ḡ²/var is about 10^8: in f32 the variance would be rounding.
    let mut case = Case::new(24, 9, 5);
    case.gradients.iter_mut().for_each(|value| *value = 1.0 + *value * 1e-4);
    let step = case.coherence();
    let values = case.parts().iter().map(|of| slow_value(&case, "gsnr", &case.columns(None), of)).collect();
    assert_measured("gsnr", 24, step.found(Estimator::Paper, None, "gsnr", None), values, Interval::Of, 0.0);
}

#[test]
fn five_examples_have_values_and_no_intervals() {
    // Once found by the property test below.
    let gradients = [
        0.18397622,
        0.064806625,
        -0.2945223,
        -1.0719424,
        0.8400535,
        2.0797055,
        -0.15388432,
        2.3240037,
        1.138712,
        1.1290544,
        1.517437,
        2.5029042,
        0.6110204,
        -1.1628921,
        0.48682666,
        0.3506804,
        0.06370872,
        2.121353,
        -0.23857306,
        0.41226897,
        -0.36015946,
        0.88108796,
        0.45237532,
        -0.17469013,
        0.4693834,
        0.16741493,
        1.0418677,
        0.403575,
        -0.21249232,
        0.006435085,
    ];
    assert_as_the_slow_twins(&Case {
        gradients: gradients.to_vec(),
        groups: vec![2, 0, 2, 1, 2],
        labels: vec![3, 7, 7, 7, 3],
        parameters: vec![0, 1, 0, 0, 1, 0],
        population: 11,
        halves: 40,
    });
}

#[test]
fn one_example_has_moments_and_no_pairs() {
    let mut case = Case::new(1, 9, 6);
    case.population = 1;
    let step = case.coherence();
    for estimator in [Estimator::Paper, Estimator::Population] {
        assert_eq!(step.value(estimator, "m_coherence"), Some(1.0));
        assert_eq!(step.value(estimator, "diversity"), Some(1.0));
        assert_eq!(step.value(estimator, "aligned_fraction"), Some(0.0));
        assert_eq!(step.value(estimator, "noise_scale"), None);
    }
    for statistic in ["gsnr", "disparity", "confusion", "stiffness_sign", "stiffness_cosine"] {
        assert_eq!(step.value(Estimator::Paper, statistic), None, "{statistic}");
    }
    assert_eq!(step.value(Estimator::Paper, "same_sign"), Some(1.0));
    // One of several tells nothing of the agreement between them.
    let of_many = Case { population: 10, ..case }.coherence();
    assert_eq!(of_many.value(Estimator::Population, "m_coherence"), None);
    assert_eq!(of_many.analysed.table("gradient_norms").value("gradient_norm_sq", &[]), None);
}

#[test]
fn two_examples_have_one_pair() {
    assert_as_the_slow_twins(&Case::new(2, 9, 16));
    assert_as_the_slow_twins(&Case { population: 2, ..Case::new(2, 6, 17) });
}

#[test]
fn without_gradients_nothing_but_sign_and_confusion_is_defined() {
    let mut case = Case::new(12, 9, 7);
    case.gradients.fill(0.0);
    for (key, measured) in &case.coherence().values {
        let of_pairs = ["stiffness_sign", "confusion", "disparity", "class_stiffness_sign"];
        let is_zero = of_pairs.iter().any(|name| key.1.starts_with(name));
        assert!(measured.value.is_none_or(|value| is_zero && value == 0.0), "{key:?} {measured:?}");
    }
}

#[test]
fn without_halves_values_are_the_same_and_have_no_intervals() {
    let case = Case::new(24, 9, 8);
    let (with, without) = (case.coherence(), Case { halves: 0, ..case }.coherence());
    assert!(with.values.keys().eq(without.values.keys()));
    for (with, without) in with.values.values().zip(without.values.values()) {
        assert_eq!((with.value, None), (without.value, without.interval));
    }
    for table in ["cross_terms", "gradient_norms", "shares", "cumulative", "differences"] {
        let ends = ["lower", "upper"];
        assert_eq!(with.analysed.table(table).all(&ends), without.analysed.table(table).all(&ends), "{table}");
    }
    let estimated = without.analysed.table("shares");
    assert_eq!(estimated.rows(&[("lower", "null"), ("upper", "null")]).len(), estimated.len());
}

#[test]
fn one_layer_is_all_layers_together() {
    let step = Case { parameters: vec![0; 9], ..Case::new(24, 9, 10) }.coherence();
    let of = |layer: &str| -> Vec<(&String, &Measured)> {
        let of_layer = step.values.iter().filter(|(key, _)| key.0.ends_with(layer));
        of_layer.map(|(key, measured)| (&key.1, measured)).collect()
    };
    assert!(!of("null").is_empty());
    assert_eq!(of("null"), of("first"));
}

#[test]
fn cross_terms_are_the_inner_products_of_the_groups_sums_and_add_up() {
    let case = Case::new(24, 9, 11);
    let table = case.coherence().analysed.table("cross_terms");
    let rows = case.rows(&case.columns(None));
    let group_sum = |group: u8| -> Vec<f64> {
        let of_group: Vec<&Vec<f64>> =
            rows.iter().zip(&case.groups).filter(|(_, of)| **of == group).map(|(row, _)| row).collect();
        (0..9).map(|j| of_group.iter().map(|row| row[j]).sum()).collect()
    };
    let sums: Vec<Vec<f64>> = (0..3).map(group_sum).collect();
    let norm_sq: f64 = slow_contributions(&case.gradients, 24).iter().sum();
    assert_eq!(table.len(), 9);
    for (a, b) in (0..3).flat_map(|a| (0..3).map(move |b| (a, b))) {
        let row = table.row(&[("group_a", GROUPS[a]), ("group_b", GROUPS[b]), ("estimator", "paper")]);
        assert_close(table.number("value", row).unwrap(), dot(&sums[a], &sums[b]), 1e-9);
        assert_close(table.number("fraction", row).unwrap(), dot(&sums[a], &sums[b]) / norm_sq, 1e-9);
    }
    let all = |column| table.numbers(column, &[]).into_iter().flatten().sum::<f64>();
    assert_close(all("value"), norm_sq, 1e-9);
    assert_close(all("fraction"), 1.0, 1e-9);
}

fn closed_form(statistic: &Statistic) -> fn(&Moments) -> Option<f64> {
    match statistic.compute {
        Compute::Moments(value) | Compute::Reciprocal(value, _) => value,
        _ => panic!("{} is no function of the moments", statistic.name),
    }
}

/// Cases of two coordinates, as steps of one run without halves.
fn of_two_coordinates(gradients: &[Vec<f32>]) -> Coherence {
    let n = gradients[0].len() / 2;
    let case = |gradients: &Vec<f32>| Case {
        gradients: gradients.clone(),
        groups: vec![0; n],
        labels: vec![0; n],
        parameters: vec![0; 2],
        population: n,
        halves: 0,
    };
    coherence(&gradients.iter().map(case).collect::<Vec<_>>())
}

#[test]
fn statistics_of_three_gradients_by_hand() {
    // g_1 = (1, 0), g_2 = (1, 1), g_3 = (0, −1): g = (2, 0), Σ q = 4, ⟨g_1, g_2⟩ = 1, ⟨g_1, g_3⟩ = 0, ⟨g_2, g_3⟩ = −1.
    let gradients = [1.0, 0.0, 1.0, 1.0, 0.0, -1.0];
    let gram = Gram::new(&gradients, 3, 0..2);
    assert_eq!([gram.inner(0, 1), gram.inner(2, 0), gram.inner(2, 1)], [1.0, 0.0, -1.0]);
    assert_eq!(gram.self_terms(), [1.0, 2.0, 1.0]);
    let moments = Moments::of_means(3, Some(0.0), 4.0 / 3.0).unwrap();
    assert_eq!(moments, Moments::of_sums(3, 4.0, 4.0));
    // Coordinate 1: mean 2/3, variance 1/3; coordinate 2: mean 0, variance 1.
    let coordinates = Coordinates::new(&gradients, 3, 0..2);
    assert_close(coordinates.variances[0], 1.0 / 3.0, 1e-14);
    let ratios = Ratios::new(&coordinates);
    assert_close(ratios.mean(ratios.sum).unwrap(), 2.0 / 3.0, 1e-14);
    // Of coordinate 1 alone, which has a mean: two of three agree; two signs of random ones always have a majority of one.
    let agreements = Agreements::new(&gradients, 0..2, &coordinates);
    assert_eq!((agreements.by_example.as_slice(), agreements.coordinates), (&[1, 1, 0][..], 1));
    assert_close(agreements.chance, 2.0 / 3.0, 1e-14);
    assert_eq!(batches::squared_distances(&gradients, &[0, 1, 2], 0..2), [1.0, 2.0, 5.0]);

    let step = of_two_coordinates(&[gradients.map(|value| value as f32).to_vec()]);
    let paper = |statistic| step.value(Estimator::Paper, statistic).unwrap();
    for estimator in [Estimator::Paper, Estimator::Population] {
        for (statistic, expected) in [("m_coherence", 1.0), ("diversity", 1.0), ("aligned_fraction", 0.0)] {
            assert_close(step.value(estimator, statistic).unwrap() + 1.0, expected + 1.0, 1e-14);
        }
    }
    // ‖ḡ‖² = 4/9, tr(Σ) = (4 − 4/3)/2 = 4/3, a third of which is all of ‖ḡ‖².
    assert_close(step.value(Estimator::Population, "noise_scale").unwrap(), 3.0, 1e-14);
    assert_eq!(step.value(Estimator::Paper, "noise_scale"), None);
    assert_eq!(paper("confusion"), 1.0);
    // Of the two ratios: (4/3 + 0)/2, of which 1/3 is the variance of the means.
    assert_close(paper("gsnr_plugin"), 2.0 / 3.0, 1e-14);
    assert_close(paper("gsnr"), 1.0 / 3.0, 1e-14);
    assert_close(paper("same_sign_chance"), 2.0 / 3.0, 1e-14);
    // Coordinate 1 is positive in two of three; coordinate 2 has mean 0 and no sign.
    assert_close(paper("same_sign"), 2.0 / 3.0, 1e-14);
    // Batches of one: distances 1, √2 and √5.
    assert_close(paper("disparity"), (1.0 + 2.0_f64.sqrt() + 5.0_f64.sqrt()) / 3.0, 1e-14);
    // The eigenvalues of Σ_i g_i g_iᵀ are 3 and 1.
    assert_close(paper("effective_rank"), (-0.75 * 0.75_f64.ln() - 0.25 * 0.25_f64.ln()).exp(), 1e-12);
    // Signs 1, 0 and −1; cosines 1/√2, 0 and −1/√2.
    assert_eq!((paper("stiffness_sign"), paper("stiffness_cosine")), (0.0, 0.0));
}

#[test]
fn equal_and_opposed_gradients_are_at_the_ends_of_the_scales() {
    let values = |moments: &Moments| {
        [m_coherence::STATISTIC, diversity::STATISTIC, aligned_fraction::STATISTIC, noise_scale::STATISTIC]
            .map(|statistic| closed_form(&statistic)(moments))
    };
    // Two equal gradients: n for coherence, and of diversity its reciprocal, no variance; two opposed ones: ‖Σ g‖² = 0.
    let equal = Moments::of_means(2, Some(4.0), 4.0).unwrap();
    assert_eq!(values(&equal), [Some(2.0), Some(2.0), Some(0.5), Some(f64::INFINITY)]);
    let opposed = Moments::of_means(2, Some(-4.0), 4.0).unwrap();
    assert_eq!(values(&opposed), [Some(0.0), Some(0.0), None, Some(0.0)]);
    assert_eq!(closed_form(&noise_scale::STATISTIC)(&opposed.of_sample()), Some(-0.5));
    assert_eq!(values(&Moments::of_sums(2, 0.0, 0.0))[..3], [None; 3]);
    for (gradients, expected) in [([1.0, 2.0, 1.0, 2.0], Some(0.0)), ([1.0, 2.0, -1.0, -2.0], None)] {
        let step = of_two_coordinates(&[gradients.to_vec()]);
        assert_eq!(step.value(Estimator::Paper, "noise_scale"), expected);
        assert_eq!(step.value(Estimator::Population, "noise_scale"), expected);
        assert_eq!(step.value(Estimator::Paper, "diversity"), expected.map(|_| 0.5));
    }
    assert_eq!(Moments::of_means(2, None, 1.0), None);
    let confusion = |second: [f32; 2]| {
        of_two_coordinates(&[vec![1.0, 2.0, second[0], second[1]]]).value(Estimator::Paper, "confusion")
    };
    assert_eq!((confusion([1.0, 2.0]), confusion([-1.0, -2.0])), (Some(0.0), Some(5.0)));
    assert_eq!(of_two_coordinates(&[vec![1.0, 2.0]]).value(Estimator::Paper, "confusion"), None);
}

#[test]
fn batches_are_a_tenth_of_the_examples() {
    for (examples, expected) in [(1, (1, 1)), (9, (1, 9)), (19, (1, 19)), (20, (2, 10)), (25, (2, 12)), (400, (40, 10))]
    {
        assert_eq!(batches::batches(examples), expected);
    }
}

#[test]
fn intervals_leave_a_fortieth_on_either_side() {
    // About 0, of an even number of examples, so that deviations are the values.
    let numbers = |count: usize| (1..=count).rev().map(|number| number as f64);
    assert_eq!(interval(8, 0.0, numbers(38)), None);
    assert_eq!(interval(8, 0.0, numbers(39)), Some((-39.0, -1.0)));
    assert_eq!(interval(8, 0.0, numbers(79)), Some((-78.0, -2.0)));
    assert_eq!(interval(8, 0.0, numbers(80)), Some((-78.0, -3.0)));
    assert_eq!(interval(8, 0.0, numbers(199)), Some((-195.0, -5.0)));
    assert_eq!(interval(7, 0.0, numbers(199)), None);
    // Of nine examples a half has four: the spread is that of five times too large.
    let (lower, upper) = interval(9, 2.0, numbers(39)).unwrap();
    assert_close(lower, 2.0 - 0.8_f64.sqrt() * 37.0, 1e-14);
    assert_close(upper, 2.0 + 0.8_f64.sqrt(), 1e-14);
    // Halves without a value are beyond both ends.
    assert_eq!(interval(8, 0.0, numbers(197).chain([f64::NAN, f64::INFINITY])), Some((-195.0, -3.0)));
    assert_eq!(interval(8, 0.0, numbers(194).chain([f64::NAN; 6])), None);
    assert_eq!(Measured::new(8, None, numbers(100)).interval, None);
    assert_eq!(Measured::new(8, Some(f64::NAN), numbers(100)), Measured::default());
    // A reciprocal whose lower end is not positive has no upper end.
    let reciprocal = Measured::reciprocal(8, Some(20.0), numbers(39));
    assert_eq!((reciprocal.value, reciprocal.interval), (Some(0.05), Some((1.0 / 39.0, 1.0))));
    assert_eq!(Measured::reciprocal(8, Some(10.0), numbers(39)).ends(), (Some(1.0 / 19.0), None, true));
    assert_eq!(Measured::reciprocal(8, Some(-1.0), numbers(39)), Measured::default());
}

#[test]
fn halves_are_those_of_the_documented_generator() {
    let parameters = [Recorded { coordinates: 30, values: Some(40) }, Recorded { coordinates: 5, values: Some(5) }];
    let halves = Halves::new(3, "sgd_noise-0.5_seed-1", 1000, 40, &parameters);
    let again = Halves::new(3, "sgd_noise-0.5_seed-1", 1000, 47, &parameters);
    assert!(halves.examples().zip(again.examples()).all(|(a, b)| a == b), "a half must not depend on their number");
    assert_eq!((halves.count(), &halves.shuffled), (40, &again.shuffled));
    let mut sorted = halves.shuffled.clone();
    sorted.sort_unstable();
    assert!(sorted.iter().copied().eq(0..1000));
    let examples: Vec<&[u32]> = halves.examples().collect();
    assert_ne!(examples[0], examples[1]);
    let distinct: BTreeSet<u32> = examples[0].iter().copied().collect();
    assert_eq!((examples[0].len(), distinct.len()), (500, 500));
    // 30 · 40/(80 − 30) = 24 of 30 coordinates; all where all values are recorded.
    let taken = |parameter: usize, k: usize| halves.coordinates[parameter].taken[..k].iter().filter(|is| **is).count();
    assert_eq!((taken(0, 30), taken(1, 5)), (24, 5));
    assert_eq!(halves.coordinates[0].scale, Some(40.0 / 24.0));
    assert_ne!(halves.coordinates[0].taken[..30], halves.coordinates[0].taken[30..60]);
    // Written down once: a change of generator would change every published interval.
    assert_eq!(examples[0][..5], FIRST_DRAWS);
    assert_eq!(halves.shuffled[..5], FIRST_SHUFFLED);
    for (run, seed) in [("sgd_noise-0.5_seed-2", 3), ("sgd_noise-0.5_seed-1", 4)] {
        assert!(Halves::new(seed, run, 1000, 40, &[]).examples().next() != Some(examples[0]));
    }
    assert_eq!(Halves::new(3, "run", 7, 40, &[]).count(), 0);
    assert_eq!(Halves::new(3, "run", 8, 38, &[]).count(), 0);
}

/// Computed by another program from the documentation.
const FIRST_DRAWS: [u32; 5] = [256, 722, 160, 298, 137];
const FIRST_SHUFFLED: [u32; 5] = [477, 457, 865, 646, 220];

#[test]
fn the_population_estimate_is_unbiased() {
    // Every sample of three of five examples and of the coordinates: the mean of the estimates is the truth.
    let (m, n, d) = (5, 3, 5);
    let mut generator = generator(12);
    let all: Vec<f64> = (0..m * d).map(|_| f64::from(normal(&mut generator) as f32)).collect();
    let pristine = [true, false, true, true, false];
    let row = |i: usize| &all[i * d..(i + 1) * d];
    let total: Vec<f64> = (0..d).map(|j| (0..m).map(|i| row(i)[j]).sum()).collect();
    let truth = [true, false].map(|of| (0..m).filter(|&i| pristine[i] == of).map(|i| dot(row(i), &total)).sum::<f64>());
    // One layer has a weight of coordinates 0 and 1, of which one is sampled, and a bias of one, which is; of the other layer
    // both are.
    let parameters = [("first.weight", 2), ("first.bias", 1), ("second", 2)];
    let parameters = parameters.map(|(name, size)| Parameter::new(name, &[size], None)).to_vec();
    let mut runs = Vec::new();
    for sampled in (0_u32..1 << m).filter(|bits| bits.count_ones() as usize == n) {
        let sampled: Vec<u32> = (0..m as u32).filter(|i| sampled >> i & 1 == 1).collect();
        for first in [0, 1] {
            let columns = [first, 2, 3, 4];
            let places = [(0, first), (1, 0), (2, 0), (2, 1)];
            let gradients = sampled.iter().flat_map(|&i| columns.map(|j| row(i as usize)[j] as f32)).collect();
            runs.push(Synthetic {
                conditions: conditions("sgd", 0.5, runs.len() as u64),
                columns: vec![("pristine", booleans(&pristine))],
                examples: m,
                sampled: sampled.clone(),
                parameters: parameters.clone(),
                coordinates: places.map(|(parameter, index)| Coordinate { parameter, index: index as u64 }).to_vec(),
                steps: vec![(0, gradients)],
                ..Synthetic::new(&[true; 3], 4, &[], 0)
            });
        }
    }
    assert_eq!(runs.len(), 20);
    let analysed = analysed(&runs, &only(&["population"]));
    // Of a group of which no example is sampled nothing is added.
    let mean = |values: Vec<Option<f64>>| {
        assert_eq!(values.len(), 20);
        values.into_iter().map(|value| value.unwrap_or(0.0)).sum::<f64>() / 20.0
    };
    let cumulative = analysed.table("cumulative");
    for (group, (size, truth)) in ["pristine", "corrupt"].into_iter().zip([3.0, 2.0].into_iter().zip(truth)) {
        let of_group = cumulative.numbers("cumulative", &[("group", group)]);
        assert_close(mean(of_group) * size, truth, 1e-12);
    }
    let norms = analysed.table("gradient_norms").numbers("gradient_norm_sq", &[]);
    assert_close(mean(norms), dot(&total, &total), 1e-12);
}

#[test]
fn a_sample_of_everything_is_the_population() {
    let mut case = Case::new(24, 9, 13);
    (case.population, case.parameters) = (24, vec![0; 9]);
    let run = case.run();
    let whole = Synthetic {
        parameters: vec![Parameter::new("first.weight", &[3, 3], None)],
        steps: vec![(0, case.gradients.clone())],
        ..run
    };
    let options =
        Options { group_by: Some("group".into()), ..only(&["shares", "cumulative", "gradient_norm", "population"]) };
    let analysed = analysed(&[whole], &options);
    for (table, column) in [("shares", "share"), ("cumulative", "cumulative"), ("gradient_norms", "gradient_norm_sq")] {
        let table = analysed.table(table);
        let [paper, population] =
            ["paper", "population"].map(|estimator| table.numbers(column, &[("estimator", estimator)]));
        assert_eq!(paper.len(), population.len());
        paper.into_iter().zip(population).for_each(|(one, other)| assert_close(one.unwrap(), other.unwrap(), 1e-9));
    }
}

/// N̂ of each group in a half, pair by pair.
fn slow_norms(case: &Case, of: &Chosen) -> [f64; 3] {
    let m = case.population as f64;
    let of_stratum = |(columns, scale): &(Vec<usize>, f64)| {
        let rows = case.rows(columns);
        [0, 1, 2].map(|group| {
            let inner = |i: usize, j: usize| if case.groups[i] == group { dot(&rows[i], &rows[j]) } else { 0.0 };
            let of_pairs: Vec<f64> = pairs(&of.examples).iter().map(|&(i, j)| inner(i, j)).collect();
            let selves: Vec<f64> = of.examples.iter().map(|&i| inner(i as usize, i as usize)).collect();
            scale * (m * (m - 1.0) * mean(&of_pairs).unwrap() + m * mean(&selves).unwrap())
        })
    };
    let norms = of.scaled(case, None).iter().map(of_stratum).collect::<Vec<_>>();
    [0, 1, 2].map(|group| norms.iter().map(|norms| norms[group]).sum())
}

#[test]
fn estimates_for_the_population_are_those_of_the_halves_one_by_one() {
    // Four coordinates at least of each parameter, so that they have a spread.
    let steps = [Case::new(24, 24, 14), Case::new(24, 24, 15)];
    let groups: Vec<u8> = (0..24).map(|i| i % 3).collect();
    let steps = steps.map(|step| Case { groups: groups.clone(), ..step });
    let found = coherence(&steps);
    let parts = steps[0].parts();
    let slow: Vec<Vec<[f64; 3]>> =
        steps.iter().map(|step| parts.iter().map(|of| slow_norms(step, of)).collect()).collect();
    let size = |group: u8| (0..49).filter(|&i| steps[0].group(i) == group).count() as f64;
    let sizes = [0, 1, 2].map(size);
    for (step, norms) in slow.iter().enumerate() {
        let total = |b: usize| norms[b].iter().sum::<f64>();
        let norm = found.analysed.table("gradient_norms");
        let at = [("estimator", "population"), ("step", ["0", "1"][step])];
        assert_close(norm.value("gradient_norm_sq", &at).unwrap(), total(0), 1e-9);
        for (group, name) in GROUPS.into_iter().enumerate() {
            let check = |table: &str, column: &str, wanted: Wanted<'_>, value: &dyn Fn(usize) -> f64| {
                let values: Vec<Option<f64>> = (0..parts.len()).map(|b| Some(value(b))).collect();
                let found = found.estimated(table, column, step, wanted);
                assert!(found.interval.is_some());
                assert_measured(name, 24, found, values, Interval::Of, value(0).abs().max(0.1));
            };
            check("shares", "share", &[("group", name)], &|b| norms[b][group] / total(b));
            let mean =
                |b: usize, group: usize| slow[..=step].iter().map(|norms| norms[b][group]).sum::<f64>() / sizes[group];
            check("cumulative", "cumulative", &[("group", name)], &|b| mean(b, group));
            for (other, of_other) in GROUPS.into_iter().enumerate().skip(group + 1) {
                let pair = [("group_a", name), ("group_b", of_other)];
                check("differences", "difference", &pair, &|b| mean(b, group) - mean(b, other));
            }
        }
    }
}

#[test]
fn a_group_without_a_sampled_example_leaves_its_side_missing() {
    // Group c has examples, but none is sampled.
    let mut case = Case { halves: 0, ..Case::new(24, 9, 18) };
    case.groups.iter_mut().for_each(|group| *group %= 2);
    let found = case.coherence();
    let share = |group| found.estimated("shares", "share", 0, &[("group", group)]).value;
    assert_close(share("a").unwrap() + share("b").unwrap(), 1.0, 1e-12);
    assert_eq!(share("c"), Some(0.0), "of the two that are known");
    let cumulative = |group| found.estimated("cumulative", "cumulative", 0, &[("group", group)]).value;
    assert!(cumulative("a").is_some() && cumulative("c").is_none());
    let difference = |a, b| found.estimated("differences", "difference", 0, &[("group_a", a), ("group_b", b)]).value;
    assert!(difference("a", "b").is_some() && difference("a", "c").is_none() && difference("b", "c").is_none());
    // If only one group is known, there is nothing to divide.
    case.groups.fill(1);
    let found = case.coherence();
    assert_eq!(GROUPS.map(|group| found.estimated("shares", "share", 0, &[("group", group)]).value), [None; 3]);
    let norm = found.analysed.table("gradient_norms").value("gradient_norm_sq", &[("estimator", "population")]);
    assert!(norm.is_some());
}

#[test]
fn a_negative_estimate_of_the_norm_is_reported_and_has_no_shares() {
    // g_1 = −g_2: ‖g‖² of two is 0, but that of five is estimated as 20·(−1) + 5·1 times the scale.
    let run = Synthetic {
        examples: 5,
        sampled: vec![0, 1],
        columns: vec![("pristine", booleans(&[true, false, true, true, false]))],
        steps: vec![(0, vec![1.0, -1.0])],
        ..Synthetic::new(&[true, false], 1, &[], 0)
    };
    let analysed = analysed(&[run], &only(&["population", "m_coherence", "diversity"]));
    // One of eleven values of the parameter is recorded.
    assert_eq!(analysed.table("gradient_norms").numbers("gradient_norm_sq", &[]), [Some(-15.0 * 11.0)]);
    assert_eq!(analysed.table("shares").numbers("share", &[]), [None, None]);
    let cumulative = analysed.table("cumulative");
    assert_eq!(cumulative.numbers("cumulative", &[]), [Some(-7.5 * 11.0 / 3.0), Some(-7.5 * 11.0 / 2.0)]);
    let coherence = analysed.table("coherence");
    let value = |statistic| {
        coherence.value("value", &[("estimator", "population"), ("statistic", statistic), ("layer", "null")])
    };
    assert_eq!((value("m_coherence"), value("diversity")), (Some(-3.0), None));
}

#[test]
fn closed_forms_of_the_whole_population_are_those_of_its_sums() {
    // Σ s and Σ q of 100 examples in two layers.
    let layer = |s: f64, q: f64| (vec![s / 100.0; 100], vec![q / 100.0; 100]);
    let run = Synthetic::new(&[true; 100], 2, &[], 1).with_layers(2);
    let run = Synthetic { population: vec![(0, vec![layer(25.0, 12.5), layer(50.0, 25.0)])], ..run };
    let step = Coherence::new(analysed(&[run], &Options { halves: 50, ..only(&CLOSED_FORMS) }));
    let value =
        |layer: &str, statistic: &str| step.values[&(format!("exact {layer}"), format!("{statistic} null null"))];
    assert_close(value("layer.0", "m_coherence").value.unwrap(), 2.0, 1e-12);
    assert_close(value("null", "m_coherence").value.unwrap(), 2.0, 1e-12);
    assert_close(value("null", "diversity").value.unwrap(), 0.5, 1e-12);
    assert_close(value("null", "aligned_fraction").value.unwrap(), 0.5, 1e-12);
    // (37.5 − 75/100)/(99 · 75/10 000)
    assert_close(value("null", "noise_scale").value.unwrap(), 36.75 / 0.7425, 1e-12);
    assert!(step.values.values().all(|measured| measured.interval.is_none()));
    assert_eq!(step.values.len(), 4 * 3);
}

#[test]
fn of_more_than_a_hundred_classes_none_are_compared() {
    let labelled = |labels: i64, seed| {
        let run = Synthetic::new(&[true; 101], 2, &[0], 1).with_column("label", integers((0..101).map(|i| i % labels)));
        Synthetic { conditions: conditions("sgd", 0.5, seed), ..run }
    };
    let some = |i: i64| (i < 100).then_some(i % 3);
    let unlabelled =
        labelled(2, 3).with_column("label", cograd_trace::ExampleColumn::Integers((0..101).map(some).collect()));
    let runs = [labelled(100, 1), labelled(101, 2), unlabelled];
    let options = Options { group_by: Some("all".into()), ..only(&["stiffness", "class_stiffness"]) };
    let coherence = analysed(&runs, &options).table("coherence");
    let of = |seed: &str, statistic: &str| {
        coherence.rows(&[("seed", seed), ("statistic", statistic), ("layer", "null")]).len()
    };
    for (seed, pairs, means) in [("1", 100 * 101 / 2, 1), ("2", 0, 0), ("3", 0, 0)] {
        assert_eq!(of(seed, "class_stiffness_cosine"), pairs);
        assert_eq!(of(seed, "stiffness_sign_within_class"), means);
        assert_eq!(of(seed, "stiffness_sign_between_classes"), means);
        // Of all examples, and of the one group.
        assert_eq!(of(seed, "stiffness_sign"), 2);
    }
}

fn cases() -> impl Strategy<Value = Case> {
    (2_usize..16, 3_usize..12, any::<u64>(), 0_u8..4).prop_map(|(n, d, seed, rounding)| {
        let mut case = Case { halves: 40, ..Case::new(n, d, seed) };
        // Coarse values make ties, zeros, and zero gradients.
        if rounding > 0 {
            let unit = f32::from(rounding);
            case.gradients.iter_mut().for_each(|value| *value = (*value / unit).round());
        }
        case
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_sample_has_the_values_of_the_slow_twins(case in cases()) {
        assert_as_the_slow_twins(&case);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn the_order_of_the_examples_does_not_matter_to_values(case in cases()) {
        let mut reversed = case.clone();
        reversed.gradients = case.gradients.chunks_exact(case.d()).rev().flatten().copied().collect();
        reversed.groups.reverse();
        reversed.labels.reverse();
        let (before, after) = (case.coherence(), reversed.coherence());
        prop_assert!(before.values.keys().eq(after.values.keys()));
        for ((key, before), after) in before.values.iter().zip(after.values.values()) {
            // Batches are slices of an order.
            if !key.1.starts_with("disparity") {
                prop_assert_eq!(before.value.is_some(), after.value.is_some());
                let (before, after) = (before.value.unwrap_or(0.0), after.value.unwrap_or(0.0));
                prop_assert!((before - after).abs() <= 1e-9 * before.abs().max(1.0), "{:?}: {} {}", key, before, after);
            }
        }
    }
}
