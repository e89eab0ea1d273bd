//! The coherence statistics of one step, by layer and in total, with their intervals [S 8].

use cograd_results::summary::Options;

use crate::plain::coordinates::{Coordinates, Signs};
use crate::plain::halves::{Chosen, Estimate, Halves, OfHalf};
use crate::plain::moments_of_gradients::{NAMES, Norms};
use crate::plain::pairs::{CLASSES, GROUPS, Gram, Groupings, PairSums, Pairs, Summed};
use crate::plain::zero;
use crate::tally::Number;

/// By sign and by cosine: of all pairs, of those within a class, of those between classes.
const STIFFNESS: [[&str; 2]; 3] = [
    ["stiffness_sign", "stiffness_cosine"],
    ["stiffness_sign_within_class", "stiffness_cosine_within_class"],
    ["stiffness_sign_between_classes", "stiffness_cosine_between_classes"],
];
/// The means over the classes, and over the pairs of two.
const MACRO: [[&str; 2]; 2] = [
    ["stiffness_sign_within_class_macro", "stiffness_cosine_within_class_macro"],
    ["stiffness_sign_between_classes_macro", "stiffness_cosine_between_classes_macro"],
];

/// What is the same at every step of a run.
pub(crate) struct Setting {
    /// Examples that the sample was drawn from, m.
    population: usize,
    layers: Vec<Layer>,
    halves: Halves,
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
    /// The population's norms as estimated from the sample, then from each half; empty if they cannot be.
    pub norms: Vec<GroupNorms>,
}

/// One parameter, or several together.
struct Part {
    gram: Gram,
    signs: Signs,
    /// Of the sample, then of each half.
    coordinates: Vec<Coordinates>,
    means: Vec<Means>,
    /// The same scaled to all values of the parameters, of the sample and then of the halves if they tell their spread.
    scaled: Option<Vec<Means>>,
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
        let strata = sample.layers.iter().flat_map(|layer| &layer.strata);
        let parameters: Vec<(usize, Option<u64>)> =
            strata.map(|stratum| (stratum.places.len(), stratum.size)).collect();
        Setting {
            population: sample.population,
            layers: sample.layers,
            halves: Halves::new(options.seed, sample.run, n, options.halves, &parameters),
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
        let mut parameter = 0..;
        for layer in &self.layers {
            let strata =
                layer.strata.iter().zip(&mut parameter).map(|(stratum, place)| self.part(rows, stratum, place));
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

    fn part(&self, rows: &[&[f32]], Stratum { places, size }: &Stratum, parameter: usize) -> Part {
        let (gram, n) = (Gram::of(rows, places), rows.len());
        let groups = (self.groups.as_slice(), self.group_names.len());
        let of = |chosen: &Chosen| {
            let taken = &chosen.coordinates[parameter];
            Coordinates::of(rows, places, groups, &chosen.examples, (n / 10).max(1), taken)
        };
        let coordinates: Vec<Coordinates> = self.halves.all().map(of).collect();
        let mut means = vec![self.means(&gram)];
        means.extend(coordinates[1..].iter().map(|of| Means::of_sums(&of.all, n / 2)));
        let scale = |recorded: usize| size.map(|size| size as f64 / recorded as f64);
        let scaled = scale(places.len()).map(|of_sample| {
            let halves = coordinates[1..].iter().zip(&self.halves.halves).filter(|_| self.halves.are_told);
            let of_half = |(of, half): (&Coordinates, &Chosen)| {
                Means::of_sums(&of.taken, n / 2).scaled(scale(half.coordinates[parameter].len()).unwrap_or(f64::NAN))
            };
            std::iter::once(means[0].scaled(of_sample)).chain(halves.map(of_half)).collect()
        });
        Part { gram, signs: Signs::of(rows, places), means, scaled, coordinates }
    }

    fn means(&self, gram: &Gram) -> Means {
        let n = gram.examples;
        let mut means = Means::none(self.group_names.len());
        for i in 0..n {
            let group = self.groups[i];
            means.selves[group] += gram.at(i, i) / n as f64;
            for j in (0..n).filter(|&j| j != i) {
                means.pairs[group] += gram.at(i, j);
                means.sizes[group] += gram.at(i, j).abs();
            }
        }
        let pairs = n as f64 * (n as f64 - 1.0);
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
            let is_sample = estimator == "paper";
            let moments = |means: &Means| means.moments(examples, is_sample);
            for statistic in NAMES {
                let number = moments(&means[0]).and_then(|norms| norms.value(statistic));
                let halves = |value: &dyn Fn(&Norms) -> Option<Number>| -> Vec<OfHalf> {
                    let of = |means| moments(means).and_then(|norms| value(&norms)).map_or(f64::NAN, |of| of.value);
                    means[1..].iter().map(|means| of(means).into()).collect()
                };
                let estimate = match statistic {
                    "diversity" | "noise_scale" => {
                        let inverse = |norms: &Norms| norms.reciprocal(statistic);
                        let of_sample = moments(&means[0]).as_ref().and_then(inverse);
                        let of_sample = of_sample.unwrap_or(Number::plain(f64::NAN));
                        Estimate::reciprocal(n, number, of_sample, &halves(&inverse))
                    }
                    _ => Estimate::new(n, number, 0.0, &halves(&|norms| norms.value(statistic))),
                };
                add(estimator, statistic, None, estimate);
            }
        }
        let (actual, halves) = (&part.coordinates[0], &part.coordinates[1..]);
        let signs = &part.signs;
        for (name, bias) in [("gsnr", 0.0), ("gsnr_plugin", 1.0 / n as f64)] {
            let value = |of: &Coordinates| of.ratios / signs.varying + bias;
            let of_halves: Vec<OfHalf> = halves.iter().map(|of| value(of).into()).collect();
            let number = Number::near(value(actual), value(actual).abs() + 1.0 / n as f64);
            add("paper", name, None, Estimate::new(n, Some(number), 0.0, &of_halves));
        }
        let same = |chosen: &Chosen| OfHalf { value: signs.fraction(&chosen.examples), slack: signs.slack() };
        let of_halves: Vec<OfHalf> = self.halves.halves.iter().map(same).collect();
        let number = Number::plain(same(&self.halves.sample).value);
        add("paper", "same_sign", None, Estimate::new(n, Some(number), signs.slack(), &of_halves));
        let chance = Number::plain(signs.chance / signs.signed);
        add("paper", "same_sign_chance", None, Estimate::new(n, Some(chance), signs.slack(), &[]));
        let of_halves: Vec<OfHalf> = halves.iter().map(|of| of.disparity().into()).collect();
        let number = Number::near(actual.disparity(), self.largest(&part.gram));
        add("paper", "disparity", None, Estimate::new(n, Some(number), 0.0, &of_halves));
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
        let (n, groupings) = (part.gram.examples, self.groupings());
        let pairs = Pairs::of(&part.gram);
        let all: Vec<Summed> = self.halves.all().map(|chosen| pairs.sum(&chosen.examples, &groupings)).collect();
        let minimum = all[0].minimum;
        let confusion = if minimum.is_infinite() { f64::NAN } else { (-minimum).max(0.0) };
        let value = Number::near(confusion, self.largest(&part.gram).powi(2));
        add("paper", "confusion", None, Estimate::new(n, Some(value), 0.0, &[]));

        // Of all pairs, then those within a class and between classes.
        let kinds = if self.class_names.is_empty() { &STIFFNESS[..1] } else { &STIFFNESS[..] };
        for (kind, names) in kinds.iter().enumerate() {
            let wanted = |a: usize, b: usize| [true, a == b, a != b][kind];
            let total = |summed: &Summed, field: Field| summed.by[CLASSES].total(field, wanted);
            for (name, estimate) in
                names.iter().zip(stiffness(n, &all, |summed, mean| mean(&|field| total(summed, field))))
            {
                add("paper", name, None, estimate);
            }
        }
        let sizes = |of: &[usize], count: usize| -> Vec<usize> {
            (0..count).map(|group| of.iter().filter(|found| **found == group).count()).collect()
        };
        let class_sizes = sizes(&self.classes, self.class_names.len());
        for (is_between, names) in MACRO.iter().enumerate().filter(|_| !self.class_names.is_empty()) {
            let count = self.class_names.len();
            let wanted: Vec<(usize, usize)> = (0..count)
                .flat_map(|a| (a..count).map(move |b| (a, b)))
                .filter(|(a, b)| (a != b) == (is_between == 1))
                .collect();
            let mean_of_means = |summed: &Summed, mean: Mean| {
                let of_pair = |&(a, b): &(usize, usize)| mean(&|field| summed.by[CLASSES].of_pair(field, a, b));
                let means: Vec<OfHalf> = wanted.iter().map(of_pair).filter(|mean| mean.value.is_finite()).collect();
                let sum = |of: fn(&OfHalf) -> f64| means.iter().map(of).sum::<f64>() / means.len() as f64;
                OfHalf { value: sum(|of| of.value), slack: sum(|of| of.slack) }
            };
            for (name, estimate) in names.iter().zip(stiffness(n, &all, mean_of_means)) {
                add("paper", name, None, estimate.only_if(class_sizes.iter().all(|size| *size >= 4)));
            }
        }
        for (place, of, names, statistics) in [
            (GROUPS, &self.groups, &self.group_names, STIFFNESS[0]),
            (CLASSES, &self.classes, &self.class_names, ["class_stiffness_sign", "class_stiffness_cosine"]),
        ] {
            let sizes = sizes(of, names.len());
            for a in 0..names.len() {
                for b in a..names.len() {
                    let of_pair = |summed: &Summed, mean: Mean| mean(&|field| summed.by[place].of_pair(field, a, b));
                    for (name, estimate) in statistics.iter().zip(stiffness(n, &all, of_pair)) {
                        let pair = Some((names[a].clone(), names[b].clone()));
                        add("paper", name, pair, estimate.only_if(sizes[a].min(sizes[b]) >= 4));
                    }
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
        let n = gram.examples as f64;
        let self_sum: f64 = (0..gram.examples).map(|i| gram.at(i, i)).sum();
        let number = |&(sum, size): &(f64, f64)| Number::near(zero::or_zero(sum, n, n * self_sum), size);
        sums.iter().map(|row| row.iter().map(number).collect()).collect()
    }
}

type Field = fn(&PairSums) -> &Vec<f64>;
/// From the sums of the fields over some pairs to a mean over them.
type Mean<'a> = &'a dyn Fn(&dyn Fn(Field) -> f64) -> OfHalf;

/// Mean sign and mean cosine; `of` says over which pairs the mean is.
fn stiffness(examples: usize, all: &[Summed], of: impl Fn(&Summed, Mean<'_>) -> OfHalf) -> [Estimate; 2] {
    let sign = |total: &dyn Fn(Field) -> f64| {
        let count = total(|sums| &sums.count);
        OfHalf { value: total(|sums| &sums.sign) / count, slack: 2.0 * total(|sums| &sums.doubtful) / count }
    };
    let cosine =
        |total: &dyn Fn(Field) -> f64| OfHalf::from(total(|sums| &sums.cosine) / total(|sums| &sums.cosine_count));
    [&sign as Mean<'_>, &cosine].map(|mean| {
        let values: Vec<OfHalf> = all.iter().map(|summed| of(summed, mean)).collect();
        Estimate::new(examples, Some(Number::near(values[0].value, 1.0)), values[0].slack, &values[1..])
    })
}

impl Part {
    fn plus(mut self, other: &Part) -> Part {
        self.gram.add(&other.gram);
        self.means.iter_mut().zip(&other.means).for_each(|(sum, means)| sum.add(means));
        self.scaled = self.scaled.zip(other.scaled.as_ref()).map(|(mut sums, others)| {
            sums.iter_mut().zip(others).for_each(|(sum, means)| sum.add(means));
            sums
        });
        self.signs.add(&other.signs);
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

    /// Of sums over pairs and over examples, by group, of `examples` examples.
    fn of_sums(sums: &[[f64; 2]], examples: usize) -> Means {
        let h = examples as f64;
        Means {
            pairs: sums.iter().map(|[pairs, _]| pairs / (h * (h - 1.0))).collect(),
            selves: sums.iter().map(|[_, selves]| selves / h).collect(),
            sizes: vec![0.0; sums.len()],
        }
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
    fn moments(&self, examples: usize, is_sample: bool) -> Option<Norms> {
        let n = examples as f64;
        let sum = |of: &[f64]| of.iter().sum::<f64>();
        let (pair, size) = if examples == 1 { (0.0, 0.0) } else { (sum(&self.pairs), sum(&self.sizes)) };
        let self_sum = n * sum(&self.selves);
        let norm_sq = n * (n - 1.0) * pair + self_sum;
        let size = n * (n - 1.0) * size + self_sum;
        norm_sq.is_finite().then_some(Norms { examples: n, norm_sq, self_sum, size, is_sample })
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
        let norms = Norms { examples: examples as f64, norm_sq, self_sum, size, is_sample: false };
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
