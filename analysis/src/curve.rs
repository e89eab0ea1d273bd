//! Curves: every number of the results that is one value a step, under one name, whatever table it is in.
//!
//! What repeats over seeds, is compared between studies or drawn over training is a curve. Its name is that of the
//! statistic and, where the results have several of it, of the estimator, the layer and the groups; `docs/results.md` lists
//! them. Curves are of the actual world only.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::AnalysisError;

/// Rows decoded at once.
const BATCH: usize = 1 << 14;

/// What a curve is of, apart from its run.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CurveName {
    /// The statistic: `train_loss`, `alpha`, `m_coherence`, ….
    pub curve: String,
    /// `paper`, `population` or `exact`; `None` of the learning curves.
    pub estimator: Option<String>,
    /// The layer of a statistic by layer; `None` of all layers together.
    pub layer: Option<i64>,
    /// The group, or the first of a pair.
    pub group_a: Option<String>,
    /// The second group of a pair.
    pub group_b: Option<String>,
}

/// A step and the value there, if there is one.
pub type CurvePoint = (i64, Option<f64>);

/// The curves of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunCurves {
    /// Run id.
    pub run: String,
    /// Update rule.
    pub rule: String,
    /// Label noise ε.
    pub noise: f64,
    /// Seed of the run.
    pub seed: i64,
    /// Points by ascending step.
    pub curves: BTreeMap<CurveName, Vec<CurvePoint>>,
}

/// How a table's columns become curves.
struct Source {
    table: &'static str,
    /// Rows with another value in this column are of no curve.
    only: Option<(&'static str, Only)>,
    /// The column that tells this table's curves apart beside estimator, layer and groups.
    kind: Option<&'static str>,
    layer: Option<&'static str>,
    groups: [Option<&'static str>; 2],
    values: &'static [Values],
}

/// A column of values, and what its curve is called, given the kind.
type Values = (&'static str, fn(&str) -> String);

enum Only {
    Text(&'static str),
    Number(i64),
}

const ACTUAL: Option<(&str, Only)> = Some(("world", Only::Number(0)));
const PLAIN: Source = Source { table: "", only: None, kind: None, layer: None, groups: [None, None], values: &[] };

const SOURCES: [Source; 8] = [
    Source {
        table: "curves",
        only: Some(("subset", Only::Text("all"))),
        kind: Some("split"),
        values: &[("loss", |split| format!("{split}_loss")), ("accuracy", |split| format!("{split}_accuracy"))],
        ..PLAIN
    },
    Source {
        table: "learned",
        kind: Some("subset"),
        values: &[("fraction", |subset| format!("learned_{subset}"))],
        ..PLAIN
    },
    Source { table: "overfit", values: &[("overfit", |_| "overfit".into())], ..PLAIN },
    Source {
        table: "decomposition",
        only: ACTUAL,
        values: &[
            ("alpha", |_| "alpha".into()),
            ("beta", |_| "beta".into()),
            ("gradient_norm_sq", |_| "gradient_norm_sq".into()),
        ],
        ..PLAIN
    },
    Source {
        table: "cumulative",
        only: ACTUAL,
        values: &[
            ("pristine", |_| "cumulative_pristine".into()),
            ("corrupt", |_| "cumulative_corrupt".into()),
            ("difference", |_| "cumulative_difference".into()),
        ],
        ..PLAIN
    },
    Source {
        table: "shares",
        only: ACTUAL,
        groups: [Some("group"), None],
        values: &[("share", |_| "share".into()), ("cumulative", |_| "cumulative".into())],
        ..PLAIN
    },
    Source {
        table: "cross_terms",
        groups: [Some("group_a"), Some("group_b")],
        values: &[("fraction", |_| "cross_term".into())],
        ..PLAIN
    },
    Source {
        table: "coherence",
        kind: Some("statistic"),
        layer: Some("layer"),
        groups: [Some("group_a"), Some("group_b")],
        values: &[("value", |statistic| statistic.to_string())],
        ..PLAIN
    },
];

/// All curves of the results in a directory, by run in the order of the tables. A table that an older analysis did not
/// write has no curves.
///
/// # Errors
/// The directory has no results, or a table cannot be read.
pub fn of_results(directory: &Path) -> Result<Vec<RunCurves>, AnalysisError> {
    if !directory.join("summary.json").is_file() {
        return Err(AnalysisError::NotAnalysed { path: directory.to_path_buf() });
    }
    of_tables(|table| Some(directory.join(format!("{table}.parquet"))).filter(|path| path.is_file()))
}

/// All curves of tables that are at `path_of` their name.
pub(crate) fn of_tables(path_of: impl Fn(&str) -> Option<PathBuf>) -> Result<Vec<RunCurves>, AnalysisError> {
    let mut collected = Collected::default();
    for source in &SOURCES {
        if let Some(path) = path_of(source.table) {
            let failed = |source| AnalysisError::Results { path: path.clone(), source };
            collected.read(source, &path).map_err(failed)?;
        }
    }
    Ok(collected.finish())
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A curve of one run, its texts as numbers: rows are many and their texts few.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    run: u32,
    curve: u32,
    estimator: u32,
    layer: Option<i64>,
    group_a: u32,
    group_b: u32,
}

#[derive(Default)]
struct Collected {
    texts: Texts,
    /// Rule, noise and seed by run.
    runs: Vec<(u32, String, f64, i64)>,
    points: HashMap<Key, Vec<CurvePoint>>,
}

/// Texts and their numbers; 0 is no text.
#[derive(Default)]
struct Texts {
    numbers: HashMap<String, u32>,
    texts: Vec<String>,
}

impl Texts {
    fn number(&mut self, text: Option<&str>) -> u32 {
        let Some(text) = text else { return 0 };
        if let Some(&number) = self.numbers.get(text) {
            return number;
        }
        self.texts.push(text.to_string());
        let number = self.texts.len() as u32;
        self.numbers.insert(text.to_string(), number);
        number
    }

    fn text(&self, number: u32) -> Option<String> {
        (number as usize).checked_sub(1).and_then(|index| self.texts.get(index)).cloned()
    }
}

impl Collected {
    fn read(&mut self, source: &Source, path: &Path) -> Result<(), Failure> {
        let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?.with_batch_size(BATCH);
        let schema = builder.schema().clone();
        let known = |name: &&str| schema.column_with_name(name).is_some();
        // The estimator came with format 2 of the results; before it there was only the paper's.
        let optional = ["estimator"].into_iter().filter(known);
        let columns = ["run", "rule", "noise", "seed", "step"].into_iter().chain(optional).chain(source.columns());
        let mask = ProjectionMask::columns(builder.parquet_schema(), columns);
        for batch in builder.with_projection(mask).build()? {
            self.add(source, &batch?)?;
        }
        Ok(())
    }

    fn add(&mut self, source: &Source, batch: &RecordBatch) -> Result<(), Failure> {
        let rows = Rows::new(source, batch)?;
        for row in 0..batch.num_rows() {
            if !rows.counts(source, row) {
                continue;
            }
            let run = self.texts.number(text(&rows.run, row));
            if !self.runs.iter().any(|known| known.0 == run) {
                let rule = text(&rows.rule, row).unwrap_or_default().to_string();
                let (noise, seed) =
                    (number(&rows.noise, row).unwrap_or(f64::NAN), integer(&rows.seed, row).unwrap_or(0));
                self.runs.push((run, rule, noise, seed));
            }
            let step = integer(&rows.step, row).ok_or("column `step` has a missing value")?;
            let kind = rows.kind.as_ref().and_then(|kind| text(kind, row)).unwrap_or_default();
            let estimator = match (&rows.estimator, source.has_estimators()) {
                (Some(estimators), _) => text(estimators, row),
                (None, true) => Some("paper"),
                (None, false) => None,
            };
            let estimator = self.texts.number(estimator);
            let [group_a, group_b] = [0, 1].map(|group| {
                let name = rows.groups[group].as_ref().and_then(|names| text(names, row));
                self.texts.number(name)
            });
            let layer = rows.layer.as_ref().and_then(|layers| integer(layers, row));
            for ((_, curve), values) in source.values.iter().zip(&rows.values) {
                let curve = self.texts.number(Some(&curve(kind)));
                let key = Key { run, curve, estimator, layer, group_a, group_b };
                self.points.entry(key).or_default().push((step, number(values, row)));
            }
        }
        Ok(())
    }

    fn finish(self) -> Vec<RunCurves> {
        let Collected { texts, runs, points } = self;
        let mut by_run: HashMap<u32, BTreeMap<CurveName, Vec<CurvePoint>>> = HashMap::new();
        for (key, mut points) in points {
            points.sort_by_key(|point| point.0);
            let name = CurveName {
                curve: texts.text(key.curve).unwrap_or_default(),
                estimator: texts.text(key.estimator),
                layer: key.layer,
                group_a: texts.text(key.group_a),
                group_b: texts.text(key.group_b),
            };
            by_run.entry(key.run).or_default().insert(name, points);
        }
        let of_run = |(run, rule, noise, seed): (u32, String, f64, i64)| RunCurves {
            run: texts.text(run).unwrap_or_default(),
            rule,
            noise,
            seed,
            curves: by_run.remove(&run).unwrap_or_default(),
        };
        runs.into_iter().map(of_run).collect()
    }
}

impl Source {
    fn columns(&self) -> impl Iterator<Item = &'static str> {
        let only = self.only.as_ref().map(|only| only.0);
        let named = [only, self.kind, self.layer, self.groups[0], self.groups[1]].into_iter().flatten();
        named.chain(self.values.iter().map(|value| value.0))
    }

    fn has_estimators(&self) -> bool {
        !["curves", "learned", "overfit"].contains(&self.table)
    }
}

type Column = std::sync::Arc<dyn Array>;

/// The columns of a batch, each in the one type that it is read as.
struct Rows {
    run: Column,
    rule: Column,
    noise: Column,
    seed: Column,
    step: Column,
    estimator: Option<Column>,
    only: Option<Column>,
    kind: Option<Column>,
    layer: Option<Column>,
    groups: [Option<Column>; 2],
    values: Vec<Column>,
}

impl Rows {
    fn new(source: &Source, batch: &RecordBatch) -> Result<Rows, Failure> {
        let column = |name: &str, kind: DataType| -> Result<Column, Failure> {
            let column = batch.column_by_name(name).ok_or_else(|| format!("column `{name}` is missing"))?;
            cast(column, &kind).map_err(|_| format!("column `{name}` has type {}", column.data_type()).into())
        };
        let optional = |name: Option<&str>, kind: DataType| name.map(|name| column(name, kind)).transpose();
        let has_estimator = batch.column_by_name("estimator").is_some();
        let only = match &source.only {
            Some((name, Only::Text(_))) => Some(column(name, DataType::Utf8)?),
            Some((name, Only::Number(_))) => Some(column(name, DataType::Int64)?),
            None => None,
        };
        Ok(Rows {
            run: column("run", DataType::Utf8)?,
            rule: column("rule", DataType::Utf8)?,
            noise: column("noise", DataType::Float64)?,
            seed: column("seed", DataType::Int64)?,
            step: column("step", DataType::Int64)?,
            estimator: optional(has_estimator.then_some("estimator"), DataType::Utf8)?,
            only,
            kind: optional(source.kind, DataType::Utf8)?,
            layer: optional(source.layer, DataType::Int64)?,
            groups: [optional(source.groups[0], DataType::Utf8)?, optional(source.groups[1], DataType::Utf8)?],
            values: source.values.iter().map(|value| column(value.0, DataType::Float64)).collect::<Result<_, _>>()?,
        })
    }

    fn counts(&self, source: &Source, row: usize) -> bool {
        match (&source.only, &self.only) {
            (Some((_, Only::Text(wanted))), Some(column)) => text(column, row) == Some(wanted),
            (Some((_, Only::Number(wanted))), Some(column)) => integer(column, row) == Some(*wanted),
            _ => true,
        }
    }
}

fn text(column: &Column, row: usize) -> Option<&str> {
    column.is_valid(row).then(|| column.as_string::<i32>().value(row))
}

fn integer(column: &Column, row: usize) -> Option<i64> {
    column.is_valid(row).then(|| column.as_primitive::<Int64Type>().value(row))
}

/// A value that is no finite number counts as missing.
fn number(column: &Column, row: usize) -> Option<f64> {
    column.is_valid(row).then(|| column.as_primitive::<Float64Type>().value(row)).filter(|value| value.is_finite())
}
