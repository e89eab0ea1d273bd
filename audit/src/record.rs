//! One estimator's record of a run, contributions by step and example, and everything that is made of it.

use cograd_results::summary::Options;

use crate::plain::crossover;
use crate::plain::cumulative::{contiguous, difference, means};
use crate::plain::moments::{Moments, Scores};
use crate::plain::permutation::{Contrast, Family, FamilyTest, Groups, Tested, test};
use crate::plain::share::{Decomposition, decompose, norm_sq};
use crate::plain::worlds::Worlds;
use crate::sheet::Value;
use crate::tally::Number;

/// Steps after which a difference is tested on its own.
const FIRST_STEPS: usize = 10;

/// Contributions of the same examples at some steps.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// `paper` or `exact`.
    pub estimator: &'static str,
    /// The groups of the examples.
    pub groups: Groups,
    /// Steps, ascending.
    pub steps: Vec<i64>,
    /// Of each step, one an example.
    pub contributions: Vec<Vec<f64>>,
    /// ‖g‖² of each step.
    pub norms_sq: Vec<f64>,
}

/// The curves of one world.
pub(crate) struct World {
    pub number: u64,
    /// One a step.
    pub decomposition: Vec<Decomposition>,
    /// Mean cumulative contributions, by group, then by contiguous step.
    pub means: Vec<Vec<Option<Number>>>,
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

/// One estimator's numbers: the actual world, the kept ones, and the tests.
pub(crate) struct Estimate {
    pub record: Record,
    pub worlds: Vec<World>,
    pub null: Vec<NullCurve>,
    pub tests: Vec<Test>,
}

/// Every pair a < b of so many groups, in order.
pub(crate) fn pairs(groups: usize) -> Vec<(usize, usize)> {
    (0..groups).flat_map(|a| (a + 1..groups).map(move |b| (a, b))).collect()
}

impl Record {
    /// Of contributions and, at each step, the sum of the self terms, NaN if that is not known.
    pub(crate) fn new(
        estimator: &'static str,
        groups: Groups,
        steps: Vec<i64>,
        contributions: Vec<Vec<f64>>,
        self_sums: &[f64],
    ) -> Record {
        let norms_sq = contributions.iter().zip(self_sums).map(|(row, &self_sum)| norm_sq(row, self_sum)).collect();
        Record { estimator, groups, steps, contributions, norms_sq }
    }

    fn decompose(&self, groups: &Groups) -> Vec<Decomposition> {
        let steps = self.contributions.iter().zip(&self.norms_sq);
        steps.map(|(row, &norm_sq)| decompose(row, norm_sq, groups)).collect()
    }

    /// How many of the first steps are 0, 1, 2, … without a gap.
    pub(crate) fn contiguous(&self) -> usize {
        contiguous(&self.steps)
    }

    /// The contributions summed over the steps so far, of each contiguous step.
    fn summed(&self) -> Vec<Scores> {
        let mut sums = vec![0.0; self.groups.of.len()];
        let mut sizes = sums.clone();
        let mut rows = Vec::new();
        for row in &self.contributions[..self.contiguous()] {
            for ((sum, size), value) in sums.iter_mut().zip(&mut sizes).zip(row) {
                *sum += value;
                *size += value.abs();
            }
            rows.push(Scores::of_sums(sums.clone(), rows.len() + 1, &sizes));
        }
        rows
    }

    fn world(&self, number: u64, groups: &Groups) -> World {
        let contiguous = &self.contributions[..self.contiguous()];
        let of_group = |group: usize| {
            let member: Vec<bool> = groups.of.iter().map(|&found| found == group).collect();
            means(contiguous, &member)
        };
        World { number, decomposition: self.decompose(groups), means: (0..groups.sizes.len()).map(of_group).collect() }
    }

    /// The numbers of the run with this id.
    pub(crate) fn numbers(self, run: &str, options: &Options) -> Estimate {
        let groups = &self.groups;
        let (count, steps) = (groups.sizes.len(), self.steps.len());
        let null_worlds = Worlds::new(options.seed, run, &groups.sizes);
        let kept = (1..=options.kept_worlds as u64)
            .map(|number| self.world(number, &Groups::new(null_worlds.groups(number), count)));
        let worlds: Vec<World> = std::iter::once(self.world(0, groups)).chain(kept).collect();

        // Scores: the contributions of each step, where ‖g‖² is positive and finite; then their sums so far at each
        // contiguous step; then those of the crossover statistic.
        let of_step = |(row, &total): (&Vec<f64>, &f64)| {
            (total > 0.0 && total.is_finite()).then(|| Scores::of_terms(row.clone()))
        };
        let is_there: Vec<bool> =
            worlds[0].decomposition.iter().map(|at| at.shares.iter().any(Option::is_some)).collect();
        let weights = crossover::weights(&is_there);
        let of_crossover = weights.as_ref().map(|weights| crossover::scores(&self.contributions, weights));
        let series: Vec<Option<Scores>> = self.contributions.iter().zip(&self.norms_sq).map(of_step).collect();
        let series = [series, self.summed().into_iter().map(Some).collect(), vec![of_crossover]].concat();

        let last = series.len() - 1;
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
        let tests = test(&series, &families, 3, groups, &null_worlds, options.null_worlds as u32);
        let (of_shares, rest) = tests.families.split_at(count);
        let (of_mean_shares, rest) = rest.split_at(means.len());
        let (of_differences, of_crossover) = rest.split_at(means.len());

        let null = self.null(&series, &worlds[0], of_shares, of_differences, tests.worlds);
        let mut published = Vec::new();
        let mut publish = |statistic, subject, observed, tested| {
            published.push(Test { statistic, subject, observed, worlds: tests.worlds, tested });
        };
        let z = |tested: Option<Tested>| tested.map(|tested| z_number(tested.z));
        for (statistic, contrasts, found, whole) in [
            ("share", &sums, of_shares, tests.larger[0]),
            ("mean_share", &means, of_mean_shares, tests.larger[1]),
            ("difference", &means, of_differences, tests.larger[2]),
        ] {
            for (contrast, family) in contrasts.iter().zip(found) {
                publish(statistic, Some(contrast.subject()), z(family.whole), family.whole);
            }
            if !contrasts.is_empty() {
                publish(statistic, None, z(whole), whole);
            }
        }
        for (group, family) in of_crossover.iter().enumerate() {
            let shares: Vec<Option<Number>> = worlds[0].decomposition.iter().map(|at| at.shares[group]).collect();
            let observed = weights.as_ref().map(|weights| crossover::value(&shares, weights));
            publish("crossover", Some((group, None)), observed, family.whole);
        }
        for ((a, b), family) in pairs(count).into_iter().zip(of_differences) {
            let tenth = FIRST_STEPS - 1;
            let at = |group: usize| worlds[0].means[group].get(tenth).copied().flatten();
            let tested = family.members.get(tenth).copied().flatten();
            publish("difference_10", Some((a, Some(b))), difference(at(a), at(b)), tested);
        }
        Estimate { worlds, null, tests: published, record: self }
    }

    fn null(
        &self,
        series: &[Option<Scores>],
        actual: &World,
        of_shares: &[FamilyTest],
        of_differences: &[FamilyTest],
        worlds: u32,
    ) -> Vec<NullCurve> {
        let groups = &self.groups;
        let of_share = |(group, test): (usize, &FamilyTest)| {
            let mean = groups.sizes[group] as f64 / groups.of.len() as f64;
            let scores = |place: usize| {
                let at = &actual.decomposition[place];
                let total = at.shares[group].and(at.norm_sq)?.value;
                Some(Scores::of_terms(self.contributions[place].iter().map(|s| s / total).collect()))
            };
            let point = |place: usize| {
                null_cells(mean, scores(place).as_ref(), groups.factor(Contrast::Sum(group)), test, place, worlds)
            };
            let points = self.steps.iter().enumerate().map(|(place, &step)| (step, point(place))).collect();
            NullCurve { statistic: "share", subject: (group, None), points }
        };
        let summed = &series[self.steps.len()..];
        let of_difference = |((a, b), test): ((usize, usize), &FamilyTest)| {
            let factor = groups.factor(Contrast::Means(a, b));
            let point = |place: usize| null_cells(0.0, summed[place].as_ref(), factor, test, place, worlds);
            let points = (0..self.contiguous()).map(|place| (self.steps[place], point(place))).collect();
            NullCurve { statistic: "difference", subject: (a, Some(b)), points }
        };
        let differences = pairs(groups.sizes.len()).into_iter().zip(of_differences).map(of_difference);
        of_shares.iter().enumerate().map(of_share).chain(differences).collect()
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
    let (Some(moments), Some(factor)) = (scores.and_then(Moments::of), factor) else {
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
        let contributions = vec![vec![3.0, 1.0, 2.0, 0.5, 0.5], vec![1.0; 5], vec![1.0, 2.0, 1.0, 4.0, 2.0]];
        let groups = Groups::new(vec![0, 1, 0, 1, 1], 2);
        let record = Record::new("paper", groups, vec![0, 1, 3], contributions, &[1.0; 3]);
        let found = record.numbers("run", &options);
        assert_eq!((found.worlds.len(), found.null.len(), found.tests.len()), (2, 3, 10));
        let test = |statistic, subject| found.test(statistic, subject).unwrap();
        let (of_first, of_second) = (test("crossover", (0, None)), test("crossover", (1, None)));
        // 5/7 − 2/10 of the first group.
        assert!((of_first.observed.unwrap().value - (5.0 / 7.0 - 0.2)).abs() < 1e-15);
        assert!((of_first.observed.unwrap().value + of_second.observed.unwrap().value).abs() < 1e-15);
        assert_eq!(of_first.cells()[2..], of_second.cells()[2..]);
        assert!(test("difference_10", (0, Some(1))).observed.is_none());
        // Of equal contributions the share is the group's size in every world.
        assert_eq!(found.null[0].points[1].1[..2], [Value::plain(Some(0.4)), Value::plain(Some(0.0))]);
        assert_eq!(found.null[2].points.len(), 2);
        assert!((found.worlds[0].means[0][1].unwrap().value - 3.5).abs() < 1e-15);
    }
}
