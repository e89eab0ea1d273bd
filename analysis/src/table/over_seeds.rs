//! Every curve over the seeds of a condition: mean and Student-t interval, step by step [S 9.1].
//!
//! A condition is the runs that differ in nothing but their seed.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::Path;

use cograd_results::Kind;
use polars::prelude::*;

use super::curves::NAME;
use crate::spool::Spool;
use crate::{AnalysisError, frame};

/// Rows that are grouped by step at once, about.
const ROWS: usize = 1 << 20;
/// The place of a curve among those of its condition, and the step.
const KEYS: [&str; 2] = ["_curve_place", "step"];

/// What names a curve.
type Name = [Option<String>; NAME.len()];

/// A value that is null; no arithmetic makes a NaN of these bits.
const NULL: u64 = u64::MAX;

/// The curves of runs while they pass. The rows of a condition are there when its last run has passed, and those of earlier conditions
/// are; of a condition with one run, at once.
pub(crate) struct OverSeeds {
    /// Of each condition, how many of its runs are still to come.
    left: Vec<usize>,
    /// The first condition whose rows are not all there.
    next: usize,
    held: BTreeMap<usize, Held>,
    /// Of the rows that are held the steps and then the values, segment after segment.
    rows: Spool,
}

/// The curves of a condition's runs so far.
#[derive(Default)]
pub(crate) struct Held {
    /// A row with the conditions.
    conditions: DataFrame,
    places: HashMap<Name, usize>,
    /// The curves, in their order, with the segments of their rows.
    curves: Vec<(Name, Vec<Segment>)>,
}

/// Where in the spool some rows of a curve begin, and how many there are.
type Segment = (usize, usize);

impl OverSeeds {
    /// Of runs of conditions with these places; what does not fit into memory is kept in `directory`.
    pub(crate) fn new(places: &[u64], directory: &Path) -> OverSeeds {
        let mut left = Vec::new();
        for &place in places {
            left.resize(left.len().max(place as usize + 1), 0);
            left[place as usize] += 1;
        }
        OverSeeds { left, next: 0, held: BTreeMap::new(), rows: Spool::new(directory) }
    }

    /// Adds curves of a run of the condition at a place, with the columns of the `conditions`; returns rows of the table.
    pub(crate) fn add(
        &mut self,
        place: u64,
        curves: DataFrame,
        conditions: &[String],
    ) -> Result<Option<DataFrame>, AnalysisError> {
        let place = place as usize;
        if place == self.next && self.left[place] == 1 && !self.held.contains_key(&place) {
            return of_one_run(curves).collect().map(Some).map_err(AnalysisError::frame);
        }
        let held = self.held.entry(place).or_default();
        if held.conditions.height() == 0 && !conditions.is_empty() {
            held.conditions = curves.select(conditions).map_err(AnalysisError::frame)?.head(Some(1));
        }
        for (curve, rows) in held.rows_of_curves(&curves).map_err(AnalysisError::frame)? {
            let first = self.rows.append(rows.iter().map(|row| row.0).chain(rows.iter().map(|row| row.1)))?;
            held.curves[curve].1.push((first, rows.len()));
        }
        Ok(None)
    }

    /// All curves of a run of the condition at a place were added; returns the conditions whose rows are there now.
    pub(crate) fn end_run(&mut self, place: u64) -> Vec<Held> {
        self.left[place as usize] -= 1;
        let mut done = Vec::new();
        while self.left.get(self.next) == Some(&0) {
            done.extend(self.held.remove(&self.next));
            self.next += 1;
        }
        done
    }

    /// The rows of some neighbouring curves of a condition, of a curve by step.
    ///
    /// # Errors
    /// They cannot be read again, and those of polars.
    pub(crate) fn rows(&self, held: &Held, curves: Range<usize>) -> Result<DataFrame, AnalysisError> {
        let (mut places, mut steps, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for (place, (_, segments)) in held.curves[curves.clone()].iter().enumerate() {
            for &(first, rows) in segments {
                let words = self.rows.read(first, 2 * rows)?;
                let (of_steps, of_values) = words.split_at(rows);
                places.extend(std::iter::repeat_n(place as u32, rows));
                steps.extend(of_steps.iter().map(|step| step.cast_signed()));
                values.extend(of_values.iter().map(|&bits| (bits != NULL).then(|| f64::from_bits(bits))));
            }
        }
        let rows = df!(KEYS[0] => places, KEYS[1] => steps, "value" => values);
        rows.and_then(|rows| held.table(rows, curves)).map_err(AnalysisError::frame)
    }
}

/// One value has no interval.
fn of_one_run(run: DataFrame) -> LazyFrame {
    run.lazy().with_columns([
        col("value").is_not_null().cast(DataType::UInt64).alias("seeds"),
        col("value").alias("mean"),
        frame::null(Kind::Number).alias("lower"),
        frame::null(Kind::Number).alias("upper"),
    ])
}

impl Held {
    /// Rows of the curves, by the places of these: of each row the step and the bits of the value.
    fn rows_of_curves(&mut self, curves: &DataFrame) -> PolarsResult<BTreeMap<usize, Vec<(u64, u64)>>> {
        let names =
            NAME.iter().map(|name| curves.column(name)?.str()).collect::<PolarsResult<Vec<&StringChunked>>>()?;
        let (steps, values) = (curves.column("step")?.i64()?, curves.column("value")?.f64()?);
        let mut rows: BTreeMap<usize, Vec<(u64, u64)>> = BTreeMap::new();
        let mut last: Option<([Option<&str>; NAME.len()], usize)> = None;
        for (row, (step, value)) in steps.iter().zip(values.iter()).enumerate() {
            let name: [Option<&str>; NAME.len()] = std::array::from_fn(|place| names[place].get(row));
            let place = match last {
                Some((of_last, place)) if of_last == name => place,
                _ => self.index(name.map(|part| part.map(str::to_string))),
            };
            last = Some((name, place));
            let step = step.unwrap_or_default().cast_unsigned();
            rows.entry(place).or_default().push((step, value.map_or(NULL, f64::to_bits)));
        }
        Ok(rows)
    }

    /// The place of a curve, the next one of a new curve.
    fn index(&mut self, name: Name) -> usize {
        let next = self.places.len();
        let place = *self.places.entry(name.clone()).or_insert(next);
        if place == next {
            self.curves.push((name, Vec::new()));
        }
        place
    }

    /// Its curves in parts that have not too many rows.
    pub(crate) fn parts(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let rows: usize = self.curves.iter().flat_map(|(_, segments)| segments).map(|(_, rows)| rows).sum();
        let (curves, at_once) = (self.curves.len(), (self.curves.len() * ROWS / rows.max(1)).max(1));
        (0..curves).step_by(at_once).map(move |first| first..(first + at_once).min(curves))
    }

    /// The table, from the rows of these curves.
    fn table(&self, rows: DataFrame, curves: Range<usize>) -> PolarsResult<DataFrame> {
        let by_step = rows.lazy().group_by_stable(KEYS.map(col)).agg([col("value").drop_nulls()]);
        let sorted = super::mean_intervals(by_step, "value")?.sort(KEYS, SortMultipleOptions::default());
        let curves = &self.curves[curves];
        let part = |(part, column): (usize, &&str)| {
            Column::new((*column).into(), curves.iter().map(|(name, _)| name[part].as_deref()).collect::<Vec<_>>())
        };
        let places = Column::new(KEYS[0].into(), (0..curves.len() as u32).collect::<Vec<_>>());
        let columns = [places].into_iter().chain(NAME.iter().enumerate().map(part));
        let names = DataFrame::new(curves.len(), columns.collect())?.lazy();
        let mut args = JoinArgs::new(JoinType::Left);
        args.maintain_order = MaintainOrderJoin::Left;
        let named = sorted.join(names, [col(KEYS[0])], [col(KEYS[0])], args);
        match self.conditions.width() {
            0 => named.collect(),
            _ => frame::every_pair(named, self.conditions.clone().lazy()).collect(),
        }
    }
}
