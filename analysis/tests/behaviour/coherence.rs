//! Coherence statistics, their bootstrap and the population estimator, against slow twins that know no Gram matrix.

use cograd_analysis::coherence::{Coherence, Pair, Sample, StepCoherence};
use cograd_analysis::statistic::bootstrap::{Measured, Resamples, interval};
use cograd_analysis::statistic::coordinate::Coordinates;
use cograd_analysis::statistic::gram::Gram;
use cograd_analysis::statistic::grouping::Grouping;
use cograd_analysis::statistic::gsnr::Ratios;
use cograd_analysis::statistic::moments::Moments;
use cograd_analysis::statistic::population::{self, GroupNorms, Sizes};
use cograd_analysis::statistic::same_sign::Agreements;
use cograd_analysis::statistic::{
    aligned_fraction, confusion, disparity, diversity, m_coherence, noise_scale, normalised_variance,
};
use cograd_analysis::{Estimator, Options};
use proptest::prelude::*;

use crate::support::*;

/// A sample of n examples, with gradients at one step.
#[derive(Clone, Debug)]
struct Case {
    gradients: Vec<f32>,
    pristine: Vec<bool>,
    groups: Vec<u8>,
    labels: Vec<u8>,
    layers: Vec<u32>,
    network: Vec<usize>,
    population: usize,
    bootstrap: usize,
}

const RUN: &str = "a run";
const SEED: u64 = 5;

impl Case {
    /// Three groups, two labels, two layers with their coordinates mixed; gradients of noise and a common direction.
    fn new(n: usize, d: usize, seed: u64) -> Case {
        let mut generator = generator(seed);
        let mut case = Case {
            gradients: (0..n * d).map(|_| (normal(&mut generator) + 0.5) as f32).collect(),
            pristine: (0..n).map(|_| uniform(&mut generator) < 0.6).collect(),
            groups: (0..n).map(|_| (uniform(&mut generator) * 3.0) as u8).collect(),
            labels: (0..n).map(|_| 3 + 4 * (uniform(&mut generator) * 2.0) as u8).collect(),
            layers: (0..d).map(|j| u32::from(j % 3 == 1)).collect(),
            network: vec![7, 5, 4],
            population: 2 * n + 1,
            bootstrap: 60,
        };
        (case.groups[0], case.labels[0], case.pristine[0]) = (2, 3, true);
        case
    }

    fn n(&self) -> usize {
        self.pristine.len()
    }

    fn d(&self) -> usize {
        self.layers.len()
    }

    fn grouping(&self) -> Grouping {
        Grouping::new(vec!["a".into(), "b".into(), "c".into()], self.groups.clone())
    }

    fn coherence(&self) -> StepCoherence {
        let sample = Sample {
            run: RUN,
            population: self.population,
            pristine: &self.pristine,
            grouping: &self.grouping(),
            labels: &self.labels,
            layer_of_coordinate: &self.layers,
            network: &self.network,
        };
        let options = Options { seed: SEED, bootstrap: self.bootstrap, ..Options::default() };
        Coherence::new(&sample, &options).of_step(&self.gradients)
    }

    /// The recorded coordinates of a layer, or of all.
    fn columns(&self, layer: Option<u32>) -> Vec<usize> {
        (0..self.d()).filter(|&j| layer.is_none_or(|layer| self.layers[j] == layer)).collect()
    }

    fn row(&self, i: usize, columns: &[usize]) -> Vec<f64> {
        columns.iter().map(|&j| f64::from(self.gradients[i * self.d() + j])).collect()
    }

    fn rows(&self, columns: &[usize]) -> Vec<Vec<f64>> {
        (0..self.n()).map(|i| self.row(i, columns)).collect()
    }

    fn resamples(&self) -> Resamples {
        Resamples::new(SEED, RUN, self.n(), self.bootstrap)
    }

    /// The classes, ascending.
    fn classes(&self) -> Vec<u8> {
        let mut classes = self.labels.clone();
        classes.sort_unstable();
        classes.dedup();
        classes
    }

    /// Weights of a layer over its sampled ones.
    fn scale(&self, layer: u32) -> f64 {
        let layer = layer as usize;
        (self.network[layer] * self.network[layer + 1]) as f64 / self.columns(Some(layer as u32)).len() as f64
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn found(step: &StepCoherence, estimator: Estimator, layer: Option<u32>, statistic: &str, pair: Pair) -> Measured {
    let is = |series: &cograd_analysis::coherence::Series| {
        (series.estimator, series.layer, series.statistic, series.pair) == (estimator, layer, statistic, pair)
    };
    let places: Vec<usize> = (0..step.series.len()).filter(|&place| is(&step.series[place])).collect();
    assert_eq!(places.len(), 1, "{statistic} of {layer:?} and {pair:?} must be there once");
    step.values[places[0]]
}

/// The places of two draws of distinct examples, for every ordered pair of draws.
fn pairs(draws: &[u32]) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    for &i in draws {
        for &j in draws {
            if i != j {
                pairs.push((i as usize, j as usize));
            }
        }
    }
    pairs
}

/// The two moments of the draws, from O and Q, for `examples` examples.
fn slow_moments(case: &Case, layers: &[(u32, f64)], draws: &[u32], examples: usize) -> Option<Moments> {
    let (mut pair_mean, mut self_mean) = (0.0, 0.0);
    for &(layer, scale) in layers {
        let rows = case.rows(&case.columns(Some(layer)));
        let inner: Vec<f64> = pairs(draws).iter().map(|&(i, j)| dot(&rows[i], &rows[j])).collect();
        let selves: Vec<f64> = draws.iter().map(|&i| dot(&rows[i as usize], &rows[i as usize])).collect();
        pair_mean += scale * mean(&inner)?;
        self_mean += scale * mean(&selves)?;
    }
    let m = examples as f64;
    Some(Moments { examples: m, norm_sq: m * (m - 1.0) * pair_mean + m * self_mean, self_sum: m * self_mean })
}

fn slow_closed_form(statistic: &str, moments: &Moments) -> Option<f64> {
    let Moments { examples: n, norm_sq, self_sum } = *moments;
    let mean_norm_sq = norm_sq / n / n;
    let value = match statistic {
        "m_coherence" => norm_sq / self_sum,
        "diversity" if norm_sq > 0.0 => self_sum / norm_sq,
        "aligned_fraction" if norm_sq > 0.0 => (norm_sq - self_sum) / norm_sq,
        "noise_scale" | "normalised_variance" if norm_sq > 0.0 => {
            (self_sum - n * mean_norm_sq) / ((n - 1.0) * mean_norm_sq)
        }
        _ => f64::NAN,
    };
    Some(value).filter(|value| value.is_finite())
}

const CLOSED_FORMS: [&str; 5] = ["m_coherence", "diversity", "aligned_fraction", "noise_scale", "normalised_variance"];

/// Statistics of the draws of one resample (or of 0…n−1, the sample itself), in `columns`; batches are slices of `batched`.
fn slow_value(case: &Case, statistic: &str, columns: &[usize], draws: &[u32], batched: &[u32]) -> Option<f64> {
    let rows = case.rows(columns);
    let of_class = |same: bool| -> Vec<(usize, usize)> {
        pairs(draws).into_iter().filter(|&(i, j)| (case.labels[i] == case.labels[j]) == same).collect()
    };
    match statistic {
        "gsnr" => {
            let ratio = |place: usize| {
                let values: Vec<f64> = draws.iter().map(|&i| rows[i as usize][place]).collect();
                let mean = mean(&values)?;
                let variance =
                    values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (values.len() as f64 - 1.0);
                values.iter().any(|value| *value != values[0]).then(|| mean * mean / variance)
            };
            mean(&(0..columns.len()).filter_map(ratio).collect::<Vec<f64>>())
        }
        "same_sign" => {
            let share = |place: usize| {
                let values: Vec<f64> = draws.iter().map(|&i| rows[i as usize][place]).collect();
                let sum: f64 = values.iter().sum();
                let agrees = |value: &&f64| **value * sum > 0.0;
                (sum != 0.0).then(|| values.iter().filter(agrees).count() as f64 / values.len() as f64)
            };
            mean(&(0..columns.len()).filter_map(share).collect::<Vec<f64>>())
        }
        "disparity" => {
            let size = (batched.len() / 10).max(1);
            let batch_mean = |batch: &[u32]| -> Vec<f64> {
                let sum = |place: usize| batch.iter().map(|&i| rows[i as usize][place]).sum::<f64>();
                (0..columns.len()).map(|place| sum(place) / size as f64).collect()
            };
            let means: Vec<Vec<f64>> = batched.chunks_exact(size).map(batch_mean).collect();
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

const PAPER: [&str; 10] = [
    "gsnr",
    "same_sign",
    "disparity",
    "confusion",
    "stiffness_sign",
    "stiffness_cosine",
    "stiffness_sign_within_class",
    "stiffness_sign_between_classes",
    "stiffness_cosine_within_class",
    "stiffness_cosine_between_classes",
];

#[track_caller]
fn assert_measured(what: &str, found: Measured, value: Option<f64>, resampled: Vec<Option<f64>>, scale: f64) {
    let close = |a: Option<f64>, b: Option<f64>, tolerance: f64| match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() <= tolerance * a.abs().max(b.abs()).max(scale),
        (a, b) => a == b,
    };
    assert!(close(found.value, value, 1e-9), "{what}: {:?} is not {value:?}", found.value);
    let expected = value.and_then(|_| interval(resampled.into_iter().flatten()));
    for (end, name) in [(0, "lower"), (1, "upper")] {
        let of = |interval: Option<(f64, f64)>| interval.map(|(lower, upper)| [lower, upper][end]);
        let (found, expected) = (of(found.interval), of(expected));
        assert!(close(found, expected, 5e-5), "{what}, {name}: {found:?} is not {expected:?}");
    }
}

/// Every statistic and every interval of a case is that of the slow twins.
fn assert_as_the_slow_twins(case: &Case) {
    let step = case.coherence();
    let (resamples, own) = (case.resamples(), (0..case.n() as u32).collect::<Vec<u32>>());
    let draws: Vec<&[u32]> = resamples.draws().collect();
    for layer in [None, Some(0), Some(1)] {
        let columns = case.columns(layer);
        for statistic in PAPER {
            let value = slow_value(case, statistic, &columns, &own, resamples.shuffled());
            let resampled = draws.iter().map(|draws| slow_value(case, statistic, &columns, draws, draws)).collect();
            let what = format!("{statistic} of {layer:?}");
            let found = found(&step, Estimator::Paper, layer, statistic, Pair::All);
            assert_measured(&what, found, value, resampled, if statistic.starts_with("stiff") { 1.0 } else { 1e-3 });
        }
        let layers: Vec<u32> = (0..2).filter(|&of| layer.is_none_or(|layer| layer == of)).collect();
        let unscaled: Vec<(u32, f64)> = layers.iter().map(|&layer| (layer, 1.0)).collect();
        let scaled: Vec<(u32, f64)> = layers.iter().map(|&layer| (layer, case.scale(layer))).collect();
        for (estimator, layers, examples) in
            [(Estimator::Paper, unscaled, case.n()), (Estimator::Population, scaled, case.population)]
        {
            let moments = |draws: &[u32]| slow_moments(case, &layers, draws, examples);
            // A norm that is nothing but rounding is missing to one and huge to the other.
            let is_rounding = |draws: &[u32]| moments(draws).is_some_and(|of| of.norm_sq.abs() <= 1e-5 * of.self_sum);
            if is_rounding(&own) || draws.iter().any(|draws| is_rounding(draws)) {
                continue;
            }
            for statistic in CLOSED_FORMS {
                let value = |draws: &[u32]| moments(draws).and_then(|moments| slow_closed_form(statistic, &moments));
                let found = found(&step, estimator, layer, statistic, Pair::All);
                let resampled = draws.iter().map(|draws| value(draws)).collect();
                assert_measured(&format!("{statistic} of {estimator:?} {layer:?}"), found, value(&own), resampled, 0.1);
            }
        }
        assert_pairs_of_groups(case, &step, layer, &draws);
    }
}

fn assert_pairs_of_groups(case: &Case, step: &StepCoherence, layer: Option<u32>, draws: &[&[u32]]) {
    let rows = case.rows(&case.columns(layer));
    let own: Vec<u32> = (0..case.n() as u32).collect();
    let classes = case.classes();
    let class: Vec<u8> =
        case.labels.iter().map(|label| classes.iter().position(|c| c == label).unwrap() as u8).collect();
    for (names, groups, count) in [
        (["stiffness_sign", "stiffness_cosine"], &case.groups, 3),
        (["class_stiffness_sign", "class_stiffness_cosine"], &class, classes.len()),
    ] {
        for (a, b) in (0..count).flat_map(|a| (a..count).map(move |b| (a, b))) {
            let pair = if count == 3 { Pair::Groups(a, b) } else { Pair::Classes(a, b) };
            let of_pair = |draws: &[u32]| -> Vec<(usize, usize)> {
                let is = |&(i, j): &(usize, usize)| {
                    let of = (usize::from(groups[i]), usize::from(groups[j]));
                    of == (a, b) || of == (b, a)
                };
                pairs(draws).into_iter().filter(is).collect()
            };
            for (name, slow) in names.into_iter().zip([slow_sign, slow_cosine]) {
                let found = found(step, Estimator::Paper, layer, name, pair);
                let resampled = draws.iter().map(|draws| slow(&rows, &of_pair(draws))).collect();
                let what = format!("{name} of {layer:?} and {pair:?}");
                assert_measured(&what, found, slow(&rows, &of_pair(&own)), resampled, 1.0);
            }
        }
    }
}

#[test]
fn every_statistic_and_interval_is_that_of_pairs_drawn_one_by_one() {
    assert_as_the_slow_twins(&Case::new(24, 9, 1));
    // Several blocks of one cell, several slabs of coordinates, batches of more than one with examples left over.
    let mut large = Case { bootstrap: 41, ..Case::new(83, 150, 2) };
    large.groups.fill(2);
    large.pristine.fill(true);
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
        let layers = case.layers.clone();
        let factor = |j: usize| if layers[j % 9] == 0 { scale } else { scale * 1e-6_f32.powf(scale.log10().signum()) };
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
    let (own, resamples) = ((0..24).collect::<Vec<u32>>(), case.resamples());
    let value = slow_value(&case, "gsnr", &case.columns(None), &own, &own);
    let resampled =
        resamples.draws().map(|draws| slow_value(&case, "gsnr", &case.columns(None), draws, draws)).collect();
    assert_measured("gsnr", found(&step, Estimator::Paper, None, "gsnr", Pair::All), value, resampled, 0.0);
}

#[test]
fn one_example_has_moments_and_no_pairs() {
    let mut case = Case::new(1, 9, 6);
    case.population = 1;
    let step = case.coherence();
    let value = |estimator, statistic| found(&step, estimator, None, statistic, Pair::All).value;
    for estimator in [Estimator::Paper, Estimator::Population] {
        assert_eq!(value(estimator, "m_coherence"), Some(1.0));
        assert_eq!(value(estimator, "diversity"), Some(1.0));
        assert_eq!(value(estimator, "aligned_fraction"), Some(0.0));
        assert_eq!(value(estimator, "noise_scale"), None);
    }
    for statistic in ["gsnr", "disparity", "confusion", "stiffness_sign", "stiffness_cosine"] {
        assert_eq!(value(Estimator::Paper, statistic), None, "{statistic}");
    }
    assert_eq!(value(Estimator::Paper, "same_sign"), Some(1.0));
    // One of several tells nothing of the agreement between them.
    let of_many = Case { population: 10, ..case }.coherence();
    assert_eq!(found(&of_many, Estimator::Population, None, "m_coherence", Pair::All).value, None);
}

#[test]
fn without_gradients_nothing_but_sign_and_confusion_is_defined() {
    let mut case = Case::new(12, 9, 7);
    case.gradients.fill(0.0);
    let step = case.coherence();
    for (series, measured) in step.series.iter().zip(&step.values) {
        let of_pairs = ["stiffness_sign", "confusion", "disparity", "class_stiffness_sign"];
        let is_zero = of_pairs.iter().any(|name| series.statistic.starts_with(name));
        assert!(measured.value.is_none_or(|value| is_zero && value == 0.0), "{series:?} {measured:?}");
    }
}

#[test]
fn without_resamples_values_are_the_same_and_have_no_intervals() {
    let case = Case::new(24, 9, 8);
    let (with, without) = (case.coherence(), Case { bootstrap: 0, ..case }.coherence());
    assert_eq!(with.series, without.series);
    for (with, without) in with.values.iter().zip(&without.values) {
        assert_eq!((with.value, None), (without.value, without.interval));
    }
    assert_eq!(with.cross_terms, without.cross_terms);
    assert_eq!((with.norms[0], without.norms.len()), (without.norms[0], 1));
}

#[test]
fn a_network_of_unknown_layers_has_no_population_estimate() {
    let step = Case { network: vec![], ..Case::new(24, 9, 9) }.coherence();
    assert!(step.series.iter().all(|series| series.estimator == Estimator::Paper));
    assert!(step.norms.is_empty());
}

#[test]
fn one_layer_is_all_layers_together() {
    let step = Case { layers: vec![0; 9], ..Case::new(24, 9, 10) }.coherence();
    let of = |layer: Option<u32>| -> Vec<Measured> {
        let places = (0..step.series.len()).filter(|&place| step.series[place].layer == layer);
        places.map(|place| step.values[place]).collect()
    };
    assert!(!of(None).is_empty());
    assert_eq!(of(None), of(Some(0)));
}

#[test]
fn cross_terms_are_the_inner_products_of_the_groups_sums_and_add_up() {
    let case = Case::new(24, 9, 11);
    let step = case.coherence();
    let rows = case.rows(&case.columns(None));
    let group_sum = |group: u8| -> Vec<f64> {
        let of_group: Vec<&Vec<f64>> =
            rows.iter().zip(&case.groups).filter(|(_, of)| **of == group).map(|(row, _)| row).collect();
        (0..9).map(|j| of_group.iter().map(|row| row[j]).sum()).collect()
    };
    let sums: Vec<Vec<f64>> = (0..3).map(group_sum).collect();
    for (a, b) in (0..3).flat_map(|a| (0..3).map(move |b| (a, b))) {
        assert_close(step.cross_terms[a * 3 + b], dot(&sums[a], &sums[b]), 1e-9);
    }
    let norm_sq: f64 = slow_contributions(&case.gradients, 24).iter().sum();
    assert_close(step.cross_terms.iter().sum(), norm_sq, 1e-9);
}

#[test]
fn statistics_of_three_gradients_by_hand() {
    // g_1 = (1, 0), g_2 = (1, 1), g_3 = (0, −1): g = (2, 0), Σ q = 4, ⟨g_1, g_2⟩ = 1, ⟨g_1, g_3⟩ = 0, ⟨g_2, g_3⟩ = −1.
    let gradients = [1.0, 0.0, 1.0, 1.0, 0.0, -1.0];
    let gram = Gram::of(&gradients, 3, 0..2);
    assert_eq!([gram.inner(0, 1), gram.inner(2, 0), gram.inner(2, 1)], [1.0, 0.0, -1.0]);
    assert_eq!(gram.self_terms(), [1.0, 2.0, 1.0]);
    assert_eq!(confusion::value(&gram), Some(1.0));
    let moments = Moments::of_means(3, Some(0.0), 4.0 / 3.0).unwrap();
    assert_eq!(moments, Moments::of_sums(3, 4.0, 4.0));
    assert_eq!(m_coherence::value(&moments), Some(1.0));
    assert_eq!(diversity::value(&moments), Some(1.0));
    assert_eq!(aligned_fraction::value(&moments), Some(0.0));
    // ‖ḡ‖² = 4/9, tr(Σ) = (4 − 4/3)/2 = 4/3.
    assert_close(noise_scale::value(&moments).unwrap(), 3.0, 1e-14);
    assert_eq!(noise_scale::value(&moments), normalised_variance::value(&moments));
    // Coordinate 1: mean 2/3, variance 1/3; coordinate 2: mean 0, variance 1. Their mean: (4/3 + 0)/2.
    let coordinates = Coordinates::of(&gradients, 3, 0..2);
    assert_close(coordinates.variances[0], 1.0 / 3.0, 1e-14);
    assert_close(Ratios::of(&coordinates).value().unwrap(), 2.0 / 3.0, 1e-14);
    // Coordinate 1 is positive in two of three; coordinate 2 has mean 0 and no sign.
    assert_close(Agreements::of(&coordinates).value().unwrap(), 2.0 / 3.0, 1e-14);
    // Batches of one: distances 1, √2 and √5.
    let distances = disparity::squared_distances(&gradients, &[0, 1, 2], 0..2);
    assert_eq!(distances, [1.0, 2.0, 5.0]);
    assert_close(disparity::value(&distances).unwrap(), (1.0 + 2.0_f64.sqrt() + 5.0_f64.sqrt()) / 3.0, 1e-14);
}

#[test]
fn equal_and_opposed_gradients_are_at_the_ends_of_the_scales() {
    // Two equal gradients: n for coherence, 1/n for diversity, no variance; two opposed ones: ‖Σ g‖² = 0.
    let equal = Moments::of_means(2, Some(4.0), 4.0).unwrap();
    assert_eq!((m_coherence::value(&equal), diversity::value(&equal)), (Some(2.0), Some(0.5)));
    assert_eq!((aligned_fraction::value(&equal), noise_scale::value(&equal)), (Some(0.5), Some(0.0)));
    let opposed = Moments::of_means(2, Some(-4.0), 4.0).unwrap();
    assert_eq!((m_coherence::value(&opposed), diversity::value(&opposed)), (Some(0.0), None));
    assert_eq!((aligned_fraction::value(&opposed), noise_scale::value(&opposed)), (None, None));
    assert_eq!(m_coherence::value(&Moments::of_sums(2, 0.0, 0.0)), None);
    assert_eq!(Moments::of_means(2, None, 1.0), None);
    let gram = |second: [f64; 2]| Gram::of(&[1.0, 2.0, second[0], second[1]], 2, 0..2);
    assert_eq!((confusion::value(&gram([1.0, 2.0])), confusion::value(&gram([-1.0, -2.0]))), (Some(0.0), Some(5.0)));
    assert_eq!(confusion::value(&Gram::of(&[1.0, 2.0], 1, 0..2)), None);
}

#[test]
fn batches_are_a_tenth_of_the_examples() {
    for (examples, expected) in [(1, (1, 1)), (9, (1, 9)), (19, (1, 19)), (20, (2, 10)), (25, (2, 12)), (400, (40, 10))]
    {
        assert_eq!(disparity::batches(examples), expected);
    }
}

#[test]
fn intervals_leave_a_fortieth_on_either_side() {
    let numbers = |count: usize| (1..=count).rev().map(|number| number as f64);
    assert_eq!(interval(numbers(38)), None);
    assert_eq!(interval(numbers(39)), Some((1.0, 39.0)));
    assert_eq!(interval(numbers(79)), Some((2.0, 78.0)));
    assert_eq!(interval(numbers(80)), Some((3.0, 78.0)));
    assert_eq!(interval(numbers(199)), Some((5.0, 195.0)));
    assert_eq!(interval(numbers(200)), Some((6.0, 195.0)));
    assert_eq!(interval(numbers(39).chain([f64::NAN, f64::INFINITY])), Some((1.0, 39.0)));
    assert_eq!(Measured::new(None, numbers(100)).interval, None);
    assert_eq!(Measured::new(Some(f64::NAN), numbers(100)), Measured::default());
}

#[test]
fn resamples_are_those_of_the_documented_generator() {
    let resamples = Resamples::new(3, "sgd_noise-0.5_seed-1", 1000, 2);
    let again = Resamples::new(3, "sgd_noise-0.5_seed-1", 1000, 7);
    assert!(resamples.draws().zip(again.draws()).all(|(a, b)| a == b), "a resample must not depend on their number");
    assert_eq!(resamples.shuffled(), again.shuffled());
    let mut sorted = resamples.shuffled().to_vec();
    sorted.sort_unstable();
    assert!(sorted.iter().copied().eq(0..1000));
    let draws: Vec<&[u32]> = resamples.draws().collect();
    assert_ne!(draws[0], draws[1]);
    // Uniform with replacement: about 632 distinct ones, mean about 500.
    let mut distinct = draws[0].to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    assert!((600..665).contains(&distinct.len()), "{}", distinct.len());
    // Written down once: a change of generator would change every published interval.
    assert_eq!(draws[0][..5], FIRST_DRAWS);
    assert_eq!(resamples.shuffled()[..5], FIRST_SHUFFLED);
    let multiplicities = resamples.multiplicities();
    let of_first: Vec<f32> = multiplicities.iter().step_by(2).copied().collect();
    assert_eq!(of_first.iter().sum::<f32>(), 1000.0);
    assert_eq!(of_first[draws[0][0] as usize], draws[0].iter().filter(|&&i| i == draws[0][0]).count() as f32);
    for (run, seed) in [("sgd_noise-0.5_seed-2", 3), ("sgd_noise-0.5_seed-1", 4)] {
        assert!(Resamples::new(seed, run, 1000, 1).draws().next() != Some(draws[0]));
    }
}

/// Computed by another program from the documentation.
const FIRST_DRAWS: [u32; 5] = [256, 722, 158, 296, 133];
const FIRST_SHUFFLED: [u32; 5] = [477, 457, 865, 646, 220];

#[test]
fn the_population_estimate_is_unbiased() {
    // Every sample of three of five examples and of the coordinates of a layer: the mean of the estimates is the truth.
    let (m, n, d) = (5, 3, 4);
    let mut generator = generator(12);
    let all: Vec<f64> = (0..m * d).map(|_| f64::from(normal(&mut generator) as f32)).collect();
    let pristine = [true, false, true, true, false];
    let row = |i: usize| &all[i * d..(i + 1) * d];
    let total: Vec<f64> = (0..d).map(|j| (0..m).map(|i| row(i)[j]).sum()).collect();
    let truth: Vec<f64> = [true, false]
        .iter()
        .map(|&of| (0..m).filter(|&i| pristine[i] == of).map(|i| dot(row(i), &total)).sum())
        .collect();
    // Layer 0 has coordinates 0 and 1, of which one is sampled; layer 1 has 2 and 3, both sampled.
    let mut estimates: Vec<GroupNorms> = Vec::new();
    for sampled in (0_u32..1 << m).filter(|bits| bits.count_ones() as usize == n) {
        let examples: Vec<usize> = (0..m).filter(|i| sampled >> i & 1 == 1).collect();
        for first in [0, 1] {
            let columns = [first, 2, 3];
            let case = Case {
                gradients: examples.iter().flat_map(|&i| columns.map(|j| row(i)[j] as f32)).collect(),
                pristine: examples.iter().map(|&i| pristine[i]).collect(),
                groups: vec![0; n],
                labels: vec![0; n],
                layers: vec![0, 1, 1],
                network: vec![2, 1, 2],
                population: m,
                bootstrap: 0,
            };
            estimates.push(case.coherence().norms[0]);
        }
    }
    assert_eq!(estimates.len(), 20);
    let mean = |of: fn(&GroupNorms) -> f64| estimates.iter().map(of).sum::<f64>() / estimates.len() as f64;
    assert_close(mean(|norms| norms.pristine), truth[0], 1e-12);
    assert_close(mean(|norms| norms.corrupt), truth[1], 1e-12);
    assert_close(mean(|norms| norms.total()), dot(&total, &total), 1e-12);
}

#[test]
fn a_sample_of_everything_is_the_population() {
    let mut case = Case::new(24, 9, 13);
    (case.population, case.network, case.layers) = (24, vec![3, 3], vec![0; 9]);
    let step = case.coherence();
    let s = slow_contributions(&case.gradients, 24);
    assert_close(step.norms[0].pristine, group_sum(&s, &case.pristine, true), 1e-9);
    assert_close(step.norms[0].corrupt, group_sum(&s, &case.pristine, false), 1e-9);
}

/// N̂^p and N̂^c of a resample, pair by pair.
fn slow_norms(case: &Case, draws: &[u32]) -> GroupNorms {
    let m = case.population as f64;
    let mut norms = GroupNorms::default();
    for layer in [0, 1] {
        let rows = case.rows(&case.columns(Some(layer)));
        let norm = |of: bool| {
            let inner: Vec<f64> = pairs(draws)
                .iter()
                .map(|&(i, j)| if case.pristine[i] == of { dot(&rows[i], &rows[j]) } else { 0.0 })
                .collect();
            let self_term = |i: usize| if case.pristine[i] == of { dot(&rows[i], &rows[i]) } else { 0.0 };
            let selves: Vec<f64> = draws.iter().map(|&i| self_term(i as usize)).collect();
            m * (m - 1.0) * mean(&inner).unwrap() + m * mean(&selves).unwrap()
        };
        norms = norms.plus(GroupNorms { pristine: norm(true), corrupt: norm(false) }, case.scale(layer));
    }
    norms
}

#[test]
fn norms_alpha_and_cumulative_contributions_are_those_of_the_resamples_one_by_one() {
    let steps = [Case::new(24, 9, 14), Case::new(24, 9, 15)];
    let pristine = steps[0].pristine.clone();
    let steps = steps.map(|step| Case { pristine: pristine.clone(), ..step });
    let own: Vec<u32> = (0..24).collect();
    let resamples = steps[0].resamples();
    let draws: Vec<&[u32]> = std::iter::once(own.as_slice()).chain(resamples.draws()).collect();
    let slow: Vec<Vec<GroupNorms>> =
        steps.iter().map(|step| draws.iter().map(|draws| slow_norms(step, draws)).collect()).collect();
    let fast: Vec<Vec<GroupNorms>> = steps.iter().map(|step| step.coherence().norms).collect();
    for (fast, slow) in fast.iter().flatten().zip(slow.iter().flatten()) {
        assert!((fast.pristine - slow.pristine).abs() < 1e-5 * slow.total().abs(), "{fast:?} is not {slow:?}");
        assert!((fast.corrupt - slow.corrupt).abs() < 1e-5 * slow.total().abs(), "{fast:?} is not {slow:?}");
    }
    let sizes = Sizes { pristine: 30, corrupt: 19 };
    let decomposition = population::decompose(&fast[0], sizes);
    let alphas = slow[0].iter().map(|norms| Some(norms.pristine / (norms.pristine + norms.corrupt)));
    let alphas: Vec<Option<f64>> = alphas.collect();
    assert_measured("alpha", decomposition.alpha, alphas[0], alphas[1..].to_vec(), 0.1);
    assert_close(decomposition.alpha.value.unwrap() + decomposition.beta.unwrap(), 1.0, 1e-12);
    assert_eq!(decomposition.gradient_norm_sq, Some(fast[0][0].total()));
    let cumulative = population::cumulate(fast.iter().map(Vec::as_slice), sizes);
    let of_second = |value: &dyn Fn(&GroupNorms) -> f64| -> Vec<Option<f64>> {
        (0..draws.len()).map(|b| Some(value(&slow[0][b]) + value(&slow[1][b]))).collect()
    };
    let (p, c) = (of_second(&|norms| norms.pristine / 30.0), of_second(&|norms| norms.corrupt / 19.0));
    let d = of_second(&|norms| norms.pristine / 30.0 - norms.corrupt / 19.0);
    for (name, found, slow) in
        [("i^p", cumulative[1].pristine, p), ("i^c", cumulative[1].corrupt, c), ("D", cumulative[1].difference, d)]
    {
        let scale = slow[0].unwrap().abs();
        assert_measured(name, found, slow[0], slow[1..].to_vec(), scale);
    }
}

#[test]
fn a_group_without_a_sampled_example_leaves_its_side_missing() {
    let norms = [GroupNorms { pristine: 3.0, corrupt: 0.0 }];
    let sizes = Sizes { pristine: 3, corrupt: 0 };
    let decomposition = population::decompose(&norms, sizes);
    assert_eq!((decomposition.alpha.value, decomposition.beta), (None, None));
    assert_eq!(decomposition.gradient_norm_sq, Some(3.0));
    let cumulative = population::cumulate([norms.as_slice()], sizes)[0];
    assert_eq!(cumulative.pristine.value, Some(1.0));
    assert_eq!((cumulative.corrupt.value, cumulative.difference.value), (None, None));
    let negative = [GroupNorms { pristine: 3.0, corrupt: -4.0 }];
    let both = population::decompose(&negative, Sizes { pristine: 3, corrupt: 2 });
    assert_eq!((both.alpha.value, both.gradient_norm_sq), (None, Some(-1.0)));
}

#[test]
fn closed_forms_of_the_whole_population_are_those_of_its_sums() {
    let step = cograd_analysis::coherence::exact(100, &[(0, 30.0, 10.0), (1, 60.0, 20.0)]);
    let value = |layer, statistic| found(&step, Estimator::Exact, layer, statistic, Pair::All).value.unwrap();
    assert_eq!((value(Some(0), "m_coherence"), value(None, "m_coherence")), (3.0, 3.0));
    assert_close(value(None, "diversity"), 1.0 / 3.0, 1e-14);
    assert_close(value(None, "aligned_fraction"), 2.0 / 3.0, 1e-14);
    // (30 − 90/100)/(99 · 90/10 000)
    assert_close(value(None, "noise_scale"), 29.1 / 0.891, 1e-12);
    assert!(step.values.iter().all(|measured| measured.interval.is_none()));
}

fn cases() -> impl Strategy<Value = Case> {
    (2_usize..16, 3_usize..12, any::<u64>(), 0_u8..4).prop_map(|(n, d, seed, rounding)| {
        let mut case = Case { bootstrap: 40, ..Case::new(n, d, seed) };
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

    #[test]
    fn the_order_of_the_examples_does_not_matter_to_values(case in cases()) {
        let mut reversed = case.clone();
        reversed.gradients = case.gradients.chunks_exact(case.d()).rev().flatten().copied().collect();
        reversed.pristine.reverse();
        reversed.groups.reverse();
        reversed.labels.reverse();
        let (before, after) = (case.coherence(), reversed.coherence());
        for ((series, before), after) in before.series.iter().zip(&before.values).zip(&after.values) {
            // Batches are slices of an order.
            if series.statistic != "disparity" {
                prop_assert_eq!(before.value.is_some(), after.value.is_some());
                let (before, after) = (before.value.unwrap_or(0.0), after.value.unwrap_or(0.0));
                prop_assert!((before - after).abs() <= 1e-9 * before.abs().max(1.0), "{:?}: {} {}", series, before, after);
            }
        }
    }
}
