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
const FAMILIES: usize = 3;

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

    /// The numbers of pristine and corrupt examples, and of the groups if they are known: the group of each example, and how
    /// many groups there are.
    pub(crate) fn numbers(
        &self,
        grouping: Option<(Vec<usize>, usize)>,
        run: &str,
        options: &Options,
    ) -> (Pristine, Option<Grouped>) {
        let designation = Groups::of_designation(&self.pristine);
        let null_worlds = Worlds::new(options.seed, run, &designation.sizes);
        let kept = (1..=KEPT_WORLDS).map(|number| {
            let pristine: Vec<bool> = null_worlds.groups(number).iter().map(|&group| group == 0).collect();
            self.world(number, &pristine)
        });
        let worlds: Vec<World> = std::iter::once(self.world(0, &self.pristine)).chain(kept).collect();
        let series = self.series(&worlds[0]);
        let count = options.null_worlds;
        let own = self.statistics();
        let groups = grouping.map(|(of, count)| Groups::new(of, count));
        let mut of_groups = groups.as_ref().map(|groups| self.group_statistics(groups.sizes.len()));
        let tests = match (&groups, &mut of_groups) {
            // The same null worlds: drawn once.
            (Some(groups), Some((statistics, subjects))) if groups.of == designation.of => {
                let both: Vec<Statistic> = own.iter().chain(statistics.iter()).copied().collect();
                let tests = test(&series, &both, FAMILIES + subjects.len(), groups, &null_worlds, count);
                fill(subjects, &tests);
                tests
            }
            (Some(groups), Some((statistics, subjects))) => {
                let worlds = Worlds::new(options.seed, run, &groups.sizes);
                let tests = test(&series, statistics, FAMILIES + subjects.len(), groups, &worlds, count);
                fill(subjects, &tests);
                test(&series, &own, FAMILIES, &designation, &null_worlds, count)
            }
            _ => test(&series, &own, FAMILIES, &designation, &null_worlds, count),
        };
        let grouped = groups.zip(of_groups).map(|(groups, (_, tests))| {
            let count = groups.sizes.len();
            let null_worlds = Worlds::new(options.seed, run, &groups.sizes);
            let kept = (1..=KEPT_WORLDS).map(|number| self.group_world(number, &null_worlds.groups(number), count));
            Grouped { worlds: std::iter::once(self.group_world(0, &groups.of, count)).chain(kept).collect(), tests }
        });
        (self.pristine(worlds, &series, &designation, &tests), grouped)
    }

    /// Scores: the contributions of each step, where ‖g‖² is positive and finite; then their sums so far at each contiguous
    /// step; then those of the crossover statistic.
    fn series(&self, actual: &World) -> Vec<Option<Vec<f64>>> {
        let of_step = |row: &Vec<f64>| {
            let total: f64 = row.iter().sum();
            (total > 0.0 && total.is_finite()).then(|| row.clone())
        };
        let crossover = crossover::scores(&self.contributions, &actual.decomposition);
        let summed = self.summed().into_iter().map(Some);
        self.contributions.iter().map(of_step).chain(summed).chain([crossover]).collect()
    }

    /// The statistics of pristine and corrupt examples, groups 0 and 1.
    fn statistics(&self) -> Vec<Statistic> {
        let steps = self.steps.len();
        let of = |series, contrast, family| Statistic { series, contrast, family, larger_family: None };
        let alpha = (0..steps).map(|place| of(place, Contrast::Sum(0), ALPHA));
        let differences = steps..steps + self.contiguous();
        let difference = differences.clone().map(|place| of(place, Contrast::Means(0, 1), DIFFERENCE));
        alpha.chain(difference).chain([of(differences.end, Contrast::Sum(0), CROSSOVER)]).collect()
    }

    fn pristine(&self, worlds: Vec<World>, series: &[Option<Vec<f64>>], groups: &Groups, tests: &Tests) -> Pristine {
        let actual = &worlds[0];
        let of_difference = &tests.statistics[self.steps.len()..self.steps.len() + self.contiguous()];
        let tenth = FIRST_STEPS - 1;
        let published = |observed, tested| Test { observed, worlds: tests.worlds, tested };
        let of_max = |family: usize| {
            let whole = tests.families[family];
            published(whole.map(|tested| z_number(tested.z)), whole)
        };
        let named = [
            ("alpha", of_max(ALPHA)),
            ("difference", of_max(DIFFERENCE)),
            ("crossover", published(crossover::value(&actual.decomposition), tests.families[CROSSOVER])),
            (
                "difference_10",
                published(
                    actual.cumulative.get(tenth).and_then(|at_step| at_step.difference),
                    of_difference.get(tenth).copied().flatten(),
                ),
            ),
        ];
        let alpha = self.alpha_points(actual, groups, tests);
        let difference = self.difference_points(&series[self.steps.len()..], groups, tests);
        Pristine { alpha, difference, tests: named, worlds }
    }

    /// The statistics of groups, whose families are numbered after those of [`Record::statistics`], and what each family is of.
    fn group_statistics(&self, count: usize) -> (Vec<Statistic>, Vec<GroupTest>) {
        let (steps, contiguous) = (0..self.steps.len(), self.steps.len()..self.steps.len() + self.contiguous());
        let pairs: Vec<Contrast> =
            (0..count).flat_map(|a| (a + 1..count).map(move |b| Contrast::Means(a, b))).collect();
        let (mut statistics, mut subjects) = (Vec::new(), Vec::new());
        for (name, contrasts, rows) in [
            ("share", (0..count).map(Contrast::Sum).collect(), steps.clone()),
            ("mean_share", pairs.clone(), steps),
            ("difference", pairs, contiguous),
        ] {
            let all = FAMILIES + subjects.len() + contrasts.len();
            for contrast in contrasts {
                let family = FAMILIES + subjects.len();
                let member = |series| Statistic { series, contrast, family, larger_family: Some(all) };
                statistics.extend(rows.clone().map(member));
                subjects.push(GroupTest::of(name, Some(contrast)));
            }
            subjects.push(GroupTest::of(name, None));
        }
        (statistics, subjects)
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

/// Puts the tests of the families of groups where they belong.
fn fill(subjects: &mut [GroupTest], tests: &Tests) {
    for (subject, tested) in subjects.iter_mut().zip(&tests.families[FAMILIES..]) {
        subject.test =
            Test { observed: tested.map(|tested| z_number(tested.z)), worlds: tests.worlds, tested: *tested };
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
