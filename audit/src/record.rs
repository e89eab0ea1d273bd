//! One estimator's record of a run, contributions by step and example, and everything that is made of it.

use crate::options::Options;
use crate::plain::crossover;
use crate::plain::cumulative::{contiguous, difference, means};
use crate::plain::decomposition::{Decomposition, decompose};
use crate::plain::moments::Moments;
use crate::plain::permutation::{Contrast, Groups, Statistic, Tested, Tests, test};
use crate::plain::worlds::Worlds;
use crate::sheet::Value;
use crate::tally::Number;

/// Null worlds whose curves are published.
pub(crate) const KEPT_WORLDS: u64 = 3;
/// Steps after which D is tested on its own.
const FIRST_STEPS: usize = 10;
/// Families of tests, in the order of their numbers.
const ALPHA: usize = 0;
const DIFFERENCE: usize = 1;
const CROSSOVER: usize = 2;

/// Contributions of the same examples at some steps.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// `paper` or `exact`.
    pub estimator: &'static str,
    /// Which of the examples are pristine.
    pub pristine: Vec<bool>,
    /// Steps, ascending.
    pub steps: Vec<i64>,
    /// Of each step, one an example.
    pub contributions: Vec<Vec<f64>>,
}

/// The curves of one world.
pub(crate) struct World {
    pub number: u64,
    /// One a step.
    pub decomposition: Vec<Decomposition>,
    /// One a contiguous step.
    pub cumulative: Vec<Cumulative>,
}

/// Cumulative means at one step.
#[derive(Clone, Copy)]
pub(crate) struct Cumulative {
    pub pristine: Option<Number>,
    pub corrupt: Option<Number>,
    pub difference: Option<Number>,
}

/// The null distribution of a statistic at one step, as cells.
pub(crate) struct NullPoint {
    pub step: i64,
    pub mean: Value,
    pub sd: Value,
    pub lower: Value,
    pub upper: Value,
    pub p: Value,
}

/// One test, as cells.
#[derive(Clone)]
pub(crate) struct Test {
    pub observed: Option<Number>,
    pub worlds: u32,
    /// `None` if it has no z.
    pub tested: Option<Tested>,
}

/// The actual world, the kept ones, and the tests.
pub(crate) struct Pristine {
    pub worlds: Vec<World>,
    pub alpha: Vec<NullPoint>,
    pub difference: Vec<NullPoint>,
    /// By name: `alpha`, `difference`, `crossover`, `difference_10`.
    pub tests: [(&'static str, Test); 4],
}

/// The groups' curves in the actual world and the kept ones, and their tests.
pub(crate) struct Grouped {
    pub worlds: Vec<GroupWorld>,
    pub tests: Vec<GroupTest>,
}

/// The groups' curves in one world.
pub(crate) struct GroupWorld {
    pub number: u64,
    /// By step, then by group.
    pub shares: Vec<Vec<Option<Number>>>,
    /// By group, then by contiguous step.
    pub means: Vec<Vec<Option<Number>>>,
}

/// A test of a group, a pair, or all at once.
pub(crate) struct GroupTest {
    pub statistic: &'static str,
    pub group_a: Option<usize>,
    pub group_b: Option<usize>,
    pub test: Test,
}

impl GroupTest {
    fn of(statistic: &'static str, contrast: Option<Contrast>) -> GroupTest {
        let (group_a, group_b) = match contrast {
            None => (None, None),
            Some(Contrast::Sum(group)) => (Some(group), None),
            Some(Contrast::Means(a, b)) => (Some(a), Some(b)),
        };
        GroupTest { statistic, group_a, group_b, test: Test { observed: None, worlds: 0, tested: None } }
    }
}

/// Share of the members in the sum of a row; `None` where that is not positive and finite.
fn share(row: &[f64], member: &[bool]) -> Option<Number> {
    let (mut sum, mut total, mut size) = (0.0, 0.0, 0.0);
    for (&value, &is) in row.iter().zip(member) {
        total += value;
        size += value.abs();
        if is {
            sum += value;
        }
    }
    (total > 0.0 && total.is_finite()).then(|| Number::near(sum / total, (size + sum.abs()) / total))
}

impl Record {
    /// How many of the first steps are 0, 1, 2, … without a gap.
    pub(crate) fn contiguous(&self) -> usize {
        contiguous(&self.steps)
    }

    /// The contributions summed over the steps so far, of each contiguous step.
    pub(crate) fn summed(&self) -> Vec<Vec<f64>> {
        let mut sums = vec![0.0; self.pristine.len()];
        let mut rows = Vec::new();
        for row in &self.contributions[..self.contiguous()] {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += value;
            }
            rows.push(sums.clone());
        }
        rows
    }

    /// The decomposition into pristine and corrupt, its null worlds and tests.
    pub(crate) fn pristine(&self, run: &str, options: &Options) -> Pristine {
        let groups = Groups::of_designation(&self.pristine);
        let null_worlds = Worlds::new(options.seed, run, &groups.sizes);
        let kept = (1..=KEPT_WORLDS).map(|number| {
            let pristine: Vec<bool> = null_worlds.groups(number).iter().map(|&group| group == 0).collect();
            self.world(number, &pristine)
        });
        let worlds: Vec<World> = std::iter::once(self.world(0, &self.pristine)).chain(kept).collect();
        let actual = &worlds[0];
        let contiguous = self.contiguous();

        let mut series: Vec<Option<Vec<f64>>> = Vec::new();
        let mut statistics = Vec::new();
        let mut member = |scores: Option<Vec<f64>>, contrast, family| {
            statistics.push(Statistic { series: series.len(), contrast, family, larger_family: None });
            series.push(scores);
        };
        for (row, at_step) in self.contributions.iter().zip(&actual.decomposition) {
            member(at_step.alpha.map(|_| row.clone()), Contrast::Sum(0), ALPHA);
        }
        for row in self.summed() {
            member(Some(row), Contrast::Means(0, 1), DIFFERENCE);
        }
        member(crossover::scores(&self.contributions, &actual.decomposition), Contrast::Sum(0), CROSSOVER);
        let tests = test(&series, &statistics, 3, &groups, &null_worlds, options.null_worlds);

        let of_difference = &tests.statistics[self.steps.len()..self.steps.len() + contiguous];
        let tenth = FIRST_STEPS - 1;
        let whole = |family: usize| tests.families[family];
        let published = |observed, tested| Test { observed, worlds: options.null_worlds, tested };
        let of_max = |family| published(whole(family).map(|tested| z_number(tested.z)), whole(family));
        let named = [
            ("alpha", of_max(ALPHA)),
            ("difference", of_max(DIFFERENCE)),
            ("crossover", published(crossover::value(&actual.decomposition), whole(CROSSOVER))),
            (
                "difference_10",
                published(
                    actual.cumulative.get(tenth).and_then(|at_step| at_step.difference),
                    of_difference.get(tenth).copied().flatten(),
                ),
            ),
        ];
        let alpha = self.alpha_points(actual, &groups, &tests);
        let difference = self.difference_points(&series[self.steps.len()..], &groups, &tests);
        Pristine { alpha, difference, tests: named, worlds }
    }

    /// Shares and mean cumulative contributions of groups, their null worlds and tests; `of` is the group of each example.
    pub(crate) fn grouped(&self, of: &[usize], count: usize, run: &str, options: &Options) -> Grouped {
        let groups = Groups::new(of.to_vec(), count);
        let null_worlds = Worlds::new(options.seed, run, &groups.sizes);
        let kept = (1..=KEPT_WORLDS).map(|number| self.group_world(number, &null_worlds.groups(number), count));
        let worlds = std::iter::once(self.group_world(0, of, count)).chain(kept).collect();

        let shared = |row: &Vec<f64>| {
            let total: f64 = row.iter().sum();
            (total > 0.0 && total.is_finite()).then(|| row.clone())
        };
        let series: Vec<Option<Vec<f64>>> =
            self.contributions.iter().map(shared).chain(self.summed().into_iter().map(Some)).collect();
        let (steps, rows) = (0..self.steps.len(), self.steps.len()..series.len());
        let pairs: Vec<(usize, usize)> = (0..count).flat_map(|a| (a + 1..count).map(move |b| (a, b))).collect();
        let mut subjects: Vec<GroupTest> = Vec::new();
        let mut statistics = Vec::new();
        let mut family = 0;
        for (name, contrasts, rows) in [
            ("share", (0..count).map(Contrast::Sum).collect::<Vec<_>>(), &steps),
            ("mean_share", pairs.iter().map(|&(a, b)| Contrast::Means(a, b)).collect(), &steps),
            ("difference", pairs.iter().map(|&(a, b)| Contrast::Means(a, b)).collect(), &rows),
        ] {
            let all = family + contrasts.len();
            for &contrast in &contrasts {
                let member = |series| Statistic { series, contrast, family, larger_family: Some(all) };
                statistics.extend(rows.clone().map(member));
                subjects.push(GroupTest::of(name, Some(contrast)));
                family += 1;
            }
            subjects.push(GroupTest::of(name, None));
            family += 1;
        }
        let tests = test(&series, &statistics, family, &groups, &null_worlds, options.null_worlds);
        for (subject, tested) in subjects.iter_mut().zip(&tests.families) {
            subject.test =
                Test { observed: tested.map(|tested| z_number(tested.z)), worlds: tests.worlds, tested: *tested };
        }
        Grouped { worlds, tests: subjects }
    }

    fn group_world(&self, number: u64, of: &[usize], count: usize) -> GroupWorld {
        let members: Vec<Vec<bool>> =
            (0..count).map(|group| of.iter().map(|&found| found == group).collect()).collect();
        let contiguous = &self.contributions[..self.contiguous()];
        GroupWorld {
            number,
            shares: self
                .contributions
                .iter()
                .map(|row| members.iter().map(|member| share(row, member)).collect())
                .collect(),
            means: members.iter().map(|member| means(contiguous, member)).collect(),
        }
    }

    fn world(&self, number: u64, pristine: &[bool]) -> World {
        let corrupt: Vec<bool> = pristine.iter().map(|is| !is).collect();
        let contiguous = &self.contributions[..self.contiguous()];
        let means = means(contiguous, pristine).into_iter().zip(means(contiguous, &corrupt));
        World {
            number,
            decomposition: self.contributions.iter().map(|row| decompose(row, pristine)).collect(),
            cumulative: means
                .map(|(pristine, corrupt)| Cumulative { pristine, corrupt, difference: difference(pristine, corrupt) })
                .collect(),
        }
    }

    fn alpha_points(&self, actual: &World, groups: &Groups, tests: &Tests) -> Vec<NullPoint> {
        let n = self.pristine.len() as f64;
        let mean = groups.sizes[0] as f64 / n;
        let contrast = Contrast::Sum(0);
        let of_step = |(place, &step): (usize, &i64)| {
            let total = actual.decomposition[place].alpha.and(actual.decomposition[place].norm_sq);
            let scores =
                total.map(|total| self.contributions[place].iter().map(|s| s / total.value).collect::<Vec<_>>());
            null_point(step, mean, scores.as_deref(), groups, contrast, tests.statistics[place], tests, ALPHA)
        };
        self.steps.iter().enumerate().map(of_step).collect()
    }

    fn difference_points(&self, summed: &[Option<Vec<f64>>], groups: &Groups, tests: &Tests) -> Vec<NullPoint> {
        let of_step = |place: usize| {
            let tested = tests.statistics[self.steps.len() + place];
            let scores = summed[place].as_deref();
            null_point(self.steps[place], 0.0, scores, groups, Contrast::Means(0, 1), tested, tests, DIFFERENCE)
        };
        (0..self.contiguous()).map(of_step).collect()
    }
}

#[expect(clippy::too_many_arguments, reason = "all of one row of a table")]
fn null_point(
    step: i64,
    mean: f64,
    scores: Option<&[f64]>,
    groups: &Groups,
    contrast: Contrast,
    tested: Option<Tested>,
    tests: &Tests,
    family: usize,
) -> NullPoint {
    let missing =
        NullPoint { step, mean: Value::Null, sd: Value::Null, lower: Value::Null, upper: Value::Null, p: Value::Null };
    let (Some(moments), Some(factor)) = (scores.and_then(Moments::of), groups.factor(contrast)) else {
        return missing;
    };
    if moments.is_constant() {
        return NullPoint { mean: Value::plain(Some(mean)), sd: Value::plain(Some(0.0)), ..missing };
    }
    let sd = factor * moments.spread;
    // Rounding of the scores is proportional to the largest, that of the spread to itself.
    let scale = sd + 1e-6 * factor * moments.largest;
    let half = tests.bands[family].map(|band| band * sd);
    let end = |sign: f64| half.map_or(Value::Null, |half| Value::near(Some(mean + sign * half), mean + half + scale));
    NullPoint {
        step,
        mean: Value::near(Some(mean), mean),
        sd: Value::near(Some(sd), scale),
        lower: end(-1.0),
        upper: end(1.0),
        p: tested.filter(|_| tests.worlds > 0).map_or(Value::Null, |tested| tested.p(tests.worlds)),
    }
}

/// A standardised statistic: its rounding is absolute below 1.
pub(crate) fn z_number(z: f64) -> Number {
    Number::near(z, z.max(1.0))
}

impl Test {
    /// Cells `observed`, `worlds`, `exceedances`, `p`, `p_lower`, `p_upper`.
    pub(crate) fn cells(&self) -> Vec<Value> {
        let mut cells = vec![self.observed.map_or(Value::Null, Value::Number), Value::Int(i64::from(self.worlds))];
        match self.tested.filter(|_| self.worlds > 0) {
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
