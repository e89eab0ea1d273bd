//! What is found out about one run from one kind of contributions: those of the sample, or those of the population.

use crate::Options;
use crate::statistic::contribution::Contributions;
use crate::statistic::cumulative::{self, Cumulative};
use crate::statistic::decomposition::{self, Decomposition};
use crate::statistic::designation::Designation;
use crate::statistic::grouping::Grouping;
use crate::statistic::linear::{Family, Linear};
use crate::statistic::null_world::NullWorlds;
use crate::statistic::permutation::{self, FamilyTest, Test};
use crate::statistic::scores::Scores;
use crate::statistic::{crossover, holm, mean_share, share};

/// Steps whose cumulative difference is tested on its own: the paper's Figure 3 shows the first ten.
const FIRST_STEPS: usize = 10;

/// Which contributions a number was computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Estimator {
    /// Those of the sampled examples and coordinates, as they are: the paper's [S 2].
    Paper,
    /// Those of the sample, scaled to estimate the population [S 8.1].
    Population,
    /// Those of all examples and parameters [S 2].
    Exact,
}

impl Estimator {
    /// The name in the tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Estimator::Paper => "paper",
            Estimator::Population => "population",
            Estimator::Exact => "exact",
        }
    }
}

/// The statistics of contributions, their null worlds and tests.
#[derive(Clone, Debug)]
pub struct Estimate {
    /// Which contributions they are of.
    pub estimator: Estimator,
    /// Contributions and self terms of the examples at every step.
    pub contributions: Contributions,
    /// Which of the examples are pristine.
    pub designation: Designation,
    /// The groups of the examples.
    pub grouping: Grouping,
    /// World 0, the actual one, and the null worlds kept for drawing, in order.
    pub worlds: Vec<World>,
    /// The null distribution of α, one entry a step.
    pub alpha: NullCurve,
    /// The null distribution of D, one entry a contiguous step.
    pub difference: NullCurve,
    /// Test of the crossover statistic.
    pub crossover: Test,
    /// Test of D after the first ten steps, 0…9; without a value if fewer are contiguous from 0.
    pub difference_10: Test,
    /// The tests of the groups, by statistic.
    pub group_tests: Vec<GroupTest>,
}

/// The curves of one world.
#[derive(Clone, Debug, PartialEq)]
pub struct World {
    /// The decomposition at every step.
    pub decomposition: Vec<Decomposition>,
    /// The cumulative mean contributions at every contiguous step.
    pub cumulative: Vec<Cumulative>,
    /// The shares of the groups at every step.
    pub shares: Vec<Vec<Option<f64>>>,
    /// The mean cumulative contributions of the groups at every contiguous step.
    pub means: Vec<Vec<Option<f64>>>,
}

/// The null distribution of a statistic over the steps, and the tests of the actual one against it.
#[derive(Clone, Debug, PartialEq)]
pub struct NullCurve {
    /// One entry a step, in order.
    pub points: Vec<NullPoint>,
    /// max |z| over the steps, and its p-value.
    pub simultaneous: Test,
}

/// The null distribution of a statistic at one step. All are `None` where the statistic is missing.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct NullPoint {
    /// Exact expectation over null worlds.
    pub mean: Option<f64>,
    /// Exact standard deviation over null worlds.
    pub sd: Option<f64>,
    /// Lower end of the simultaneous 95 % band; `None` too if every world gives the same value or worlds are too few.
    pub lower: Option<f64>,
    /// Upper end of the simultaneous 95 % band; `None` as `lower`.
    pub upper: Option<f64>,
    /// Pointwise two-sided p-value; `None` too if every world gives the same value or there is no null world.
    pub p: Option<f64>,
}

/// A test of groups over all steps at once; its value is max |z|.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupTest {
    /// What is tested of the groups.
    pub statistic: GroupStatistic,
    /// Place of the first group; `None` if all groups are tested at once.
    pub group_a: Option<usize>,
    /// Place of the second group of a pair.
    pub group_b: Option<usize>,
    /// The test.
    pub test: Test,
    /// p, corrected over the groups or pairs by Holm's method; `None` for all at once.
    pub p_holm: Option<f64>,
}

/// A group, or a pair of groups.
type Subject = (usize, Option<usize>);

/// What is tested of groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupStatistic {
    /// The share of a group: [`share`].
    Share,
    /// The difference of two groups' shares per example: [`mean_share`].
    MeanShare,
    /// The difference of two groups' mean cumulative contributions: [`cumulative`].
    Difference,
}

impl GroupStatistic {
    /// The statistics, in the order of the tables.
    pub const ALL: [GroupStatistic; 3] = [GroupStatistic::Share, GroupStatistic::MeanShare, GroupStatistic::Difference];

    /// The name in the tables.
    pub fn as_str(self) -> &'static str {
        match self {
            GroupStatistic::Share => "share",
            GroupStatistic::MeanShare => "mean_share",
            GroupStatistic::Difference => "difference",
        }
    }

    /// The groups or pairs that it is tested of.
    fn subjects(self, grouping: &Grouping) -> Vec<Subject> {
        match self {
            GroupStatistic::Share => (0..grouping.groups()).map(|group| (group, None)).collect(),
            _ => grouping.pairs().map(|(a, b)| (a, Some(b))).collect(),
        }
    }

    fn family(self, scores: &Scores<'_>, grouping: &Grouping, a: usize, b: Option<usize>) -> Family {
        match (self, b) {
            (GroupStatistic::MeanShare, Some(b)) => mean_share::family(scores, grouping, a, b),
            (GroupStatistic::Difference, Some(b)) => cumulative::family(scores, grouping, a, b),
            _ => share::family(scores, grouping, a),
        }
    }
}

impl Estimate {
    /// The statistics of the examples with the given designation and grouping, in the order of the contributions; `run` is
    /// the run's id, of which null worlds are a function.
    pub fn of(
        estimator: Estimator,
        contributions: Contributions,
        designation: Designation,
        grouping: Grouping,
        run: &str,
        options: &Options,
    ) -> Estimate {
        let designation_worlds = NullWorlds::new(options.seed, run, &Grouping::from(&designation));
        let group_worlds = NullWorlds::new(options.seed, run, &grouping);
        let kept = (1..=options.kept_worlds as u64).map(|world| {
            let designation = Designation::from(&designation_worlds.grouping(world));
            World::of(&contributions, &designation, &group_worlds.grouping(world))
        });
        let worlds: Vec<World> =
            std::iter::once(World::of(&contributions, &designation, &grouping)).chain(kept).collect();

        let weights = crossover::weights(&worlds[0].decomposition);
        let scores = Scores::new(&contributions, weights.as_deref());
        let families = vec![
            decomposition::family(&scores, &designation),
            cumulative::family(&scores, &Grouping::from(&designation), 0, 1),
            crossover::family(&scores, &designation),
        ];
        let count = options.null_worlds as u32;
        let (tests, group_tests) = test(&scores, families.clone(), &designation_worlds, &group_worlds, count);
        let actual = &worlds[0];
        let tenth = actual.cumulative.get(FIRST_STEPS - 1).and_then(|at_step| at_step.difference);
        let tenth_exceedances = tests[1].exceedances.get(FIRST_STEPS - 1).copied().flatten();
        let crossover_exceedances = tests[2].exceedances.first().copied().flatten();
        Estimate {
            estimator,
            alpha: NullCurve::new(&families[0].members, &tests[0]),
            difference: NullCurve::new(&families[1].members, &tests[1]),
            crossover: Test::new(crossover::value(&actual.decomposition), crossover_exceedances, count),
            difference_10: Test::new(tenth, tenth_exceedances, count),
            group_tests,
            worlds,
            contributions,
            designation,
            grouping,
        }
    }

    /// The actual world.
    pub fn actual(&self) -> &World {
        &self.worlds[0]
    }

    /// α at the first step; `None` if it is missing or there is no step.
    pub fn alpha_first(&self) -> Option<f64> {
        self.actual().decomposition.first().and_then(|at_step| at_step.alpha)
    }

    /// α at the last step; `None` as at the first.
    pub fn alpha_last(&self) -> Option<f64> {
        self.actual().decomposition.last().and_then(|at_step| at_step.alpha)
    }

    /// The steps of the cumulative contributions: 0, 1, 2, … without a gap.
    pub fn contiguous(&self) -> &[i64] {
        &self.contributions.steps()[..self.contributions.contiguous_steps()]
    }
}

/// Tests the families of pristine and corrupt, and those of the groups; in one go if these are the groups.
fn test(
    scores: &Scores<'_>,
    families: Vec<Family>,
    designation_worlds: &NullWorlds,
    group_worlds: &NullWorlds,
    worlds: u32,
) -> (Vec<FamilyTest>, Vec<GroupTest>) {
    let grouping = group_worlds.actual();
    let subjects = GroupStatistic::ALL.map(|statistic| (statistic, statistic.subjects(grouping)));
    let group_families = subjects
        .iter()
        .flat_map(|(statistic, subjects)| subjects.iter().map(|&(a, b)| statistic.family(scores, grouping, a, b)));
    let (tests, mut group_tests) = if designation_worlds.actual() == grouping {
        let own = families.len();
        let all: Vec<Family> = families.into_iter().chain(group_families).collect();
        let mut tests = permutation::test_families(scores, &all, group_worlds, worlds);
        let group_tests = tests.split_off(own);
        (tests, group_tests.into_iter())
    } else {
        let group_families: Vec<Family> = group_families.collect();
        let group_tests = permutation::test_families(scores, &group_families, group_worlds, worlds);
        (permutation::test_families(scores, &families, designation_worlds, worlds), group_tests.into_iter())
    };
    let group_tests = subjects.iter().flat_map(|(statistic, subjects)| {
        let tests: Vec<FamilyTest> = group_tests.by_ref().take(subjects.len()).collect();
        GroupTest::of_statistic(*statistic, subjects, &tests, worlds)
    });
    (tests, group_tests.collect())
}

impl GroupTest {
    /// One test a subject, then that of all at once.
    fn of_statistic(
        statistic: GroupStatistic,
        subjects: &[Subject],
        tests: &[FamilyTest],
        worlds: u32,
    ) -> Vec<GroupTest> {
        let corrected = holm::holm(&tests.iter().map(|test| test.simultaneous.p).collect::<Vec<_>>());
        let mut group_tests = Vec::with_capacity(tests.len() + 1);
        for ((&(group_a, group_b), test), p_holm) in subjects.iter().zip(tests).zip(corrected) {
            let (group_a, test) = (Some(group_a), test.simultaneous);
            group_tests.push(GroupTest { statistic, group_a, group_b, test, p_holm });
        }
        let test = permutation::test_at_once(tests, worlds);
        group_tests.push(GroupTest { statistic, group_a: None, group_b: None, test, p_holm: None });
        group_tests
    }
}

impl World {
    fn of(contributions: &Contributions, designation: &Designation, grouping: &Grouping) -> World {
        World {
            decomposition: decomposition::decompose(contributions, designation),
            cumulative: cumulative::cumulate(contributions, designation),
            shares: share::shares(contributions, grouping),
            means: cumulative::means(contributions, grouping),
        }
    }
}

impl NullCurve {
    fn new(members: &[Option<Linear>], test: &FamilyTest) -> NullCurve {
        let point = |(member, linear): (usize, &Option<Linear>)| match linear {
            None => NullPoint::default(),
            Some(linear) => NullPoint::new(linear, test.band, test.pointwise_p(member)),
        };
        NullCurve { points: members.iter().enumerate().map(point).collect(), simultaneous: test.simultaneous }
    }
}

impl NullPoint {
    fn new(linear: &Linear, band: Option<f64>, p: Option<f64>) -> NullPoint {
        let half_width = band.filter(|_| linear.unit.is_some()).map(|band| band * linear.sd);
        NullPoint {
            mean: Some(linear.mean),
            sd: Some(linear.sd),
            lower: half_width.map(|half| linear.mean - half),
            upper: half_width.map(|half| linear.mean + half),
            p,
        }
    }
}
