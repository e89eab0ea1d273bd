//! Random halves of the sampled examples and of the recorded coordinates, and the intervals that come of them.
//!
//! A half has h = ⌊n/2⌋ distinct examples, and of each parameter with k recorded coordinates of d values c = ⌊k·d/(2d − k)⌋ of
//! them (at least one; all where all are recorded or d is not known): about half where k is much smaller than d, and less
//! spread the more of the parameter is recorded. Half b ≥ 1 of a run is a pure function of the analysis seed, the run id and b: a
//! ChaCha8 generator keyed with SHA-256(`"cograd bootstrap"`, seed as 8 little-endian bytes, run id), stream b, draws the examples and
//! then the coordinates of one parameter after the other, each by a partial Fisher–Yates shuffle. It is **the same at every step**,
//! so that sums over steps have intervals too. Stream 0 shuffles the examples.
//!
//! With θ the value and θ_b that of half b, written so that it does not depend on the number of examples, the deviations are
//!
//! ```text
//! δ_b = √(h/(n − h)) (θ_b − θ)        interval [θ − δ_high, θ − δ_low]
//! ```
//!
//! with the r-th largest and the r-th smallest of them, r = ⌈(B + 1)/40⌉. A half without a value counts as beyond both ends. There is
//! no interval of fewer than eight examples or 39 halves. Source: Efron 1982, chapter 8, and Shao & Wu 1989 for the
//! delete-d jackknife with d = n/2; Owen 2007 for two ways at once; [S 9].

use std::borrow::Cow;
use std::ops::Range;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use sha2::{Digest, Sha256};

use super::null_world::below;

/// The fewest halves that have a 95 % interval.
const FEWEST_HALVES: usize = 39;
/// The fewest examples whose halves tell a spread.
const FEWEST_EXAMPLES: usize = 8;
/// The fewest examples of a group, or coordinates of a parameter, whose halves do.
pub const FEWEST_OF_A_PART: usize = 4;
/// One tail of the interval is one part in so many.
const TAIL_PARTS: usize = 40;

/// A value, and its interval.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Measured {
    /// `None` if it is not defined.
    pub value: Option<f64>,
    /// 95 % interval (lower, upper), the upper end infinite if there is none; `None` as `value`, or if halves cannot tell.
    pub interval: Option<(f64, f64)>,
}

impl Measured {
    /// Of `examples` examples, from the value and that of each half; those that are not finite are not defined.
    pub fn new(examples: usize, value: Option<f64>, halves: impl IntoIterator<Item = f64>) -> Measured {
        let value = value.filter(|value| value.is_finite());
        Measured { value, interval: value.and_then(|value| interval(examples, value, halves)) }
    }

    /// The reciprocal of a value, from the value and that of each half: where the lower end is not positive, the reciprocal has
    /// no upper one. Not defined where the value is not positive.
    pub fn reciprocal(examples: usize, value: Option<f64>, halves: impl IntoIterator<Item = f64>) -> Measured {
        let inverse = |value: f64| if value > 0.0 { 1.0 / value } else { f64::INFINITY };
        let Some(value) = value.filter(|&value| value > 0.0) else { return Measured::default() };
        let interval = interval(examples, value, halves).filter(|&(_, upper)| upper > 0.0);
        let interval = interval.map(|(lower, upper)| (inverse(upper), inverse(lower)));
        Measured { interval: interval.filter(|_| value.is_finite()), ..Measured::exact(Some(1.0 / value)) }
    }

    /// A value without an interval.
    pub fn exact(value: Option<f64>) -> Measured {
        Measured { value: value.filter(|value| value.is_finite()), interval: None }
    }

    /// The same without its interval unless `told`: whether halves can tell the spread.
    pub fn only_if(self, told: bool) -> Measured {
        Measured { interval: self.interval.filter(|_| told), ..self }
    }

    /// Both ends, the upper one `None` if there is none, and whether that is so.
    pub fn ends(&self) -> (Option<f64>, Option<f64>, bool) {
        let upper = self.interval.map(|(_, upper)| upper);
        let unbounded = upper.is_some_and(f64::is_infinite);
        (self.interval.map(|(lower, _)| lower), upper.filter(|_| !unbounded), unbounded)
    }
}

/// How many coordinates a parameter has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// k, recorded.
    pub coordinates: usize,
    /// d, of all its values; `None` if that is not known.
    pub values: Option<u64>,
}

impl Recorded {
    /// c, how many of them a half has.
    fn in_half(self) -> usize {
        let k = self.coordinates as u64;
        let of_many = |d: u64| (k as f64 * d as f64 / (2.0 * d as f64 - k as f64)).floor().max(1.0) as usize;
        self.values.filter(|&d| d > k).map_or(self.coordinates, of_many)
    }

    /// Whether halves of the coordinates tell their spread: there are several, or they are all.
    fn is_told(self) -> bool {
        self.coordinates >= FEWEST_OF_A_PART || self.values.is_none_or(|d| d <= self.coordinates as u64)
    }
}

/// The coordinates of one parameter in every half.
#[derive(Clone, Debug, PartialEq)]
pub struct HalfCoordinates {
    /// Whether each is in the half: `[B, k]`, row-major.
    pub taken: Vec<bool>,
    /// d/c, what their sums stand for; `None` if d is not known.
    pub scale: Option<f64>,
}

impl HalfCoordinates {
    /// Whether each of the coordinates `within` the k is in each of so many halves.
    pub(crate) fn taken_within(&self, within: Range<usize>, halves: usize) -> Cow<'_, [bool]> {
        let k = self.taken.len().checked_div(halves).unwrap_or(0);
        match within.len() == k {
            true => Cow::Borrowed(&self.taken),
            false => self.taken.chunks_exact(k.max(1)).flat_map(|of_half| &of_half[within.clone()]).copied().collect(),
        }
    }
}

/// The halves of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Halves {
    examples: usize,
    /// `[B, ⌊n/2⌋]`, row-major: the examples of each, in the order in which they were drawn.
    drawn: Vec<u32>,
    /// All n examples in a random order.
    pub shuffled: Vec<u32>,
    /// One a parameter.
    pub coordinates: Vec<HalfCoordinates>,
    /// Whether the halves of coordinates tell their spread.
    pub coordinates_are_told: bool,
}

impl Halves {
    /// `count` halves of the `examples` sampled examples of a run and of the coordinates of its parameters; none where there could be
    /// no interval.
    pub fn new(seed: u64, run: &str, examples: usize, count: usize, parameters: &[Recorded]) -> Halves {
        let key = Sha256::new()
            .chain_update("cograd bootstrap")
            .chain_update(seed.to_le_bytes())
            .chain_update(run)
            .finalize();
        let count = if examples < FEWEST_EXAMPLES || count < FEWEST_HALVES { 0 } else { count };
        let generator = |stream: u64| {
            let mut generator = ChaCha8Rng::from_seed(key.into());
            generator.set_stream(stream);
            generator
        };
        let taken = |recorded: &Recorded| vec![false; count * recorded.coordinates];
        let (mut drawn, mut of_parameters) = (Vec::new(), parameters.iter().map(taken).collect::<Vec<_>>());
        for half in 0..count {
            let mut generator = generator(half as u64 + 1);
            drawn.extend(shuffle(&mut generator, examples, examples / 2));
            for (recorded, taken) in parameters.iter().zip(&mut of_parameters) {
                let (k, c) = (recorded.coordinates, recorded.in_half());
                let taken = &mut taken[half * k..(half + 1) * k];
                match c < k {
                    true => shuffle(&mut generator, k, c).into_iter().for_each(|place| taken[place as usize] = true),
                    false => taken.fill(true),
                }
            }
        }
        let scale = |recorded: &Recorded| Some(recorded.values? as f64 / recorded.in_half() as f64);
        let coordinates = parameters.iter().zip(of_parameters);
        Halves {
            examples,
            drawn,
            shuffled: shuffle(&mut generator(0), examples, examples),
            coordinates: coordinates.map(|(of, taken)| HalfCoordinates { taken, scale: scale(of) }).collect(),
            coordinates_are_told: parameters.iter().all(|recorded| recorded.is_told()),
        }
    }

    /// The same halves of the same examples in another order: example `order[k]` is at place k now.
    pub fn reordered(self, order: &[u32]) -> Halves {
        let mut place = vec![0; order.len()];
        order.iter().zip(0..).for_each(|(&example, new)| place[example as usize] = new);
        let moved = |examples: &[u32]| examples.iter().map(|&example| place[example as usize]).collect();
        Halves { drawn: moved(&self.drawn), shuffled: moved(&self.shuffled), ..self }
    }

    /// Number of halves, B.
    pub fn count(&self) -> usize {
        self.drawn.len().checked_div(self.examples / 2).unwrap_or(0)
    }

    /// The ⌊n/2⌋ examples of each half, in the order in which they were drawn.
    pub fn examples(&self) -> impl ExactSizeIterator<Item = &[u32]> {
        self.drawn.chunks_exact((self.examples / 2).max(1))
    }
}

/// The first `taken` of a shuffle of 0 … `count` − 1.
fn shuffle(generator: &mut ChaCha8Rng, count: usize, taken: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..count as u32).collect();
    for place in 0..taken {
        let other = place + below(generator, (count - place) as u32) as usize;
        order.swap(place, other);
    }
    order.truncate(taken);
    order
}

/// The 95 % interval of a value of `examples` examples, from that of each half; `None` if halves cannot tell.
pub fn interval(examples: usize, value: f64, halves: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    let half = examples / 2;
    let factor = (half as f64 / (examples - half) as f64).sqrt();
    let all: Vec<f64> = halves.into_iter().map(|of_half| factor * (of_half - value)).collect();
    let mut deviations: Vec<f64> = all.iter().copied().filter(|deviation| deviation.is_finite()).collect();
    let rank = (all.len() + 1).div_ceil(TAIL_PARTS).checked_sub(all.len() - deviations.len())?;
    if examples < FEWEST_EXAMPLES || all.len() < FEWEST_HALVES || rank == 0 {
        return None;
    }
    let low = smallest(&deviations, rank);
    deviations.iter_mut().for_each(|deviation| *deviation = -*deviation);
    let high = -smallest(&deviations, rank);
    Some((value - high, value - low))
}

/// The `rank`-th smallest of more values than that, of which few enter the list of the smallest so far.
fn smallest(values: &[f64], rank: usize) -> f64 {
    let mut kept = values[..rank].to_vec();
    kept.sort_unstable_by(f64::total_cmp);
    for &value in &values[rank..] {
        if value < kept[rank - 1] {
            let place = kept.partition_point(|&kept| kept <= value);
            kept.pop();
            kept.insert(place, value);
        }
    }
    kept[rank - 1]
}
