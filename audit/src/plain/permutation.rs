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

use std::ops::Range;

use rayon::prelude::*;

use crate::plain::clopper_pearson;
use crate::plain::moments::{Moments, Scores as Series};
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

/// One statistic in several series, a member in each: a family is tested at once, and perhaps as part of a larger one.
#[derive(Clone, Debug)]
pub(crate) struct Family {
    pub contrast: Contrast,
    pub series: Range<usize>,
    pub larger: Option<usize>,
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

    /// Whether there are two groups that have examples.
    pub(crate) fn are_several(&self) -> bool {
        self.sizes.iter().filter(|size| **size > 0).count() > 1
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

/// The test of a family's largest |z|, and the end of its band.
type Largest = (Option<Tested>, Option<f64>);

/// What the null worlds say of one family.
pub(crate) struct FamilyTest {
    /// One a member; `None` if it has no z.
    pub members: Vec<Option<Tested>>,
    /// Over all members; `None` if none has a z.
    pub whole: Option<Tested>,
    /// Half-width in standard deviations of the simultaneous band; `None` with too few worlds.
    pub band: Option<f64>,
}

/// What the null worlds say.
pub(crate) struct Tests {
    pub families: Vec<FamilyTest>,
    /// One a larger family.
    pub larger: Vec<Option<Tested>>,
    pub worlds: u32,
}

/// Series that are in memory at once.
const CHUNK: usize = 1 << 10;

/// Tests families of `rows` series (each n scores, `None` where the statistic is missing), of which `larger` families are made,
/// in `worlds` null worlds. `series` is asked for ranges of them that ascend.
pub(crate) fn test(
    rows: usize,
    mut series: impl FnMut(Range<usize>) -> Vec<Option<Series>>,
    families: &[Family],
    larger: usize,
    groups: &Groups,
    null_worlds: &Worlds,
    worlds: u32,
) -> Tests {
    let firsts: Vec<u64> = (1..=u64::from(worlds)).step_by(BLOCK as usize).collect();
    let mut members: Vec<Vec<Option<Tested>>> = vec![Vec::new(); families.len()];
    // The actual world's first, of each the largest |z| of each family, then of each larger one.
    let mut maxima = vec![vec![None; families.len() + larger]; worlds as usize + 1];
    for first in (0..rows).step_by(CHUNK) {
        let chunk = first..(first + CHUNK).min(rows);
        let within = |family: &Family| {
            let start = family.series.start.clamp(chunk.start, chunk.end);
            let end = family.series.end.clamp(start, chunk.end);
            Family { series: start - first..end - first, ..family.clone() }
        };
        let of_chunk: Vec<Family> = families.iter().map(within).collect();
        let scores = Scores::new(&series(chunk.clone()), &of_chunk, larger, groups);
        let count = |&first: &u64| scores.count(null_worlds, first..(first + BLOCK).min(u64::from(worlds) + 1));
        let blocks: Vec<Counts> = firsts.par_iter().map(count).collect();
        let of_worlds = blocks.iter().flat_map(|block| &block.maxima);
        for (maxima, of_chunk) in maxima.iter_mut().zip([&scores.maxima(&scores.actual)].into_iter().chain(of_worlds)) {
            for (maximum, of_chunk) in maxima.iter_mut().zip(of_chunk) {
                *maximum = [*maximum, *of_chunk].into_iter().flatten().reduce(f64::max);
            }
        }
        let exceedances = |place: usize| {
            blocks.iter().fold(Exceedances::default(), |sum, block| {
                let of_block = block.exceedances[place];
                Exceedances { low: sum.low + of_block.low, high: sum.high + of_block.high }
            })
        };
        let tested = |(place, z): (usize, &Option<f64>)| Some(Tested { z: (*z)?, exceedances: exceedances(place) });
        let mut found = scores.actual.iter().enumerate().map(tested);
        for (members, family) in members.iter_mut().zip(&of_chunk) {
            members.extend(found.by_ref().take(family.series.len()));
        }
    }
    let (actual, of_worlds) = (maxima.remove(0), maxima);
    let maximum = |(family, actual): (usize, Option<f64>)| {
        let mut maxima: Vec<f64> = of_worlds.iter().filter_map(|of_world| of_world[family]).collect();
        maxima.sort_by(f64::total_cmp);
        let rank = (0.95 * f64::from(worlds + 1)).ceil() as usize;
        let tested = actual.map(|z| {
            let mut exceedances = Exceedances::default();
            maxima.iter().for_each(|&maximum| exceedances.count(maximum, z));
            Tested { z, exceedances }
        });
        (tested, maxima.get(rank.wrapping_sub(1)).copied())
    };
    let maxima: Vec<Largest> = actual.into_iter().enumerate().map(maximum).collect();
    let (whole, of_larger) = maxima.split_at(families.len());
    let family = |(members, &(whole, band)): (Vec<Option<Tested>>, &Largest)| FamilyTest { members, whole, band };
    Tests {
        families: members.into_iter().zip(whole).map(family).collect(),
        larger: of_larger.iter().map(|(tested, _)| *tested).collect(),
        worlds,
    }
}

/// Centred series, and what makes a z of each contrast of their sums.
struct Scores<'a> {
    families: &'a [Family],
    /// Number of larger families.
    larger: usize,
    groups: &'a Groups,
    rows: usize,
    /// Centred scores, the rows of one example together.
    centred: Vec<f64>,
    /// Standard deviation of each member, family by family; `None` if it has no z.
    deviations: Vec<Option<f64>>,
    /// |z| of the actual world.
    actual: Vec<Option<f64>>,
}

/// What some worlds add.
struct Counts {
    exceedances: Vec<Exceedances>,
    /// Of each world, the largest |z| of each family, then of each larger one.
    maxima: Vec<Vec<Option<f64>>>,
}

impl<'a> Scores<'a> {
    fn new(series: &[Option<Series>], families: &'a [Family], larger: usize, groups: &'a Groups) -> Scores<'a> {
        let (rows, examples) = (series.len(), groups.of.len());
        let mut centred = vec![0.0; rows * examples];
        let mut spreads = vec![None; rows];
        for (row, scores) in series.iter().enumerate() {
            let Some(scores) = scores else { continue };
            let Some(moments) = Moments::new(scores).filter(|moments| !moments.is_constant()) else { continue };
            spreads[row] = Some(moments.spread);
            for (example, score) in moments.centred.iter().enumerate() {
                centred[example * rows + row] = *score;
            }
        }
        let of_family = |family: &Family| {
            let factor = groups.factor(family.contrast);
            let spreads = &spreads[family.series.clone()];
            spreads.iter().map(|spread| Some((*spread)? * factor?)).collect::<Vec<Option<f64>>>()
        };
        let deviations = families.iter().flat_map(of_family).collect();
        let mut scores = Scores { families, larger, groups, rows, centred, deviations, actual: Vec::new() };
        scores.actual = scores.sizes_of_z(std::slice::from_ref(&groups.of)).concat();
        scores
    }

    /// |z| of each member in each of some worlds, of which the group of each example is given.
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
        let members = self.families.iter().flat_map(|family| family.series.clone().map(|row| (family.contrast, row)));
        let z = |((contrast, row), deviation): ((Contrast, usize), &Option<f64>)| {
            let value = match contrast {
                Contrast::Sum(group) => sums[group][row],
                Contrast::Means(a, b) => sums[a][row] / size(a) - sums[b][row] / size(b),
            };
            deviation.map(|deviation| (value / deviation).abs())
        };
        members.zip(&self.deviations).map(z).collect()
    }

    /// The largest |z| of each family, then of each larger one.
    fn maxima(&self, z: &[Option<f64>]) -> Vec<Option<f64>> {
        let largest = |z: &[Option<f64>]| z.iter().copied().flatten().reduce(f64::max);
        let mut larger = vec![None; self.larger];
        let mut maxima = Vec::new();
        let mut first = 0;
        for family in self.families {
            let maximum = largest(&z[first..first + family.series.len()]);
            first += family.series.len();
            maxima.push(maximum);
            if let Some(place) = family.larger {
                larger[place] = largest(&[larger[place], maximum]);
            }
        }
        maxima.extend(larger);
        maxima
    }

    fn count(&self, null_worlds: &Worlds, worlds: Range<u64>) -> Counts {
        let mut counts = Counts { exceedances: vec![Exceedances::default(); self.actual.len()], maxima: Vec::new() };
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
        if self.low == self.high { Value::int(self.low) } else { Value::Ints(self.low.into(), self.high.into()) }
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
