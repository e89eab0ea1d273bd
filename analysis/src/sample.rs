//! The sampled gradients of a run, step by step: inner products and coordinates are computed here, once, and shared by the
//! statistics.
//!
//! Everything of a step is a function of its n gradients; a step needs n × (n + d) numbers of memory and no other step. The
//! examples are put into the order of their [`Cells`], and the coordinates into that of their layers and, in a layer, of their
//! parameters: the *strata* that coordinates were drawn from.

use std::cell::OnceCell;
use std::ops::Range;

use pulp::{Arch, NullaryFnOnce};

use crate::kernel::batches;
use crate::kernel::bootstrap::{Measured, Resamples};
use crate::kernel::coordinate::{self, Agreements, Ratios};
use crate::kernel::gram::Gram;
use crate::kernel::grouping::{Grouping, MOST_GROUPS};
use crate::kernel::moments::Moments;
use crate::kernel::pair_sums::{self, Kernel, Multiplicities, PairSums};
use crate::kernel::partition::{Cells, Partition};
use crate::kernel::resampled_coordinates::ResampledCoordinates;
use crate::selection::{Selection, Stratum};
use crate::statistic::population::norm;
use crate::statistic::{Compute, Statistic};
use crate::{Estimator, Options};

/// Places of the partitions among those of the cells.
pub const GROUPS: usize = 0;
const CLASSES: usize = 1;

/// Which pair of groups a value is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pair {
    /// None: it is of all examples.
    All,
    /// Of two groups a ≤ b of the grouping, by their places.
    Groups(usize, usize),
    /// Of two classes a ≤ b, by their places among those that occur.
    Classes(usize, usize),
}

/// What a value of a step is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Where it comes from.
    pub estimator: Estimator,
    /// Place of its layer; `None`: of all layers together.
    pub layer: Option<usize>,
    /// Its statistic.
    pub statistic: &'static str,
    /// Its groups.
    pub pair: Pair,
}

/// The values of one step.
#[derive(Clone, Debug, Default)]
pub struct StepValues {
    /// What they are of: the same at every step of a run.
    pub keys: Vec<Key>,
    /// The values, one a key.
    pub values: Vec<Measured>,
    /// By statistic of group pairs: its numbers `[G, G]`, row-major.
    pub group_pairs: Vec<Vec<f64>>,
    /// N̂ of each group, of the sample and then of each resample `[1 + B][G]`; empty if sizes are not known, or nobody asks.
    pub norms: Vec<Vec<f64>>,
}

/// Where statistics put the values of one layer at one step.
#[derive(Debug)]
pub struct Series<'a> {
    layer: Option<usize>,
    /// Whether the values are of all coordinates together.
    whole: bool,
    step: &'a mut StepValues,
}

impl Series<'_> {
    /// Adds a value of all examples, and what it is in each resample.
    pub fn add(&mut self, statistic: &'static str, value: Option<f64>, resampled: impl IntoIterator<Item = f64>) {
        self.measured(statistic, Pair::All, Measured::new(value, resampled));
    }

    /// Whether the values are of all coordinates together: a statistic that is dear by layer can leave the layers out.
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// Adds a value of a pair of groups.
    pub fn measured(&mut self, statistic: &'static str, pair: Pair, value: Measured) {
        self.of_estimator(Estimator::Paper, statistic, pair, value);
    }

    fn of_estimator(&mut self, estimator: Estimator, statistic: &'static str, pair: Pair, value: Measured) {
        self.step.keys.push(Key { estimator, layer: self.layer, statistic, pair });
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
    /// Whether that is the order in which they are recorded.
    in_order: bool,
    /// Whether there are classes, and not too many.
    has_classes: bool,
    /// The examples in their order.
    pub cells: Cells,
    /// The resamples.
    pub resamples: Resamples,
    multiplicities: Multiplicities,
    /// The numbers of pairs by group and by class.
    counts: [PairSums; 2],
    statistics: Vec<&'static Statistic>,
    with_coordinates: bool,
    with_norms: bool,
}

#[derive(Clone, Debug)]
struct Layer {
    place: usize,
    /// Of each of its parameters with coordinates: their places, and its size over their number, if it is known.
    strata: Vec<(Range<usize>, Option<f64>)>,
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
        let resamples = Resamples::new(options.seed, run, n, options.bootstrap).reordered(cells.order());
        let multiplicities = Multiplicities::new(&resamples);
        let counts =
            [GROUPS, CLASSES].map(|place| pair_sums::counts(&cells.partitions()[place], &multiplicities, |_| true));
        let computed = |wanted: fn(Compute) -> bool| statistics.iter().any(|statistic| wanted(statistic.compute));
        Sample {
            population: selection.population.len(),
            layers,
            in_order: columns.is_sorted(),
            columns,
            has_classes: classes.is_some(),
            cells,
            resamples,
            multiplicities,
            counts,
            with_coordinates: computed(|compute| matches!(compute, Compute::Coordinates(_))),
            with_norms: computed(|compute| matches!(compute, Compute::Population)),
            statistics: statistics.to_vec(),
        }
    }

    /// The classes of the examples in the order of the cells; `None` without any, or if they are too many to compare in pairs.
    pub fn classes(&self) -> Option<&Partition> {
        self.has_classes.then(|| &self.cells.partitions()[CLASSES])
    }

    /// The values of one step, from its gradients `[n, d]`, row-major, as recorded.
    pub fn of_step(&self, gradients: &[f32]) -> StepValues {
        let gradients = Arch::new().dispatch(Ordered { sample: self, gradients });
        let mut step = StepValues::default();
        let mut together: Option<Part> = None;
        for layer in &self.layers {
            let strata = layer.strata.iter().map(|(columns, scale)| self.part(&gradients, columns.clone(), *scale));
            let Some(part) = strata.reduce(|sum, stratum| sum.plus(&stratum)) else { continue };
            self.add_values(Some(layer.place), &part, &mut step);
            together = Some(match together {
                None => part,
                Some(together) => together.plus(&part),
            });
        }
        let Some(together) = together else { return step };
        match self.layers.len() {
            1 => step.repeat_for_all_layers(),
            _ => self.add_values(None, &together, &mut step),
        }
        for statistic in &self.statistics {
            if let Compute::GroupPairs { values, .. } = statistic.compute {
                step.group_pairs.push(values(&together, self));
            }
        }
        if self.with_norms {
            step.norms = together.scaled.iter().flatten().map(|means| means.norms(self.population)).collect();
        }
        step
    }

    fn part(&self, gradients: &[f64], columns: Range<usize>, scale: Option<f64>) -> Part {
        let gram = Gram::of(gradients, self.resamples.examples(), columns.clone());
        let means = self.means(&gram);
        Part {
            scaled: scale.map(|scale| means.iter().map(|means| means.scaled(scale)).collect()),
            means,
            coordinates: self.with_coordinates.then(|| Coordinates::of(gradients, columns, &self.resamples)),
            stiffness: Default::default(),
            gram,
        }
    }

    /// The means that norms are made of: of the sample, then of each resample.
    fn means(&self, gram: &Gram) -> Vec<Means> {
        let (n, counts) = (self.resamples.examples() as f64, &self.counts[GROUPS]);
        let [sums] = pair_sums::sums(gram, Kernel::Inner, &self.cells, [GROUPS], &self.multiplicities);
        let partition = &self.cells.partitions()[GROUPS];
        let self_terms = gram.self_terms();
        let of_group = |group: usize| {
            let is_of_group = |place: usize| usize::from(partition.of_example()[place]) == group;
            let of_sample =
                self_terms.iter().enumerate().filter(|(place, _)| is_of_group(*place)).map(|(_, q)| q).sum();
            let of_resamples = self.multiplicities.sums(&self_terms, is_of_group);
            std::iter::once(of_sample).chain(of_resamples).collect::<Vec<f64>>()
        };
        let selves: Vec<Vec<f64>> = (0..partition.groups()).map(of_group).collect();
        let at = |sums: &PairSums, pair: usize, place: usize| match place {
            0 => sums.actual[pair],
            resample => sums.of_pair(pair)[resample - 1],
        };
        let means = |place: usize| {
            // Ordered pairs: twice those of i < j.
            let pairs = 2.0 * (0..partition.pair_count()).map(|pair| at(counts, pair, place)).sum::<f64>();
            let of_group = |group: usize| {
                let with = |other: usize| at(&sums, partition.pair(group, other), place);
                let others = (0..partition.groups()).filter(|&other| other != group).map(with);
                (2.0 * with(group) + others.sum::<f64>()) / pairs
            };
            Means {
                pairs: (0..partition.groups()).map(of_group).collect(),
                selves: selves.iter().map(|of_group| of_group[place] / n).collect(),
            }
        };
        (0..=self.resamples.count()).map(means).collect()
    }

    fn add_values(&self, layer: Option<usize>, part: &Part, step: &mut StepValues) {
        let whole = layer.is_none() || self.layers.len() == 1;
        let mut series = Series { layer, whole, step };
        for statistic in &self.statistics {
            match statistic.compute {
                Compute::Moments(value) => {
                    let n = self.resamples.examples();
                    add_moments(Estimator::Paper, statistic.name, value, n, &part.means, &mut series);
                    if let Some(scaled) = &part.scaled {
                        let m = self.population;
                        add_moments(Estimator::Population, statistic.name, value, m, scaled, &mut series);
                    }
                }
                Compute::Pairs(compute) => compute(part, self, &mut series),
                Compute::Coordinates(compute) => {
                    part.coordinates.iter().for_each(|coordinates| compute(coordinates, &mut series));
                }
                _ => {}
            }
        }
    }
}

fn add_moments(
    estimator: Estimator,
    statistic: &'static str,
    value: fn(&Moments) -> Option<f64>,
    examples: usize,
    means: &[Means],
    series: &mut Series<'_>,
) {
    let mut values = means.iter().map(|means| means.moments(examples).as_ref().and_then(value));
    let actual = values.next().flatten();
    series.of_estimator(estimator, statistic, Pair::All, Measured::new(actual, values.flatten()));
}

/// The values of the whole population at one step, from Σ s and, where it is known, Σ q of each of its layers.
pub(crate) fn of_population(
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
        let mut series = Series { layer, whole: layer.is_none(), step: &mut step };
        for statistic in statistics {
            if let Compute::Moments(value) = statistic.compute {
                let measured = Measured::exact(moments.as_ref().and_then(value));
                series.of_estimator(Estimator::Exact, statistic.name, Pair::All, measured);
            }
        }
    }
    step
}

struct Ordered<'a> {
    sample: &'a Sample,
    gradients: &'a [f32],
}

/// The gradients in f64, examples in the order of the cells, coordinates in that of the layers. Compiled once for each
/// instruction set, by being inlined into the dispatch.
impl NullaryFnOnce for Ordered<'_> {
    type Output = Vec<f64>;

    #[inline(always)]
    fn call(self) -> Vec<f64> {
        let Ordered { sample: Sample { columns, in_order, cells, .. }, gradients } = self;
        let mut ordered = Vec::with_capacity(gradients.len());
        for &example in cells.order() {
            let row = &gradients[example as usize * columns.len()..][..columns.len()];
            match in_order {
                true => ordered.extend(row.iter().map(|&value| f64::from(value))),
                false => ordered.extend(columns.iter().map(|&column| f64::from(row[column]))),
            }
        }
        ordered
    }
}

impl StepValues {
    /// All layers together, where there is only one.
    fn repeat_for_all_layers(&mut self) {
        let repeated: Vec<Key> = self.keys.iter().map(|key| Key { layer: None, ..*key }).collect();
        self.keys.extend(repeated);
        self.values.extend_from_within(..);
    }
}

/// What is computed of the coordinates of one stratum, and added up over strata and layers.
#[derive(Clone, Debug)]
pub struct Part {
    /// The inner products.
    pub gram: Gram,
    /// What is of the coordinates; `None` if no statistic asks for it.
    coordinates: Option<Coordinates>,
    /// Unscaled: of the sample, then of each resample.
    means: Vec<Means>,
    /// The same scaled to all values of the parameters; `None` if their sizes are not known.
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

/// What is computed coordinate by coordinate, and its like in each resample.
#[derive(Clone, Debug)]
pub struct Coordinates {
    /// Squared means over variances.
    pub ratios: Ratios,
    /// Signs that agree with the mean's.
    pub agreements: Agreements,
    /// Of every pair of batches.
    pub squared_distances: Vec<f64>,
    /// All of them in each resample.
    pub resampled: ResampledCoordinates,
}

impl Coordinates {
    fn of(gradients: &[f64], columns: Range<usize>, resamples: &Resamples) -> Coordinates {
        let moments = coordinate::Coordinates::of(gradients, resamples.examples(), columns.clone());
        Coordinates {
            ratios: Ratios::of(&moments),
            agreements: Agreements::of(&moments),
            squared_distances: batches::squared_distances(gradients, resamples.shuffled(), columns.clone()),
            resampled: ResampledCoordinates::of(gradients, columns, &moments, resamples),
        }
    }

    fn plus(mut self, other: &Coordinates) -> Coordinates {
        self.ratios = self.ratios.join(other.ratios);
        self.agreements = self.agreements.join(other.agreements);
        self.squared_distances.iter_mut().zip(&other.squared_distances).for_each(|(sum, value)| *sum += value);
        self.resampled.join(&other.resampled);
        self
    }
}

impl Part {
    fn plus(mut self, other: &Part) -> Part {
        self.gram.add(&other.gram);
        self.stiffness = Default::default();
        self.coordinates = self.coordinates.zip(other.coordinates.as_ref()).map(|(sum, other)| sum.plus(other));
        self.means.iter_mut().zip(&other.means).for_each(|(sum, means)| sum.add(means));
        self.scaled = self.scaled.zip(other.scaled.as_ref()).map(|(mut sums, others)| {
            sums.iter_mut().zip(others).for_each(|(sum, means)| sum.add(means));
            sums
        });
        self
    }

    /// The sums of signs, or of cosines, and the numbers of pairs: of cosines, of those examples whose gradient is not 0.
    pub fn stiffness(&self, sample: &Sample, of_cosines: bool) -> &Stiffness {
        self.stiffness[usize::from(of_cosines)].get_or_init(|| {
            let kernel = if of_cosines { Kernel::Cosine } else { Kernel::Sign };
            let places = [GROUPS, CLASSES];
            let [groups, classes] = pair_sums::sums(&self.gram, kernel, &sample.cells, places, &sample.multiplicities);
            let self_terms = self.gram.self_terms();
            let all = !of_cosines || self_terms.iter().all(|&q| q > 0.0);
            let [group_counts, class_counts] = places.map(|place| {
                let partition = &sample.cells.partitions()[place];
                let has_cosine = |place: usize| self_terms[place] > 0.0;
                match all {
                    true => sample.counts[place].clone(),
                    false => pair_sums::counts(partition, &sample.multiplicities, has_cosine),
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

    fn norms(&self, examples: usize) -> Vec<f64> {
        self.pairs.iter().zip(&self.selves).map(|(&pairs, &selves)| norm(examples, pairs, selves)).collect()
    }
}

/// The layers of the strata, and the order that puts the coordinates of a stratum side by side.
fn layers(strata: &[Stratum]) -> (Vec<Layer>, Vec<usize>) {
    let (mut layers, mut columns): (Vec<Layer>, Vec<usize>) = (Vec::new(), Vec::new());
    for stratum in strata {
        let first = columns.len();
        columns.extend(&stratum.columns);
        let scale = stratum.size.map(|size| size as f64 / stratum.columns.len() as f64);
        let part = (first..columns.len(), scale);
        match layers.last_mut().filter(|layer| layer.place == stratum.layer) {
            Some(layer) => layer.strata.push(part),
            None => layers.push(Layer { place: stratum.layer, strata: vec![part] }),
        }
    }
    (layers, columns)
}
