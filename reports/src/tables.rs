//! The Parquet tables of results: their curves by name, and their other rows, grouped by run.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use polars::prelude::{Column, DataFrame, DataType, ParquetReader, SerReader};

use crate::ReportError;
use crate::curves::{Banded, CurveKey, Curves};

/// The rows of a table by run.
pub type ByRun<Row> = BTreeMap<String, Vec<Row>>;

/// The null distribution of a statistic at a step, and the simultaneous band (`null.parquet`).
pub struct Null {
    pub estimator: String,
    pub statistic: String,
    pub step: i64,
    pub mean: Option<f64>,
    pub lower: Option<f64>,
    pub upper: Option<f64>,
}

/// A permutation test (`tests.parquet`).
pub struct Test {
    pub estimator: String,
    pub statistic: String,
    pub observed: Option<f64>,
    pub worlds: u64,
    pub exceedances: Option<u64>,
    pub p: Option<f64>,
    pub p_lower: Option<f64>,
    pub p_upper: Option<f64>,
}

/// A group of the grouping (`groups.parquet`).
#[derive(Clone)]
pub struct Group {
    pub group: String,
    pub order: i64,
    /// Of all training examples.
    pub examples: u64,
    /// Of the sampled ones.
    pub sampled: u64,
}

/// A test of a group, of a pair of groups, or of all at once (`group_tests.parquet`).
pub struct GroupTest {
    /// None: all groups at once.
    pub group_a: Option<String>,
    /// Of a pair.
    pub group_b: Option<String>,
    pub test: Test,
    /// p with Holm's correction over the groups or the pairs.
    pub p_holm: Option<f64>,
}

/// How the columns of a table become curves.
struct Source {
    table: &'static str,
    /// Only the rows with this text in this column.
    only: Option<(&'static str, &'static str)>,
    /// The column that tells the curves apart beside estimator, world, layer and groups.
    kind: Option<&'static str>,
    estimator: bool,
    world: bool,
    layer: bool,
    groups: [Option<&'static str>; 2],
    values: &'static [Values],
}

/// A column of values, what its curve is called given the kind, and the columns of its interval.
struct Values {
    column: &'static str,
    curve: fn(&str) -> String,
    interval: Option<[&'static str; 2]>,
}

const fn plain(column: &'static str, curve: fn(&str) -> String) -> Values {
    Values { column, curve, interval: None }
}

const TABLE: Source = Source {
    table: "",
    only: None,
    kind: None,
    estimator: true,
    world: false,
    layer: false,
    groups: [None, None],
    values: &[],
};

/// What every analysis wrote.
const FIRST_SOURCES: [Source; 5] = [
    Source {
        table: "curves.parquet",
        only: Some(("subset", "all")),
        kind: Some("split"),
        estimator: false,
        values: &[
            plain("loss", |split| format!("{split}_loss")),
            plain("accuracy", |split| format!("{split}_accuracy")),
        ],
        ..TABLE
    },
    Source {
        table: "learned.parquet",
        kind: Some("subset"),
        estimator: false,
        values: &[plain("fraction", |subset| format!("learned_{subset}"))],
        ..TABLE
    },
    Source { table: "overfit.parquet", estimator: false, values: &[plain("overfit", |_| "overfit".into())], ..TABLE },
    Source {
        table: "decomposition.parquet",
        world: true,
        values: &[
            Values { column: "alpha", curve: |_| "alpha".into(), interval: Some(["alpha_lower", "alpha_upper"]) },
            plain("beta", |_| "beta".into()),
        ],
        ..TABLE
    },
    Source {
        table: "cumulative.parquet",
        world: true,
        values: &[
            plain("pristine", |_| "cumulative_pristine".into()),
            plain("corrupt", |_| "cumulative_corrupt".into()),
            Values {
                column: "difference",
                curve: |_| "cumulative_difference".into(),
                interval: Some(["difference_lower", "difference_upper"]),
            },
        ],
        ..TABLE
    },
];

/// What came later.
const LATER_SOURCES: [Source; 3] = [
    Source {
        table: "shares.parquet",
        world: true,
        groups: [Some("group"), None],
        values: &[plain("share", |_| "share".into()), plain("cumulative", |_| "cumulative".into())],
        ..TABLE
    },
    Source {
        table: "cross_terms.parquet",
        groups: [Some("group_a"), Some("group_b")],
        values: &[plain("fraction", |_| "cross_term".into())],
        ..TABLE
    },
    Source {
        table: "coherence.parquet",
        kind: Some("statistic"),
        layer: true,
        groups: [Some("group_a"), Some("group_b")],
        values: &[Values { column: "value", curve: |name| name.to_owned(), interval: Some(["lower", "upper"]) }],
        ..TABLE
    },
];

/// Reads the tables of one directory of results.
pub struct Reader<'a> {
    pub analysis: &'a Path,
    /// The runs of the summary: rows of others mean that the files are of two analyses.
    pub runs: BTreeSet<&'a str>,
    /// The files that the summary lists. A table that came with a later version need not be there unless it is listed.
    pub listed: BTreeSet<&'a str>,
}

impl Reader<'_> {
    /// All curves by run.
    pub fn curves(&self) -> Result<BTreeMap<String, Curves>, ReportError> {
        let mut curves = BTreeMap::new();
        for source in &FIRST_SOURCES {
            add_curves(&self.first(source.table)?, source, &mut curves)?;
        }
        for source in &LATER_SOURCES {
            if let Some(table) = self.later(source.table)? {
                add_curves(&table, source, &mut curves)?;
            }
        }
        Ok(curves)
    }

    /// Every curve over the seeds of a condition, by rule and noise (the bits of the number).
    pub fn over_seeds(&self) -> Result<BTreeMap<(String, u64), Curves>, ReportError> {
        let mut conditions = BTreeMap::new();
        let Some(table) = self.later("over_seeds.parquet")? else { return Ok(conditions) };
        let (rules, noise) = (table.strings("rule")?, table.numbers("noise")?);
        for (row, (key, step, point)) in named_points(&table, ["mean", "lower", "upper"])?.into_iter().enumerate() {
            let condition = (rules[row].clone(), noise[row].unwrap_or(f64::NAN).to_bits());
            conditions.entry(condition).or_default().entry(key).or_default().push(step, point);
        }
        Ok(conditions)
    }

    pub fn null(&self) -> Result<ByRun<Null>, ReportError> {
        let table = self.first("null.parquet")?;
        let (estimators, statistics, steps) =
            (table.estimators()?, table.strings("statistic")?, table.integers("step")?);
        let (means, lower, upper) = (table.numbers("mean")?, table.numbers("lower")?, table.numbers("upper")?);
        let row = |row: usize| Null {
            estimator: estimators[row].clone(),
            statistic: statistics[row].clone(),
            step: steps[row],
            mean: means[row],
            lower: lower[row],
            upper: upper[row],
        };
        table.by_run((0..steps.len()).map(row))
    }

    pub fn tests(&self) -> Result<ByRun<Test>, ReportError> {
        let table = self.first("tests.parquet")?;
        table.by_run(table.tests()?.into_iter())
    }

    /// In order.
    pub fn groups(&self) -> Result<ByRun<Group>, ReportError> {
        let Some(table) = self.later("groups.parquet")? else { return Ok(ByRun::new()) };
        let (names, orders) = (table.strings("group")?, table.integers("order")?);
        let (examples, sampled) = (table.integers("examples")?, table.integers("sampled")?);
        let row = |row: usize| Group {
            group: names[row].clone(),
            order: orders[row],
            examples: examples[row].max(0) as u64,
            sampled: sampled[row].max(0) as u64,
        };
        let mut groups = table.by_run((0..names.len()).map(row))?;
        groups.values_mut().for_each(|groups| groups.sort_by_key(|group| group.order));
        Ok(groups)
    }

    pub fn group_tests(&self) -> Result<ByRun<GroupTest>, ReportError> {
        let Some(table) = self.later("group_tests.parquet")? else { return Ok(ByRun::new()) };
        let (first, second) = (table.texts("group_a")?, table.texts("group_b")?);
        let adjusted = table.numbers("p_holm")?;
        let row = |(row, test): (usize, Test)| GroupTest {
            group_a: first[row].clone(),
            group_b: second[row].clone(),
            test,
            p_holm: adjusted[row],
        };
        table.by_run(table.tests()?.into_iter().enumerate().map(row))
    }

    fn first(&self, name: &str) -> Result<Table, ReportError> {
        let table = Table::read(self.analysis, name)?;
        let runs = if table.has("run") { table.strings("run")? } else { Vec::new() };
        match runs.into_iter().find(|run| !self.runs.contains(run.as_str())) {
            Some(run) => Err(ReportError::UnknownRun { path: table.path, run }),
            None => Ok(table),
        }
    }

    fn later(&self, name: &str) -> Result<Option<Table>, ReportError> {
        match self.analysis.join(name).exists() || self.listed.contains(name) {
            true => self.first(name).map(Some),
            false => Ok(None),
        }
    }
}

fn add_curves(table: &Table, source: &Source, curves: &mut BTreeMap<String, Curves>) -> Result<(), ReportError> {
    let (runs, steps) = (table.strings("run")?, table.integers("step")?);
    let only = source.only.map(|(column, wanted)| Ok((table.strings(column)?, wanted))).transpose()?;
    let kinds = source.kind.map(|column| table.strings(column)).transpose()?;
    let estimators = if source.estimator { Some(table.estimators()?) } else { None };
    let worlds = if source.world { Some(table.integers("world")?) } else { None };
    let layers = if source.layer { Some(table.optional_integers("layer")?) } else { None };
    let [first, second] = source.groups.map(|column| column.map(|column| table.texts(column)).transpose());
    let (first, second) = (first?, second?);
    let mut names = Names::default();
    for values in source.values {
        let numbers = table.numbers(values.column)?;
        let interval = match values.interval {
            Some([lower, upper]) if table.has(lower) => Some((table.numbers(lower)?, table.numbers(upper)?)),
            _ => None,
        };
        for row in 0..steps.len() {
            if only.as_ref().is_some_and(|(texts, wanted)| texts[row] != *wanted) {
                continue;
            }
            let kind = kinds.as_ref().map_or("", |kinds| &kinds[row]);
            let key = CurveKey {
                curve: names.of_curve(kind, values.curve),
                estimator: estimators.as_ref().map(|estimators| names.of(&estimators[row])),
                world: worlds.as_ref().map_or(0, |worlds| worlds[row]),
                layer: layers.as_ref().and_then(|layers| layers[row]),
                group_a: first.as_ref().and_then(|groups| groups[row].as_deref()).map(|name| names.of(name)),
                group_b: second.as_ref().and_then(|groups| groups[row].as_deref()).map(|name| names.of(name)),
            };
            let bounds = interval.as_ref().map_or([None, None], |(lower, upper)| [lower[row], upper[row]]);
            let of_run = curves.entry(runs[row].clone()).or_default();
            of_run.entry(key).or_default().push(steps[row], [numbers[row], bounds[0], bounds[1]]);
        }
        names.of_kind.clear();
    }
    Ok(())
}

/// Texts that many rows share.
#[derive(Default)]
struct Names {
    texts: HashMap<String, Rc<str>>,
    of_kind: HashMap<String, Rc<str>>,
}

impl Names {
    fn of(&mut self, text: &str) -> Rc<str> {
        if let Some(known) = self.texts.get(text) {
            return known.clone();
        }
        self.texts.entry(text.to_owned()).or_insert_with(|| text.into()).clone()
    }

    fn of_curve(&mut self, kind: &str, curve: fn(&str) -> String) -> Rc<str> {
        if let Some(known) = self.of_kind.get(kind) {
            return known.clone();
        }
        let name = curve(kind).into();
        self.of_kind.entry(kind.to_owned()).or_insert(name).clone()
    }
}

/// A row of a table whose curves are named by its columns: the name, the step, and a value with its interval.
pub type NamedPoint = (CurveKey, i64, [Option<f64>; 3]);

pub fn named_points(table: &Table, [value, lower, upper]: [&'static str; 3]) -> Result<Vec<NamedPoint>, ReportError> {
    let steps = table.integers("step")?;
    let (values, lower, upper) = (table.numbers(value)?, table.numbers(lower)?, table.numbers(upper)?);
    let keys = table.keys()?.into_iter().enumerate();
    Ok(keys.map(|(row, key)| (key, steps[row], [values[row], lower[row], upper[row]])).collect())
}

/// One table in memory and the file it came from, for messages.
pub struct Table {
    path: PathBuf,
    frame: DataFrame,
}

impl Table {
    pub fn read(analysis: &Path, name: &str) -> Result<Table, ReportError> {
        let path = analysis.join(name);
        let file = File::open(&path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => ReportError::MissingFile { path: path.clone() },
            _ => ReportError::Read { path: path.clone(), source },
        })?;
        match ParquetReader::new(file).finish() {
            Ok(frame) => Ok(Table { path, frame }),
            Err(source) => Err(ReportError::Table { path, source }),
        }
    }

    fn by_run<Row>(&self, rows: impl Iterator<Item = Row>) -> Result<ByRun<Row>, ReportError> {
        let mut runs = ByRun::new();
        for (run, row) in self.strings("run")?.into_iter().zip(rows) {
            runs.entry(run).or_default().push(row);
        }
        Ok(runs)
    }

    fn tests(&self) -> Result<Vec<Test>, ReportError> {
        let (estimators, statistics) = (self.estimators()?, self.strings("statistic")?);
        let (observed, worlds) = (self.numbers("observed")?, self.numbers("worlds")?);
        let (exceedances, p) = (self.numbers("exceedances")?, self.numbers("p")?);
        let (p_lower, p_upper) = (self.numbers("p_lower")?, self.numbers("p_upper")?);
        let row = |row: usize| Test {
            estimator: estimators[row].clone(),
            statistic: statistics[row].clone(),
            observed: observed[row],
            worlds: worlds[row].unwrap_or(0.0) as u64,
            exceedances: exceedances[row].map(|exceedances| exceedances as u64),
            p: p[row],
            p_lower: p_lower[row],
            p_upper: p_upper[row],
        };
        Ok((0..statistics.len()).map(row).collect())
    }

    /// What curve each row is of, in a table whose columns name it.
    pub fn keys(&self) -> Result<Vec<CurveKey>, ReportError> {
        let (curves, estimators) = (self.strings("curve")?, self.texts("estimator")?);
        let (layers, first, second) =
            (self.optional_integers("layer")?, self.texts("group_a")?, self.texts("group_b")?);
        let mut names = Names::default();
        let key = |row: usize| {
            let mut optional = |text: &Option<String>| text.as_deref().map(|text| names.of(text));
            let (estimator, group_a) = (optional(&estimators[row]), optional(&first[row]));
            let group_b = optional(&second[row]);
            CurveKey { curve: names.of(&curves[row]), estimator, world: 0, layer: layers[row], group_a, group_b }
        };
        Ok((0..curves.len()).map(key).collect())
    }

    fn has(&self, name: &str) -> bool {
        self.frame.column(name).is_ok()
    }

    fn column(&self, name: &'static str) -> Result<&Column, ReportError> {
        self.frame.column(name).map_err(|_| ReportError::MissingColumn { path: self.path.clone(), column: name })
    }

    /// Results that have no such column have the paper's estimator only.
    fn estimators(&self) -> Result<Vec<String>, ReportError> {
        match self.has("estimator") {
            true => self.strings("estimator"),
            false => Ok(vec!["paper".to_owned(); self.frame.height()]),
        }
    }

    pub fn strings(&self, name: &'static str) -> Result<Vec<String>, ReportError> {
        self.complete(name, self.texts(name)?.into_iter())
    }

    pub fn texts(&self, name: &'static str) -> Result<Vec<Option<String>>, ReportError> {
        let column = self.column(name)?;
        // A column without any value may have been written without a type.
        if column.dtype().is_null() {
            return Ok(vec![None; column.len()]);
        }
        let texts = column.str().map_err(|_| self.column_type(name, column, "text"))?;
        Ok(texts.iter().map(|text| text.map(str::to_owned)).collect())
    }

    pub fn integers(&self, name: &'static str) -> Result<Vec<i64>, ReportError> {
        self.complete(name, self.optional_integers(name)?.into_iter())
    }

    pub fn optional_integers(&self, name: &'static str) -> Result<Vec<Option<i64>>, ReportError> {
        let column = self.column(name)?;
        let wrong_type = || self.column_type(name, column, "a whole number");
        if !(column.dtype().is_integer() || column.dtype().is_null()) {
            return Err(wrong_type());
        }
        let whole = column.cast(&DataType::Int64).map_err(|_| wrong_type())?;
        Ok(whole.i64().map_err(|_| wrong_type())?.iter().collect())
    }

    /// A value that is no finite number counts as missing.
    pub fn numbers(&self, name: &'static str) -> Result<Vec<Option<f64>>, ReportError> {
        let column = self.column(name)?;
        let wrong_type = || self.column_type(name, column, "a number");
        // A column without any value may have been written without a type.
        if !(column.dtype().is_primitive_numeric() || column.dtype().is_null()) {
            return Err(wrong_type());
        }
        let numbers = column.cast(&DataType::Float64).map_err(|_| wrong_type())?;
        let numbers = numbers.f64().map_err(|_| wrong_type())?;
        Ok(numbers.iter().map(|value| value.filter(|value| value.is_finite())).collect())
    }

    fn complete<T>(&self, name: &'static str, values: impl Iterator<Item = Option<T>>) -> Result<Vec<T>, ReportError> {
        let missing = |row| ReportError::MissingValue { path: self.path.clone(), column: name, row };
        values.enumerate().map(|(row, value)| value.ok_or_else(|| missing(row))).collect()
    }

    fn column_type(&self, name: &'static str, column: &Column, expected: &'static str) -> ReportError {
        let found = column.dtype().to_string();
        ReportError::ColumnType { path: self.path.clone(), column: name, found, expected }
    }
}

impl Banded {
    pub fn push(&mut self, step: i64, [value, lower, upper]: [Option<f64>; 3]) {
        let step = step as f64;
        self.line.push((step, value));
        self.lower.push((step, lower));
        self.upper.push((step, upper));
    }
}
