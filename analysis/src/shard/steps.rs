//! What was found in the steps of one record of a run, as a Parquet file: one row a step.
//!
//! ```text
//! step            i64
//! contributions   [contribution, self term], one number an example each
//! values          [value, lower end, upper end], one number a key each; a number that is not defined is null
//! group_pairs     by statistic of group pairs, [G, G] and their total
//! norms           one list: of the sample and of each half, one number a group and their total
//! similarity      which examples are similar, as `statistic/similarity.rs` has it; empty where it does not show that
//! ```
//!
//! Values, group_pairs and norms are empty where no statistic asks for them. Numbers are f64 to the last bit.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Builder, Int64Array, ListArray, ListBuilder, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type};
use arrow::error::ArrowError;
use cograd_files::{FileEntry, FileError, HashedFile, OutputError};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use crate::AnalysisError;
use crate::kernel::contribution::StepContributions;
use crate::kernel::halves::Measured;
use crate::run::Steps;
use crate::sample::{Key, Pair, StepValues};

/// Which record the steps are of.
pub(super) const SAMPLE: &str = "sample";
pub(super) const POPULATION: &str = "population";

/// Columns after `step`.
const COLUMNS: [&str; 5] = ["contributions", "values", "group_pairs", "norms", "similarity"];
/// Numbers of a row group, about: bounds the memory of writer and reader.
const ROW_GROUP: usize = 1 << 22;

/// Lists of numbers, some of them null.
type Lists = Vec<Vec<Option<f64>>>;

/// The sizes that the numbers of a step must have.
pub(crate) struct Shape {
    /// Number of examples.
    pub(crate) examples: usize,
    /// Numbers of layers, groups and classes, of which keys are.
    pub(crate) layers: usize,
    pub(crate) groups: usize,
    pub(crate) classes: usize,
    /// Lengths of the lists of which examples are similar.
    pub(crate) similarity: Vec<usize>,
}

/// Name of the file of a record of the run at this place of the study.
pub(super) fn file_name(record: &str, run: usize) -> String {
    format!("{record}-{run}.parquet")
}

/// Writes a file.
///
/// # Errors
/// It cannot be written.
pub(super) fn write(path: &Path, steps: &Steps) -> Result<FileEntry, AnalysisError> {
    let encode = |source: ParquetError| {
        AnalysisError::Results(cograd_results::ResultsError::Encode { path: path.to_path_buf(), source })
    };
    let output = |source: FileError| AnalysisError::Output(OutputError::File(source));
    let batch = |rows: Range<usize>| {
        let values = steps.pushed(rows.clone())?;
        batch(steps, rows, &values).map_err(|source| encode(source.into()))
    };
    let file = HashedFile::create(path).map_err(output)?;
    let properties = properties().map_err(encode)?;
    let mut writer = ArrowWriter::try_new(file, batch(0..0)?.schema(), Some(properties)).map_err(encode)?;
    let count = steps.steps().len();
    let rows = rows_at_once(steps.contributions.examples(), &steps.keys);
    for first in (0..count).step_by(rows) {
        let batch = batch(first..(first + rows).min(count))?;
        writer.write(&batch).and_then(|()| writer.flush()).map_err(encode)?;
    }
    writer.finish().map_err(encode)?;
    writer.inner_mut().close(path, count as u64).map_err(output)
}

/// Steps of a row group: there are two numbers an example, and about six a key, half of them norms.
fn rows_at_once(examples: usize, keys: &[Key]) -> usize {
    (ROW_GROUP / (2 * examples + 6 * keys.len()).max(1)).max(1)
}

fn properties() -> Result<WriterProperties, ParquetError> {
    Ok(WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None)
        .build())
}

/// These rows, with their values, if there are any.
fn batch(steps: &Steps, rows: Range<usize>, values: &[StepValues]) -> Result<RecordBatch, ArrowError> {
    let contributions = steps.contributions.by_step().zip(steps.contributions.self_terms_by_step());
    let of_row = |(row, (contributions, self_terms)): (usize, (&[f64], &[f64]))| {
        let [values, group_pairs, norms, similarity] = values.get(row).map_or_else(Default::default, to_lists);
        [[contributions, self_terms].map(whole).to_vec(), values, group_pairs, norms, similarity]
    };
    let contributions = contributions.skip(rows.start).take(rows.len());
    let lists: Vec<[Lists; COLUMNS.len()]> = contributions.enumerate().map(of_row).collect();
    let columns = COLUMNS.iter().enumerate().map(|(place, name)| (*name, nested(lists.iter().map(|row| &row[place]))));
    let of_step: ArrayRef = Arc::new(Int64Array::from(steps.steps()[rows].to_vec()));
    RecordBatch::try_from_iter([("step", of_step)].into_iter().chain(columns))
}

/// A column of lists of lists.
fn nested<'a>(rows: impl Iterator<Item = &'a Lists>) -> ArrayRef {
    let mut column = ListBuilder::new(ListBuilder::new(Float64Builder::new()));
    for row in rows {
        for list in row {
            column.values().append_value(list.iter().copied());
        }
        column.append(true);
    }
    Arc::new(column.finish())
}

fn whole(values: &[f64]) -> Vec<Option<f64>> {
    values.iter().copied().map(Some).collect()
}

/// Values, numbers of group pairs, norms, and which examples are similar.
fn to_lists(step: &StepValues) -> [Lists; 4] {
    let column = |number: fn(&Measured) -> Option<f64>| step.values.iter().map(number).collect();
    let values = [
        column(|measured| measured.value),
        column(|measured| measured.interval.map(|interval| interval.0)),
        column(|measured| measured.interval.map(|interval| interval.1)),
    ];
    let all = |lists: &[Vec<f64>]| lists.iter().map(|list| whole(list)).collect();
    let norms = all(std::slice::from_ref(&step.norms));
    [values.to_vec(), all(&step.group_pairs), norms, all(&step.similarity)]
}

/// Adds the steps of a file, whose values are of these keys, to those of earlier ones.
///
/// # Errors
/// It cannot be read, or holds something else.
pub(super) fn read(path: &Path, shape: &Shape, keys: &[Key], steps: &mut Steps) -> Result<(), AnalysisError> {
    let error = |message: String| AnalysisError::Shard { path: path.to_path_buf(), message };
    if !(steps.measured() == 0 || steps.keys == keys) || !keys.iter().all(|key| shape.has(key)) {
        return Err(error("its values are of other statistics, layers or groups: make the shard again".to_string()));
    }
    // The reader panics on some damaged files; this one has the hash it was written with.
    let read = catch_unwind(AssertUnwindSafe(|| read_rows(path, shape, keys, steps)));
    let read = read.unwrap_or_else(|_| Err("it is damaged".to_string()));
    read.map_err(|message| error(format!("{message}: make the shard again")))?
}

/// The inner error is that of keeping what was read.
fn read_rows(path: &Path, shape: &Shape, keys: &[Key], steps: &mut Steps) -> Result<Result<(), AnalysisError>, String> {
    let damaged = |error: &dyn std::fmt::Display| format!("it cannot be read ({error})");
    let file = cograd_files::open_regular(path).map_err(|error| damaged(&error))?;
    cograd_files::check_parquet_schema(&file).map_err(|error| damaged(&error))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| damaged(&error))?;
    let rows = rows_at_once(shape.examples, keys);
    for batch in builder.with_batch_size(rows).build().map_err(|error| damaged(&error))? {
        let batch = batch.map_err(|error| damaged(&error))?;
        let other = || "it has other columns".to_string();
        let of_step = batch.column_by_name("step").and_then(|column| column.as_primitive_opt::<Int64Type>());
        let of_step = of_step.ok_or_else(other)?;
        let columns = COLUMNS.map(|name| batch.column_by_name(name).and_then(|column| column.as_list_opt::<i32>()));
        for row in 0..batch.num_rows() {
            let lists = columns.map(|column| lists(column?, row));
            let [Some(contributions), Some(values), Some(group_pairs), Some(norms), Some(similarity)] = lists else {
                return Err(other());
            };
            let sizes = || format!("the numbers of step {} are not those of the run", of_step.value(row));
            let contributions = shape.contributions(contributions).ok_or_else(sizes)?;
            let values = shape.values(keys, [values, group_pairs, norms, similarity]).ok_or_else(sizes)?;
            if let Err(error) = steps.push(of_step.value(row), contributions, values) {
                return Ok(Err(error));
            }
        }
    }
    Ok(Ok(()))
}

/// The lists of a row; `None` if it holds anything else.
fn lists(column: &ListArray, row: usize) -> Option<Lists> {
    let lists = column.value(row);
    let of_list = |list: Option<ArrayRef>| Some(list?.as_primitive_opt::<Float64Type>()?.iter().collect());
    lists.as_list_opt::<i32>()?.iter().map(of_list).collect()
}

impl Shape {
    fn has(&self, key: &Key) -> bool {
        let has_pair = match key.pair {
            Pair::All => true,
            Pair::Groups(a, b) => a.max(b) < self.groups,
            Pair::Classes(a, b) => a.max(b) < self.classes,
        };
        has_pair && key.layer.is_none_or(|layer| layer < self.layers)
    }

    fn contributions(&self, lists: Lists) -> Option<StepContributions> {
        let [contributions, self_terms] = numbers(lists, self.examples)?.try_into().ok()?;
        Some(StepContributions { contributions, self_terms })
    }

    fn norms(&self, lists: Lists) -> Option<Vec<f64>> {
        let [norms]: [Vec<Option<f64>>; 1] = lists.try_into().ok()?;
        let norms: Vec<f64> = norms.into_iter().collect::<Option<_>>()?;
        norms.len().is_multiple_of(self.groups + 1).then_some(norms)
    }

    fn similar(&self, lists: Lists) -> Option<Vec<Vec<f64>>> {
        let is_due = lists.is_empty() || lists.iter().map(Vec::len).eq(self.similarity.iter().copied());
        lists.into_iter().map(|list| list.into_iter().collect()).collect::<Option<_>>().filter(|_| is_due)
    }

    /// `Some(None)` if there are none; `None` if they are of other sizes.
    fn values(&self, keys: &[Key], [values, group_pairs, norms, similarity]: [Lists; 4]) -> Option<Option<StepValues>> {
        if values.is_empty() {
            return Some(None);
        }
        let [value, lower, upper]: [Vec<Option<f64>>; 3] = values.try_into().ok()?;
        if [&value, &lower, &upper].iter().any(|list| list.len() != keys.len()) {
            return None;
        }
        let measured = |((&value, lower), upper): ((&Option<f64>, &Option<f64>), &Option<f64>)| Measured {
            value,
            interval: lower.zip(*upper),
        };
        Some(Some(StepValues {
            keys: keys.to_vec(),
            values: value.iter().zip(&lower).zip(&upper).map(measured).collect(),
            group_pairs: numbers(group_pairs, self.groups * self.groups + 1)?,
            norms: self.norms(norms)?,
            similarity: self.similar(similarity)?,
        }))
    }
}

/// Lists of so many numbers, none of them null.
fn numbers(lists: Lists, length: usize) -> Option<Vec<Vec<f64>>> {
    let of_list = |list: Vec<Option<f64>>| list.into_iter().collect::<Option<Vec<f64>>>();
    lists.into_iter().map(|list| of_list(list).filter(|list| list.len() == length)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Estimator;

    /// Two steps of three examples, with numbers that no text keeps.
    fn steps(with_values: bool) -> Steps {
        let mut steps = nothing(3);
        for step in [0, 7] {
            let contributions = StepContributions {
                contributions: vec![0.1 + 0.2, -0.0, f64::MIN_POSITIVE / 2.0],
                self_terms: vec![f64::NAN, 1.0, f64::INFINITY],
            };
            let values = with_values.then(|| StepValues {
                keys: vec![key(Pair::Groups(0, 1)); 2],
                values: vec![
                    Measured { value: Some(1.0 / 3.0), interval: Some((-0.0, f64::INFINITY)) },
                    Measured { value: None, interval: None },
                ],
                group_pairs: vec![vec![1.0; 5]],
                norms: [0.5, -1.5, -1.0].repeat(4),
                similarity: if step == 0 { Vec::new() } else { vec![vec![f64::NAN, 0.25], vec![-0.0]] },
            });
            steps.push(step, contributions, values).unwrap();
        }
        steps
    }

    fn nothing(examples: usize) -> Steps {
        Steps::new(examples, Path::new("."))
    }

    fn key(pair: Pair) -> Key {
        Key { estimator: Estimator::Paper, layer: Some(1), statistic: "a".into(), pair }
    }

    fn shape() -> Shape {
        Shape { examples: 3, layers: 2, groups: 2, classes: 0, similarity: vec![2, 1] }
    }

    #[test]
    fn what_is_read_is_what_was_written_to_the_last_bit() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("steps.parquet");
        for with_values in [true, false] {
            let written = steps(with_values);
            assert_eq!(write(&path, &written).unwrap().rows, 2);
            let mut found = nothing(3);
            read(&path, &shape(), &written.keys, &mut found).unwrap();
            // Debug tells −0 from 0, and says of a number all that there is to say.
            let everything =
                |steps: &Steps| format!("{:?} {:?} {:?}", steps.contributions, steps.keys, steps.pushed(0..2).unwrap());
            assert_eq!(everything(&found), everything(&written));
        }
    }

    #[test]
    fn numbers_of_other_sizes_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("steps.parquet");
        let written = steps(true);
        write(&path, &written).unwrap();
        for shape in [
            Shape { examples: 4, ..shape() },
            Shape { layers: 1, ..shape() },
            Shape { groups: 1, ..shape() },
            Shape { groups: 3, ..shape() },
            Shape { similarity: vec![1, 2], ..shape() },
        ] {
            assert!(read(&path, &shape, &written.keys, &mut nothing(shape.examples)).is_err());
        }
        assert!(read(&path, &shape(), &written.keys[..1], &mut nothing(3)).is_err());
        assert!(read(&path, &shape(), &[key(Pair::Classes(0, 0)), key(Pair::All)], &mut nothing(3)).is_err());
        std::fs::write(&path, "PAR1").unwrap();
        assert!(read(&path, &shape(), &written.keys, &mut nothing(3)).is_err());
    }
}
