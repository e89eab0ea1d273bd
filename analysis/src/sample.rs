//! The sampled gradients of a run, step by step: inner products and coordinates are computed here, once, and shared by the
//! statistics.
//!
//! Everything of a step is a function of its n gradients; a step needs n × n numbers of memory and those of a block of its
//! coordinates, and no other step. The examples are put into the order of their [`Cells`], and the coordinates into that of their layers and, in a layer, of their
//! parameters: the *strata* that coordinates were drawn from.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::ops::Range;

use cograd_trace::TraceError;
use pulp::{Arch, NullaryFnOnce};
use serde::{Deserialize, Serialize};

use crate::gradients::Gradients;
use crate::kernel::batches;
use crate::kernel::coordinate::{self, Agreements, Ratios};
use crate::kernel::gram::Gram;
use crate::kernel::grouping::{Grouping, MOST_GROUPS};
use crate::kernel::half_sums::{GroupSums, HalfSums, Orders};
use crate::kernel::halves::{Halves, Measured, Recorded};
use crate::kernel::moments::Moments;
use crate::kernel::pair_sums::{self, Kernel, PairSums, Weights};
use crate::kernel::partition::{Cells, Partition};
use crate::selection::{Selection, Stratum};
use crate::statistic::population::norm;
use crate::statistic::similarity::{self, Similarity};
use crate::statistic::{Compute, Statistic};
use crate::{Estimator, Options};

/// Places of the partitions among those of the cells.
pub const GROUPS: usize = 0;
const CLASSES: usize = 1;

/// Which pair of groups a value is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Pair {
    /// None: it is of all examples.
    All,
    /// Of two groups a ≤ b of the grouping, by their places.
    Groups(usize, usize),
    /// Of two classes a ≤ b, by their places among those that occur.
    Classes(usize, usize),
}

/// What a value of a step is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// Where it comes from.
    pub estimator: Estimator,
    /// Place of its layer; `None`: of all layers together.
    pub layer: Option<usize>,
    /// Its statistic.
    pub statistic: Cow<'static, str>,
    /// Its groups.
    pub pair: Pair,
}

/// The values of one step.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct StepValues {
    /// What they are of: the same at every step of a run, of which they are kept once.
    pub keys: Vec<Key>,
    /// The values, one a key.
    pub values: Vec<Measured>,
    /// By statistic of group pairs: its numbers `[G, G]`, row-major, and their total.
    pub group_pairs: Vec<Vec<f64>>,
    /// N̂ of each group and N̂, of the sample and then of each half `[1 + B, G + 1]`, row-major; empty if sizes are not known, or
    /// nobody asks.
    pub norms: Vec<f64>,
    /// Which examples are similar, as `statistic/similarity.rs` has it; empty where it does not show that.
    pub similarity: Vec<Vec<f64>>,
}

/// Where statistics put the values of one layer at one step.
#[derive(Debug)]
pub struct Series<'a> {
    examples: usize,
    layer: Option<usize>,
    /// Whether the values are of all coordinates together.
    whole: bool,
    step: &'a mut StepValues,
}

impl Series<'_> {
    /// Adds a value of all examples, and what it is in each half; not finite where it is not defined.
    pub fn add(&mut self, statistic: &'static str, value: Option<f64>, halves: impl IntoIterator<Item = f64>) {
        self.add_measured(statistic, Pair::All, Measured::new(self.examples, value, halves));
    }

    /// Whether the values are of all coordinates together: a statistic that is dear by layer can leave the layers out.
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// Adds a value of a pair of groups.
    pub fn add_measured(&mut self, statistic: &'static str, pair: Pair, value: Measured) {
        self.add_estimate(Estimator::Paper, statistic, pair, value);
    }

    fn add_estimate(&mut self, estimator: Estimator, statistic: &'static str, pair: Pair, value: Measured) {
        self.step.keys.push(Key { estimator, layer: self.layer, statistic: statistic.into(), pair });
        self.step.values.push(value);
    }
}

/// How the gradients of the steps of one run become values.
#[derive(Clone, Debug)]
pub struct Sample {
    /// m, from which the sample was drawn.
    population: usize,
    layers: Vec<Layer>,
    /// Which recorded coordinate is at each place.
    columns: Vec<usize>,
    /// Whether there are classes, and not too many.
    has_classes: bool,
    /// The examples in their order.
    pub cells: Cells,
    /// The halves of the examples, in that order, and of the coordinates.
    pub halves: Halves,
    orders: Orders,
    weights: Weights,
    /// The numbers of pairs by group and by class.
    counts: [PairSums; 2],
    statistics: Vec<&'static Statistic>,
    with_norms: bool,
}

#[derive(Clone, Debug)]
struct Layer {
    place: usize,
    /// Of each of its parameters with coordinates: its place among all of them, the places of its coordinates, and its size over their
    /// number, if it is known.
    strata: Vec<(usize, Range<usize>, Option<f64>)>,
}

impl Sample {
    /// Of the chosen part of a run's sample, with its grouping and its classes, if there are any, for these statistics.
    pub(crate) fn new(
        run: &str,
        selection: &Selection,
        grouping: &Grouping,
        classes: Option<&Grouping>,
        statistics: &[&'static Statistic],
        options: &Options,
    ) -> Sample {
        let n = selection.sampled.len();
        let (layers, columns) = layers(&selection.strata);
        let classes = classes.filter(|classes| classes.groups() <= MOST_GROUPS);
        let of_classes = classes.map_or_else(|| Partition::new(1, vec![0; n]), Partition::from);
        let cells = Cells::new(n, &[Partition::from(grouping), of_classes]);
        let recorded = |stratum: &Stratum| Recorded { coordinates: stratum.columns.len(), values: stratum.size };
        let parameters: Vec<Recorded> = selection.strata.iter().map(recorded).collect();
        let halves = Halves::new(options.seed, run, n, options.halves, &parameters).reordered(cells.order());
        let weights = Weights::new(n, &halves);
        let counts = [GROUPS, CLASSES].map(|place| pair_sums::counts(&cells.partitions()[place], &weights, |_| true));
        Sample {
            population: selection.population.len(),
            layers,
            columns,
            has_classes: classes.is_some(),
            orders: Orders::new(n, &halves, &cells.partitions()[GROUPS]),
            cells,
            halves,
            weights,
            counts,
            with_norms: statistics.iter().any(|statistic| matches!(statistic.compute, Compute::Population)),
            statistics: statistics.to_vec(),
        }
    }

    /// The classes of the examples in the order of the cells; `None` without any, or if they are too many to compare in pairs.
    pub fn classes(&self) -> Option<&Partition> {
        self.has_classes.then(|| &self.cells.partitions()[CLASSES])
    }

    /// Number of examples, n.
    pub fn examples(&self) -> usize {
        self.cells.order().len()
    }

    /// The values of one step, from its gradients as recorded; which examples are similar, if that is to be shown of it.
    pub(crate) fn step_values(
        &self,
        gradients: &mut Gradients<'_, '_, '_>,
        similarity: Option<&Similarity>,
    ) -> Result<StepValues, TraceError> {
        let mut step = StepValues::default();
        let mut together: Option<Part> = None;
        for layer in &self.layers {
            let mut of_layer: Option<Part> = None;
            for (parameter, places, scale) in &layer.strata {
                for first in places.clone().step_by(gradients.block_width()) {
                    let block = first..(first + gradients.block_width()).min(places.end);
                    let values = self.ordered(&gradients.read(&self.columns[block.clone()])?);
                    let within = block.start - places.start..block.end - places.start;
                    let part = self.part(&values, *parameter, within, *scale);
                    of_layer = Some(match of_layer {
                        None => part,
                        Some(sum) => sum.plus(&part),
                    });
                }
            }
            let Some(part) = of_layer else { continue };
            self.add_values(Some(layer.place), &part, &mut step);
            together = Some(match together {
                None => part,
                Some(together) => together.plus(&part),
            });
        }
        let Some(together) = together else { return Ok(step) };
        match self.layers.len() {
            1 => step.repeat_for_all_layers(),
            _ => self.add_values(None, &together, &mut step),
        }
        for statistic in &self.statistics {
            if let Compute::GroupPairs { values, .. } = statistic.compute {
                step.group_pairs.push(values(&together, self));
            }
        }
        step.similarity = similarity.map_or_else(Vec::new, |of| of.lists(&together.gram, self.cells.order()));
        if self.with_norms {
            step.norms = together.scaled.iter().flatten().flat_map(|means| means.norms(self.population)).collect();
        }
        Ok(step)
    }

    /// Gradients `[n, d]` in f64, the examples in the order of the cells.
    fn ordered(&self, gradients: &[f32]) -> Vec<f64> {
        Arch::new().dispatch(Ordered { order: self.cells.order(), gradients })
    }

    /// Of those coordinates of a parameter that are `within` the recorded ones, with their gradients.
    fn part(&self, gradients: &[f64], parameter: usize, within: Range<usize>, scale: Option<f64>) -> Part {
        let (n, columns) = (self.examples(), 0..within.len());
        let gram = Gram::new(gradients, n, columns.clone());
        let moments = coordinate::Coordinates::new(gradients, n, columns.clone());
        let of_halves = &self.halves.coordinates[parameter];
        let taken = of_halves.taken_within(within, self.halves.count());
        let halves = HalfSums::new(gradients, columns.clone(), &moments, &self.orders, &taken);
        let sampled = self.means(&gram);
        let told = self.halves.coordinates_are_told;
        Part {
            scaled: scale.zip(of_halves.scale).map(|(scale, scale_of_half)| {
                let of_halves = self.half_means(&halves.taken, scale_of_half).take(if told { usize::MAX } else { 0 });
                std::iter::once(sampled.scaled(scale)).chain(of_halves).collect()
            }),
            means: std::iter::once(sampled).chain(self.half_means(&halves.all, 1.0)).collect(),
            coordinates: Coordinates {
                ratios: Ratios::new(&moments),
                agreements: Agreements::new(gradients, columns.clone(), &moments),
                squared_distances: batches::squared_distances(gradients, &self.halves.shuffled, columns.clone()),
                halves,
                half_examples: self.halves.examples().map(<[u32]>::to_vec).collect(),
            },
            stiffness: Default::default(),
            gram,
        }
    }

    /// The means that norms are made of, of the sample.
    fn means(&self, gram: &Gram) -> Means {
        let [sums] = pair_sums::sums(gram, Kernel::Inner, &self.cells, [GROUPS], &Weights::none());
        let partition = &self.cells.partitions()[GROUPS];
        let n = self.examples() as f64;
        let of_group = |group: usize| {
            let with = |other: usize| sums.actual[partition.pair(group, other)];
            let others = (0..partition.groups()).filter(|&other| other != group).map(with);
            (2.0 * with(group) + others.sum::<f64>()) / (n * (n - 1.0))
        };
        let mut selves = vec![0.0; partition.groups()];
        for (&group, self_term) in partition.of_example().iter().zip(gram.self_terms()) {
            selves[usize::from(group)] += self_term;
        }
        selves.iter_mut().for_each(|sum| *sum /= n);
        Means { pairs: (0..partition.groups()).map(of_group).collect(), selves }
    }

    /// The same of each half.
    fn half_means(&self, sums: &GroupSums, scale: f64) -> impl Iterator<Item = Means> {
        let groups = self.cells.partitions()[GROUPS].groups();
        let h = (self.examples() / 2) as f64;
        sums.pairs.chunks_exact(groups).zip(sums.selves.chunks_exact(groups)).map(move |(pairs, selves)| Means {
            pairs: pairs.iter().map(|sum| scale * sum / (h * (h - 1.0))).collect(),
            selves: selves.iter().map(|sum| scale * sum / h).collect(),
        })
    }

    fn add_values(&self, layer: Option<usize>, part: &Part, step: &mut StepValues) {
        let whole = layer.is_none() || self.layers.len() == 1;
        let mut series = Series { examples: self.examples(), layer, whole, step };
        for statistic in &self.statistics {
            if let Some(measured) = measure(statistic, self.examples(), part.paper_moments(self.examples())) {
                series.add_estimate(Estimator::Paper, statistic.name, Pair::All, measured);
                if let Some(scaled) = &part.scaled {
                    let moments = scaled.iter().map(|means| means.moments(self.population));
                    measure(statistic, self.examples(), moments).into_iter().for_each(|measured| {
                        series.add_estimate(Estimator::Population, statistic.name, Pair::All, measured);
                    });
                }
            }
            match statistic.compute {
                Compute::Pairs(compute) => compute(part, self, &mut series),
                Compute::Coordinates(compute) => compute(&part.coordinates, &mut series),
                Compute::Similarity => similarity::compute(part, self, &mut series),
                _ => {}
            }
        }
    }
}

/// A statistic of moments, from those of the sample and then of each half; `None` for statistics of anything else.
fn measure(statistic: &Statistic, examples: usize, moments: impl Iterator<Item = Option<Moments>>) -> Option<Measured> {
    let (value, largest) = match statistic.compute {
        Compute::Moments(value) => (value, None),
        Compute::Reciprocal(value, largest) => (value, Some(largest)),
        _ => return None,
    };
    let mut values = moments.map(|moments| moments.as_ref().and_then(value));
    let actual = values.next().flatten();
    let is_told = |value: &f64| largest.is_none_or(|largest| *value <= largest);
    let halves = values.map(|value| value.filter(is_told).unwrap_or(f64::NAN));
    Some(if largest.is_some() {
        Measured::reciprocal(examples, actual, halves)
    } else {
        Measured::new(examples, actual, halves)
    })
}

/// The values of the whole population at one step, from Σ s and, where it is known, Σ q of each of its layers.
pub(crate) fn population_values(
    examples: usize,
    layers: &[(usize, f64, Option<f64>)],
    statistics: &[&'static Statistic],
) -> StepValues {
    let mut step = StepValues::default();
    let plus = |(s, q): (f64, Option<f64>), (_, of_s, of_q): &(usize, f64, Option<f64>)| {
        (s + of_s, q.zip(*of_q).map(|(q, of_q)| q + of_q))
    };
    let (s, q) = layers.iter().fold((0.0, Some(0.0)), plus);
    let parts = layers.iter().map(|&(layer, s, q)| (Some(layer), s, q)).chain([(None, s, q)]);
    for (layer, contributions, self_terms) in parts {
        let moments = self_terms.map(|self_terms| Moments::of_sums(examples, contributions, self_terms));
        let mut series = Series { examples, layer, whole: layer.is_none(), step: &mut step };
        for statistic in statistics {
            if let Some(measured) = measure(statistic, examples, [moments].into_iter()) {
                series.add_estimate(Estimator::Exact, statistic.name, Pair::All, measured);
            }
        }
    }
    step
}

struct Ordered<'a> {
    order: &'a [u32],
    gradients: &'a [f32],
}

/// Compiled once for each instruction set, by being inlined into the dispatch.
impl NullaryFnOnce for Ordered<'_> {
    type Output = Vec<f64>;

    #[inline(always)]
    fn call(self) -> Vec<f64> {
        let Ordered { order, gradients } = self;
        let d = gradients.len().checked_div(order.len()).unwrap_or(0);
        let mut ordered = Vec::with_capacity(gradients.len());
        for &example in order {
            ordered.extend(gradients[example as usize * d..][..d].iter().map(|&value| f64::from(value)));
        }
        ordered
    }
}

impl StepValues {
    /// All layers together, where there is only one.
    fn repeat_for_all_layers(&mut self) {
        let repeated: Vec<Key> = self.keys.iter().map(|key| Key { layer: None, ..key.clone() }).collect();
        self.keys.extend(repeated);
        self.values.extend_from_within(..);
    }
}

/// What is computed of the coordinates of one stratum, and added up over strata and layers.
#[derive(Clone, Debug)]
pub struct Part {
    /// The inner products.
    pub gram: Gram,
    /// What is of the coordinates.
    coordinates: Coordinates,
    /// Unscaled: of the sample, then of each half of the examples.
    means: Vec<Means>,
    /// Scaled to all values of the parameters: of the sample, then of each half of examples and coordinates; `None` if the sizes of the
    /// parameters are not known.
    scaled: Option<Vec<Means>>,
    /// The sums of signs and of cosines, once a statistic has asked for them.
    stiffness: [OnceCell<Stiffness>; 2],
}

/// Sums of a function of the inner product over pairs of examples, and the numbers of pairs, by pair of groups and of classes.
#[derive(Clone, Debug)]
pub struct Stiffness {
    /// By pair of groups.
    pub groups: [PairSums; 2],
    /// By pair of classes.
    pub classes: [PairSums; 2],
}

/// What is computed coordinate by coordinate, and its like in each half.
#[derive(Clone, Debug)]
pub struct Coordinates {
    /// Squared means over variances.
    pub ratios: Ratios,
    /// Signs that agree with the mean's.
    pub agreements: Agreements,
    /// Of every pair of batches.
    pub squared_distances: Vec<f64>,
    /// Ratios and distances in each half.
    pub halves: HalfSums,
    /// The examples of each half.
    pub half_examples: Vec<Vec<u32>>,
}

impl Coordinates {
    /// Number of examples, n.
    pub fn examples(&self) -> usize {
        self.agreements.by_example.len()
    }

    fn add(&mut self, other: &Coordinates) {
        self.ratios.add(other.ratios);
        self.agreements.add(&other.agreements);
        self.squared_distances.iter_mut().zip(&other.squared_distances).for_each(|(sum, value)| *sum += value);
        self.halves.add(&other.halves);
    }
}

impl Part {
    fn plus(mut self, other: &Part) -> Part {
        self.gram.add(&other.gram);
        self.stiffness = Default::default();
        self.coordinates.add(&other.coordinates);
        self.means.iter_mut().zip(&other.means).for_each(|(sum, means)| sum.add(means));
        self.scaled = self.scaled.zip(other.scaled.as_ref()).map(|(mut sums, others)| {
            sums.iter_mut().zip(others).for_each(|(sum, means)| sum.add(means));
            sums
        });
        self
    }

    fn paper_moments(&self, examples: usize) -> impl Iterator<Item = Option<Moments>> {
        self.means.iter().map(move |means| means.moments(examples).map(Moments::of_sample))
    }

    /// The sums of signs, or of cosines, and the numbers of pairs: of cosines, of those examples whose gradient is not 0.
    pub fn stiffness(&self, sample: &Sample, of_cosines: bool) -> &Stiffness {
        self.stiffness[usize::from(of_cosines)].get_or_init(|| {
            let kernel = if of_cosines { Kernel::Cosine } else { Kernel::Sign };
            let places = [GROUPS, CLASSES];
            let [groups, classes] = pair_sums::sums(&self.gram, kernel, &sample.cells, places, &sample.weights);
            let self_terms = self.gram.self_terms();
            let all = !of_cosines || self_terms.iter().all(|&q| q > 0.0);
            let [group_counts, class_counts] = places.map(|place| {
                let partition = &sample.cells.partitions()[place];
                let has_cosine = |place: usize| self_terms[place] > 0.0;
                match all {
                    true => sample.counts[place].clone(),
                    false => pair_sums::counts(partition, &sample.weights, has_cosine),
                }
            });
            Stiffness { groups: [groups, group_counts], classes: [classes, class_counts] }
        })
    }
}

/// Of each group: the mean over ordered pairs of distinct examples of ⟨g_i, g_j⟩, i in the group, and the mean over examples
/// of ‖g_i‖², i in the group. Over the groups they add up to O and to Q.
#[derive(Clone, Debug)]
struct Means {
    pairs: Vec<f64>,
    selves: Vec<f64>,
}

impl Means {
    fn scaled(&self, scale: f64) -> Means {
        let scaled = |means: &[f64]| means.iter().map(|mean| mean * scale).collect();
        Means { pairs: scaled(&self.pairs), selves: scaled(&self.selves) }
    }

    fn add(&mut self, other: &Means) {
        self.pairs.iter_mut().zip(&other.pairs).for_each(|(sum, mean)| *sum += mean);
        self.selves.iter_mut().zip(&other.selves).for_each(|(sum, mean)| *sum += mean);
    }

    fn moments(&self, examples: usize) -> Option<Moments> {
        let pair_mean = Some(self.pairs.iter().sum::<f64>()).filter(|mean| mean.is_finite());
        Moments::of_means(examples, pair_mean, self.selves.iter().sum())
    }

    /// N̂ of each group, and N̂.
    fn norms(&self, examples: usize) -> Vec<f64> {
        let of_groups = self.pairs.iter().zip(&self.selves).map(|(&pairs, &selves)| norm(examples, pairs, selves));
        let mut norms: Vec<f64> = of_groups.collect();
        let self_sum = examples as f64 * self.selves.iter().sum::<f64>();
        norms.push(Moments::of_sums(examples, norms.iter().sum(), self_sum).norm_sq);
        norms
    }
}

/// The layers of the strata, and the order that puts the coordinates of a stratum side by side.
fn layers(strata: &[Stratum]) -> (Vec<Layer>, Vec<usize>) {
    let (mut layers, mut columns): (Vec<Layer>, Vec<usize>) = (Vec::new(), Vec::new());
    for (place, stratum) in strata.iter().enumerate() {
        let first = columns.len();
        columns.extend(&stratum.columns);
        let scale = stratum.size.map(|size| size as f64 / stratum.columns.len() as f64);
        let part = (place, first..columns.len(), scale);
        match layers.last_mut().filter(|layer| layer.place == stratum.layer) {
            Some(layer) => layer.strata.push(part),
            None => layers.push(Layer { place: stratum.layer, strata: vec![part] }),
        }
    }
    (layers, columns)
}
