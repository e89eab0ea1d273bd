//! The coherence statistics of one step, by layer and in total, with their bootstrap intervals [S 8].

use cograd_results::summary::Options;

use crate::plain::bootstrap::{Estimate, Resampled, Resamples};
use crate::plain::coordinates::Coordinates;
use crate::plain::moments_of_gradients::{NAMES, Norms};
use crate::plain::pairs::{CLASSES, GROUPS, Gram, Groupings, PairSums, Pairs, Summed};
use crate::tally::Number;

/// A mean of f64 values this close to 0, relative to its terms, has the sign of its rounding.
const ROUNDING: f64 = 1e-12;
/// The same of resampled means, which the analysis takes in f32.
const ROUNDING_F32: f64 = 1e-5;

/// By sign and by cosine: of all pairs, of those within a class, of those between classes.
const STIFFNESS: [[&str; 2]; 3] = [
    ["stiffness_sign", "stiffness_cosine"],
    ["stiffness_sign_within_class", "stiffness_cosine_within_class"],
    ["stiffness_sign_between_classes", "stiffness_cosine_between_classes"],
];

/// What is the same at every step of a run.
pub(crate) struct Setting {
    /// Examples that the sample was drawn from, m.
    population: usize,
    layers: Vec<Layer>,
    resamples: Resamples,
    groups: Vec<usize>,
    group_names: Vec<String>,
    /// One for all if there are none, or too many: then without names.
    classes: Vec<usize>,
    class_names: Vec<String>,
}

/// A layer with recorded coordinates that is analysed.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    /// Its place among the layers of the run.
    pub place: usize,
    pub strata: Vec<Stratum>,
}

/// A parameter, of whose values some are recorded.
#[derive(Clone, Debug)]
pub(crate) struct Stratum {
    /// Places of its coordinates.
    pub places: Vec<usize>,
    /// Its size; `None` if it is not known.
    pub size: Option<u64>,
}

/// What a setting is made of.
pub(crate) struct Sample<'a> {
    pub run: &'a str,
    pub population: usize,
    pub groups: Vec<usize>,
    pub group_names: &'a [String],
    /// Names and classes of the examples; `None` without labels, or if they are too many.
    pub classes: Option<(Vec<String>, Vec<usize>)>,
    pub layers: Vec<Layer>,
}

/// One row of coherence.parquet.
pub(crate) struct Row {
    pub estimator: &'static str,
    /// Place of its layer.
    pub layer: Option<usize>,
    pub statistic: &'static str,
    pub groups: Option<(String, String)>,
    pub estimate: Estimate,
}

/// N̂ of each group, with the sizes of what they are sums of.
#[derive(Clone, Debug)]
pub(crate) struct GroupNorms {
    pub norms: Vec<f64>,
    pub sizes: Vec<f64>,
}

impl GroupNorms {
    /// Of so many groups.
    pub(crate) fn none(groups: usize) -> GroupNorms {
        GroupNorms { norms: vec![0.0; groups], sizes: vec![0.0; groups] }
    }

    /// Adds those of another step.
    pub(crate) fn add(&mut self, other: &GroupNorms) {
        add(&mut self.norms, &other.norms);
        add(&mut self.sizes, &other.sizes);
    }

    /// N̂; `None` if it is not finite.
    pub(crate) fn total(&self) -> Option<Number> {
        let total: f64 = self.norms.iter().sum();
        total.is_finite().then(|| Number::near(total, self.sizes.iter().sum()))
    }
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

/// One parameter, or several together.
struct Part {
    gram: Gram,
    /// Of the sample, then of each resample: means over pairs and examples.
    means: Vec<Means>,
    /// The same scaled to all values of the parameters.
    scaled: Option<Vec<Means>>,
    coordinates: Vec<Coordinates>,
}

/// By group: mean over ordered pairs of ⟨g_i, g_j⟩ with i in the group, its absolute size, and mean over examples of q_i
/// with i in the group.
#[derive(Clone, Debug)]
struct Means {
    pairs: Vec<f64>,
    sizes: Vec<f64>,
    selves: Vec<f64>,
}

impl Setting {
    pub(crate) fn new(sample: Sample<'_>, options: &Options) -> Setting {
        let n = sample.groups.len();
        let (class_names, classes) = sample.classes.unwrap_or_else(|| (Vec::new(), vec![0; n]));
        Setting {
            population: sample.population,
            layers: sample.layers,
            resamples: Resamples::new(options.seed, sample.run, n, options.bootstrap),
            groups: sample.groups,
            group_names: sample.group_names.to_vec(),
            classes,
            class_names,
        }
    }

    fn groupings(&self) -> Groupings<'_> {
        let counts = [self.group_names.len(), self.class_names.len().max(1)];
        Groupings { of: [&self.groups, &self.classes], counts }
    }

    /// Of the gradients of one step, one row an example.
    pub(crate) fn of_step(&self, rows: &[&[f32]]) -> StepCoherence {
        let mut step = StepCoherence::default();
        let mut together: Option<Part> = None;
        let plus = |sum: Option<Part>, part: Part| match sum {
            None => part,
            Some(sum) => sum.plus(&part),
        };
        for layer in &self.layers {
            let strata = layer.strata.iter().map(|stratum| self.part(rows, stratum));
            let Some(part) = strata.fold(None, |sum, part| Some(plus(sum, part))) else { continue };
            self.add_rows(Some(layer.place), &part, &mut step);
            together = Some(plus(together, part));
        }
        if let Some(together) = together {
            self.add_rows(None, &together, &mut step);
            step.cross_terms = self.cross_terms(&together.gram);
            let m = self.population as f64;
            step.norms = together.scaled.iter().flatten().map(|means| means.norms(m)).collect();
        }
        step
    }

    fn part(&self, rows: &[&[f32]], Stratum { places, size }: &Stratum) -> Part {
        let gram = Gram::of(rows, places);
        let n = rows.len();
        let means: Vec<Means> = self.each_weights(n, |weights| self.means(&gram, weights));
        let identity: Vec<usize> = (0..n).collect();
        let of =
            |drawn: &[usize], shuffled: &[usize], rounding| Coordinates::of(rows, places, drawn, shuffled, rounding);
        let mut coordinates = vec![of(&identity, &self.resamples.shuffled, ROUNDING)];
        coordinates.extend(self.resamples.draws.iter().map(|draws| of(draws, draws, ROUNDING_F32)));
        let scale = size.map(|size| size as f64 / places.len() as f64);
        let scaled = scale.map(|scale| means.iter().map(|means| means.scaled(scale)).collect());
        Part { gram, means, scaled, coordinates }
    }

    /// Calls `work` with the weights of the sample, then of each resample.
    fn each_weights<T>(&self, examples: usize, work: impl Fn(&[f64]) -> T) -> Vec<T> {
        let once = vec![1.0; examples];
        std::iter::once(&once).chain(&self.resamples.weights).map(|weights| work(weights)).collect()
    }

    fn means(&self, gram: &Gram, weights: &[f64]) -> Means {
        let n = gram.examples;
        let mut means = Means::none(self.group_names.len());
        let mut pairs = 0.0;
        for i in (0..n).filter(|&i| weights[i] > 0.0) {
            let group = self.groups[i];
            means.selves[group] += weights[i] * gram.at(i, i) / n as f64;
            for j in (0..n).filter(|&j| j != i) {
                let weight = weights[i] * weights[j];
                pairs += weight;
                means.pairs[group] += weight * gram.at(i, j);
                means.sizes[group] += weight * gram.at(i, j).abs();
            }
        }
        means.pairs.iter_mut().chain(&mut means.sizes).for_each(|sum| *sum /= pairs);
        means
    }

    fn add_rows(&self, layer: Option<usize>, part: &Part, step: &mut StepCoherence) {
        let n = self.groups.len();
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

        // Of all pairs, then those within a class and between classes.
        let kinds = if self.class_names.is_empty() { &STIFFNESS[..1] } else { &STIFFNESS[..] };
        for (kind, [sign, cosine]) in kinds.iter().enumerate() {
            let wanted = |a: usize, b: usize| [true, a == b, a != b][kind];
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
    fn plus(mut self, other: &Part) -> Part {
        self.gram.add(&other.gram);
        self.means.iter_mut().zip(&other.means).for_each(|(sum, means)| sum.add(means));
        self.scaled = self.scaled.zip(other.scaled.as_ref()).map(|(mut sums, others)| {
            sums.iter_mut().zip(others).for_each(|(sum, means)| sum.add(means));
            sums
        });
        for (sum, coordinates) in self.coordinates.iter_mut().zip(&other.coordinates) {
            sum.add(coordinates);
        }
        self
    }
}

fn add(sums: &mut [f64], values: &[f64]) {
    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
}

impl Means {
    fn none(groups: usize) -> Means {
        let zeros = vec![0.0; groups];
        Means { pairs: zeros.clone(), sizes: zeros.clone(), selves: zeros }
    }

    fn scaled(&self, scale: f64) -> Means {
        let times = |values: &[f64]| values.iter().map(|value| value * scale).collect();
        Means { pairs: times(&self.pairs), sizes: times(&self.sizes), selves: times(&self.selves) }
    }

    fn add(&mut self, other: &Means) {
        add(&mut self.pairs, &other.pairs);
        add(&mut self.sizes, &other.sizes);
        add(&mut self.selves, &other.selves);
    }

    /// ‖Σ g‖² and Σ ‖g‖² of `examples` examples; `None` if there is no pair to tell it from.
    fn moments(&self, examples: usize) -> Option<Norms> {
        let n = examples as f64;
        let sum = |of: &[f64]| of.iter().sum::<f64>();
        let (pair, size) = if examples == 1 { (0.0, 0.0) } else { (sum(&self.pairs), sum(&self.sizes)) };
        let self_sum = n * sum(&self.selves);
        let norm_sq = n * (n - 1.0) * pair + self_sum;
        norm_sq.is_finite().then_some(Norms { examples: n, norm_sq, self_sum, size: n * (n - 1.0) * size + self_sum })
    }

    /// N̂ of each group, of m examples.
    fn norms(&self, m: f64) -> GroupNorms {
        let pairs = |mean: f64| if m < 2.0 { 0.0 } else { m * (m - 1.0) * mean };
        let of = |means: &[f64]| {
            means.iter().zip(&self.selves).map(|(mean, own)| pairs(*mean) + m * own).collect::<Vec<f64>>()
        };
        GroupNorms { norms: of(&self.pairs), sizes: of(&self.sizes) }
    }
}

/// The rows of the whole population, from Σ s, Σ |s| and Σ q (NaN if it is not known) of its layers.
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

    fn value(step: &StepCoherence, estimator: &str, layer: Option<usize>, statistic: &str) -> f64 {
        let is = |row: &&Row| (row.estimator, row.layer, row.statistic) == (estimator, layer, statistic);
        match step.rows.iter().find(is).map(|row| &row.estimate.value) {
            Some(Value::Number(value)) => value.value,
            other => panic!("{statistic} is {other:?}"),
        }
    }

    fn setting(layers: &[&[(&[usize], Option<u64>)]], classes: Option<(Vec<String>, Vec<usize>)>) -> Setting {
        let stratum = |(places, size): &(&[usize], Option<u64>)| Stratum { places: places.to_vec(), size: *size };
        let layer = |(place, strata): (usize, &&[_])| Layer { place, strata: strata.iter().map(stratum).collect() };
        let names = ["pristine".to_string(), "corrupt".to_string()];
        let sample = Sample {
            run: "run",
            population: 3,
            groups: vec![0, 1, 0],
            group_names: &names,
            classes,
            layers: layers.iter().enumerate().map(layer).collect(),
        };
        Setting::new(sample, &Options::default())
    }

    #[test]
    fn the_population_of_the_whole_is_the_sum_over_all_pairs() {
        // All m examples and all weights: the estimate is the truth.
        let rows: [&[f32]; 3] = [&[3.0, 4.0], &[-4.0, 3.0], &[6.0, 8.0]];
        let classes = (vec!["1".to_string(), "2".to_string()], vec![0, 0, 1]);
        let step = setting(&[&[(&[0, 1], Some(2))]], Some(classes)).of_step(&rows);
        // Σ g = (5, 15): ⟨g_0, g⟩ + ⟨g_2, g⟩ = 75 + 150 of ‖g‖² = 250.
        assert_eq!(step.norms[0].norms, [225.0, 25.0]);
        assert_eq!(step.cross_terms[0][0].value, 225.0);
        assert!((value(&step, "population", Some(0), "m_coherence") - 250.0 / 150.0).abs() < 1e-12);
        assert!(step.rows.iter().any(|row| row.statistic == "stiffness_sign_within_class"));
    }

    #[test]
    fn each_parameter_of_a_layer_stands_for_its_own_size() {
        let rows: [&[f32]; 3] = [&[3.0, 4.0, 1.0], &[-4.0, 3.0, 1.0], &[6.0, 8.0, 1.0]];
        let layers: [&[(&[usize], Option<u64>)]; 2] = [&[(&[0], Some(2)), (&[1], Some(1))], &[(&[2], Some(10))]];
        let step = setting(&layers, None).of_step(&rows);
        // Σ g = (5, 15, 3), each square times the size of its parameter.
        assert_eq!(step.norms[0].total().unwrap().value, 2.0 * 25.0 + 225.0 + 10.0 * 9.0);
        let unscaled = [value(&step, "paper", Some(0), "m_coherence"), value(&step, "paper", None, "m_coherence")];
        assert!((unscaled[0] - 250.0 / 150.0).abs() < 1e-12 && (unscaled[1] - 259.0 / 153.0).abs() < 1e-12);
        assert!(!step.rows.iter().any(|row| row.statistic.contains("class")));
        // Of a parameter of unknown size nothing is said of the population.
        let unknown = setting(&[&[(&[0], None)], &[(&[1], Some(1))]], None).of_step(&rows);
        let of_population: Vec<_> = unknown.rows.iter().filter(|row| row.estimator == "population").collect();
        assert!(unknown.norms.is_empty() && of_population.iter().all(|row| row.layer == Some(1)));
    }
}
