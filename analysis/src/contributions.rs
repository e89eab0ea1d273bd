//! From the contributions of the examples and their groups to the groups' sums, in the actual world and in null worlds.
//!
//! The kernels give sums, exact moments and counts; what is made of them (shares, cumulative means, bands, p-values) is an
//! expression on their frames, in `statistic/shares.rs`, `statistic/cumulative.rs` and `table/tests.rs`.

use polars::prelude::*;

use crate::kernel::contribution::Contributions;
use crate::kernel::grouping::Grouping;
use crate::kernel::linear::{Family, Linear};
use crate::kernel::null_world::NullWorlds;
use crate::kernel::permutation::{self, Count, FamilyTest};
use crate::kernel::scores::Scores;
use crate::statistic::{Compute, Statistic, shares};
use crate::{Estimator, Options, frame, table};

/// What is tested in null worlds, of a group or a pair of groups.
#[derive(Clone, Debug)]
pub struct Tested {
    /// Its name in the table `tests`.
    pub statistic: &'static str,
    /// Places of its groups.
    pub groups: [Option<usize>; 2],
    /// Its values over the steps, as a contrast of group sums.
    pub family: Family,
    /// What is reported of them.
    pub reported: Reported,
}

/// What is reported of a tested family.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reported {
    /// max |z| over the steps, and over all groups or pairs at once; `null`: the null distribution at each step too.
    Steps {
        /// Whether the null distribution is.
        null: bool,
    },
    /// Its one member, whose value is given.
    Value(Option<f64>),
}

/// The contributions of one estimator, with the groups of its examples.
#[derive(Debug)]
pub struct Sums<'a> {
    /// Where the contributions come from.
    pub estimator: Estimator,
    /// The contributions.
    pub contributions: &'a Contributions,
    /// The groups of the examples, in their order.
    pub grouping: &'a Grouping,
}

/// What is found out from contributions.
#[derive(Default)]
pub(crate) struct Found {
    /// Tables by name; one may be there several times.
    pub(crate) tables: Vec<(&'static str, DataFrame)>,
}

impl Sums<'_> {
    /// The null worlds of the run, tests in them, and the tables of those statistics that are of contributions.
    pub(crate) fn find(&self, run: &str, statistics: &[&'static Statistic], options: &Options) -> PolarsResult<Found> {
        let null_worlds = NullWorlds::new(options.seed, run, self.grouping);
        let weights = shares::crossover_weights(self.contributions, self.grouping);
        let scores = Scores::new(self.contributions, weights.as_deref());
        let of_contributions = || {
            statistics.iter().filter_map(|statistic| match statistic.compute {
                Compute::Contributions { tested, tables } => Some((tested, tables)),
                _ => None,
            })
        };
        let tested: Vec<Tested> = of_contributions().flat_map(|(tested, _)| tested(&scores, self)).collect();
        let families: Vec<&Family> = tested.iter().map(|tested| &tested.family).collect();
        let tests = permutation::test_families(&scores, &families, &null_worlds, options.null_worlds as u32);
        let mut found = Found::default();
        let totals = self.contributions.totals();
        let kept = (1..=options.kept_worlds as u64).map(|world| null_worlds.grouping(world));
        for (world, grouping) in (0..).zip(std::iter::once(self.grouping.clone()).chain(kept)) {
            let sums = self.frame(world, &grouping, &totals)?;
            for (_, tables) in of_contributions() {
                for (name, table) in tables(sums.clone().lazy())? {
                    found.tables.push((name, table.collect()?));
                }
            }
        }
        if !tested.is_empty() {
            let names = self.grouping.names();
            let worlds = options.null_worlds as u64;
            let null = null_frame(self, &tested, &tests, names)?;
            found.tables.push(("null", table::null::table(null, worlds)?));
            let tests = tests_frame(self, &tested, &tests, names)?;
            found.tables.push(("tests", table::tests::table(tests, worlds)?));
        }
        Ok(found)
    }

    /// One row a step and group of a world: `estimator`, `step`, `world`, `group`, `order` (place of the group), `sum` of the
    /// contributions of the group, `total` over all groups, `size` of the group, `several` (whether two groups have examples),
    /// `contiguous` (whether all steps from 0 on were recorded).
    fn frame(&self, world: u64, grouping: &Grouping, totals: &[f64]) -> PolarsResult<DataFrame> {
        let (groups, steps) = (self.grouping.groups(), self.contributions.steps());
        let rows = || (0..steps.len() * groups).map(|row| (row / groups, row % groups));
        let contiguous = self.contributions.contiguous_steps();
        let sizes = self.grouping.sizes();
        let names = self.grouping.names();
        df!(
            "step" => rows().map(|(step, _)| steps[step]).collect::<Vec<i64>>(),
            "group" => rows().map(|(_, group)| names[group].as_str()).collect::<Vec<&str>>(),
            "order" => rows().map(|(_, group)| group as u64).collect::<Vec<u64>>(),
            "sum" => self.contributions.by_step().flat_map(|of_step| grouping.sums(of_step)).collect::<Vec<f64>>(),
            "total" => rows().map(|(step, _)| totals[step]).collect::<Vec<f64>>(),
            "size" => rows().map(|(_, group)| sizes[group] as u64).collect::<Vec<u64>>(),
            "contiguous" => rows().map(|(step, _)| step < contiguous).collect::<Vec<bool>>(),
        )?
        .lazy()
        .with_columns([
            frame::count(world).alias("world"),
            lit(self.estimator.as_str()).alias("estimator"),
            lit(self.grouping.has_several()).alias("several"),
        ])
        .collect()
    }
}

/// A tested family, a step, the moments there, the half-width of the band, and the exceedances.
type NullRow<'a> = (&'a Tested, i64, Option<Linear>, Option<f64>, Option<u32>);

/// One row a step of each family whose null distribution is reported: its exact moments, the half-width of the band in
/// standard deviations, and the exceedances.
fn null_frame(sums: &Sums<'_>, tested: &[Tested], tests: &[FamilyTest], names: &[String]) -> PolarsResult<DataFrame> {
    let mut rows = Vec::new();
    let reported = tested.iter().zip(tests).filter(|(tested, _)| tested.reported == Reported::Steps { null: true });
    for (tested, test) in reported {
        let steps = sums.contributions.steps().iter().zip(&tested.family.members).zip(&test.exceedances);
        rows.extend(steps.map(|((&step, linear), &count)| (tested, step, *linear, test.band, count)));
    }
    let linear =
        |value: fn(&Linear) -> f64| rows.iter().map(|row: &NullRow<'_>| row.2.as_ref().map(value)).collect::<Vec<_>>();
    let found = df!(
        "statistic" => rows.iter().map(|row| row.0.statistic).collect::<Vec<_>>(),
        "group_a" => rows.iter().map(|row| name(row.0.groups[0], names)).collect::<Vec<_>>(),
        "group_b" => rows.iter().map(|row| name(row.0.groups[1], names)).collect::<Vec<_>>(),
        "step" => rows.iter().map(|row| row.1).collect::<Vec<_>>(),
        "mean" => linear(|linear| linear.mean),
        "sd" => linear(|linear| linear.sd),
        "band" => rows.iter().map(|row| row.3).collect::<Vec<_>>(),
        "exceedances" => rows.iter().map(|row| row.4).collect::<Vec<_>>(),
    )?;
    found.lazy().with_column(lit(sums.estimator.as_str()).alias("estimator")).collect()
}

/// One row a tested family, and one for all of a statistic at once where steps are.
fn tests_frame(sums: &Sums<'_>, tested: &[Tested], tests: &[FamilyTest], names: &[String]) -> PolarsResult<DataFrame> {
    let mut rows: Vec<(&'static str, [Option<usize>; 2], Count)> = Vec::new();
    let mut statistics: Vec<&'static str> = tested.iter().map(|tested| tested.statistic).collect();
    statistics.dedup();
    let mut seen = Vec::new();
    for statistic in statistics {
        if seen.contains(&statistic) {
            continue;
        }
        seen.push(statistic);
        let of_statistic = || tested.iter().zip(tests).filter(|(tested, _)| tested.statistic == statistic);
        rows.extend(of_statistic().map(|(tested, test)| (statistic, tested.groups, count(tested, test))));
        let over_steps = of_statistic().filter(|(tested, _)| matches!(tested.reported, Reported::Steps { .. }));
        let together: Vec<&FamilyTest> = over_steps.map(|(_, test)| test).collect();
        if !together.is_empty() {
            rows.push((statistic, [None, None], permutation::at_once(&together)));
        }
    }
    let found = df!(
        "statistic" => rows.iter().map(|row| row.0).collect::<Vec<_>>(),
        "group_a" => rows.iter().map(|row| name(row.1[0], names)).collect::<Vec<_>>(),
        "group_b" => rows.iter().map(|row| name(row.1[1], names)).collect::<Vec<_>>(),
        "observed" => rows.iter().map(|row| row.2.value).collect::<Vec<_>>(),
        "exceedances" => rows.iter().map(|row| row.2.exceedances).collect::<Vec<_>>(),
    )?;
    found.lazy().with_column(lit(sums.estimator.as_str()).alias("estimator")).collect()
}

fn count(tested: &Tested, test: &FamilyTest) -> Count {
    match tested.reported {
        Reported::Steps { .. } => test.simultaneous,
        Reported::Value(value) => Count { value, exceedances: test.exceedances.first().copied().flatten() },
    }
}

fn name(group: Option<usize>, names: &[String]) -> Option<&str> {
    group.map(|group| names[group].as_str())
}
