//! One estimator's record of a run, contributions by step and example, and everything that is made of it.

use std::ops::Range;

use cograd_results::summary::Options;

use crate::plain::crossover;
use crate::plain::cumulative::{Mean, difference};
use crate::plain::moments::{Moments, Scores};
use crate::plain::permutation::{Contrast, Family, FamilyTest, Groups, Tested, test};
use crate::plain::share::{Decomposition, decompose, norm_sq};
use crate::plain::worlds::Worlds;
use crate::sheet::Value;
use crate::tally::Number;

/// Steps after which a difference is tested on its own.
const FIRST_STEPS: usize = 10;

/// Contributions of the same examples at the steps so far.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// `paper` or `exact`.
    pub estimator: &'static str,
    /// The groups of the examples.
    pub groups: Groups,
    /// Steps, ascending.
    pub steps: Vec<i64>,
    /// How many of the first steps are 0, 1, 2, … without a gap.
    pub contiguous: usize,
    /// Of each step, one an example.
    contributions: Vec<Vec<f64>>,
    /// ‖g‖² of each step.
    norms_sq: Vec<f64>,
}

/// One world of a run.
struct Assignment {
    number: u64,
    groups: Groups,
    /// Mean cumulative contribution of each group.
    means: Vec<Mean>,
}

/// The curves of one world at some steps.
pub(crate) struct World {
    pub number: u64,
    /// One a step.
    pub decomposition: Vec<Decomposition>,
    /// Mean cumulative contributions, by group, then by contiguous step.
    pub means: Vec<Vec<Option<Number>>>,
}

/// What is made of some steps of a record.
pub(crate) struct RecordedSteps {
    pub estimator: &'static str,
    pub steps: Vec<i64>,
    /// How many of them are contiguous with those before.
    pub contiguous: usize,
    /// The actual world, and the kept ones.
    pub worlds: Vec<World>,
}

/// A group, or a pair of groups.
pub(crate) type Subject = (usize, Option<usize>);

/// The null distribution of a statistic of a group or pair.
pub(crate) struct NullCurve {
    pub statistic: &'static str,
    pub subject: Subject,
    /// Cells `mean`, `sd`, `lower`, `upper`, `p` of each step.
    pub points: Vec<(i64, [Value; 5])>,
}

/// One test.
#[derive(Clone)]
pub(crate) struct Test {
    pub statistic: &'static str,
    /// `None`: all groups or pairs at once.
    pub subject: Option<Subject>,
    pub observed: Option<Number>,
    pub worlds: u32,
    /// `None` if it has no z.
    pub tested: Option<Tested>,
}

/// One estimator's numbers.
pub(crate) struct Estimate {
    pub record: Record,
    null_worlds: Worlds,
    worlds: Vec<Assignment>,
    /// The tests, once the record is whole.
    pub tests: Vec<Test>,
    of_shares: Vec<FamilyTest>,
    of_differences: Vec<FamilyTest>,
}

/// Every pair a < b of so many groups, in order.
pub(crate) fn pairs(groups: usize) -> Vec<(usize, usize)> {
    (0..groups).flat_map(|a| (a + 1..groups).map(move |b| (a, b))).collect()
}

impl Record {
    fn new(estimator: &'static str, groups: Groups) -> Record {
        let (contributions, norms_sq) = (Vec::new(), Vec::new());
        Record { estimator, groups, steps: Vec::new(), contiguous: 0, contributions, norms_sq }
    }

    /// Adds a step, with the sum of its self terms, NaN if that is not known.
    fn push(&mut self, step: i64, contributions: Vec<f64>, self_sum: f64) {
        if self.contiguous == self.steps.len() && step == self.contiguous as i64 {
            self.contiguous += 1;
        }
        self.steps.push(step);
        self.norms_sq.push(norm_sq(&contributions, self_sum));
        self.contributions.push(contributions);
    }

    fn decompose(&self, groups: &Groups, steps: Range<usize>) -> impl Iterator<Item = Decomposition> {
        let steps = self.contributions[steps.clone()].iter().zip(&self.norms_sq[steps]);
        steps.map(move |(row, &norm_sq)| decompose(row, norm_sq, groups))
    }

    /// The shares of the groups at the first step; `None` if there is none.
    pub(crate) fn first_shares(&self) -> Option<Vec<Option<Number>>> {
        self.decompose(&self.groups, 0..self.steps.len().min(1)).next().map(|at| at.shares)
    }

    /// The mean cumulative contribution of each group after so many of the first steps; `None` if there are not so many.
    fn means_after(&self, steps: usize) -> Vec<Option<Number>> {
        let mean = |member: Vec<bool>| {
            let mut mean = Mean::new(member);
            let means = self.contributions[..self.contiguous].iter().take(steps).map(|row| mean.add(row));
            means.collect::<Vec<_>>().get(steps - 1).copied().flatten()
        };
        members(&self.groups).into_iter().map(mean).collect()
    }
}

/// The contributions summed over the steps so far, of one contiguous step after the other.
struct Summed {
    sums: Vec<f64>,
    sizes: Vec<f64>,
    steps: usize,
}

impl Summed {
    fn new(examples: usize) -> Summed {
        Summed { sums: vec![0.0; examples], sizes: vec![0.0; examples], steps: 0 }
    }

    fn next(&mut self, record: &Record) -> Scores {
        for ((sum, size), value) in self.sums.iter_mut().zip(&mut self.sizes).zip(&record.contributions[self.steps]) {
            *sum += value;
            *size += value.abs();
        }
        self.steps += 1;
        Scores::of_sums(self.sums.clone(), self.steps, &self.sizes)
    }
}

/// Of each group, whether each example is of it.
fn members(groups: &Groups) -> Vec<Vec<bool>> {
    (0..groups.sizes.len()).map(|group| groups.of.iter().map(|&found| found == group).collect()).collect()
}

impl Estimate {
    /// Of examples in these groups in the run with this id, before the first step.
    pub(crate) fn new(estimator: &'static str, groups: Groups, run: &str, options: &Options) -> Estimate {
        let count = groups.sizes.len();
        let null_worlds = Worlds::new(options.seed, run, &groups.sizes);
        let kept =
            (1..=options.kept_worlds as u64).map(|number| (number, Groups::new(null_worlds.groups(number), count)));
        let worlds = std::iter::once((0, groups.clone())).chain(kept).map(|(number, groups)| Assignment {
            number,
            means: members(&groups).into_iter().map(Mean::new).collect(),
            groups,
        });
        let worlds = worlds.collect();
        let record = Record::new(estimator, groups);
        Estimate { record, null_worlds, worlds, tests: Vec::new(), of_shares: Vec::new(), of_differences: Vec::new() }
    }

    /// Adds the next steps: each with its contributions and the sum of its self terms, NaN if that is not known.
    pub(crate) fn add(&mut self, steps: impl IntoIterator<Item = (i64, Vec<f64>, f64)>) -> RecordedSteps {
        let (first, contiguous) = (self.record.steps.len(), self.record.contiguous);
        steps.into_iter().for_each(|(step, contributions, self_sum)| self.record.push(step, contributions, self_sum));
        let (record, last) = (&self.record, self.record.steps.len());
        let of_world = |world: &mut Assignment| World {
            number: world.number,
            decomposition: record.decompose(&world.groups, first..last).collect(),
            means: {
                let rows = &record.contributions[contiguous..record.contiguous];
                world.means.iter_mut().map(|mean| rows.iter().map(|row| mean.add(row)).collect()).collect()
            },
        };
        RecordedSteps {
            estimator: record.estimator,
            steps: record.steps[first..].to_vec(),
            contiguous: record.contiguous - contiguous,
            worlds: self.worlds.iter_mut().map(of_world).collect(),
        }
    }

    /// Tests the whole record.
    pub(crate) fn test_all(&mut self, options: &Options) {
        let record = &self.record;
        let groups = &record.groups;
        let (count, steps) = (groups.sizes.len(), record.steps.len());
        // Scores: the contributions of each step, where ‖g‖² is positive and finite; then their sums so far at each
        // contiguous step; then those of the crossover statistic.
        let is_there: Vec<bool> =
            record.decompose(groups, 0..steps).map(|at| at.shares.iter().any(Option::is_some)).collect();
        let weights = crossover::weights(&is_there);
        let last = steps + record.contiguous;
        let mut summed = Summed::new(groups.of.len());
        let series = |rows: Range<usize>| -> Vec<Option<Scores>> {
            let of_row = |row: usize| match row {
                row if row < steps => {
                    let total = record.norms_sq[row];
                    (total > 0.0 && total.is_finite()).then(|| Scores::of_terms(record.contributions[row].clone()))
                }
                row if row < last => Some(summed.next(record)),
                _ => weights.as_ref().map(|weights| crossover::scores(&record.contributions, weights)),
            };
            rows.map(of_row).collect()
        };
        let (shares, differences, crossover) = (0..steps, steps..last, last..last + 1);
        let sums: Vec<Contrast> = (0..count).map(Contrast::Sum).collect();
        let means: Vec<Contrast> = pairs(count).into_iter().map(|(a, b)| Contrast::Means(a, b)).collect();
        let families = [
            (&sums, &shares, Some(0)),
            (&means, &shares, Some(1)),
            (&means, &differences, Some(2)),
            (&sums, &crossover, None),
        ];
        let families = families.into_iter().flat_map(|(contrasts, series, larger)| {
            contrasts.iter().map(move |&contrast| Family { contrast, series: series.clone(), larger })
        });
        let families: Vec<Family> = families.collect();
        let mut tests = test(last + 1, series, &families, 3, groups, &self.null_worlds, options.null_worlds as u32);
        let of_crossover = tests.families.split_off(count + 2 * means.len());
        let of_differences = tests.families.split_off(count + means.len());
        let of_mean_shares = tests.families.split_off(count);
        let of_shares = tests.families;

        let mut published = Vec::new();
        let mut publish = |statistic, subject, observed, tested| {
            published.push(Test { statistic, subject, observed, worlds: tests.worlds, tested });
        };
        let z = |tested: Option<Tested>| tested.map(|tested| z_number(tested.z));
        for (statistic, contrasts, found, whole) in [
            ("share", &sums, &of_shares, tests.larger[0]),
            ("mean_share", &means, &of_mean_shares, tests.larger[1]),
            ("difference", &means, &of_differences, tests.larger[2]),
        ] {
            for (contrast, family) in contrasts.iter().zip(found) {
                publish(statistic, Some(contrast.subject()), z(family.whole), family.whole);
            }
            if !contrasts.is_empty() {
                publish(statistic, None, z(whole), whole);
            }
        }
        for (group, family) in of_crossover.iter().enumerate() {
            let observed = weights.as_ref().map(|weights| {
                crossover::value(record.decompose(groups, 0..steps).map(|at| at.shares[group]), weights)
            });
            publish("crossover", Some((group, None)), observed, family.whole);
        }
        let means = record.means_after(FIRST_STEPS);
        for ((a, b), family) in pairs(count).into_iter().zip(&of_differences) {
            let tested = family.members.get(FIRST_STEPS - 1).copied().flatten();
            publish("difference_10", Some((a, Some(b))), difference(means[a], means[b]), tested);
        }
        self.tests = published;
        (self.of_shares, self.of_differences) = (of_shares, of_differences);
    }

    /// Hands on the null distributions at the steps, `at_once` of them at a time, once the record was tested.
    pub(crate) fn null(&self, at_once: usize, mut take: impl FnMut(Vec<NullCurve>)) {
        let (record, worlds) = (&self.record, self.tests.first().map_or(0, |test| test.worlds));
        let groups = &record.groups;
        let mut summed = Summed::new(groups.of.len());
        for first in (0..record.steps.len()).step_by(at_once) {
            let places = first..(first + at_once).min(record.steps.len());
            let actual: Vec<Decomposition> = record.decompose(groups, places.clone()).collect();
            let of_share = |(group, test): (usize, &FamilyTest)| {
                let mean = groups.sizes[group] as f64 / groups.of.len() as f64;
                let scores = |place: usize| {
                    let at = &actual[place - first];
                    let total = at.shares[group].and(at.norm_sq)?.value;
                    Some(Scores::of_terms(record.contributions[place].iter().map(|s| s / total).collect()))
                };
                let factor = groups.factor(Contrast::Sum(group));
                let point = |place: usize| null_cells(mean, scores(place).as_ref(), factor, test, place, worlds);
                let points = places.clone().map(|place| (record.steps[place], point(place))).collect();
                NullCurve { statistic: "share", subject: (group, None), points }
            };
            let contiguous = first.min(record.contiguous)..places.end.min(record.contiguous);
            let summed: Vec<Scores> = contiguous.clone().map(|_| summed.next(record)).collect();
            let of_difference = |((a, b), test): ((usize, usize), &FamilyTest)| {
                let factor = groups.factor(Contrast::Means(a, b));
                let point = |place: usize| null_cells(0.0, summed.get(place - first), factor, test, place, worlds);
                let points = contiguous.clone().map(|place| (record.steps[place], point(place))).collect();
                NullCurve { statistic: "difference", subject: (a, Some(b)), points }
            };
            let differences = pairs(groups.sizes.len()).into_iter().zip(&self.of_differences).map(of_difference);
            take(self.of_shares.iter().enumerate().map(of_share).chain(differences).collect());
        }
    }
}

impl Contrast {
    fn subject(self) -> Subject {
        match self {
            Contrast::Sum(group) => (group, None),
            Contrast::Means(a, b) => (a, Some(b)),
        }
    }
}

/// Cells `mean`, `sd`, `lower`, `upper`, `p` of the member at `place` of a family.
fn null_cells(
    mean: f64,
    scores: Option<&Scores>,
    factor: Option<f64>,
    test: &FamilyTest,
    place: usize,
    worlds: u32,
) -> [Value; 5] {
    let null = || Value::Null;
    let (Some(moments), Some(factor)) = (scores.and_then(Moments::new), factor) else {
        return [null(), null(), null(), null(), null()];
    };
    if moments.is_constant() {
        return [Value::plain(Some(mean)), Value::plain(Some(0.0)), null(), null(), null()];
    }
    let sd = factor * moments.spread;
    // Rounding of the scores is proportional to the largest, that of the spread to itself.
    let scale = sd + 1e-6 * factor * moments.largest;
    let half = test.band.map(|band| band * sd);
    let end = |sign: f64| half.map_or(null(), |half| Value::near(Some(mean + sign * half), mean + half + scale));
    let tested = test.members[place].filter(|_| worlds > 0);
    let p = tested.map_or(null(), |tested| tested.p(worlds));
    [Value::near(Some(mean), mean), Value::near(Some(sd), scale), end(-1.0), end(1.0), p]
}

/// A standardised statistic: its rounding is absolute below 1.
fn z_number(z: f64) -> Number {
    Number::near(z, z.max(1.0))
}

impl Estimate {
    /// The test of a statistic of a group or pair.
    pub(crate) fn test(&self, statistic: &str, subject: Subject) -> Option<&Test> {
        self.tests.iter().find(|test| test.statistic == statistic && test.subject == Some(subject))
    }
}

impl Test {
    /// What the null worlds say; `None` without any, or without a z.
    pub(crate) fn against_null(&self) -> Option<Tested> {
        self.tested.filter(|_| self.worlds > 0)
    }

    /// Cells `observed`, `worlds`, `exceedances`, `p`, `p_lower`, `p_upper`.
    pub(crate) fn cells(&self) -> Vec<Value> {
        let mut cells = vec![self.observed.into(), Value::int(self.worlds)];
        match self.against_null() {
            Some(tested) => {
                cells.push(tested.exceedances.cell());
                cells.push(tested.p(self.worlds));
                cells.extend(tested.exceedances.interval(self.worlds));
            }
            None => cells.resize(6, Value::Null),
        }
        cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_groups_of_a_pair_mirror_each_other() {
        let options = Options { null_worlds: 99, kept_worlds: 1, seed: 3, ..Options::default() };
        let contributions = [vec![3.0, 1.0, 2.0, 0.5, 0.5], vec![1.0; 5], vec![1.0, 2.0, 1.0, 4.0, 2.0]];
        let groups = Groups::new(vec![0, 1, 0, 1, 1], 2);
        let mut found = Estimate::new("paper", groups, "run", &options);
        let mut steps = [0, 1, 3].into_iter().zip(contributions).map(|(step, row)| (step, row, 1.0));
        let parts = [found.add(steps.by_ref().take(1)), found.add(steps)];
        found.test_all(&options);
        let mut null = Vec::new();
        found.null(2, |curves| null.push(curves));
        assert_eq!((parts[0].worlds.len(), null[0].len(), found.tests.len()), (2, 3, 10));
        let test = |statistic, subject| found.test(statistic, subject).unwrap();
        let (of_first, of_second) = (test("crossover", (0, None)), test("crossover", (1, None)));
        // 5/7 − 2/10 of the first group.
        assert!((of_first.observed.unwrap().value - (5.0 / 7.0 - 0.2)).abs() < 1e-15);
        assert!((of_first.observed.unwrap().value + of_second.observed.unwrap().value).abs() < 1e-15);
        assert_eq!(of_first.cells()[2..], of_second.cells()[2..]);
        assert!(test("difference_10", (0, Some(1))).observed.is_none());
        // Of equal contributions the share is the group's size in every world.
        assert_eq!(null[0][0].points[1].1[..2], [Value::plain(Some(0.4)), Value::plain(Some(0.0))]);
        assert_eq!((null[0][2].points.len(), null[1][2].points.len()), (2, 0));
        assert_eq!((parts[1].contiguous, parts[1].steps.as_slice()), (1, &[1, 3][..]));
        assert!((parts[1].worlds[0].means[0][0].unwrap().value - 3.5).abs() < 1e-15);
    }
}
