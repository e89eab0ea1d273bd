//! The coherence statistics of one step, by layer and in total, with their bootstrap intervals [S 8].

use crate::options::Options;
use crate::plain::bootstrap::{Estimate, Resampled, Resamples};
use crate::plain::coordinates::Coordinates;
use crate::plain::moments_of_gradients::{NAMES, Norms};
use crate::plain::pairs::{CLASSES, GROUPS, Gram, Groupings, PairSums, Pairs, Summed};
use crate::tally::Number;

/// A mean of f64 values this close to 0, relative to its terms, has the sign of its rounding.
const ROUNDING: f64 = 1e-12;
/// The same of resampled means, which the analysis takes in f32.
const ROUNDING_F32: f64 = 1e-5;

/// What is the same at every step of a run.
pub(crate) struct Setting {
    /// Examples of the population, m.
    population: usize,
    layers: Vec<Layer>,
    resamples: Resamples,
    designation: Vec<usize>,
    groups: Vec<usize>,
    group_names: Vec<String>,
    classes: Vec<usize>,
    class_names: Vec<String>,
}

struct Layer {
    layer: usize,
    /// Places of its coordinates.
    places: Vec<usize>,
    /// d_l/k_l, of weights; `None` if the network is not known.
    scale: Option<f64>,
}

/// What a setting is made of.
pub(crate) struct Sample<'a> {
    pub run: &'a str,
    pub population: usize,
    pub pristine: Vec<bool>,
    pub groups: Vec<usize>,
    pub group_names: &'a [String],
    pub labels: Vec<u8>,
    /// Layer of each recorded coordinate; `None` for one that is not analysed.
    pub layer_of_coordinate: Vec<Option<usize>>,
    pub network: &'a [usize],
}

/// One row of coherence.parquet.
pub(crate) struct Row {
    pub estimator: &'static str,
    pub layer: Option<usize>,
    pub statistic: &'static str,
    pub groups: Option<(String, String)>,
    pub estimate: Estimate,
}

/// N̂^p and N̂^c, with the sizes of what they are sums of.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct GroupNorms {
    pub norms: [f64; 2],
    pub sizes: [f64; 2],
}

/// The coherence of one step.
#[derive(Default)]
pub(crate) struct StepCoherence {
    pub rows: Vec<Row>,
    /// ⟨g^a, g^b⟩ of the groups.
    pub cross_terms: Vec<Vec<Number>>,
    /// The population's norms as estimated from the sample, then from each resample; empty if they cannot be.
    pub norms: Vec<GroupNorms>,
}

/// One layer, or several together.
struct Part {
    gram: Gram,
    /// Of the sample, then of each resample: means over pairs and examples.
    means: Vec<Means>,
    /// The same scaled to all weights.
    scaled: Option<Vec<Means>>,
    coordinates: Vec<Coordinates>,
}

/// By group, pristine or corrupt: mean over ordered pairs of ⟨g_i, g_j⟩ with i in the group, its absolute size, and mean
/// over examples of q_i with i in the group.
#[derive(Clone, Copy, Debug, Default)]
struct Means {
    pairs: [f64; 2],
    sizes: [f64; 2],
    selves: [f64; 2],
}

impl Setting {
    pub(crate) fn new(sample: Sample<'_>, options: &Options) -> Setting {
        let mut labels = sample.labels.clone();
        labels.sort_unstable();
        labels.dedup();
        let class = |label: &u8| labels.iter().position(|known| known == label).unwrap_or(0);
        let n = sample.pristine.len();
        Setting {
            population: sample.population,
            layers: layers(&sample.layer_of_coordinate, sample.network),
            resamples: Resamples::new(options.seed, sample.run, n, options.bootstrap),
            designation: sample.pristine.iter().map(|&is| usize::from(!is)).collect(),
            groups: sample.groups,
            group_names: sample.group_names.to_vec(),
            classes: sample.labels.iter().map(class).collect(),
            class_names: labels.iter().map(u8::to_string).collect(),
        }
    }

    fn groupings(&self) -> Groupings<'_> {
        Groupings { of: [&self.groups, &self.classes], counts: [self.group_names.len(), self.class_names.len()] }
    }

    /// Of the gradients of one step, one row an example.
    pub(crate) fn of_step(&self, rows: &[&[f32]]) -> StepCoherence {
        let mut step = StepCoherence::default();
        let mut together: Option<Part> = None;
        for layer in &self.layers {
            let part = self.part(rows, layer);
            self.add_rows(Some(layer.layer), &part, &mut step);
            together = Some(match together {
                None => part,
                Some(sum) => sum.plus(part),
            });
        }
        if let Some(together) = together {
            self.add_rows(None, &together, &mut step);
            step.cross_terms = self.cross_terms(&together.gram);
            let m = self.population as f64;
            step.norms = together.scaled.iter().flatten().map(|means| means.norms(m)).collect();
        }
        step
    }

    fn part(&self, rows: &[&[f32]], layer: &Layer) -> Part {
        let gram = Gram::of(rows, &layer.places);
        let n = rows.len();
        let means: Vec<Means> = self.each_weights(n, |weights| self.means(&gram, weights));
        let identity: Vec<usize> = (0..n).collect();
        let of = |drawn: &[usize], shuffled: &[usize], rounding| {
            Coordinates::of(rows, &layer.places, drawn, shuffled, rounding)
        };
        let mut coordinates = vec![of(&identity, &self.resamples.shuffled, ROUNDING)];
        coordinates.extend(self.resamples.draws.iter().map(|draws| of(draws, draws, ROUNDING_F32)));
        let scaled = layer.scale.map(|scale| means.iter().map(|means| means.scaled(scale)).collect());
        Part { gram, means, scaled, coordinates }
    }

    /// Calls `work` with the weights of the sample, then of each resample.
    fn each_weights<T>(&self, examples: usize, work: impl Fn(&[f64]) -> T) -> Vec<T> {
        let once = vec![1.0; examples];
        std::iter::once(&once).chain(&self.resamples.weights).map(|weights| work(weights)).collect()
    }

    fn means(&self, gram: &Gram, weights: &[f64]) -> Means {
        let n = gram.examples;
        let (mut means, mut pairs) = (Means::default(), 0.0);
        for i in (0..n).filter(|&i| weights[i] > 0.0) {
            let group = self.designation[i];
            means.selves[group] += weights[i] * gram.at(i, i) / n as f64;
            for j in (0..n).filter(|&j| j != i) {
                let weight = weights[i] * weights[j];
                pairs += weight;
                means.pairs[group] += weight * gram.at(i, j);
                means.sizes[group] += weight * gram.at(i, j).abs();
            }
        }
        for group in 0..2 {
            means.pairs[group] /= pairs;
            means.sizes[group] /= pairs;
        }
        means
    }

    fn add_rows(&self, layer: Option<usize>, part: &Part, step: &mut StepCoherence) {
        let n = self.designation.len();
        let mut add = |estimator, statistic, groups, estimate| {
            step.rows.push(Row { estimator, layer, statistic, groups, estimate });
        };
        for (estimator, examples, means) in
            [("paper", n, Some(&part.means)), ("population", self.population, part.scaled.as_ref())]
        {
            let Some(means) = means else { continue };
            for statistic in NAMES {
                let of = |means: &Means| means.moments(examples).and_then(|norms| norms.value(statistic));
                let resampled: Vec<Resampled> =
                    means[1..].iter().filter_map(of).map(|number| Resampled::from(number.value)).collect();
                add(estimator, statistic, None, Estimate::new(of(&means[0]), 0.0, &resampled));
            }
        }
        let (actual, resampled) = (&part.coordinates[0], &part.coordinates[1..]);
        let gsnr: Vec<Resampled> = resampled.iter().map(|of| of.gsnr().into()).collect();
        add("paper", "gsnr", None, Estimate::new(Some(Number::plain(actual.gsnr())), 0.0, &gsnr));
        let same = |of: &Coordinates| Resampled { value: of.same_sign(), slack: of.same_sign_slack() };
        let same_sign: Vec<Resampled> = resampled.iter().map(same).collect();
        let slack = actual.same_sign_slack();
        add("paper", "same_sign", None, Estimate::new(Some(Number::plain(actual.same_sign())), slack, &same_sign));
        let disparity: Vec<Resampled> = resampled.iter().map(|of| of.disparity().into()).collect();
        let scale = self.largest(&part.gram);
        add("paper", "disparity", None, Estimate::new(Some(Number::near(actual.disparity(), scale)), 0.0, &disparity));
        self.add_pairs(part, &mut add);
    }

    /// Norm of the largest gradient.
    fn largest(&self, gram: &Gram) -> f64 {
        (0..gram.examples).map(|i| gram.at(i, i)).fold(0.0, f64::max).sqrt()
    }

    fn add_pairs(
        &self,
        part: &Part,
        add: &mut impl FnMut(&'static str, &'static str, Option<(String, String)>, Estimate),
    ) {
        let (pairs, groupings) = (Pairs::of(&part.gram), self.groupings());
        let all = self.each_weights(part.gram.examples, |weights| pairs.sum(weights, &groupings));
        let (actual, resampled) = (&all[0], &all[1..]);

        let of_minimum = |summed: &Summed| match summed.minimum {
            minimum if minimum.is_infinite() => f64::NAN,
            minimum => (-minimum).max(0.0),
        };
        let confusion: Vec<Resampled> = resampled.iter().map(|summed| of_minimum(summed).into()).collect();
        let largest = self.largest(&part.gram);
        let value = Number::near(of_minimum(actual), largest * largest);
        add("paper", "confusion", None, Estimate::new(Some(value), 0.0, &confusion));

        let within: fn(usize, usize) -> bool = |a, b| a == b;
        let between: fn(usize, usize) -> bool = |a, b| a != b;
        for (sign, cosine, wanted) in [
            ("stiffness_sign", "stiffness_cosine", (|_, _| true) as fn(usize, usize) -> bool),
            ("stiffness_sign_within_class", "stiffness_cosine_within_class", within),
            ("stiffness_sign_between_classes", "stiffness_cosine_between_classes", between),
        ] {
            let total = |summed: &Summed, field: fn(&PairSums) -> &Vec<f64>| summed.by[CLASSES].total(field, wanted);
            add("paper", sign, None, stiffness_sign(actual, resampled, total));
            add("paper", cosine, None, stiffness_cosine(actual, resampled, total));
        }
        for (place, names, sign, cosine) in [
            (GROUPS, &self.group_names, "stiffness_sign", "stiffness_cosine"),
            (CLASSES, &self.class_names, "class_stiffness_sign", "class_stiffness_cosine"),
        ] {
            for a in 0..names.len() {
                for b in a..names.len() {
                    let total =
                        |summed: &Summed, field: fn(&PairSums) -> &Vec<f64>| summed.by[place].of_pair(field, a, b);
                    let pair = || Some((names[a].clone(), names[b].clone()));
                    add("paper", sign, pair(), stiffness_sign(actual, resampled, total));
                    add("paper", cosine, pair(), stiffness_cosine(actual, resampled, total));
                }
            }
        }
    }

    fn cross_terms(&self, gram: &Gram) -> Vec<Vec<Number>> {
        let count = self.group_names.len();
        let mut sums = vec![vec![(0.0, 0.0); count]; count];
        for i in 0..gram.examples {
            for j in 0..gram.examples {
                let (sum, size) = &mut sums[self.groups[i]][self.groups[j]];
                *sum += gram.at(i, j);
                *size += gram.at(i, j).abs();
            }
        }
        sums.iter().map(|row| row.iter().map(|&(sum, size)| Number::near(sum, size)).collect()).collect()
    }
}

/// The layers that have coordinates, ascending.
fn layers(layer_of_coordinate: &[Option<usize>], network: &[usize]) -> Vec<Layer> {
    let last = layer_of_coordinate.iter().flatten().max().copied();
    let mut layers = Vec::new();
    for layer in 0..last.map_or(0, |last| last + 1) {
        let places: Vec<usize> =
            (0..layer_of_coordinate.len()).filter(|&place| layer_of_coordinate[place] == Some(layer)).collect();
        let weights = network.get(layer).zip(network.get(layer + 1)).map(|(from, to)| from * to);
        let scale = weights.map(|weights| weights as f64 / places.len() as f64);
        if !places.is_empty() {
            layers.push(Layer { layer, places, scale });
        }
    }
    layers
}

/// A sum of one of the fields over the pairs that are wanted.
trait Total: Fn(&Summed, fn(&PairSums) -> &Vec<f64>) -> f64 {}
impl<F: Fn(&Summed, fn(&PairSums) -> &Vec<f64>) -> f64> Total for F {}

fn stiffness_sign(actual: &Summed, resampled: &[Summed], total: impl Total) -> Estimate {
    let of = |summed: &Summed| {
        let weight = total(summed, |sums| &sums.weight);
        Resampled {
            value: total(summed, |sums| &sums.sign) / weight,
            slack: 2.0 * total(summed, |sums| &sums.doubtful) / weight,
        }
    };
    let values: Vec<Resampled> = resampled.iter().map(of).collect();
    Estimate::new(Some(Number::near(of(actual).value, 1.0)), of(actual).slack, &values)
}

fn stiffness_cosine(actual: &Summed, resampled: &[Summed], total: impl Total) -> Estimate {
    let of = |summed: &Summed| total(summed, |sums| &sums.cosine) / total(summed, |sums| &sums.cosine_weight);
    let values: Vec<Resampled> = resampled.iter().map(|summed| of(summed).into()).collect();
    Estimate::new(Some(Number::near(of(actual), 1.0)), 0.0, &values)
}

impl Part {
    fn plus(mut self, other: Part) -> Part {
        self.gram.add(&other.gram);
        for (sum, means) in self.means.iter_mut().zip(&other.means) {
            *sum = sum.plus(means);
        }
        self.scaled = match (self.scaled, other.scaled) {
            (Some(sums), Some(others)) => Some(sums.iter().zip(&others).map(|(sum, means)| sum.plus(means)).collect()),
            _ => None,
        };
        for (sum, coordinates) in self.coordinates.iter_mut().zip(&other.coordinates) {
            sum.add(coordinates);
        }
        self
    }
}

impl Means {
    fn scaled(&self, scale: f64) -> Means {
        let times = |values: [f64; 2]| values.map(|value| value * scale);
        Means { pairs: times(self.pairs), sizes: times(self.sizes), selves: times(self.selves) }
    }

    fn plus(&self, other: &Means) -> Means {
        let sum = |a: [f64; 2], b: [f64; 2]| [a[0] + b[0], a[1] + b[1]];
        Means {
            pairs: sum(self.pairs, other.pairs),
            sizes: sum(self.sizes, other.sizes),
            selves: sum(self.selves, other.selves),
        }
    }

    /// ‖Σ g‖² and Σ ‖g‖² of `examples` examples; `None` if there is no pair to tell it from.
    fn moments(&self, examples: usize) -> Option<Norms> {
        let n = examples as f64;
        let (pair, size) = match examples {
            1 => (0.0, 0.0),
            _ => (self.pairs[0] + self.pairs[1], self.sizes[0] + self.sizes[1]),
        };
        let self_sum = n * (self.selves[0] + self.selves[1]);
        let norm_sq = n * (n - 1.0) * pair + self_sum;
        norm_sq.is_finite().then_some(Norms { examples: n, norm_sq, self_sum, size: n * (n - 1.0) * size + self_sum })
    }

    /// N̂ of each group, of m examples.
    fn norms(&self, m: f64) -> GroupNorms {
        let pairs = |mean: f64| if m < 2.0 { 0.0 } else { m * (m - 1.0) * mean };
        let of = |means: [f64; 2]| [0, 1].map(|group| pairs(means[group]) + m * self.selves[group]);
        GroupNorms { norms: of(self.pairs), sizes: of(self.sizes) }
    }
}

/// The rows of the whole population, from Σ s, Σ |s| and Σ q of its layers.
pub(crate) fn exact(examples: usize, layers: &[(usize, [f64; 3])]) -> Vec<Row> {
    let mut parts: Vec<(Option<usize>, [f64; 3])> = layers.iter().map(|&(layer, sums)| (Some(layer), sums)).collect();
    let mut together = [0.0; 3];
    for (_, sums) in layers {
        for (sum, value) in together.iter_mut().zip(sums) {
            *sum += value;
        }
    }
    parts.push((None, together));
    let mut rows = Vec::new();
    for (layer, [norm_sq, size, self_sum]) in parts {
        let norms = Norms { examples: examples as f64, norm_sq, self_sum, size };
        for statistic in NAMES {
            let estimate = Estimate::exact(norms.value(statistic));
            rows.push(Row { estimator: "exact", layer, statistic, groups: None, estimate });
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sheet::Value;

    #[test]
    fn the_population_of_the_whole_is_the_sum_over_all_pairs() {
        // All m examples and all weights: the estimate is the truth.
        let rows: [&[f32]; 3] = [&[3.0, 4.0], &[-4.0, 3.0], &[6.0, 8.0]];
        let options = Options {
            group_by: "pristine".into(),
            steps: None,
            layers: None,
            examples: None,
            bootstrap: 0,
            null_worlds: 0,
            seed: 0,
        };
        let names = ["pristine".to_string(), "corrupt".to_string()];
        let sample = Sample {
            run: "run",
            population: 3,
            pristine: vec![true, false, true],
            groups: vec![0, 1, 0],
            group_names: &names,
            labels: vec![1, 1, 2],
            layer_of_coordinate: vec![Some(0), Some(0)],
            network: &[2, 1],
        };
        let step = Setting::new(sample, &options).of_step(&rows);
        // Σ g = (5, 15): ⟨g_0, g⟩ + ⟨g_2, g⟩ = 75 + 150 of ‖g‖² = 250.
        assert_eq!(step.norms[0].norms, [225.0, 25.0]);
        assert_eq!(step.cross_terms[0][0].value, 225.0);
        let row = step.rows.iter().find(|row| row.estimator == "population" && row.statistic == "m_coherence").unwrap();
        let Value::Number(value) = &row.estimate.value else { panic!("{:?}", row.estimate) };
        assert!((value.value - 250.0 / 150.0).abs() < 1e-12);
    }
}
