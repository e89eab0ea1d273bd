//! The bootstrap over examples: resamples of the n sampled examples, and percentile intervals.
//!
//! Resample b ≥ 1 of a run is n draws with replacement. It is a pure function of the analysis seed, the run id and b: a
//! ChaCha8 generator keyed with SHA-256(`"cograd bootstrap"`, seed as 8 little-endian bytes, run id), stream b, each draw
//! uniform below n. It is **the same at every step**, so that sums over steps have intervals too. Stream 0 shuffles the
//! examples, by a whole Fisher–Yates shuffle.
//!
//! With B' resamples in which a statistic is defined, the 95 % interval is from the r-th smallest value to the r-th
//! largest, r = ⌈0.025 (B' + 1)⌉; there is none if B' < 39, where smallest and largest would cover less. Source: Efron 1979; the
//! percentiles as in Davison & Hinkley 1997, §5.3; [S 8.3].

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use sha2::{Digest, Sha256};

use super::null_world::below;

/// The fewest values that have a 95 % interval.
const FEWEST: usize = 39;
/// One tail of the interval is one part in so many.
const TAIL_PARTS: usize = 40;

/// A value, and its interval.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Measured {
    /// `None` if it is not defined.
    pub value: Option<f64>,
    /// 95 % bootstrap interval (lower, upper); `None` as `value`, or if too few resamples have one.
    pub interval: Option<(f64, f64)>,
}

impl Measured {
    /// Of a value and of its values in the resamples; those that are not finite are not defined.
    pub fn new(value: Option<f64>, resampled: impl IntoIterator<Item = f64>) -> Measured {
        let value = value.filter(|value| value.is_finite());
        Measured { value, interval: value.and_then(|_| interval(resampled)) }
    }

    /// A value without an interval.
    pub fn exact(value: Option<f64>) -> Measured {
        Measured { value: value.filter(|value| value.is_finite()), interval: None }
    }
}

/// The resamples of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resamples {
    examples: usize,
    /// `[B, n]`, row-major: the places of the examples drawn.
    draws: Vec<u32>,
    /// The n places, shuffled.
    shuffled: Vec<u32>,
}

impl Resamples {
    /// `count` resamples of the `examples` sampled examples of a run.
    pub fn new(seed: u64, run: &str, examples: usize, count: usize) -> Resamples {
        let key = Sha256::new()
            .chain_update("cograd bootstrap")
            .chain_update(seed.to_le_bytes())
            .chain_update(run)
            .finalize();
        let mut generator = ChaCha8Rng::from_seed(key.into());
        let mut shuffled: Vec<u32> = (0..examples as u32).collect();
        for place in 0..examples {
            let other = place + below(&mut generator, (examples - place) as u32) as usize;
            shuffled.swap(place, other);
        }
        let mut draws = Vec::with_capacity(count * examples);
        for resample in 1..=count as u64 {
            let mut generator = ChaCha8Rng::from_seed(key.into());
            generator.set_stream(resample);
            draws.extend((0..examples).map(|_| below(&mut generator, examples as u32)));
        }
        Resamples { examples, draws, shuffled }
    }

    /// The same resamples of the same examples in another order: example `order[k]` is at place k now.
    pub fn reordered(&self, order: &[u32]) -> Resamples {
        let mut place = vec![0; order.len()];
        order.iter().zip(0..).for_each(|(&example, new)| place[example as usize] = new);
        let moved = |places: &[u32]| places.iter().map(|&example| place[example as usize]).collect();
        Resamples { examples: self.examples, draws: moved(&self.draws), shuffled: moved(&self.shuffled) }
    }

    /// Number of examples, n.
    pub fn examples(&self) -> usize {
        self.examples
    }

    /// Number of resamples, B.
    pub fn count(&self) -> usize {
        self.draws.len().checked_div(self.examples).unwrap_or(0)
    }

    /// The n draws of each resample, in order.
    pub fn draws(&self) -> impl ExactSizeIterator<Item = &[u32]> {
        self.draws.chunks_exact(self.examples.max(1))
    }

    /// The examples in a random order, without replacement.
    pub fn shuffled(&self) -> &[u32] {
        &self.shuffled
    }

    /// How often each example is drawn in each resample: `[n, B]`, row-major. Whole numbers, exact in f32.
    pub fn multiplicities(&self) -> Vec<f32> {
        let mut multiplicities = vec![0.0; self.draws.len()];
        for (resample, draws) in self.draws().enumerate() {
            draws.iter().for_each(|&example| multiplicities[example as usize * self.count() + resample] += 1.0);
        }
        multiplicities
    }
}

/// The 95 % percentile interval of those values that are finite; `None` if they are too few.
pub fn interval(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    let mut finite: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
    if finite.len() < FEWEST {
        return None;
    }
    let rank = (finite.len() + 1).div_ceil(TAIL_PARTS);
    let lower = smallest(&finite, rank);
    finite.iter_mut().for_each(|value| *value = -*value);
    Some((lower, -smallest(&finite, rank)))
}

/// The `rank`-th smallest of more values than that, of which few enter the list of the smallest so far.
fn smallest(values: &[f64], rank: usize) -> f64 {
    let mut kept = values[..rank].to_vec();
    kept.sort_unstable_by(f64::total_cmp);
    for &value in &values[rank..] {
        if value < kept[rank - 1] {
            let mut place = rank - 1;
            while place > 0 && kept[place - 1] > value {
                kept[place] = kept[place - 1];
                place -= 1;
            }
            kept[place] = value;
        }
    }
    kept[rank - 1]
}
