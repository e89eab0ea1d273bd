//! The Parquet tables of results as plain rows, grouped by run.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use polars::prelude::{Column, DataFrame, DataType, ParquetReader, SerReader};

use crate::ReportError;

/// The rows of a table by run.
pub type ByRun<Row> = BTreeMap<String, Vec<Row>>;

/// A learning curve's point (`curves.parquet`).
pub struct Curve {
    pub step: i64,
    pub split: String,
    pub subset: String,
    pub loss: Option<f64>,
    pub accuracy: Option<f64>,
}

/// The fraction of a subset learned at or before a step (`learned.parquet`).
pub struct Learned {
    pub step: i64,
    pub subset: String,
    pub fraction: Option<f64>,
}

/// Accuracies and overfit of an evaluated step (`overfit.parquet`).
pub struct Overfit {
    pub step: i64,
    pub train_accuracy: Option<f64>,
    pub test_accuracy: Option<f64>,
    pub overfit: Option<f64>,
}

/// α and β of a step in a world, 0 the actual one (`decomposition.parquet`).
pub struct Decomposition {
    pub step: i64,
    pub world: i64,
    pub alpha: Option<f64>,
    pub beta: Option<f64>,
}

/// Cumulative mean contributions i^p and i^c and their difference (`cumulative.parquet`).
pub struct Cumulative {
    pub step: i64,
    pub world: i64,
    pub pristine: Option<f64>,
    pub corrupt: Option<f64>,
    pub difference: Option<f64>,
}

/// The null distribution of a statistic at a step, and the simultaneous band (`null.parquet`).
pub struct Null {
    pub statistic: String,
    pub step: i64,
    pub mean: Option<f64>,
    pub lower: Option<f64>,
    pub upper: Option<f64>,
}

/// A permutation test (`tests.parquet`).
pub struct Test {
    pub statistic: String,
    pub observed: Option<f64>,
    pub worlds: u64,
    pub exceedances: Option<u64>,
    pub p: Option<f64>,
    pub p_lower: Option<f64>,
    pub p_upper: Option<f64>,
}

pub fn curves(analysis: &Path) -> Result<ByRun<Curve>, ReportError> {
    let table = Table::read(analysis, "curves.parquet")?;
    let (steps, splits, subsets) = (table.integers("step")?, table.strings("split")?, table.strings("subset")?);
    let (losses, accuracies) = (table.numbers("loss")?, table.numbers("accuracy")?);
    let rows = steps.into_iter().zip(splits).zip(subsets).zip(losses.into_iter().zip(accuracies));
    table.by_run(rows.map(|(((step, split), subset), (loss, accuracy))| Curve { step, split, subset, loss, accuracy }))
}

pub fn learned(analysis: &Path) -> Result<ByRun<Learned>, ReportError> {
    let table = Table::read(analysis, "learned.parquet")?;
    let rows = table.integers("step")?.into_iter().zip(table.strings("subset")?).zip(table.numbers("fraction")?);
    table.by_run(rows.map(|((step, subset), fraction)| Learned { step, subset, fraction }))
}

pub fn overfit(analysis: &Path) -> Result<ByRun<Overfit>, ReportError> {
    let table = Table::read(analysis, "overfit.parquet")?;
    let accuracies = table.numbers("train_accuracy")?.into_iter().zip(table.numbers("test_accuracy")?);
    let rows = table.integers("step")?.into_iter().zip(accuracies).zip(table.numbers("overfit")?);
    table.by_run(rows.map(|((step, (train_accuracy, test_accuracy)), overfit)| Overfit {
        step,
        train_accuracy,
        test_accuracy,
        overfit,
    }))
}

pub fn decomposition(analysis: &Path) -> Result<ByRun<Decomposition>, ReportError> {
    let table = Table::of_paper(analysis, "decomposition.parquet")?;
    let places = table.integers("step")?.into_iter().zip(table.integers("world")?);
    let values = table.numbers("alpha")?.into_iter().zip(table.numbers("beta")?);
    table.by_run(places.zip(values).map(|((step, world), (alpha, beta))| Decomposition { step, world, alpha, beta }))
}

pub fn cumulative(analysis: &Path) -> Result<ByRun<Cumulative>, ReportError> {
    let table = Table::of_paper(analysis, "cumulative.parquet")?;
    let places = table.integers("step")?.into_iter().zip(table.integers("world")?);
    let groups = table.numbers("pristine")?.into_iter().zip(table.numbers("corrupt")?);
    let rows = places.zip(groups).zip(table.numbers("difference")?);
    table.by_run(rows.map(|(((step, world), (pristine, corrupt)), difference)| Cumulative {
        step,
        world,
        pristine,
        corrupt,
        difference,
    }))
}

pub fn null(analysis: &Path) -> Result<ByRun<Null>, ReportError> {
    let table = Table::of_paper(analysis, "null.parquet")?;
    let places = table.strings("statistic")?.into_iter().zip(table.integers("step")?);
    let bounds = table.numbers("lower")?.into_iter().zip(table.numbers("upper")?);
    let rows = places.zip(table.numbers("mean")?).zip(bounds);
    table.by_run(rows.map(|(((statistic, step), mean), (lower, upper))| Null { statistic, step, mean, lower, upper }))
}

pub fn tests(analysis: &Path) -> Result<ByRun<Test>, ReportError> {
    let table = Table::of_paper(analysis, "tests.parquet")?;
    let names = table.strings("statistic")?.into_iter().zip(table.numbers("observed")?);
    let counts = table.numbers("worlds")?.into_iter().zip(table.numbers("exceedances")?);
    let bounds = table.numbers("p_lower")?.into_iter().zip(table.numbers("p_upper")?);
    let rows = names.zip(counts).zip(table.numbers("p")?).zip(bounds);
    table.by_run(rows.map(|((((statistic, observed), (worlds, exceedances)), p), (p_lower, p_upper))| Test {
        statistic,
        observed,
        worlds: worlds.unwrap_or(0.0) as u64,
        exceedances: exceedances.map(|exceedances| exceedances as u64),
        p,
        p_lower,
        p_upper,
    }))
}

/// One table in memory and the file it came from, for messages.
struct Table {
    path: PathBuf,
    frame: DataFrame,
}

impl Table {
    /// The rows of the estimates that the paper's figures show: those from the sample, as the paper makes them.
    fn of_paper(analysis: &Path, name: &str) -> Result<Table, ReportError> {
        let Table { path, frame } = Table::read(analysis, name)?;
        let table = Table { frame: frame.clone(), path };
        let estimators = table.strings("estimator")?;
        let keep = estimators.iter().map(|estimator| estimator == "paper").collect();
        match frame.filter(&keep) {
            Ok(frame) => Ok(Table { frame, ..table }),
            Err(source) => Err(ReportError::Table { path: table.path, source }),
        }
    }

    fn read(analysis: &Path, name: &str) -> Result<Table, ReportError> {
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
            runs.entry(run).or_insert_with(Vec::new).push(row);
        }
        Ok(runs)
    }

    fn column(&self, name: &'static str) -> Result<&Column, ReportError> {
        self.frame.column(name).map_err(|_| ReportError::MissingColumn { path: self.path.clone(), column: name })
    }

    fn strings(&self, name: &'static str) -> Result<Vec<String>, ReportError> {
        let column = self.column(name)?;
        let texts = column.str().map_err(|_| self.column_type(name, column, "text"))?;
        self.complete(name, texts.iter().map(|text| text.map(str::to_owned)))
    }

    fn integers(&self, name: &'static str) -> Result<Vec<i64>, ReportError> {
        let column = self.column(name)?;
        let wrong_type = || self.column_type(name, column, "a whole number");
        if !column.dtype().is_integer() {
            return Err(wrong_type());
        }
        let whole = column.cast(&DataType::Int64).map_err(|_| wrong_type())?;
        self.complete(name, whole.i64().map_err(|_| wrong_type())?.iter())
    }

    /// A value that is no finite number counts as missing.
    fn numbers(&self, name: &'static str) -> Result<Vec<Option<f64>>, ReportError> {
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
