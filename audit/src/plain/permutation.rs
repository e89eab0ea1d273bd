//! Permutation tests [S 3.2]: every statistic of every null world, standardised, and how many are as extreme as the
//! actual one.
//!
//! Each statistic is a contrast of the sums over groups of one series of n scores, centred to mean 0. With σ² their
//! population variance, under a uniform permutation,
//!
//! ```text
//! Σ_{i∈a} y_i                                  has variance n_a (n − n_a) σ² / (n − 1)
//! Σ_{i∈a} y_i / n_a − Σ_{i∈b} y_i / n_b         has variance n σ² (1/n_a + 1/n_b) / (n − 1)
//! ```

use rayon::prelude::*;

use crate::plain::clopper_pearson;
use crate::plain::moments::Moments;
use crate::plain::worlds::Worlds;
use crate::sheet::Value;
use crate::tally::Number;

/// A |z| at most this far below the actual one, relative to it and absolute below 1, counts as equal to it.
const TIE: f64 = 1e-9;
/// Worlds that one task works through.
const BLOCK: u64 = 8;

/// What is summed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Contrast {
    /// The sum over a group.
    Sum(usize),
    /// The mean over a group less the mean over another.
    Means(usize, usize),
}

/// One statistic: a contrast of a series, a member of a family and perhaps of a larger one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Statistic {
    pub series: usize,
    pub contrast: Contrast,
    pub family: usize,
    pub larger_family: Option<usize>,
}

/// The actual group of each example, and the sizes of the groups.
#[derive(Clone, Debug)]
pub(crate) struct Groups {
    pub of: Vec<usize>,
    pub sizes: Vec<usize>,
}

impl Groups {
    /// Of `count` groups.
    pub(crate) fn new(of: Vec<usize>, count: usize) -> Groups {
        let mut sizes = vec![0; count];
        of.iter().for_each(|&group| sizes[group] += 1);
        Groups { of, sizes }
    }

    /// Of pristine examples, group 0, and corrupt ones, group 1.
    pub(crate) fn of_designation(pristine: &[bool]) -> Groups {
        Groups::new(pristine.iter().map(|&is| usize::from(!is)).collect(), 2)
    }
}

/// How many null worlds were at least as extreme: from `low` to `high`, which differ where rounding decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Exceedances {
    pub low: u32,
    pub high: u32,
}

/// One statistic or family against the null worlds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tested {
    /// |z| of the actual world, or its maximum over the family.
    pub z: f64,
    pub exceedances: Exceedances,
}

/// What the null worlds say.
pub(crate) struct Tests {
    /// One a statistic; `None` if it has no z.
    pub statistics: Vec<Option<Tested>>,
    /// One a family; `None` if no member has a z.
    pub families: Vec<Option<Tested>>,
    /// Half-width in standard deviations of each family's simultaneous band; `None` with too few worlds.
    pub bands: Vec<Option<f64>>,
    pub worlds: u32,
}

/// Tests the statistics of `series` (each n scores, `None` where the statistic is missing) in `worlds` null worlds.
pub(crate) fn test(
    series: &[Option<Vec<f64>>],
    statistics: &[Statistic],
    families: usize,
    groups: &Groups,
    null_worlds: &Worlds,
    worlds: u32,
) -> Tests {
    let scores = Scores::new(series, statistics, families, groups);
    let mut tests = Tests { statistics: Vec::new(), families: Vec::new(), bands: Vec::new(), worlds };
    let firsts: Vec<u64> = (1..=u64::from(worlds)).step_by(BLOCK as usize).collect();
    let blocks: Vec<Counts> = firsts
        .par_iter()
        .map(|&first| scores.count(null_worlds, first..(first + BLOCK).min(u64::from(worlds) + 1)))
        .collect();
    for (place, actual) in scores.actual.iter().enumerate() {
        tests.statistics.push(actual.map(|z| {
            let mut exceedances = Exceedances::default();
            for block in &blocks {
                exceedances.low += block.exceedances[place].low;
                exceedances.high += block.exceedances[place].high;
            }
            Tested { z, exceedances }
        }));
    }
    for (family, actual) in scores.maxima(&scores.actual).into_iter().enumerate() {
        let mut maxima: Vec<f64> =
            blocks.iter().flat_map(|block| block.maxima.iter().filter_map(|of_world| of_world[family])).collect();
        maxima.sort_by(f64::total_cmp);
        tests.families.push(actual.map(|z| {
            let mut exceedances = Exceedances::default();
            maxima.iter().for_each(|&maximum| exceedances.count(maximum, z));
            Tested { z, exceedances }
        }));
        let rank = (0.95 * f64::from(worlds + 1)).ceil() as usize;
        tests.bands.push(maxima.get(rank.wrapping_sub(1)).copied());
    }
    tests
}

/// Centred series, and what makes a z of each contrast of their sums.
struct Scores<'a> {
    statistics: &'a [Statistic],
    families: usize,
    groups: &'a Groups,
    rows: usize,
    /// Centred scores, the rows of one example together.
    centred: Vec<f64>,
    /// Standard deviation of each statistic; `None` if it has no z.
    deviations: Vec<Option<f64>>,
    /// |z| of the actual world.
    actual: Vec<Option<f64>>,
}

/// What some worlds add.
struct Counts {
    exceedances: Vec<Exceedances>,
    /// Of each world, the largest |z| of each family.
    maxima: Vec<Vec<Option<f64>>>,
}

impl<'a> Scores<'a> {
    fn new(
        series: &[Option<Vec<f64>>],
        statistics: &'a [Statistic],
        families: usize,
        groups: &'a Groups,
    ) -> Scores<'a> {
        let (rows, examples) = (series.len(), groups.of.len());
        let mut centred = vec![0.0; rows * examples];
        let mut spreads = vec![None; rows];
        for (row, scores) in series.iter().enumerate() {
            let Some(scores) = scores else { continue };
            let Some(moments) = Moments::of(scores).filter(|moments| !moments.is_constant()) else { continue };
            spreads[row] = Some(moments.spread);
            for (example, score) in scores.iter().enumerate() {
                centred[example * rows + row] = score - moments.mean;
            }
        }
        let deviations =
            statistics.iter().map(|statistic| Some(spreads[statistic.series]? * groups.factor(statistic.contrast)?));
        let mut scores = Scores {
            statistics,
            families,
            groups,
            rows,
            centred,
            deviations: deviations.collect(),
            actual: Vec::new(),
        };
        scores.actual = scores.sizes_of_z(std::slice::from_ref(&groups.of)).concat();
        scores
    }

    /// |z| of each statistic in each of some worlds, of which the group of each example is given.
    fn sizes_of_z(&self, worlds: &[Vec<usize>]) -> Vec<Vec<Option<f64>>> {
        let groups = self.groups.sizes.len();
        let largest = (0..groups).max_by_key(|&group| self.groups.sizes[group]).unwrap_or(0);
        let mut sums = vec![vec![vec![0.0; self.rows]; groups]; worlds.len()];
        for example in 0..self.groups.of.len() {
            let scores = &self.centred[example * self.rows..(example + 1) * self.rows];
            for (of, sums) in worlds.iter().zip(&mut sums) {
                let group = of[example];
                // The centred scores of all examples add up to 0, so that those of one group need no adding.
                if group != largest {
                    for (sum, score) in sums[group].iter_mut().zip(scores) {
                        *sum += score;
                    }
                }
            }
        }
        for sums in &mut sums {
            let others = |row| (0..groups).filter(|&group| group != largest).map(|group| sums[group][row]).sum::<f64>();
            let rest: Vec<f64> = (0..self.rows).map(|row| -others(row)).collect();
            sums[largest] = rest;
        }
        sums.iter().map(|sums| self.sizes_of_contrasts(sums)).collect()
    }

    fn sizes_of_contrasts(&self, sums: &[Vec<f64>]) -> Vec<Option<f64>> {
        let size = |group: usize| self.groups.sizes[group] as f64;
        let z = |(statistic, deviation): (&Statistic, &Option<f64>)| {
            let row = statistic.series;
            let value = match statistic.contrast {
                Contrast::Sum(group) => sums[group][row],
                Contrast::Means(a, b) => sums[a][row] / size(a) - sums[b][row] / size(b),
            };
            deviation.map(|deviation| (value / deviation).abs())
        };
        self.statistics.iter().zip(&self.deviations).map(z).collect()
    }

    /// The largest |z| of each family.
    fn maxima(&self, z: &[Option<f64>]) -> Vec<Option<f64>> {
        let mut maxima: Vec<Option<f64>> = vec![None; self.families];
        for (statistic, z) in self.statistics.iter().zip(z) {
            if let Some(z) = *z {
                for family in std::iter::once(statistic.family).chain(statistic.larger_family) {
                    let maximum = &mut maxima[family];
                    *maximum = Some(maximum.unwrap_or(0.0).max(z));
                }
            }
        }
        maxima
    }

    fn count(&self, null_worlds: &Worlds, worlds: std::ops::Range<u64>) -> Counts {
        let mut counts =
            Counts { exceedances: vec![Exceedances::default(); self.statistics.len()], maxima: Vec::new() };
        let worlds: Vec<Vec<usize>> = worlds.map(|world| null_worlds.groups(world)).collect();
        for z in self.sizes_of_z(&worlds) {
            for ((exceedances, z), actual) in counts.exceedances.iter_mut().zip(&z).zip(&self.actual) {
                if let (Some(z), Some(actual)) = (z, actual) {
                    exceedances.count(*z, *actual);
                }
            }
            counts.maxima.push(self.maxima(&z));
        }
        counts
    }
}

impl Groups {
    /// Standard deviation of a contrast, in units of the population standard deviation of the scores; `None` if a group
    /// that it needs is empty, or there is nothing to permute.
    pub(crate) fn factor(&self, contrast: Contrast) -> Option<f64> {
        let n = self.of.len() as f64;
        let size = |group: usize| self.sizes[group] as f64;
        let variance = match contrast {
            Contrast::Sum(group) => size(group) * (n - size(group)) / (n - 1.0),
            Contrast::Means(a, b) => n / (n - 1.0) * (1.0 / size(a) + 1.0 / size(b)),
        };
        (variance > 0.0 && variance.is_finite()).then(|| variance.sqrt())
    }
}

impl Exceedances {
    /// Counts a world's |z| against the actual one.
    fn count(&mut self, z: f64, actual: f64) {
        let tie = TIE * actual.max(1.0);
        // Half a tie on either side of the rule's limit is what rounding may decide.
        self.low += u32::from(z >= actual - 0.5 * tie);
        self.high += u32::from(z >= actual - 1.5 * tie);
    }
}

impl Tested {
    /// p-value, as a cell.
    pub(crate) fn p(&self, worlds: u32) -> Value {
        let p = |exceedances: u32| f64::from(1 + exceedances) / f64::from(1 + worlds);
        self.exceedances.value(p)
    }
}

impl Exceedances {
    /// The count itself, as a cell.
    pub(crate) fn cell(self) -> Value {
        if self.low == self.high {
            Value::Int(i64::from(self.low))
        } else {
            Value::Ints(i64::from(self.low), i64::from(self.high))
        }
    }

    /// A function of the count that rises with it, as a cell.
    pub(crate) fn value(self, of: impl Fn(u32) -> f64) -> Value {
        if self.low == self.high {
            return Value::Number(Number::exact(of(self.low)));
        }
        Value::Range(of(self.low), of(self.high))
    }

    /// The ends of the Clopper–Pearson interval of p, as cells.
    pub(crate) fn interval(self, worlds: u32) -> [Value; 2] {
        let allowed = |value: f64| Value::Number(Number { value, scale: 1.0, allowed: INTERVAL });
        let (low, high) = (clopper_pearson::interval(self.low, worlds), clopper_pearson::interval(self.high, worlds));
        if self.low == self.high {
            return [allowed(low.0), allowed(low.1)];
        }
        [Value::Range(low.0 - INTERVAL, high.0 + INTERVAL), Value::Range(low.1 - INTERVAL, high.1 + INTERVAL)]
    }
}

/// How exactly a library's inverse of the Beta distribution function is asked to be.
const INTERVAL: f64 = 1e-7;
