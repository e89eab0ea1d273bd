//! The coherence statistics of one step, by layer and in total, with their intervals from random halves [S 8].

use std::sync::OnceLock;

use cograd_results::summary::Options;

use crate::plain::coordinates::{Batches, Coordinates, varies};
use crate::plain::halves::{Half, Halves};
use crate::plain::interval::{Estimate, LARGEST_RECIPROCAL, OfHalf};
use crate::plain::moments_of_gradients::{NAMES, Norms};
use crate::plain::pairs::{Cell, Gram, Groups, PairSum, Pairs, Summed, cells};
use crate::plain::similarity::{Block, Neighbour, Similar, neighbours};
use crate::plain::zero::rounded;
use crate::tally::Number;

/// Of a group with fewer examples nothing has an interval.
const FEWEST_OF_GROUP: usize = 4;

/// Takes a statistic's name, its pair of groups and its estimate.
type Adds<'a> = dyn FnMut(&str, Option<(String, String)>, Estimate) + 'a;

/// What is the same at every step of a run.
pub(crate) struct Setting {
    /// Examples that the sample was drawn from, m.
    population: usize,
    layers: Vec<Layer>,
    halves: Halves,
    groups: Groups,
    group_names: Vec<String>,
    /// One for all if there are none, or too many: then without names.
    classes: Groups,
    class_names: Vec<String>,
    /// The sample, then each half, by group and class.
    cells: Vec<Vec<Cell>>,
    similar: Similar,
    /// What the rows of a step are of, the same at every step: known after the first.
    keys: OnceLock<Vec<RowKey>>,
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
    /// Its place among the parameters of the run; among those that are analysed, once that is known.
    pub parameter: usize,
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
    pub similar: Similar,
}

/// What a row of coherence.parquet is of.
#[derive(Debug)]
pub(crate) struct RowKey {
    pub estimator: &'static str,
    /// Place of its layer.
    pub layer: Option<usize>,
    pub statistic: String,
    pub groups: Option<(String, String)>,
}

/// The analysis divides the values of a coordinate by the largest of the sample, and adds up their squares over the examples of a half in
/// f32: a square is off by this at most where it is below what f32 tells apart.
const SMALLEST_SQUARE: f64 = 1.401298464324817e-45;
/// The part of Σ ‖g_i‖² of a half that it may lose so: of one that loses more nothing is known.
const LOST: f64 = 1e-6;
/// Of a coordinate whose values in a half are a smaller part of the largest of the sample f32 may know no digit.
const VANISHING: f64 = 1e-38;

/// N̂ of each group, with the sizes of what they are sums of.
#[derive(Clone, Debug)]
pub(crate) struct GroupNorms {
    pub norms: Vec<f64>,
    pub sizes: Vec<f64>,
    /// m, and m Σ_i ‖g_i‖²/n: what N̂ is a sum of m² terms of.
    pub examples: f64,
    pub self_sum: f64,
    /// What f32 may have lost of it, in a half.
    pub lost: f64,
}

impl GroupNorms {
    /// Of so many groups.
    pub(crate) fn none(groups: usize) -> GroupNorms {
        GroupNorms { norms: vec![0.0; groups], sizes: vec![0.0; groups], examples: 0.0, self_sum: 0.0, lost: 0.0 }
    }

    /// Adds those of another step.
    pub(crate) fn add(&mut self, other: &GroupNorms) {
        add(&mut self.norms, &other.norms);
        add(&mut self.sizes, &other.sizes);
        self.self_sum += other.self_sum;
        self.lost += other.lost;
    }

    /// By how much rounding may change what is made of a half: infinite if nothing is known of it.
    pub(crate) fn slack(&self) -> f64 {
        if self.lost > LOST * self.self_sum { f64::INFINITY } else { 0.0 }
    }

    /// N̂ of one step; `None` if it is not finite.
    pub(crate) fn total(&self) -> Option<Number> {
        let total: f64 = rounded(self.norms.iter().sum(), self.examples * self.examples, self.self_sum);
        total.is_finite().then(|| Number::near(total, self.sizes.iter().sum()))
    }
}

/// The coherence of one step.
#[derive(Default)]
pub(crate) struct StepCoherence {
    /// What the rows are of, until [`Setting::keys`] has it.
    pub keys: Vec<RowKey>,
    /// One for each of [`Setting::keys`].
    pub rows: Vec<Estimate>,
    /// ⟨g^a, g^b⟩ of the groups, and their sum, which is 0 where rounding is all that is left of it.
    pub cross_terms: Vec<Vec<Number>>,
    pub cross_total: f64,
    /// The population's norms as estimated from the sample, then from each half; empty if they cannot be.
    pub norms: Vec<GroupNorms>,
    /// Where it is shown which examples are similar: the neighbours of each, with which truths there are of being of one class among those
    /// that may be it, and the mean cosines of blocks.
    pub neighbours: Vec<Vec<(Neighbour, Option<Vec<bool>>)>>,
    pub blocks: Vec<Block>,
}

/// One parameter, or several together.
struct Part {
    gram: Gram,
    coordinates: Coordinates,
    /// Of the sample, then of each half.
    batches: Vec<Batches>,
    /// Of each half, whether f32 may know nothing of a coordinate in it.
    vanishing: Vec<bool>,
    means: Vec<Means>,
    /// The same scaled to all values of the parameters; of the halves over the coordinates taken, if they tell their spread.
    scaled: Option<Vec<Means>>,
}

/// By group: mean over ordered pairs of ⟨g_i, g_j⟩ with i in the group, its absolute size (0 in halves, whose rounding nobody asks
/// for), and mean over examples of q_i with i in the group.
#[derive(Clone, Debug)]
struct Means {
    pairs: Vec<f64>,
    sizes: Vec<f64>,
    selves: Vec<f64>,
    /// What f32 may lose of the sum of the last, in a half.
    lost: f64,
}

impl Setting {
    pub(crate) fn new(mut sample: Sample<'_>, options: &Options) -> Setting {
        let n = sample.groups.len();
        let (class_names, classes) = sample.classes.unwrap_or_else(|| (Vec::new(), vec![0; n]));
        let mut strata: Vec<&mut Stratum> = sample.layers.iter_mut().flat_map(|layer| &mut layer.strata).collect();
        let parameters: Vec<(usize, Option<u64>)> = strata.iter().map(|of| (of.places.len(), of.size)).collect();
        strata.iter_mut().enumerate().for_each(|(place, stratum)| stratum.parameter = place);
        let halves = Halves::new(options.seed, sample.run, n, options.halves, &parameters);
        let groups = Groups { of: sample.groups, count: sample.group_names.len() };
        let classes = Groups { of: classes, count: class_names.len().max(1) };
        let everything: Vec<usize> = (0..n).collect();
        let sets = std::iter::once(&everything).chain(halves.all.iter().map(|half| &half.examples));
        Setting {
            population: sample.population,
            layers: sample.layers,
            cells: sets.map(|examples| cells(examples, [&groups, &classes])).collect(),
            halves,
            groups,
            group_names: sample.group_names.to_vec(),
            classes,
            class_names,
            similar: sample.similar,
            keys: OnceLock::new(),
        }
    }

    fn examples(&self) -> usize {
        self.groups.of.len()
    }

    /// Of the gradients of a step, one row an example.
    pub(crate) fn of_step(&self, number: i64, rows: &[&[f32]]) -> StepCoherence {
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
            self.add_cross_terms(&together.gram, &mut step);
            self.add_similarity(&together.gram, self.similar.steps.contains(&number), &mut step);
            let m = self.population as f64;
            step.norms = together.scaled.iter().flatten().map(|means| means.norms(m)).collect();
        }
        let keys = std::mem::take(&mut step.keys);
        self.keys.get_or_init(|| keys);
        step
    }

    /// What the rows of every step are of.
    pub(crate) fn keys(&self) -> &[RowKey] {
        self.keys.get().map_or(&[], Vec::as_slice)
    }

    fn part(&self, rows: &[&[f32]], Stratum { parameter, places, size }: &Stratum) -> Part {
        let n = rows.len();
        let chosen = |row: &&[f32]| places.iter().map(|&place| f64::from(row[place])).collect();
        let rows: Vec<Vec<f64>> = rows.iter().map(chosen).collect();
        let (gram, varies) = (Gram::new(&rows), varies(&rows));
        let halves = &self.halves.all;
        let batches = |examples: &Vec<usize>| Batches::new(&rows, &varies, examples, (n / 10).max(1));
        let batches =
            std::iter::once(&self.halves.shuffled).chain(halves.iter().map(|half| &half.examples)).map(batches);
        let squares: Vec<Vec<f64>> = rows.iter().map(|row| row.iter().map(|value| value * value).collect()).collect();
        let everywhere: Vec<usize> = (0..places.len()).collect();
        let mut means = vec![self.means_of_pairs(&gram)];
        let mut scaled = size.map(|size| vec![means[0].scaled(size as f64 / places.len() as f64)]);
        let largest: Vec<f64> =
            everywhere.iter().map(|&place| squares.iter().map(|row| row[place]).fold(0.0, f64::max)).collect();
        let mut vanishing = Vec::new();
        for half in halves {
            let sums = GroupSums::new(&rows, &squares, &half.examples, &self.groups, &largest);
            vanishing.push(sums.is_vanishing(&largest));
            means.push(sums.means(&everywhere));
            if let (Some(size), Some(scaled)) = (size, &mut scaled)
                && self.halves.tell_of_population
            {
                let taken = &half.coordinates[*parameter];
                scaled.push(sums.means(taken).scaled(*size as f64 / taken.len() as f64));
            }
        }
        Part { coordinates: Coordinates::new(&rows), batches: batches.collect(), vanishing, gram, means, scaled }
    }

    /// Of the sample, from the inner products of every two.
    fn means_of_pairs(&self, gram: &Gram) -> Means {
        let mut means = Means::none(self.groups.count);
        for i in 0..gram.examples {
            let row = &gram.inner[i * gram.examples..(i + 1) * gram.examples];
            let (sum, size) = row.iter().fold((0.0, 0.0), |(sum, size), value| (sum + value, size + value.abs()));
            means.count(self.groups.of[i], sum, size, row[i]);
        }
        means.over(gram.examples)
    }

    fn add_rows(&self, layer: Option<usize>, part: &Part, step: &mut StepCoherence) {
        let n = self.examples();
        let mut add = |estimator, statistic: &str, groups, estimate| {
            step.keys.push(RowKey { estimator, layer, statistic: statistic.to_string(), groups });
            step.rows.push(estimate);
        };
        for (estimator, examples, means) in
            [("paper", n, Some(&part.means)), ("population", self.population, part.scaled.as_ref())]
        {
            let Some(means) = means else { continue };
            let is_sample = estimator == "paper";
            let norms: Vec<Option<Norms>> = means.iter().map(|means| means.moments(examples, is_sample)).collect();
            for statistic in NAMES {
                let all = |of: fn(&Norms, &str) -> Option<Number>| {
                    let numbers: Vec<Option<Number>> =
                        norms.iter().map(|norms| norms.as_ref().and_then(|norms| of(norms, statistic))).collect();
                    let half = |place: usize| OfHalf {
                        slack: match means[place].is_lost() {
                            true => f64::INFINITY,
                            false => norms[place].as_ref().map_or(0.0, |norms| norms.slack(statistic)),
                        },
                        ..OfHalf::from(numbers[place])
                    };
                    (numbers[0], (1..numbers.len()).map(half).collect::<Vec<OfHalf>>())
                };
                let ((number, halves), (reciprocal, of_halves)) = (all(Norms::value), all(Norms::reciprocal));
                let estimate = match statistic {
                    "diversity" => Estimate::of_reciprocal(n, number, reciprocal, &of_halves, f64::INFINITY),
                    "noise_scale" => Estimate::of_reciprocal(n, number, reciprocal, &of_halves, LARGEST_RECIPROCAL),
                    _ => Estimate::new(n, number, 0.0, &halves),
                };
                add(estimator, statistic, None, estimate);
            }
        }
        let (coordinates, sample, halves) = (&part.coordinates, &part.batches[0], &part.batches[1..]);
        let told = |(value, is_vanishing): (f64, &bool)| OfHalf {
            slack: if *is_vanishing { f64::INFINITY } else { 0.0 },
            ..OfHalf::from(value)
        };
        for (statistic, floor) in [("gsnr", 0.0), ("gsnr_plugin", 1.0 / n as f64)] {
            let value = |of: &Batches| of.ratios / coordinates.varying + floor;
            let of_halves: Vec<OfHalf> = halves.iter().map(value).zip(&part.vanishing).map(told).collect();
            let number = Number::near(value(sample), value(sample).abs() + 1.0 / n as f64);
            add("paper", statistic, None, Estimate::new(n, Some(number), 0.0, &of_halves));
        }
        let slack = coordinates.slack();
        let of_half = |half: &Half| OfHalf { value: coordinates.same_sign(&half.examples), slack };
        let of_halves: Vec<OfHalf> = self.halves.all.iter().map(of_half).collect();
        let number = Number::plain(coordinates.same_sign(&self.halves.shuffled));
        add("paper", "same_sign", None, Estimate::new(n, Some(number), slack, &of_halves));
        let chance = Number::plain(coordinates.chance / coordinates.signed);
        add("paper", "same_sign_chance", None, Estimate::new(n, Some(chance), slack, &[]));
        let of_halves: Vec<OfHalf> = halves.iter().map(Batches::disparity).zip(&part.vanishing).map(told).collect();
        let number = Number::near(sample.disparity(), largest(&part.gram));
        add("paper", "disparity", None, Estimate::new(n, Some(number), 0.0, &of_halves));
        self.add_pairs(part, &mut |statistic, groups, estimate| add("paper", statistic, groups, estimate));
    }

    fn add_pairs(&self, part: &Part, add: &mut Adds<'_>) {
        let n = self.examples();
        let value = confusion(&part.gram).map(|value| Number::near(value, largest(&part.gram).powi(2)));
        add("confusion", None, Estimate::exact(value));
        let (pairs, counts) = (Pairs::new(&part.gram), [self.groups.count, self.classes.count]);
        let (by_group, by_class): (Vec<Summed>, Vec<Summed>) =
            self.cells.iter().map(|cells| pairs.sum(cells, counts)).unzip();
        let mut stiffness =
            |prefix: &str, suffix: &str, groups: Option<(String, String)>, is_told: bool, all: &[[OfHalf; 2]]| {
                for (place, kind) in ["sign", "cosine"].into_iter().enumerate() {
                    let of_halves: Vec<OfHalf> = all[1..].iter().map(|of| of[place]).collect();
                    let OfHalf { value, slack } = all[0][place];
                    let estimate = Estimate::new(n, Some(Number::near(value, 1.0)), slack, &of_halves);
                    add(&format!("{prefix}stiffness_{kind}{suffix}"), groups.clone(), estimate.told_if(is_told));
                }
            };
        let pooled = |summed: &[Summed], wanted: &dyn Fn(usize, usize) -> bool| -> Vec<[OfHalf; 2]> {
            summed.iter().map(|summed| both(&summed.total(wanted))).collect()
        };
        stiffness("", "", None, true, &pooled(&by_class, &|_, _| true));
        let has_few =
            |groups: &Groups, group: usize| groups.of.iter().filter(|of| **of == group).count() < FEWEST_OF_GROUP;
        if !self.class_names.is_empty() {
            let is_told = !(0..self.classes.count).any(|class| has_few(&self.classes, class));
            let [within, between]: [fn(usize, usize) -> bool; 2] = [|a, b| a == b, |a, b| a != b];
            for (suffix, wanted) in [("_within_class", within), ("_between_classes", between)] {
                stiffness("", suffix, None, true, &pooled(&by_class, &wanted));
                let of_classes: Vec<[OfHalf; 2]> =
                    by_class.iter().map(|summed| mean_over_classes(summed, wanted)).collect();
                stiffness("", &format!("{suffix}_macro"), None, is_told, &of_classes);
            }
        }
        for (prefix, groups, names, summed) in
            [("", &self.groups, &self.group_names, &by_group), ("class_", &self.classes, &self.class_names, &by_class)]
        {
            for a in 0..names.len() {
                for b in a..names.len() {
                    let all: Vec<[OfHalf; 2]> = summed.iter().map(|summed| both(&summed.of_pair(a, b))).collect();
                    let is_told = !has_few(groups, a) && !has_few(groups, b);
                    stiffness(prefix, "", Some((names[a].clone(), names[b].clone())), is_told, &all);
                }
            }
        }
    }

    fn add_similarity(&self, gram: &Gram, is_shown: bool, step: &mut StepCoherence) {
        let (of, has_classes) = (&self.classes.of, !self.class_names.is_empty());
        let truths = |example: usize, neighbour: &Neighbour| -> Vec<bool> {
            let is = |wanted: &bool| neighbour.candidates.iter().any(|&other| (of[example] == of[other]) == *wanted);
            [true, false].into_iter().filter(is).collect()
        };
        let found: Vec<Vec<(Neighbour, Option<Vec<bool>>)>> = neighbours(gram)
            .into_iter()
            .enumerate()
            .map(|(example, near)| {
                near.into_iter().map(|near| (near.clone(), has_classes.then(|| truths(example, &near)))).collect()
            })
            .collect();
        let with: Vec<usize> = (0..found.len()).filter(|&example| !found[example].is_empty()).collect();
        let count = with.len() as f64;
        // All layers together, which are the only one too.
        let layers = match self.layers.as_slice() {
            [only] => vec![Some(only.place), None],
            _ => vec![None],
        };
        let mut add = |statistic: &str, value: f64, slack: f64| {
            let number = (count > 0.0).then(|| Number::near(value / count, 1.0));
            let estimate = Estimate::new(self.examples(), number, slack / count.max(1.0), &[]);
            for &layer in &layers {
                step.keys.push(RowKey { estimator: "paper", layer, statistic: statistic.to_string(), groups: None });
                step.rows.push(estimate.clone());
            }
        };
        add("similarity_nearest", with.iter().map(|&example| found[example][0].0.cosine).sum(), 0.0);
        if has_classes {
            let nearest: Vec<&[bool]> = with.iter().filter_map(|&example| found[example][0].1.as_deref()).collect();
            let [same, doubtful] =
                [1, 2].map(|truths| nearest.iter().filter(|of| of[0] && of.len() == truths).count() as f64);
            add("similarity_nearest_same_class", same + doubtful, doubtful);
            let others = |&example: &usize| with.iter().filter(|other| of[**other] == of[example]).count() as f64 - 1.0;
            add("similarity_nearest_same_class_chance", with.iter().map(others).sum::<f64>() / (count - 1.0), 0.0);
        }
        if is_shown {
            step.neighbours = found;
            let classes = has_classes.then_some((&*self.class_names, &*self.classes.of));
            step.blocks = self.similar.blocks(gram, classes);
        }
    }

    fn add_cross_terms(&self, gram: &Gram, step: &mut StepCoherence) {
        let (n, count) = (gram.examples, self.groups.count);
        // By pair of groups: sum, number of its terms, and what products of coordinates add up to in size at most.
        let mut sums = vec![vec![(0.0, 0.0, 0.0); count]; count];
        for i in 0..n {
            for j in 0..n {
                let (sum, terms, size) = &mut sums[self.groups.of[i]][self.groups.of[j]];
                *sum += gram.at(i, j);
                *terms += 1.0;
                *size += gram.at(i, i).sqrt() * gram.at(j, j).sqrt();
            }
        }
        let self_sum: f64 = (0..n).map(|i| gram.at(i, i)).sum();
        let total: f64 = sums.iter().flatten().map(|(sum, ..)| sum).sum();
        step.cross_total = rounded(total, (n * n) as f64, self_sum);
        let number = |&(sum, terms, size): &(f64, f64, f64)| Number::near(rounded(sum, terms, size), size);
        step.cross_terms = sums.iter().map(|row| row.iter().map(number).collect()).collect();
    }

    /// Of the groups of the sample, which have examples enough for an interval.
    pub(crate) fn told_groups(sizes: &[usize]) -> Vec<bool> {
        sizes.iter().map(|size| *size >= FEWEST_OF_GROUP).collect()
    }
}

/// Norm of the largest gradient.
fn largest(gram: &Gram) -> f64 {
    (0..gram.examples).map(|i| gram.at(i, i)).fold(0.0, f64::max).sqrt()
}

/// max(0, −min ⟨g_i, g_j⟩) over the pairs; `None` if there is none.
fn confusion(gram: &Gram) -> Option<f64> {
    let pairs = (0..gram.examples).flat_map(|i| (0..i).map(move |j| gram.at(i, j)));
    pairs.reduce(f64::min).map(|minimum| (-minimum).max(0.0))
}

fn both(sum: &PairSum) -> [OfHalf; 2] {
    [sum.sign(), sum.cosine()]
}

/// The mean over the wanted pairs of classes that have a pair of examples.
fn mean_over_classes(summed: &Summed, wanted: fn(usize, usize) -> bool) -> [OfHalf; 2] {
    let of_classes: Vec<[OfHalf; 2]> =
        summed.each().filter(|(a, b, _)| wanted(*a, *b)).map(|(_, _, sum)| both(sum)).collect();
    [0, 1].map(|place| {
        let there: Vec<OfHalf> = of_classes.iter().map(|of| of[place]).filter(|of| !of.value.is_nan()).collect();
        let mean = |of: fn(&OfHalf) -> f64| there.iter().map(of).sum::<f64>() / there.len() as f64;
        OfHalf { value: mean(|of| of.value), slack: mean(|of| of.slack) }
    })
}

impl Part {
    fn plus(mut self, other: &Part) -> Part {
        self.gram.add(&other.gram);
        self.coordinates.add(&other.coordinates);
        self.batches.iter_mut().zip(&other.batches).for_each(|(sum, batches)| sum.add(batches));
        self.vanishing.iter_mut().zip(&other.vanishing).for_each(|(any, is)| *any |= is);
        self.means.iter_mut().zip(&other.means).for_each(|(sum, means)| sum.add(means));
        self.scaled = self.scaled.zip(other.scaled.as_ref()).map(|(mut sums, others)| {
            sums.iter_mut().zip(others).for_each(|(sum, means)| sum.add(means));
            sums
        });
        self
    }
}

fn add(sums: &mut [f64], values: &[f64]) {
    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
}

impl Means {
    fn none(groups: usize) -> Means {
        let zeros = vec![0.0; groups];
        Means { pairs: zeros.clone(), sizes: zeros.clone(), selves: zeros, lost: 0.0 }
    }

    /// Counts an example: its products with all, itself included, their sizes, and that with itself.
    fn count(&mut self, group: usize, sum: f64, size: f64, own: f64) {
        self.pairs[group] += sum - own;
        self.sizes[group] += size;
        self.selves[group] += own;
    }

    /// The means of what was counted of so many examples.
    fn over(mut self, examples: usize) -> Means {
        let n = examples as f64;
        self.pairs.iter_mut().chain(&mut self.sizes).for_each(|sum| *sum /= n * (n - 1.0));
        self.selves.iter_mut().for_each(|sum| *sum /= n);
        self.lost /= n;
        self
    }

    fn scaled(&self, scale: f64) -> Means {
        let times = |values: &[f64]| values.iter().map(|value| value * scale).collect();
        let [pairs, sizes, selves] = [&self.pairs, &self.sizes, &self.selves].map(|values| times(values));
        Means { pairs, sizes, selves, lost: self.lost * scale }
    }

    fn add(&mut self, other: &Means) {
        add(&mut self.pairs, &other.pairs);
        add(&mut self.sizes, &other.sizes);
        add(&mut self.selves, &other.selves);
        self.lost += other.lost;
    }

    /// Whether f32 may lose so much that nothing is known of it.
    fn is_lost(&self) -> bool {
        self.lost > LOST * self.selves.iter().sum::<f64>()
    }

    /// ‖Σ g‖² and Σ ‖g‖² of `examples` examples; `None` if there is no pair to tell it from.
    fn moments(&self, examples: usize, is_sample: bool) -> Option<Norms> {
        let n = examples as f64;
        let sum = |of: &[f64]| of.iter().sum::<f64>();
        let (pair, size) = if examples == 1 { (0.0, 0.0) } else { (sum(&self.pairs), sum(&self.sizes)) };
        let self_sum = n * sum(&self.selves);
        let norm_sq = n * (n - 1.0) * pair + self_sum;
        let size = n * (n - 1.0) * size + self_sum;
        norm_sq.is_finite().then(|| Norms::new(examples, norm_sq, self_sum, size, is_sample))
    }

    /// N̂ of each group, of m examples.
    fn norms(&self, m: f64) -> GroupNorms {
        let pairs = |mean: f64| if m < 2.0 { 0.0 } else { m * (m - 1.0) * mean };
        let of = |means: &[f64]| {
            means.iter().zip(&self.selves).map(|(mean, own)| pairs(*mean) + m * own).collect::<Vec<f64>>()
        };
        let self_sum = m * self.selves.iter().sum::<f64>();
        GroupNorms { norms: of(&self.pairs), sizes: of(&self.sizes), examples: m, self_sum, lost: m * self.lost }
    }
}

/// By group, the sum of the gradients of its examples in a half, and that of their squares, coordinate by coordinate.
struct GroupSums {
    examples: usize,
    gradients: Vec<Vec<f64>>,
    squares: Vec<Vec<f64>>,
    /// What f32 may lose of the squares of each coordinate.
    lost: Vec<f64>,
}

impl GroupSums {
    /// `largest` are the largest squares of the coordinates in the sample.
    fn new(rows: &[Vec<f64>], squares: &[Vec<f64>], examples: &[usize], groups: &Groups, largest: &[f64]) -> GroupSums {
        let none = || vec![vec![0.0; rows.first().map_or(0, Vec::len)]; groups.count];
        let mut sums =
            GroupSums { examples: examples.len(), gradients: none(), squares: none(), lost: vec![0.0; largest.len()] };
        for &example in examples {
            add(&mut sums.gradients[groups.of[example]], &rows[example]);
            add(&mut sums.squares[groups.of[example]], &squares[example]);
            for ((lost, square), largest) in sums.lost.iter_mut().zip(&squares[example]).zip(largest) {
                *lost += if *square > 0.0 { SMALLEST_SQUARE * largest } else { 0.0 };
            }
        }
        sums
    }

    /// Whether there is a coordinate of which f32 may know nothing.
    fn is_vanishing(&self, largest: &[f64]) -> bool {
        let square = |place: usize| self.squares.iter().map(|of_group| of_group[place]).sum::<f64>();
        largest.iter().enumerate().any(|(place, largest)| {
            let square = square(place);
            square > 0.0 && square < VANISHING * VANISHING * largest
        })
    }

    /// Over these coordinates: Σ_{i ∈ k} ⟨g_i, Σ_j g_j⟩ is ⟨Σ_{i ∈ k} g_i, Σ_j g_j⟩.
    fn means(&self, taken: &[usize]) -> Means {
        let mut means = Means::none(self.gradients.len());
        let total: Vec<f64> = taken.iter().map(|&place| self.gradients.iter().map(|sums| sums[place]).sum()).collect();
        for (group, (gradients, squares)) in self.gradients.iter().zip(&self.squares).enumerate() {
            let sum = taken.iter().zip(&total).map(|(&place, total)| gradients[place] * total).sum();
            means.count(group, sum, 0.0, taken.iter().map(|&place| squares[place]).sum());
        }
        means.lost = taken.iter().map(|&place| self.lost[place]).sum();
        means.over(self.examples)
    }
}

/// The rows of the whole population, from Σ s, Σ |s| and Σ q (NaN if it is not known) of its layers.
pub(crate) fn exact(examples: usize, layers: &[(usize, [f64; 3])]) -> Vec<(RowKey, Estimate)> {
    let mut parts: Vec<(Option<usize>, [f64; 3])> = layers.iter().map(|&(layer, sums)| (Some(layer), sums)).collect();
    let mut together = [0.0; 3];
    layers.iter().for_each(|(_, sums)| add(&mut together, sums));
    parts.push((None, together));
    let of_part = |(layer, [norm_sq, size, self_sum]): (Option<usize>, [f64; 3])| {
        let norms = Norms::new(examples, norm_sq, self_sum, size, false);
        NAMES.map(|statistic| {
            let key = RowKey { estimator: "exact", layer, statistic: statistic.to_string(), groups: None };
            (key, Estimate::exact(norms.value(statistic)))
        })
    };
    parts.into_iter().flat_map(of_part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sheet::Value;

    fn value(setting: &Setting, step: &StepCoherence, estimator: &str, layer: Option<usize>, statistic: &str) -> f64 {
        let is = |key: &RowKey| (key.estimator, key.layer, key.statistic.as_str()) == (estimator, layer, statistic);
        match setting.keys().iter().position(is).map(|row| &step.rows[row].value) {
            Some(Value::Number(value)) => value.value,
            other => panic!("{statistic} is {other:?}"),
        }
    }

    fn setting(layers: &[&[(&[usize], Option<u64>)]], classes: Option<(Vec<String>, Vec<usize>)>) -> Setting {
        let stratum =
            |(places, size): &(&[usize], Option<u64>)| Stratum { parameter: 0, places: places.to_vec(), size: *size };
        let layer = |(place, strata): (usize, &&[_])| Layer { place, strata: strata.iter().map(stratum).collect() };
        let names = ["pristine".to_string(), "corrupt".to_string()];
        let sample = Sample {
            run: "run",
            population: 3,
            groups: vec![0, 1, 0],
            group_names: &names,
            classes,
            layers: layers.iter().enumerate().map(layer).collect(),
            similar: Similar::default(),
        };
        Setting::new(sample, &Options::default())
    }

    #[test]
    fn the_population_of_the_whole_is_the_sum_over_all_pairs() {
        // All m examples and all weights: the estimate is the truth.
        let rows: [&[f32]; 3] = [&[3.0, 4.0], &[-4.0, 3.0], &[6.0, 8.0]];
        let classes = (vec!["1".to_string(), "2".to_string()], vec![0, 0, 1]);
        let setting = setting(&[&[(&[0, 1], Some(2))]], Some(classes));
        let step = setting.of_step(0, &rows);
        // Σ g = (5, 15): ⟨g_0, g⟩ + ⟨g_2, g⟩ = 75 + 150 of ‖g‖² = 250.
        assert_eq!(step.norms[0].norms, [225.0, 25.0]);
        assert_eq!(step.cross_terms[0][0].value, 225.0);
        assert!((value(&setting, &step, "population", Some(0), "m_coherence") - 250.0 / 150.0).abs() < 1e-12);
        assert!(setting.keys().iter().any(|key| key.statistic == "stiffness_sign_within_class"));
    }

    #[test]
    fn nothing_is_known_of_a_half_whose_squares_f32_cannot_hold() {
        let of = |largest: f32| {
            let rows: Vec<[f32; 5]> =
                (0..10_u8).map(|i| [0, 1, 2, 3, 4].map(|j| f32::from((i * 7 + j * 3) % 5) - 1.0)).collect();
            let rows: Vec<[f32; 5]> =
                rows.iter().enumerate().map(|(i, row)| if i == 0 { [largest; 5] } else { *row }).collect();
            let layer =
                Layer { place: 0, strata: vec![Stratum { parameter: 0, places: vec![0, 1, 2, 3, 4], size: Some(9) }] };
            let names = ["a".to_string(), "b".to_string()];
            let sample = Sample {
                run: "run",
                population: 20,
                groups: vec![0, 1, 0, 1, 0, 1, 0, 1, 0, 1],
                group_names: &names,
                classes: None,
                layers: vec![layer],
                similar: Similar::default(),
            };
            let setting = Setting::new(sample, &Options { halves: 199, ..Options::default() });
            let step = setting.of_step(0, &rows.iter().map(|row| &row[..]).collect::<Vec<_>>());
            let open = |statistic: &str| {
                let is = |key: &RowKey| key.layer.is_none() && key.statistic == statistic && key.estimator == "paper";
                step.rows[setting.keys().iter().position(is).unwrap()].is_open()
            };
            [open("m_coherence"), open("gsnr"), step.norms.iter().any(|norms| norms.slack() > 0.0)]
        };
        assert_eq!(of(1e15), [false; 3]);
        // The square of 1 is 10⁻⁶⁰ of the largest one. It is lost, and 1 itself is not.
        assert_eq!(of(1e30), [true, false, true]);
        assert_eq!(of(1e38), [true, false, true]);
    }

    #[test]
    fn each_parameter_of_a_layer_stands_for_its_own_size() {
        let rows: [&[f32]; 3] = [&[3.0, 4.0, 1.0], &[-4.0, 3.0, 1.0], &[6.0, 8.0, 1.0]];
        let layers: [&[(&[usize], Option<u64>)]; 2] = [&[(&[0], Some(2)), (&[1], Some(1))], &[(&[2], Some(10))]];
        let known = setting(&layers, None);
        let step = known.of_step(0, &rows);
        // Σ g = (5, 15, 3), each square times the size of its parameter.
        assert_eq!(step.norms[0].total().unwrap().value, 2.0 * 25.0 + 225.0 + 10.0 * 9.0);
        let unscaled = [Some(0), None].map(|layer| value(&known, &step, "paper", layer, "m_coherence"));
        assert!((unscaled[0] - 250.0 / 150.0).abs() < 1e-12 && (unscaled[1] - 259.0 / 153.0).abs() < 1e-12);
        assert!(!known.keys().iter().any(|key| key.statistic.contains("class")));
        // Of a parameter of unknown size nothing is said of the population.
        let unknown = setting(&[&[(&[0], None)], &[(&[1], Some(1))]], None);
        let norms = unknown.of_step(0, &rows).norms;
        let of_population: Vec<_> = unknown.keys().iter().filter(|key| key.estimator == "population").collect();
        assert!(norms.is_empty() && of_population.iter().all(|key| key.layer == Some(1)));
    }
}
