//! A study's results as figures and the page use them: by condition, then by run.

use std::path::Path;

use crate::ReportError;
use crate::summary::{RunSummary, Summary};
use crate::tables::{self, ByRun, Cumulative, Curve, Decomposition, Learned, Null, Overfit, Test};

/// A step and the value there, if there is one.
pub type Point = (f64, Option<f64>);

/// A curve over steps; a missing value is a gap.
pub type Line = Vec<Point>;

pub struct Results {
    pub summary: Summary,
    /// By rule: plain and winsorized SGD in order of c, then the others; within a rule in the order of `summary.json`.
    pub runs: Vec<RunResults>,
}

pub struct RunResults {
    pub summary: RunSummary,
    curves: Vec<Curve>,
    learned: Vec<Learned>,
    overfit: Vec<Overfit>,
    decomposition: Vec<Decomposition>,
    cumulative: Vec<Cumulative>,
    null: Vec<Null>,
    tests: Vec<Test>,
}

/// The runs that differ in nothing but their seed.
pub struct Condition<'a> {
    /// What tells this condition from the others: its noise level, and its rule where rules differ.
    pub label: String,
    pub runs: Vec<&'a RunResults>,
}

impl Results {
    pub fn read(analysis: &Path) -> Result<Results, ReportError> {
        let summary = Summary::read(&analysis.join("summary.json"))?;
        let mut tables = Tables::read(analysis)?;
        let mut runs: Vec<RunResults> = summary.runs.iter().map(|run| tables.take(run)).collect();
        runs.sort_by(|a, b| a.place_of_rule().total_cmp(&b.place_of_rule()));
        tables.nothing_left(analysis)?;
        Ok(Results { summary, runs })
    }

    /// The conditions of Figures 1 to 3, in order of noise: those of plain SGD, or without any of the first rule.
    pub fn plain_conditions(&self) -> Vec<Condition<'_>> {
        group(self.plain_runs())
    }

    /// Those of them with recorded gradients of pristine and of corrupt examples, with those runs only.
    pub fn conditions_with_both_groups(&self) -> Vec<Condition<'_>> {
        group(self.plain_runs().into_iter().filter(|run| run.has_both_groups()).collect())
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
        (!noise.is_empty()).then_some(Winsorized { noise, percents, runs })
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
}

/// Label of plain SGD.
const SGD: &str = "sgd";

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
}

impl<'a> Winsorized<'a> {
    /// The runs at one noise level and c, one a seed.
    pub fn at(&self, noise: f64, percent: f64) -> Vec<&'a RunResults> {
        self.runs.iter().copied().filter(|run| run.is_winsorized_at(percent, noise)).collect()
    }

    /// All runs, in order of noise, then c, then seed.
    pub fn runs(&self) -> impl Iterator<Item = &'a RunResults> {
        let places = self.noise.iter().flat_map(|&noise| self.percents.iter().map(move |&percent| (noise, percent)));
        places.flat_map(|(noise, percent)| self.at(noise, percent))
    }
}

fn ascending(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.dedup();
    values
}

fn group(mut runs: Vec<&RunResults>) -> Vec<Condition<'_>> {
    runs.sort_by(|a, b| {
        let (a, b) = (&a.summary, &b.summary);
        a.noise.total_cmp(&b.noise).then(a.rule.cmp(&b.rule)).then(a.seed.cmp(&b.seed))
    });
    let several_rules = runs.windows(2).any(|pair| pair[0].summary.rule != pair[1].summary.rule);
    let same =
        |a: &&RunResults, b: &&RunResults| a.summary.rule == b.summary.rule && a.summary.noise == b.summary.noise;
    let condition = |runs: &[&'_ RunResults]| match &runs[0].summary {
        run if several_rules => format!("{}, {}", run.noise, run.rule),
        run => run.noise.to_string(),
    };
    runs.chunk_by(same).map(|runs| Condition { label: condition(runs), runs: runs.to_vec() }).collect()
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

    fn is_winsorized_at(&self, percent: f64, noise: f64) -> bool {
        self.summary.winsorization == Some(percent) && self.summary.noise == noise
    }

    /// Overfit over steps, as a fraction.
    pub fn overfit(&self) -> Line {
        self.overfit.iter().map(|point| (point.step as f64, point.overfit)).collect()
    }

    /// Test accuracy against training accuracy, in the order of the steps.
    pub fn test_against_training(&self) -> Line {
        self.overfit.iter().filter_map(|point| Some((point.train_accuracy?, point.test_accuracy))).collect()
    }

    /// Overfit against training accuracy, in the order of the steps.
    pub fn overfit_against_training(&self) -> Line {
        self.overfit.iter().filter_map(|point| Some((point.train_accuracy?, point.overfit))).collect()
    }

    pub fn loss(&self, split: &str) -> Line {
        self.curve(split).map(|point| (point.step as f64, point.loss)).collect()
    }

    /// As a fraction of all examples of the split.
    pub fn accuracy(&self, split: &str) -> Line {
        self.curve(split).map(|point| (point.step as f64, point.accuracy)).collect()
    }

    fn curve(&self, split: &str) -> impl Iterator<Item = &Curve> {
        self.curves.iter().filter(move |point| point.split == split && point.subset == "all")
    }

    pub fn learned(&self, subset: &str) -> Line {
        let points = self.learned.iter().filter(|point| point.subset == subset);
        points.map(|point| (point.step as f64, point.fraction)).collect()
    }

    pub fn alpha(&self, world: i64) -> Line {
        let points = self.decomposition.iter().filter(|point| point.world == world);
        points.map(|point| (point.step as f64, point.alpha)).collect()
    }

    pub fn beta(&self, world: i64) -> Line {
        let points = self.decomposition.iter().filter(|point| point.world == world);
        points.map(|point| (point.step as f64, point.beta)).collect()
    }

    /// The kept worlds of the decomposition, the actual one first.
    pub fn worlds(&self) -> Vec<i64> {
        distinct(self.decomposition.iter().map(|point| point.world))
    }

    /// The kept worlds of the cumulative contributions, the actual one first.
    pub fn cumulative_worlds(&self) -> Vec<i64> {
        distinct(self.cumulative.iter().map(|point| point.world))
    }

    pub fn cumulative_pristine(&self, world: i64) -> Line {
        self.cumulative_of(world, |point| point.pristine)
    }

    pub fn cumulative_corrupt(&self, world: i64) -> Line {
        self.cumulative_of(world, |point| point.corrupt)
    }

    pub fn difference(&self) -> Line {
        self.cumulative_of(0, |point| point.difference)
    }

    fn cumulative_of(&self, world: i64, value: impl Fn(&Cumulative) -> Option<f64>) -> Line {
        let points = self.cumulative.iter().filter(|point| point.world == world);
        points.map(|point| (point.step as f64, value(point))).collect()
    }

    pub fn null_mean(&self, statistic: &str) -> Line {
        self.null_of(statistic, |null| null.mean)
    }

    /// Lower and upper bound of the simultaneous band.
    pub fn null_band(&self, statistic: &str) -> (Line, Line) {
        (self.null_of(statistic, |null| null.lower), self.null_of(statistic, |null| null.upper))
    }

    fn null_of(&self, statistic: &str, value: impl Fn(&Null) -> Option<f64>) -> Line {
        let points = self.null.iter().filter(|null| null.statistic == statistic);
        points.map(|null| (null.step as f64, value(null))).collect()
    }

    pub fn test(&self, statistic: &str) -> Option<&Test> {
        self.tests.iter().find(|test| test.statistic == statistic)
    }
}

impl<'a> Condition<'a> {
    /// Of the tests of all seeds, the one with the largest p: the weakest evidence speaks for the condition.
    pub fn weakest(&self, statistic: &str) -> Option<&'a Test> {
        let tests = self.runs.iter().filter_map(|run| run.test(statistic)).filter(|test| test.p.is_some());
        tests.max_by(|a, b| a.p.unwrap_or(0.0).total_cmp(&b.p.unwrap_or(0.0)))
    }
}

fn distinct(worlds: impl Iterator<Item = i64>) -> Vec<i64> {
    worlds.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

/// Every table, from which each run takes its rows.
struct Tables {
    curves: ByRun<Curve>,
    learned: ByRun<Learned>,
    overfit: ByRun<Overfit>,
    decomposition: ByRun<Decomposition>,
    cumulative: ByRun<Cumulative>,
    null: ByRun<Null>,
    tests: ByRun<Test>,
}

impl Tables {
    fn read(analysis: &Path) -> Result<Tables, ReportError> {
        Ok(Tables {
            curves: tables::curves(analysis)?,
            learned: tables::learned(analysis)?,
            overfit: tables::overfit(analysis)?,
            decomposition: tables::decomposition(analysis)?,
            cumulative: tables::cumulative(analysis)?,
            null: tables::null(analysis)?,
            tests: tables::tests(analysis)?,
        })
    }

    fn take(&mut self, run: &RunSummary) -> RunResults {
        RunResults {
            summary: run.clone(),
            curves: self.curves.remove(&run.run).unwrap_or_default(),
            learned: self.learned.remove(&run.run).unwrap_or_default(),
            overfit: self.overfit.remove(&run.run).unwrap_or_default(),
            decomposition: self.decomposition.remove(&run.run).unwrap_or_default(),
            cumulative: self.cumulative.remove(&run.run).unwrap_or_default(),
            null: self.null.remove(&run.run).unwrap_or_default(),
            tests: self.tests.remove(&run.run).unwrap_or_default(),
        }
    }

    /// Rows of a run that the summary does not list mean that the files are of two analyses.
    fn nothing_left(&self, analysis: &Path) -> Result<(), ReportError> {
        let left = [
            ("curves.parquet", self.curves.keys().next()),
            ("learned.parquet", self.learned.keys().next()),
            ("overfit.parquet", self.overfit.keys().next()),
            ("decomposition.parquet", self.decomposition.keys().next()),
            ("cumulative.parquet", self.cumulative.keys().next()),
            ("null.parquet", self.null.keys().next()),
            ("tests.parquet", self.tests.keys().next()),
        ];
        match left.into_iter().find_map(|(file, run)| Some((file, run?))) {
            Some((file, run)) => Err(ReportError::UnknownRun { path: analysis.join(file), run: run.clone() }),
            None => Ok(()),
        }
    }
}
