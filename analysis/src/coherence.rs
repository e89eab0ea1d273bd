//! The coherence statistics of one run, step by step: the Gram matrices are computed here, once, and shared.
//!
//! Everything of a step is a function of its n gradients; a step needs n × (n + d) numbers of memory and no other step. The
//! examples are put into the order of their [`Cells`] and the coordinates into that of their layers first.

use std::borrow::Cow;
use std::ops::Range;

use crate::statistic::bootstrap::{Measured, Resamples};
use crate::statistic::coordinate::Coordinates;
use crate::statistic::gram::Gram;
use crate::statistic::grouping::Grouping;
use crate::statistic::gsnr::Ratios;
use crate::statistic::moments::Moments;
use crate::statistic::pair_sums::{self, Kernel, Multiplicities, PairSums};
use crate::statistic::partition::{Cells, Partition};
use crate::statistic::population::{self, Cumulative, Decomposition, GroupNorms, Sizes};
use crate::statistic::resampled_coordinates::ResampledCoordinates;
use crate::statistic::same_sign::Agreements;
use crate::statistic::{
    aligned_fraction, class_stiffness, confusion, cross_terms, disparity, diversity, gsnr, m_coherence, noise_scale,
    normalised_variance, same_sign, stiffness,
};
use pulp::{Arch, NullaryFnOnce};

use crate::{Estimator, Options};

/// Name and function of each statistic that is a function of the moments: known of a sample and of a population alike.
type ClosedForm = (&'static str, fn(&Moments) -> Option<f64>);

const CLOSED_FORMS: [ClosedForm; 5] = [
    (m_coherence::NAME, m_coherence::value),
    (diversity::NAME, diversity::value),
    (aligned_fraction::NAME, aligned_fraction::value),
    (noise_scale::NAME, noise_scale::value),
    (normalised_variance::NAME, normalised_variance::value),
];

/// Places of the partitions among those of the cells.
const GROUPS: usize = 0;
const CLASSES: usize = 1;
const DESIGNATION: usize = 2;

/// Which pair of groups a statistic is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pair {
    /// None: it is of all examples.
    All,
    /// Of two groups a ≤ b of the grouping, by their places.
    Groups(usize, usize),
    /// Of two classes a ≤ b, by their places among those that occur.
    Classes(usize, usize),
}

/// One coherence statistic over the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Series {
    /// Where its values come from.
    pub estimator: Estimator,
    /// Of which layer; `None`: of all layers together.
    pub layer: Option<u32>,
    /// Its name in the results.
    pub statistic: &'static str,
    /// Of which groups.
    pub pair: Pair,
}

/// The coherence statistics of a step.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct StepCoherence {
    /// Which they are: the same at every step of a run.
    pub series: Vec<Series>,
    /// Their values, one a series.
    pub values: Vec<Measured>,
    /// ⟨g^a, g^b⟩ `[G, G]` of the groups, row-major; of the sample.
    pub cross_terms: Vec<f64>,
    /// N̂^p and N̂^c of the sample, then of each resample; empty if the sizes of the layers are not known.
    pub norms: Vec<GroupNorms>,
}

/// The coherence statistics of a run over its steps.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct CoherenceCurves {
    /// The steps, ascending.
    pub steps: Vec<i64>,
    /// The classes, as [`Pair::Classes`] numbers them.
    pub classes: Vec<u8>,
    /// The statistics.
    pub series: Vec<Series>,
    /// Their values, one list a step.
    pub values: Vec<Vec<Measured>>,
    /// ⟨g^a, g^b⟩ `[G, G]` of the groups, row-major, one matrix a step.
    pub cross_terms: Vec<Vec<f64>>,
    /// N̂^p and N̂^c of the sample, then of each resample, one list a step; empty if the sizes of the layers are not known.
    pub norms: Vec<Vec<GroupNorms>>,
}

impl CoherenceCurves {
    /// Of no step so far.
    pub fn new(classes: &[u8]) -> CoherenceCurves {
        CoherenceCurves { classes: classes.to_vec(), ..CoherenceCurves::default() }
    }

    /// Adds a step later than those so far.
    pub fn push(&mut self, step: i64, coherence: StepCoherence) {
        self.steps.push(step);
        self.series = coherence.series;
        self.values.push(coherence.values);
        self.cross_terms.push(coherence.cross_terms);
        self.norms.push(coherence.norms);
    }

    /// Decomposition and cumulative contributions of the population, whose groups are of these sizes; `None` if the sizes of
    /// the layers are not known.
    pub fn population(&self, sizes: Sizes) -> Option<PopulationCurves> {
        let contiguous = self.steps.iter().zip(0..).take_while(|&(&step, expected)| step == expected).count();
        self.norms.iter().all(|norms| !norms.is_empty()).then(|| PopulationCurves {
            decomposition: self.norms.iter().map(|norms| population::decompose(norms, sizes)).collect(),
            cumulative: population::cumulate(self.norms[..contiguous].iter().map(Vec::as_slice), sizes),
        })
    }
}

/// The population as estimated from the sample.
#[derive(Clone, Debug, PartialEq)]
pub struct PopulationCurves {
    /// One decomposition a step.
    pub decomposition: Vec<Decomposition>,
    /// The cumulative mean contributions at every contiguous step.
    pub cumulative: Vec<Cumulative>,
}

/// What is known of the sample, in the order of its gradients.
#[derive(Clone, Debug)]
pub struct Sample<'a> {
    /// Id of the run, of which the resamples are a function.
    pub run: &'a str,
    /// Number of examples that were sampled from, m.
    pub population: usize,
    /// Whether each sampled example is pristine.
    pub pristine: &'a [bool],
    /// The groups of the sampled examples.
    pub grouping: &'a Grouping,
    /// The label of each sampled example.
    pub labels: &'a [u8],
    /// The layer of each coordinate.
    pub layer_of_coordinate: &'a [u32],
    /// Widths of the network, input first; empty if they are not known.
    pub network: &'a [usize],
}

/// How the coherence of the steps of one run is computed.
#[derive(Clone, Debug)]
pub struct Coherence {
    /// m, from which the sample was drawn.
    population: usize,
    layers: Vec<Layer>,
    /// Which recorded coordinate is at each place.
    columns: Vec<usize>,
    /// Whether that is the order in which they are recorded.
    in_order: bool,
    classes: Vec<u8>,
    cells: Cells,
    resamples: Resamples,
    multiplicities: Multiplicities,
    /// The numbers of pairs by group, class and designation.
    counts: [PairSums; 3],
}

#[derive(Clone, Debug)]
struct Layer {
    layer: u32,
    /// Places of its coordinates.
    columns: Range<usize>,
    /// d_l/k_l; `None` if d_l is not known.
    scale: Option<f64>,
}

impl Coherence {
    /// Of a sample.
    pub fn new(sample: &Sample<'_>, options: &Options) -> Coherence {
        let n = sample.pristine.len();
        let (layers, columns) = layers(sample.layer_of_coordinate, sample.network);
        let mut classes = sample.labels.to_vec();
        classes.sort_unstable();
        classes.dedup();
        let class = |label: &u8| classes.partition_point(|other| other < label) as u8;
        let partitions = [
            Partition::from(sample.grouping),
            Partition::new(classes.len(), sample.labels.iter().map(class).collect()),
            Partition::new(2, sample.pristine.iter().map(|&pristine| u8::from(!pristine)).collect()),
        ];
        let cells = Cells::new(n, &partitions);
        let resamples = Resamples::new(options.seed, sample.run, n, options.bootstrap).reordered(cells.order());
        let multiplicities = Multiplicities::new(&resamples);
        let count = |place: usize| pair_sums::counts(&cells.partitions()[place], &multiplicities, |_| true);
        let counts = [count(GROUPS), count(CLASSES), count(DESIGNATION)];
        let in_order = columns.is_sorted();
        Coherence {
            population: sample.population,
            layers,
            columns,
            in_order,
            classes,
            cells,
            resamples,
            multiplicities,
            counts,
        }
    }

    /// The labels that occur, ascending: the classes.
    pub fn classes(&self) -> &[u8] {
        &self.classes
    }

    /// The statistics of one step, from its gradients `[n, d]`, row-major, as recorded.
    pub fn of_step(&self, gradients: &[f32]) -> StepCoherence {
        let gradients = self.ordered(gradients);
        let mut step = StepCoherence::default();
        let mut together: Option<Part> = None;
        for layer in &self.layers {
            let part = self.part(&gradients, layer);
            self.add_statistics(Some(layer.layer), &part, &mut step);
            together = Some(match together {
                None => part,
                Some(together) => together.plus(&part),
            });
        }
        let Some(together) = together else { return step };
        match self.layers.len() {
            1 => step.repeat_for_all_layers(),
            _ => self.add_statistics(None, &together, &mut step),
        }
        let [sums] = pair_sums::sums(&together.gram, Kernel::Inner, &self.cells, [GROUPS], &Multiplicities::none());
        step.cross_terms = cross_terms::matrix(&self.cells.partitions()[GROUPS], &sums, &together.gram);
        step.norms = together.scaled.iter().flatten().map(|means| means.norms(self.population)).collect();
        step
    }

    /// The gradients in f64, examples in the order of the cells, coordinates in that of the layers.
    fn ordered(&self, gradients: &[f32]) -> Vec<f64> {
        Arch::new().dispatch(Ordered { coherence: self, gradients })
    }

    fn part(&self, gradients: &[f64], layer: &Layer) -> Part {
        let n = self.resamples.examples();
        let gram = Gram::of(gradients, n, layer.columns.clone());
        let coordinates = Coordinates::of(gradients, n, layer.columns.clone());
        let resampled = ResampledCoordinates::of(gradients, layer.columns.clone(), &coordinates, &self.resamples);
        let means = self.means(&gram);
        Part {
            scaled: layer.scale.map(|scale| means.iter().map(|means| means.scaled(scale)).collect()),
            means,
            ratios: Ratios::of(&coordinates),
            agreements: Agreements::of(&coordinates),
            squared_distances: disparity::squared_distances(
                gradients,
                self.resamples.shuffled(),
                layer.columns.clone(),
            ),
            resampled,
            gram,
        }
    }

    /// The means that norms are made of: of the sample, then of each resample.
    fn means(&self, gram: &Gram) -> Vec<Means> {
        let (n, counts) = (self.resamples.examples(), &self.counts[DESIGNATION]);
        let [sums] = pair_sums::sums(gram, Kernel::Inner, &self.cells, [DESIGNATION], &self.multiplicities);
        let designation = self.cells.partitions()[DESIGNATION].of_example();
        let self_terms = gram.self_terms();
        let selves = [0, 1].map(|group| {
            let is_of_group = |place: usize| designation[place] == group;
            let of_sample = self_terms.iter().zip(designation).filter(|(_, of)| **of == group).map(|(q, _)| q).sum();
            let of_resamples = self.multiplicities.sums(&self_terms, is_of_group);
            std::iter::once(of_sample).chain(of_resamples).collect::<Vec<f64>>()
        });
        let place = |sums: &PairSums, pair: usize, place: usize| match place {
            0 => sums.actual[pair],
            resample => sums.of_pair(pair)[resample - 1],
        };
        let means = |at: usize| {
            let [both, mixed, neither] = [0, 1, 2].map(|pair| place(&sums, pair, at));
            // Ordered pairs: twice those of i < j.
            let pairs = 2.0 * [0, 1, 2].map(|pair| place(counts, pair, at)).iter().sum::<f64>();
            Means {
                pairs: [(2.0 * both + mixed) / pairs, (2.0 * neither + mixed) / pairs],
                selves: [selves[0][at] / n as f64, selves[1][at] / n as f64],
            }
        };
        (0..=self.resamples.count()).map(means).collect()
    }

    fn add_statistics(&self, layer: Option<u32>, part: &Part, step: &mut StepCoherence) {
        add_closed_forms(Estimator::Paper, layer, self.resamples.examples(), &part.means, step);
        if let Some(scaled) = &part.scaled {
            add_closed_forms(Estimator::Population, layer, self.population, scaled, step);
        }
        let mut add = |statistic, pair, estimate| {
            step.push(Series { estimator: Estimator::Paper, layer, statistic, pair }, estimate);
        };
        add(gsnr::NAME, Pair::All, part.gsnr());
        add(same_sign::NAME, Pair::All, part.same_sign());
        add(disparity::NAME, Pair::All, part.disparity(self.resamples.count()));
        add(confusion::NAME, Pair::All, self.confusion(&part.gram));
        self.add_stiffness(&part.gram, &mut add);
    }

    fn confusion(&self, gram: &Gram) -> Measured {
        let resampled = if self.resamples.count() > 0 { confusion::resampled(gram, &self.resamples) } else { vec![] };
        Measured::new(confusion::value(gram), resampled)
    }

    fn add_stiffness(&self, gram: &Gram, add: &mut impl FnMut(&'static str, Pair, Measured)) {
        let [groups, classes] = [GROUPS, CLASSES].map(|place| &self.cells.partitions()[place]);
        let is_within = stiffness::within(classes);
        for (place, kernel) in [Kernel::Sign, Kernel::Cosine].into_iter().enumerate() {
            let [of_groups, of_classes] =
                pair_sums::sums(gram, kernel, &self.cells, [GROUPS, CLASSES], &self.multiplicities);
            let [group_counts, class_counts] = &self.stiffness_counts(gram, kernel);
            let mean = |included: &dyn Fn(usize) -> bool| stiffness::mean(&of_classes, class_counts, included);
            add(stiffness::NAMES[place], Pair::All, mean(&|_| true));
            add(stiffness::WITHIN_CLASS[place], Pair::All, mean(&|pair| is_within[pair]));
            add(stiffness::BETWEEN_CLASSES[place], Pair::All, mean(&|pair| !is_within[pair]));
            for (pair, (a, b)) in groups.pairs().enumerate() {
                let estimate = stiffness::of_pair(&of_groups, group_counts, pair);
                add(stiffness::NAMES[place], Pair::Groups(a, b), estimate);
            }
            let matrix = class_stiffness::matrix(&of_classes, class_counts);
            for ((a, b), estimate) in classes.pairs().zip(matrix) {
                add(class_stiffness::NAMES[place], Pair::Classes(a, b), estimate);
            }
        }
    }

    /// The numbers of pairs by group and by class: for the cosine, of those examples whose gradient is not 0.
    fn stiffness_counts(&self, gram: &Gram, kernel: Kernel) -> [Cow<'_, PairSums>; 2] {
        let self_terms = gram.self_terms();
        let all = kernel != Kernel::Cosine || self_terms.iter().all(|&q| q > 0.0);
        [GROUPS, CLASSES].map(|place| {
            let partition = &self.cells.partitions()[place];
            match all {
                true => Cow::Borrowed(&self.counts[place]),
                false => {
                    Cow::Owned(pair_sums::counts(partition, &self.multiplicities, |place| self_terms[place] > 0.0))
                }
            }
        })
    }
}

struct Ordered<'a> {
    coherence: &'a Coherence,
    gradients: &'a [f32],
}

/// Compiled once for each instruction set, by being inlined into the dispatch.
impl NullaryFnOnce for Ordered<'_> {
    type Output = Vec<f64>;

    #[inline(always)]
    fn call(self) -> Vec<f64> {
        let Ordered { coherence: Coherence { columns, in_order, cells, .. }, gradients } = self;
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

impl StepCoherence {
    fn push(&mut self, series: Series, estimate: Measured) {
        self.series.push(series);
        self.values.push(estimate);
    }

    /// All layers together, where there is only one.
    fn repeat_for_all_layers(&mut self) {
        let repeated: Vec<Series> = self.series.iter().map(|series| Series { layer: None, ..*series }).collect();
        self.series.extend(repeated);
        self.values.extend_from_within(..);
    }
}

/// The closed-form statistics of the whole population at one step, from Σ s and Σ q of its layers, each with its number.
pub fn exact(examples: usize, layers: &[(u32, f64, f64)]) -> StepCoherence {
    let mut step = StepCoherence::default();
    let together = layers.iter().fold((None, 0.0, 0.0), |(_, s, q), (_, of_s, of_q)| (None, s + of_s, q + of_q));
    let parts = layers.iter().map(|&(layer, s, q)| (Some(layer), s, q)).chain([together]);
    for (layer, contributions, self_terms) in parts {
        let moments = Moments::of_sums(examples, contributions, self_terms);
        for (statistic, value) in CLOSED_FORMS {
            let series = Series { estimator: Estimator::Exact, layer, statistic, pair: Pair::All };
            step.push(series, Measured::exact(value(&moments)));
        }
    }
    step
}

fn add_closed_forms(
    estimator: Estimator,
    layer: Option<u32>,
    examples: usize,
    means: &[Means],
    step: &mut StepCoherence,
) {
    let moments: Vec<Option<Moments>> = means.iter().map(|means| means.moments(examples)).collect();
    for (statistic, value) in CLOSED_FORMS {
        let mut values = moments.iter().map(|moments| moments.as_ref().and_then(value));
        let actual = values.next().flatten();
        step.push(Series { estimator, layer, statistic, pair: Pair::All }, Measured::new(actual, values.flatten()));
    }
}

/// What is computed of the coordinates of one layer, and added up over layers.
struct Part {
    gram: Gram,
    /// Unscaled: of the sample, then of each resample.
    means: Vec<Means>,
    /// The same scaled to all weights of the layer.
    scaled: Option<Vec<Means>>,
    ratios: Ratios,
    agreements: Agreements,
    squared_distances: Vec<f64>,
    resampled: ResampledCoordinates,
}

impl Part {
    fn plus(mut self, other: &Part) -> Part {
        self.gram.add(&other.gram);
        self.means.iter_mut().zip(&other.means).for_each(|(sum, means)| *sum = sum.plus(means));
        self.scaled = self.scaled.zip(other.scaled.as_ref()).map(|(mut sums, others)| {
            sums.iter_mut().zip(others).for_each(|(sum, means)| *sum = sum.plus(means));
            sums
        });
        self.ratios = self.ratios.join(other.ratios);
        self.agreements = self.agreements.join(other.agreements);
        add(&mut self.squared_distances, &other.squared_distances);
        self.resampled.join(&other.resampled);
        self
    }

    fn gsnr(&self) -> Measured {
        Measured::new(self.ratios.value(), self.resampled.ratios.iter().filter_map(|ratios| ratios.value()))
    }

    fn same_sign(&self) -> Measured {
        let resampled = self.resampled.agreements.iter().filter_map(|agreements| agreements.value());
        Measured::new(self.agreements.value(), resampled)
    }

    fn disparity(&self, resamples: usize) -> Measured {
        let pairs = self.squared_distances.len();
        let of_resample = |b: usize| disparity::value(&self.resampled.squared_distances[b * pairs..(b + 1) * pairs]);
        Measured::new(disparity::value(&self.squared_distances), (0..resamples).filter_map(of_resample))
    }
}

fn add(sums: &mut [f64], values: &[f64]) {
    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
}

/// Of the pristine and of the corrupt examples: the mean over ordered pairs of distinct examples of ⟨g_i, g_j⟩, i in the group,
/// and the mean over examples of ‖g_i‖², i in the group. They add up to O and to Q.
#[derive(Clone, Copy, Debug)]
struct Means {
    pairs: [f64; 2],
    selves: [f64; 2],
}

impl Means {
    fn scaled(&self, scale: f64) -> Means {
        Means { pairs: self.pairs.map(|mean| mean * scale), selves: self.selves.map(|mean| mean * scale) }
    }

    fn plus(&self, other: &Means) -> Means {
        Means {
            pairs: [self.pairs[0] + other.pairs[0], self.pairs[1] + other.pairs[1]],
            selves: [self.selves[0] + other.selves[0], self.selves[1] + other.selves[1]],
        }
    }

    fn moments(&self, examples: usize) -> Option<Moments> {
        let pair_mean = Some(self.pairs[0] + self.pairs[1]).filter(|mean| mean.is_finite());
        Moments::of_means(examples, pair_mean, self.selves[0] + self.selves[1])
    }

    fn norms(&self, examples: usize) -> GroupNorms {
        let norm = |group: usize| population::norm(examples, self.pairs[group], self.selves[group]);
        GroupNorms { pristine: norm(0), corrupt: norm(1) }
    }
}

/// The layers of the coordinates, ascending, and the order that puts the coordinates of a layer side by side.
///
/// A layer has fan_in × fan_out weights; biases are not counted, for the sample has none.
fn layers(layer_of_coordinate: &[u32], network: &[usize]) -> (Vec<Layer>, Vec<usize>) {
    let mut columns: Vec<usize> = (0..layer_of_coordinate.len()).collect();
    columns.sort_by_key(|&column| layer_of_coordinate[column]);
    let mut layers = Vec::new();
    let mut first = 0;
    for of_layer in columns.chunk_by(|&a, &b| layer_of_coordinate[a] == layer_of_coordinate[b]) {
        let layer = layer_of_coordinate[of_layer[0]];
        let widths = network.get(layer as usize).zip(network.get(layer as usize + 1));
        let scale = widths.map(|(&fan_in, &fan_out)| fan_in as f64 * fan_out as f64 / of_layer.len() as f64);
        layers.push(Layer { layer, columns: first..first + of_layer.len(), scale });
        first += of_layer.len();
    }
    (layers, columns)
}
