//! A study's results as figures and the page use them: by condition, then by run.

use std::collections::BTreeMap;
use std::path::Path;

use crate::ReportError;
use crate::curves::{Banded, CurveKey, Curves, EXACT, Line, PAPER};
use crate::summary::{RunSummary, Summary};
use crate::tables::{Group, GroupTest, Null, Reader, Test};

pub struct Results {
    pub summary: Summary,
    /// By rule: plain and winsorized SGD in order of c, then the others; within a rule in the order of `summary.json`.
    pub runs: Vec<RunResults>,
    /// Every curve over the seeds, by rule and noise.
    over_seeds: BTreeMap<(String, u64), Curves>,
}

pub struct RunResults {
    pub summary: RunSummary,
    curves: Curves,
    null: Vec<Null>,
    tests: Vec<Test>,
    groups: Vec<Group>,
    group_tests: Vec<GroupTest>,
}

/// The runs that differ in nothing but their seed.
#[derive(Clone)]
pub struct Condition<'a> {
    /// What tells this condition from the others: its noise level, and its rule where rules differ.
    pub label: String,
    pub runs: Vec<&'a RunResults>,
    /// The curves over the seeds, where there are several.
    over_seeds: Option<&'a Curves>,
}

/// A curve as a panel shows it, and its interval: over the seeds, or over the examples of the one seed there is.
pub struct Series {
    pub curve: Banded,
    /// Whether it is one of several seeds whose mean is not known.
    pub one_of_several: bool,
}

impl Results {
    pub fn read(analysis: &Path) -> Result<Results, ReportError> {
        let summary = Summary::read(&analysis.join("summary.json"))?;
        let reader = Reader {
            analysis,
            runs: summary.runs.iter().map(|run| run.run.as_str()).collect(),
            listed: summary.files.keys().map(String::as_str).collect(),
        };
        let mut curves = reader.curves()?;
        let (mut null, mut tests) = (reader.null()?, reader.tests()?);
        let (mut groups, mut group_tests) = (reader.groups()?, reader.group_tests()?);
        let over_seeds = reader.over_seeds()?;
        let of_run = |run: &RunSummary| RunResults {
            summary: run.clone(),
            curves: curves.remove(&run.run).unwrap_or_default(),
            null: null.remove(&run.run).unwrap_or_default(),
            tests: tests.remove(&run.run).unwrap_or_default(),
            groups: groups.remove(&run.run).unwrap_or_default(),
            group_tests: group_tests.remove(&run.run).unwrap_or_default(),
        };
        let mut runs: Vec<RunResults> = summary.runs.iter().map(of_run).collect();
        runs.sort_by(|a, b| a.place_of_rule().total_cmp(&b.place_of_rule()));
        Ok(Results { summary, runs, over_seeds })
    }

    /// The conditions of Figures 1 to 3, in order of noise: those of plain SGD, or without any of the first rule.
    pub fn plain_conditions(&self) -> Vec<Condition<'_>> {
        self.group(self.plain_runs())
    }

    /// Those of them with recorded gradients of pristine and of corrupt examples, with those runs only.
    pub fn conditions_with_both_groups(&self) -> Vec<Condition<'_>> {
        self.plain_conditions_with(RunResults::has_both_groups)
    }

    /// Those of them whose runs are like this, with those runs only.
    pub fn plain_conditions_with(&self, like: impl Fn(&RunResults) -> bool) -> Vec<Condition<'_>> {
        self.group(self.plain_runs().into_iter().filter(|run| like(run)).collect())
    }

    /// Those of them with shares of groups by an estimator.
    pub fn conditions_with_groups(&self, estimator: &str) -> Vec<Condition<'_>> {
        let of_estimator = |key: &&CurveKey| key.estimator.as_deref() == Some(estimator);
        self.plain_conditions_with(|run| run.keys("share").iter().any(&of_estimator))
    }

    /// Names of the groups of the runs that the figures show, in order.
    pub fn group_names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for group in self.plain_runs().into_iter().flat_map(RunResults::groups) {
            if !names.contains(&group.group) {
                names.push(group.group.clone());
            }
        }
        names
    }

    fn plain_runs(&self) -> Vec<&RunResults> {
        let plain: Vec<&RunResults> =
            self.winsorized_runs().into_iter().filter(|run| run.summary.winsorization == Some(0.0)).collect();
        match self.runs.first() {
            Some(first) if plain.is_empty() => self.runs.iter().filter(|run| run.rule() == first.rule()).collect(),
            _ => plain,
        }
    }

    /// The runs of plain and winsorized SGD, one a noise level, c and seed: `sgd` and `winsorized-0` are the same rule, and
    /// where a noise level has both, those of the latter are taken.
    fn winsorized_runs(&self) -> Vec<&RunResults> {
        let has_level_0 =
            |noise: f64| self.runs.iter().any(|run| run.is_winsorized_at(0.0, noise) && run.rule() != SGD);
        let counts = |run: &&RunResults| match run.summary.winsorization {
            Some(_) => run.rule() != SGD || !has_level_0(run.summary.noise),
            None => false,
        };
        self.runs.iter().filter(counts).collect()
    }

    /// Figure 4's grid; none without a run of the winsorized rule.
    pub fn winsorized(&self) -> Option<Winsorized<'_>> {
        let runs = self.winsorized_runs();
        let noise = ascending(runs.iter().filter(|run| run.rule() != SGD).map(|run| run.summary.noise));
        let runs: Vec<_> = runs.into_iter().filter(|run| noise.contains(&run.summary.noise)).collect();
        let percents = ascending(runs.iter().filter_map(|run| run.summary.winsorization));
        (!noise.is_empty()).then_some(Winsorized { noise, percents, runs, results: self })
    }

    /// The update rules, in the order of the runs.
    pub fn rules(&self) -> Vec<Rule<'_>> {
        let mut rules: Vec<Rule> = Vec::new();
        for run in &self.runs {
            if !rules.iter().any(|rule| rule.label == run.rule()) {
                rules.push(Rule { label: run.rule(), winsorization: run.summary.winsorization });
            }
        }
        rules
    }

    /// All noise levels, ascending.
    pub fn noise_levels(&self) -> Vec<f64> {
        ascending(self.runs.iter().map(|run| run.summary.noise))
    }

    /// The runs of a rule at a noise level.
    pub fn condition(&self, rule: &str, noise: f64) -> Condition<'_> {
        let runs = self.runs.iter().filter(|run| run.rule() == rule && run.summary.noise == noise).collect();
        self.condition_of(noise.to_string(), runs)
    }

    /// What examples are grouped by; `pristine` unless the analysis was asked for another grouping.
    pub fn grouping(&self) -> &str {
        let options = self.summary.options.as_ref();
        options.and_then(|options| options.group_by.as_deref()).unwrap_or(PRISTINE_GROUPING)
    }

    /// Whether examples are grouped by their designation, which Figures 2 and 3 show.
    pub fn grouped_by_designation(&self) -> bool {
        self.grouping() == PRISTINE_GROUPING
    }

    /// Whether curves over several seeds are shown.
    pub fn shows_means_over_seeds(&self) -> bool {
        self.plain_conditions().iter().any(|condition| condition.over_seeds.is_some())
    }

    fn group<'a>(&'a self, mut runs: Vec<&'a RunResults>) -> Vec<Condition<'a>> {
        runs.sort_by(|a, b| {
            let (a, b) = (&a.summary, &b.summary);
            a.noise.total_cmp(&b.noise).then(a.rule.cmp(&b.rule)).then(a.seed.cmp(&b.seed))
        });
        let several_rules = runs.windows(2).any(|pair| pair[0].summary.rule != pair[1].summary.rule);
        let same =
            |a: &&RunResults, b: &&RunResults| a.summary.rule == b.summary.rule && a.summary.noise == b.summary.noise;
        let label = |runs: &[&'_ RunResults]| match &runs[0].summary {
            run if several_rules => format!("{}, {}", run.noise, run.rule),
            run => run.noise.to_string(),
        };
        runs.chunk_by(same).map(|runs| self.condition_of(label(runs), runs.to_vec())).collect()
    }

    fn condition_of<'a>(&'a self, label: String, runs: Vec<&'a RunResults>) -> Condition<'a> {
        let of_first = |run: &&RunResults| (run.summary.rule.clone(), run.summary.noise.to_bits());
        let key = runs.first().filter(|_| runs.len() > 1).map(of_first);
        let over_seeds = key.and_then(|key| self.over_seeds.get(&key));
        Condition { label, runs, over_seeds }
    }
}

/// Label of plain SGD.
const SGD: &str = "sgd";
const PRISTINE_GROUPING: &str = "pristine";

pub struct Rule<'a> {
    pub label: &'a str,
    /// c in percent, of plain and winsorized SGD.
    pub winsorization: Option<f64>,
}

/// The runs of plain and winsorized SGD by noise and c, at the noise levels where the winsorized rule was recorded.
pub struct Winsorized<'a> {
    /// Ascending.
    pub noise: Vec<f64>,
    /// The levels of c in percent, ascending.
    pub percents: Vec<f64>,
    runs: Vec<&'a RunResults>,
    results: &'a Results,
}

impl<'a> Winsorized<'a> {
    /// The runs at one noise level and c, one a seed.
    pub fn at(&self, noise: f64, percent: f64) -> Condition<'a> {
        let runs = self.runs.iter().copied().filter(|run| run.is_winsorized_at(percent, noise)).collect();
        self.results.condition_of(noise.to_string(), runs)
    }

    /// All runs, in order of noise, then c, then seed.
    pub fn runs(&self) -> impl Iterator<Item = &'a RunResults> {
        let places = self.noise.iter().flat_map(|&noise| self.percents.iter().map(move |&percent| (noise, percent)));
        places.flat_map(|(noise, percent)| self.at(noise, percent).runs)
    }
}

fn ascending(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.dedup();
    values
}

impl RunResults {
    pub fn rule(&self) -> &str {
        &self.summary.rule
    }

    fn place_of_rule(&self) -> f64 {
        self.summary.winsorization.unwrap_or(f64::INFINITY)
    }

    /// Whether gradients of pristine and of corrupt examples were recorded.
    pub fn has_both_groups(&self) -> bool {
        self.summary.recorded_steps > 0 && self.summary.has_both_groups()
    }

    /// Whether the contributions of all examples were recorded, of pristine and of corrupt ones.
    pub fn has_population(&self) -> bool {
        self.curve(&CurveKey::of("alpha", EXACT)).is_some_and(Banded::has_values)
    }

    fn is_winsorized_at(&self, percent: f64, noise: f64) -> bool {
        self.summary.winsorization == Some(percent) && self.summary.noise == noise
    }

    pub fn curve(&self, key: &CurveKey) -> Option<&Banded> {
        self.curves.get(key)
    }

    /// The keys of all curves of a name, sorted.
    pub fn keys(&self, curve: &str) -> Vec<&CurveKey> {
        let mut keys: Vec<&CurveKey> = self.curves.keys().filter(|key| &*key.curve == curve).collect();
        keys.sort();
        keys
    }

    /// The points of a curve; none if there is no such curve.
    pub fn line(&self, key: &CurveKey) -> Line {
        self.curve(key).map(|curve| curve.line.clone()).unwrap_or_default()
    }

    /// The kept worlds of a curve, the actual one first.
    pub fn worlds(&self, curve: &str, estimator: &str) -> Vec<i64> {
        let of_estimator = |key: &&&CurveKey| key.estimator.as_deref() == Some(estimator);
        let mut worlds: Vec<i64> = self.keys(curve).iter().filter(of_estimator).map(|key| key.world).collect();
        worlds.sort_unstable();
        worlds.dedup();
        worlds
    }

    pub fn null_mean(&self, statistic: &str, estimator: &str) -> Line {
        self.null_of(statistic, estimator, |null| null.mean)
    }

    /// Lower and upper bound of the simultaneous band.
    pub fn null_band(&self, statistic: &str, estimator: &str) -> (Line, Line) {
        let bound = |value: fn(&Null) -> Option<f64>| self.null_of(statistic, estimator, value);
        (bound(|null| null.lower), bound(|null| null.upper))
    }

    fn null_of(&self, statistic: &str, estimator: &str, value: impl Fn(&Null) -> Option<f64>) -> Line {
        let wanted = |null: &&Null| null.statistic == statistic && null.estimator == estimator;
        self.null.iter().filter(wanted).map(|null| (null.step as f64, value(null))).collect()
    }

    /// A test by the paper's estimator.
    pub fn test(&self, statistic: &str) -> Option<&Test> {
        self.test_of(statistic, PAPER)
    }

    pub fn test_of(&self, statistic: &str, estimator: &str) -> Option<&Test> {
        self.tests.iter().find(|test| test.statistic == statistic && test.estimator == estimator)
    }

    /// In order.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The tests of a statistic of the groups: of all at once, of each or of each pair.
    pub fn group_tests(&self, statistic: &str, estimator: &str) -> impl Iterator<Item = &GroupTest> {
        let wanted = move |test: &&GroupTest| test.test.statistic == statistic && test.test.estimator == estimator;
        self.group_tests.iter().filter(wanted)
    }
}

impl<'a> Condition<'a> {
    /// Of the tests of all seeds, the one with the largest p: the weakest evidence speaks for the condition.
    pub fn weakest(&self, test: impl Fn(&'a RunResults) -> Option<&'a Test>) -> Option<&'a Test> {
        let tests = self.runs.iter().filter_map(|run| test(run)).filter(|test| test.p.is_some());
        tests.max_by(|a, b| a.p.unwrap_or(0.0).total_cmp(&b.p.unwrap_or(0.0)))
    }

    /// A curve: of the only seed, or the mean over the seeds; each seed's where the results have no mean. Curves without a
    /// value are left out.
    pub fn series(&self, key: &CurveKey) -> Vec<Series> {
        let mean = self.mean(key);
        let of_runs = || self.runs.iter().filter_map(|run| run.curve(key));
        let several = self.runs.len() > 1;
        let series: Vec<Series> = match mean {
            Some(mean) => vec![Series { curve: mean.clone(), one_of_several: false }],
            None if several => of_runs().map(|curve| Series::without_band(curve.line.clone())).collect(),
            None => of_runs().map(|curve| Series { curve: curve.clone(), one_of_several: false }).collect(),
        };
        series.into_iter().filter(|series| series.curve.has_values()).collect()
    }

    /// A curve's mean over several seeds.
    pub fn mean(&self, key: &CurveKey) -> Option<&'a Banded> {
        self.over_seeds.filter(|_| key.world == 0).and_then(|curves| curves.get(key))
    }

    /// Whether its curves are means over seeds.
    pub fn is_mean(&self) -> bool {
        self.over_seeds.is_some()
    }

    pub fn seeds(&self) -> usize {
        self.runs.len()
    }
}

impl Series {
    fn without_band(line: Line) -> Series {
        Series { curve: Banded { line, ..Banded::default() }, one_of_several: true }
    }

    /// The curve alone.
    pub fn without_interval(mut self) -> Series {
        self.curve.lower.clear();
        self.curve.upper.clear();
        self
    }

    /// The same curve in other units.
    pub fn scaled(mut self, factor: f64) -> Series {
        let Banded { line, lower, upper } = &mut self.curve;
        let points = line.iter_mut().chain(lower).chain(upper);
        points.filter_map(|point| point.1.as_mut()).for_each(|value| *value *= factor);
        self
    }

    /// The values that a vertical axis has to hold.
    pub fn values(&self) -> impl Iterator<Item = f64> {
        let Banded { line, lower, upper } = &self.curve;
        line.iter().chain(lower).chain(upper).filter_map(|point| point.1)
    }

    /// The steps before `end`.
    pub fn before(mut self, end: f64) -> Series {
        let Banded { line, lower, upper } = &mut self.curve;
        [line, lower, upper].into_iter().for_each(|line| line.retain(|point| point.0 < end));
        self
    }

    pub fn last_step(&self) -> f64 {
        self.curve.line.last().map_or(0.0, |point| point.0)
    }
}
