//! A study's results as figures and the page use them: by condition, then by run.

use std::collections::HashMap;
use std::rc::Rc;

use cograd_results::{Results, ResultsError, Rows, Summary, TABLES};

use crate::curves::{self, Banded, Curves, EXACT, Groups, Key, Series};
use crate::setting::{self, NOISE, Setting};

/// Columns of panels, or curves of single conditions, that a figure holds.
pub const MOST_COLUMNS: usize = 6;
/// Groups or pairs that a figure has rows for.
const MOST_ROWS: usize = 10;
/// What examples are grouped by if it is whether the noise left their label alone.
const DESIGNATION: &str = "pristine";

pub struct Study {
    pub summary: Summary,
    /// In the order of the runs.
    pub conditions: Vec<Condition>,
    /// The conditions at matched training accuracy, if there are several.
    pub matched: Option<Rows>,
    /// The predictions of the paper, if it has something to say of the study.
    pub predictions: Option<Rows>,
}

/// The runs that differ in nothing but their seed.
pub struct Condition {
    pub setting: Setting,
    pub runs: Vec<Run>,
    over_seeds: Curves,
}

pub struct Run {
    pub name: String,
    pub seed: Option<u64>,
    pub curves: Curves,
    /// The null distributions, by statistic.
    null: Curves,
    tests: Vec<Test>,
    groups: Vec<Group>,
    /// Of the sampled examples, at some steps.
    pub matrices: Vec<Matrix>,
    coverage: Vec<Coverage>,
    /// Its row of the table `runs`.
    facts: Option<(Rc<Rows>, usize)>,
}

/// A permutation test.
#[derive(Clone)]
pub struct Test {
    pub estimator: String,
    pub statistic: String,
    /// None: all groups or pairs at once.
    pub groups: Groups,
    pub observed: Option<f64>,
    pub worlds: u64,
    pub exceedances: Option<u64>,
    pub p: Option<f64>,
    pub p_lower: Option<f64>,
    pub p_upper: Option<f64>,
    pub p_holm: Option<f64>,
}

/// The mean cosines of blocks of examples in an order at a step.
pub struct Matrix {
    pub order: String,
    pub step: i64,
    /// Of the blocks.
    pub names: Vec<String>,
    /// Blocks a ≤ b, and their number.
    pub cells: Vec<(usize, usize, Option<f64>)>,
}

struct Group {
    name: String,
    examples: u64,
    sampled: u64,
}

/// At how many steps an interval estimated from the sample covers the exact value.
struct Coverage {
    statistic: String,
    groups: Groups,
    covered: u64,
    steps: u64,
}

/// A page of a figure: what its conditions have in common, and each with what tells it from the others.
pub struct Sheet<'a> {
    pub heading: String,
    pub columns: Vec<(String, &'a Condition)>,
}

impl Study {
    pub fn read(results: &Results) -> Result<Study, ResultsError> {
        let summary = results.summary().clone();
        let settings: Vec<Setting> = summary.runs.iter().map(|run| setting::of_run(run, &summary)).collect();
        let distinct = crate::distinct(settings.iter().cloned());
        let mut over_seeds: Vec<Curves> = distinct.iter().map(|_| Curves::default()).collect();
        results.each_part("over_seeds", |rows| {
            Curves::read(rows, &curves::MEANS, &mut over_seeds, |rows, row| {
                let setting = setting::of_row(rows, row, &summary);
                distinct.iter().position(|known| *known == setting)
            });
        })?;
        let mut runs: Vec<Option<Run>> = Runs::read(results)?.into_iter().map(Some).collect();
        let conditions = distinct.into_iter().zip(over_seeds).map(|(setting, over_seeds)| {
            let of_setting = settings.iter().zip(&mut runs).filter(|(of_run, _)| **of_run == setting);
            let runs = of_setting.filter_map(|(_, run)| run.take()).collect();
            Condition { setting, runs, over_seeds }
        });
        let conditions = conditions.collect();
        let (matched, predictions) = (results.rows("matched")?, results.rows("predictions")?);
        let filled = |rows: Option<Rows>| rows.filter(|rows| !rows.is_empty());
        Ok(Study { summary, conditions, matched: filled(matched), predictions: filled(predictions) })
    }

    pub fn runs(&self) -> impl Iterator<Item = (&Condition, &Run)> {
        self.conditions.iter().flat_map(|condition| condition.runs.iter().map(move |run| (condition, run)))
    }

    /// Names of the groups, in order.
    pub fn groups(&self) -> &[String] {
        &self.summary.grouping.groups
    }

    /// Whether examples are grouped by whether the noise left their label alone.
    pub fn by_designation(&self) -> bool {
        self.summary.grouping.by == DESIGNATION
    }

    /// The groups whose shares say all: one of two, the other's is the rest.
    pub fn telling_groups(&self) -> Vec<Groups> {
        let shown = if self.groups().len() == 2 { 1 } else { self.groups().len() };
        self.groups()[..shown].iter().map(|group| [Some(group.clone()), None]).collect()
    }

    /// Every pair of groups, in order.
    pub fn pairs(&self) -> Vec<Groups> {
        let groups = self.groups();
        let after = |(place, a): (usize, &String)| -> Vec<Groups> {
            groups[place + 1..].iter().map(|b| [Some(a.clone()), Some(b.clone())]).collect()
        };
        groups.iter().enumerate().flat_map(after).collect()
    }

    /// Those of the groups or pairs that a figure has room for: the ones with the smallest p-values.
    pub fn most_telling(&self, statistic: &str, estimator: &str, mut all: Vec<Groups>) -> Vec<Groups> {
        let smallest = |groups: &Groups| {
            let p = self.runs().filter_map(|(_, run)| run.test(statistic, estimator, groups)?.p);
            p.fold(f64::INFINITY, f64::min)
        };
        let mut ranked: Vec<(f64, usize)> = all.iter().map(smallest).zip(0..).collect();
        ranked.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let mut kept: Vec<usize> = ranked.into_iter().take(MOST_ROWS).map(|(_, place)| place).collect();
        kept.sort_unstable();
        kept.into_iter().map(|place| std::mem::take(&mut all[place])).collect()
    }

    /// The places of the conditions that vary between runs.
    pub fn varying(&self) -> Vec<usize> {
        let places = 0..self.summary.conditions.len();
        places.filter(|&place| self.summary.conditions[place].varies).collect()
    }

    /// What has to be named to tell runs apart; of runs of one condition their label noise.
    pub fn told_apart_by(&self) -> Vec<usize> {
        let settings: Vec<&Setting> = self.conditions.iter().map(|condition| &condition.setting).collect();
        let telling = setting::telling(&self.summary.conditions, &settings, &self.varying());
        if telling.is_empty() { self.condition_index(NOISE).into_iter().collect() } else { telling }
    }

    /// Where a condition stands among those of the summary.
    pub fn condition_index(&self, name: &str) -> Option<usize> {
        self.summary.conditions.iter().position(|condition| condition.name == name)
    }

    /// The conditions with something to show, on as many sheets as it takes.
    ///
    /// A few stand side by side. More are split by all that varies but one, which is the label noise if that does.
    pub fn sheets(&self, shown: impl Fn(&Condition) -> bool) -> Vec<Sheet<'_>> {
        let shown: Vec<&Condition> = self.conditions.iter().filter(|condition| shown(condition)).collect();
        let (across, apart) = self.told_apart_by().into_iter().partition(|place| match shown.len() {
            0..=MOST_COLUMNS => true,
            _ => self.across(&shown) == Some(*place),
        });
        let label = |condition: &Condition, by: &Vec<usize>| setting::label(&self.summary, &condition.setting, by);
        let mut groups: Vec<(String, Vec<&Condition>)> = Vec::new();
        for condition in shown {
            let heading = label(condition, &apart);
            match groups.iter_mut().find(|group| group.0 == heading) {
                Some(group) => group.1.push(condition),
                None => groups.push((heading, vec![condition])),
            }
        }
        let mut sheets = Vec::new();
        for (heading, conditions) in groups {
            // As many as fit, and no sheet with a single one left over.
            let size = conditions.len().div_ceil(conditions.len().div_ceil(MOST_COLUMNS));
            for conditions in conditions.chunks(size) {
                let columns = conditions.iter().map(|condition| (label(condition, &across), *condition)).collect();
                sheets.push(Sheet { heading: heading.clone(), columns });
            }
        }
        sheets
    }

    /// What the columns of a sheet differ in.
    fn across(&self, shown: &[&Condition]) -> Option<usize> {
        let values = |place: usize| crate::distinct(shown.iter().map(|condition| &condition.setting[place])).len();
        let varying = self.varying();
        let noise = self.condition_index(NOISE).filter(|place| varying.contains(place));
        noise.or_else(|| varying.into_iter().rev().max_by_key(|&place| values(place)))
    }
}

/// Reads the tables that have rows of runs.
struct Runs<'a> {
    results: &'a Results,
    names: HashMap<&'a str, usize>,
}

impl Runs<'_> {
    fn read(results: &Results) -> Result<Vec<Run>, ResultsError> {
        let listed = &results.summary().runs;
        let names = listed.iter().enumerate().map(|(place, run)| (run.run.as_str(), place)).collect();
        let runs = Runs { results, names };
        let new = || -> Vec<Curves> { listed.iter().map(|_| Curves::default()).collect() };
        let (mut curves, mut null) = (new(), new());
        results.each_part("curves", |rows| {
            Curves::read(rows, &curves::CURVES, &mut curves, |rows, row| runs.owner(rows, row));
        })?;
        // Null worlds are in the tables of the statistics only.
        let in_worlds = |table: &&&cograd_results::Table| table.has("world");
        for table in TABLES.iter().filter(in_worlds) {
            results.each_part(table.name, |rows| {
                for curve in table.curves {
                    Curves::read(rows, curve, &mut curves, |rows, row| {
                        runs.owner(rows, row).filter(|_| rows.count("world", row) > Some(0))
                    });
                }
            })?;
        }
        results.each_part("null", |rows| {
            Curves::read(rows, &curves::NULL, &mut null, |rows, row| runs.owner(rows, row));
        })?;
        let run = |((run, curves), null): ((&cograd_results::summary::Run, Curves), Curves)| Run {
            name: run.run.clone(),
            seed: run.seed,
            curves,
            null,
            tests: Vec::new(),
            groups: Vec::new(),
            matrices: Vec::new(),
            coverage: Vec::new(),
            facts: None,
        };
        let mut read: Vec<Run> = listed.iter().zip(curves).zip(null).map(run).collect();
        runs.each("tests", |rows, row, run| read[run].tests.push(test(rows, row)))?;
        runs.each("groups", |rows, row, run| read[run].groups.extend(group(rows, row)))?;
        runs.each("coverage", |rows, row, run| read[run].coverage.push(coverage(rows, row)))?;
        runs.each("similarity", |rows, row, run| add_cell(&mut read[run].matrices, rows, row))?;
        runs.each("runs", |rows, row, run| read[run].facts = Some((rows.clone(), row)))?;
        Ok(read)
    }

    /// The run that a row is of.
    fn owner(&self, rows: &Rows, row: usize) -> Option<usize> {
        self.names.get(rows.text("run", row)?).copied()
    }

    fn each(&self, table: &str, mut take: impl FnMut(&Rc<Rows>, usize, usize)) -> Result<(), ResultsError> {
        let Some(rows) = self.results.rows(table)?.map(Rc::new) else { return Ok(()) };
        for row in 0..rows.len() {
            if let Some(run) = self.owner(&rows, row) {
                take(&rows, row, run);
            }
        }
        Ok(())
    }
}

fn text(rows: &Rows, column: &str, row: usize) -> String {
    rows.text(column, row).unwrap_or_default().to_owned()
}

fn groups(rows: &Rows, row: usize) -> Groups {
    ["group_a", "group_b"].map(|column| rows.text(column, row).map(str::to_owned))
}

fn test(rows: &Rows, row: usize) -> Test {
    let number = |column: &str| rows.number(column, row);
    Test {
        estimator: text(rows, "estimator", row),
        statistic: text(rows, "statistic", row),
        groups: groups(rows, row),
        observed: number("observed"),
        worlds: rows.count("worlds", row).unwrap_or(0),
        exceedances: rows.count("exceedances", row),
        p: number("p"),
        p_lower: number("p_lower"),
        p_upper: number("p_upper"),
        p_holm: number("p_holm"),
    }
}

fn group(rows: &Rows, row: usize) -> Option<Group> {
    let count = |column: &str| rows.count(column, row).unwrap_or(0);
    Some(Group { name: rows.text("group", row)?.to_owned(), examples: count("examples"), sampled: count("sampled") })
}

/// The rows of a matrix follow one another, those of a block with all others first.
fn add_cell(matrices: &mut Vec<Matrix>, rows: &Rows, row: usize) {
    let (order, step) = (text(rows, "order", row), rows.integer("step", row).unwrap_or(0));
    if matrices.last().is_none_or(|last| last.order != order || last.step != step) {
        matrices.push(Matrix { order, step, names: Vec::new(), cells: Vec::new() });
    }
    let blocks = ["block_a", "block_b"].map(|column| rows.count(column, row).unwrap_or(0) as usize);
    if let Some(matrix) = matrices.last_mut() {
        let [a, b] = blocks;
        if a == 0 && b == matrix.names.len() {
            matrix.names.push(text(rows, "name_b", row));
        }
        if a.max(b) < matrix.names.len() {
            matrix.cells.push((a, b, rows.number("cosine", row)));
        }
    }
}

fn coverage(rows: &Rows, row: usize) -> Coverage {
    let count = |column: &str| rows.count(column, row).unwrap_or(0);
    let (statistic, groups) = (text(rows, "statistic", row), groups(rows, row));
    Coverage { statistic, groups, covered: count("covered"), steps: count("compared") }
}

impl Run {
    /// The kept worlds of a curve, the actual one first.
    pub fn worlds(&self, curve: &str, estimator: &str) -> Vec<u64> {
        let of_curve = self.curves.keys().filter(|key| &*key.curve == curve && key.is_of(estimator));
        let mut worlds: Vec<u64> = of_curve.map(|key| key.world).collect();
        worlds.sort_unstable();
        worlds.dedup();
        worlds
    }

    /// The null distribution of a statistic.
    pub fn null(&self, statistic: &str, estimator: &str, groups: &Groups) -> Option<&Banded> {
        self.null.get(&Key::estimated(statistic, estimator).groups(groups))
    }

    pub fn test(&self, statistic: &str, estimator: &str, groups: &Groups) -> Option<&Test> {
        let mut tests = self.tests.iter();
        tests.find(|test| test.statistic == statistic && test.estimator == estimator && test.groups == *groups)
    }

    /// The part of the examples that a group is: of all of the population's, or of the sampled ones.
    pub fn size(&self, group: &str, estimator: &str) -> Option<f64> {
        let size = |group: &Group| if estimator == EXACT { group.examples } else { group.sampled };
        let all: u64 = self.groups.iter().map(size).sum();
        let of_group = self.groups.iter().find(|known| known.name == group)?;
        (all > 0).then(|| size(of_group) as f64 / all as f64)
    }

    /// How many groups have sampled examples.
    pub fn filled_groups(&self) -> usize {
        self.groups.iter().filter(|group| group.sampled > 0).count()
    }

    /// At how many steps the interval of a statistic covers the exact value, and of how many.
    pub fn covered(&self, statistic: &str, groups: &Groups) -> Option<(u64, u64)> {
        let mut known = self.coverage.iter();
        let found = known.find(|coverage| coverage.statistic == statistic && coverage.groups == *groups)?;
        (found.steps > 0).then_some((found.covered, found.steps))
    }

    pub fn number(&self, column: &str) -> Option<f64> {
        self.facts.as_ref().and_then(|(rows, row)| rows.number(column, *row))
    }

    pub fn count(&self, column: &str) -> Option<u64> {
        self.facts.as_ref().and_then(|(rows, row)| rows.count(column, *row))
    }

    pub fn text(&self, column: &str) -> Option<&str> {
        self.facts.as_ref().and_then(|(rows, row)| rows.text(column, *row))
    }
}

impl Condition {
    /// Of the tests of all seeds, the one with the largest p: the weakest evidence speaks for the condition.
    pub fn weakest(&self, statistic: &str, estimator: &str, groups: &Groups) -> Option<&Test> {
        let tests = self.runs.iter().filter_map(|run| run.test(statistic, estimator, groups));
        let tests = tests.filter(|test| test.p.is_some());
        tests.max_by(|a, b| a.p.unwrap_or(0.0).total_cmp(&b.p.unwrap_or(0.0)))
    }

    /// The keys of the curves that a run has, in the order of the tables.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.runs.iter().flat_map(|run| run.curves.keys())
    }

    /// Whether a run has such a curve.
    pub fn has(&self, wanted: impl Fn(&Key) -> bool) -> bool {
        self.keys().any(wanted)
    }

    /// A curve: of the only seed, or the mean over the seeds; each seed's where the results have no mean. Curves without a
    /// value are left out.
    pub fn series(&self, key: &Key) -> Vec<Series> {
        let of_runs = || self.runs.iter().filter_map(|run| run.curves.get(key));
        let one_of_several = self.runs.len() > 1 && self.mean(key).is_none();
        let curves: Vec<&Banded> = self.mean(key).map_or_else(|| of_runs().collect(), |mean| vec![mean]);
        let with_values = curves.into_iter().filter(|curve| curve.has_values());
        let series = with_values.map(|curve| Series { curve: curve.clone(), one_of_several });
        series.map(|series| if one_of_several { series.without_interval() } else { series }).collect()
    }

    /// A curve's mean over several seeds.
    pub fn mean(&self, key: &Key) -> Option<&Banded> {
        self.over_seeds.get(key).filter(|_| self.runs.len() > 1)
    }

    /// Each value that the runs have of a number, once.
    pub fn distinct(&self, number: impl Fn(&Run) -> Option<f64>) -> Vec<f64> {
        let mut values: Vec<f64> = self.runs.iter().filter_map(number).collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        values
    }

    /// The mean of the values that the runs have of a number.
    pub fn mean_of(&self, number: impl Fn(&Run) -> Option<f64>) -> Option<f64> {
        let values: Vec<f64> = self.runs.iter().filter_map(number).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    }
}

impl Sheet<'_> {
    pub fn conditions(&self) -> impl Iterator<Item = &Condition> {
        self.columns.iter().map(|(_, condition)| *condition)
    }

    /// What the band around a curve is.
    pub fn interval(&self) -> &'static str {
        let several = self.conditions().filter(|condition| condition.runs.len() > 1).count();
        match several {
            0 => "95 % interval over halves of the sample",
            several if several == self.columns.len() => OVER_SEEDS,
            _ => "95 % interval: over seeds, or of one seed over examples",
        }
    }
}

/// What the band around a mean over seeds is.
pub const OVER_SEEDS: &str = "mean over seeds, 95 % t interval";
