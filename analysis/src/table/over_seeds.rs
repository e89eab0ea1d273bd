//! Every curve over the seeds of a condition: mean and Student-t interval, step by step [S 9.1].
//!
//! A condition is the runs that differ in nothing but their seed.

use std::collections::{BTreeMap, HashMap};

use cograd_results::Kind;
use polars::prelude::*;

use super::curves::NAME;
use crate::{AnalysisError, frame};

/// Rows that are grouped by step at once, about.
const ROWS: usize = 1 << 20;
/// The place of a curve among those of its condition, and the step.
const KEYS: [&str; 2] = ["_curve_place", "step"];

/// What names a curve.
type Name = [Option<String>; NAME.len()];

/// The curves of runs while they pass. The rows of a condition are there when its last run has passed, and those of earlier conditions
/// are; of a condition with one run, at once.
#[derive(Default)]
pub(crate) struct OverSeeds {
    /// Of each condition, how many of its runs are still to come.
    left: Vec<usize>,
    /// The first condition whose rows are not all there.
    next: usize,
    held: BTreeMap<usize, Held>,
}

/// The curves of a condition's runs so far.
#[derive(Default)]
struct Held {
    /// A row with the conditions.
    conditions: DataFrame,
    places: HashMap<Name, u32>,
    /// [`KEYS`] and `value`.
    rows: Vec<DataFrame>,
}

impl OverSeeds {
    /// Of runs of conditions with these places.
    pub(crate) fn new(places: &[u64]) -> OverSeeds {
        let mut of = OverSeeds::default();
        for &place in places {
            of.left.resize(of.left.len().max(place as usize + 1), 0);
            of.left[place as usize] += 1;
        }
        of
    }

    /// Adds curves of a run of the condition at a place, with the columns of the `conditions`; returns rows of the table.
    pub(crate) fn add(
        &mut self,
        place: u64,
        curves: DataFrame,
        conditions: &[String],
    ) -> PolarsResult<Option<DataFrame>> {
        let place = place as usize;
        if place == self.next && self.left[place] == 1 && !self.held.contains_key(&place) {
            return of_one_run(curves).collect().map(Some);
        }
        let held = self.held.entry(place).or_default();
        if held.conditions.height() == 0 && !conditions.is_empty() {
            held.conditions = curves.select(conditions)?.head(Some(1));
        }
        held.add(&curves).map(|()| None)
    }

    /// All curves of a run of the condition at a place were added; `write` takes the rows that are there now.
    ///
    /// # Errors
    /// That of `write`, and those of polars.
    pub(crate) fn end_run(
        &mut self,
        place: u64,
        mut write: impl FnMut(DataFrame) -> Result<(), AnalysisError>,
    ) -> Result<(), AnalysisError> {
        self.left[place as usize] -= 1;
        while self.left.get(self.next) == Some(&0) {
            if let Some(held) = self.held.remove(&self.next) {
                let names = held.names();
                let height: usize = held.rows.iter().map(DataFrame::height).sum();
                let at_once = (names.len() * ROWS / height.max(1)).max(1);
                for names in names.chunks(at_once) {
                    write(held.of_curves(names).map_err(AnalysisError::frame)?)?;
                }
            }
            self.next += 1;
        }
        Ok(())
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
    fn add(&mut self, curves: &DataFrame) -> PolarsResult<()> {
        let names =
            NAME.iter().map(|name| curves.column(name)?.str()).collect::<PolarsResult<Vec<&StringChunked>>>()?;
        let mut places = Vec::with_capacity(curves.height());
        let mut last: Option<([Option<&str>; NAME.len()], u32)> = None;
        for row in 0..curves.height() {
            let name: [Option<&str>; NAME.len()] = std::array::from_fn(|place| names[place].get(row));
            let place = match last {
                Some((of_last, place)) if of_last == name => place,
                _ => {
                    let next = self.places.len() as u32;
                    *self.places.entry(name.map(|part| part.map(str::to_string))).or_insert(next)
                }
            };
            last = Some((name, place));
            places.push(place);
        }
        let mut rows = curves.select(["step", "value"])?;
        rows.with_column(Column::new(KEYS[0].into(), places))?;
        self.rows.push(rows);
        Ok(())
    }

    /// The curves in their order.
    fn names(&self) -> Vec<(&Name, u32)> {
        let mut names: Vec<(&Name, u32)> = self.places.iter().map(|(name, place)| (name, *place)).collect();
        names.sort_unstable_by_key(|(_, place)| *place);
        names
    }

    /// The rows of some neighbouring curves, of a curve by step.
    fn of_curves(&self, names: &[(&Name, u32)]) -> PolarsResult<DataFrame> {
        let places: Vec<u32> = names.iter().map(|(_, place)| *place).collect();
        let place = || col(KEYS[0]);
        let is_of_them = place().gt_eq(lit(places[0])).and(place().lt_eq(lit(places[places.len() - 1])));
        let rows = self.rows.iter().map(|rows| rows.clone().lazy().filter(is_of_them.clone())).collect();
        let by_step = frame::stacked(rows)?.group_by_stable(KEYS.map(col)).agg([col("value").drop_nulls()]);
        let sorted = super::mean_intervals(by_step, "value")?.sort(KEYS, SortMultipleOptions::default());
        let part = |(part, column): (usize, &&str)| {
            Column::new((*column).into(), names.iter().map(|(name, _)| name[part].as_deref()).collect::<Vec<_>>())
        };
        let columns = [Column::new(KEYS[0].into(), places)].into_iter().chain(NAME.iter().enumerate().map(part));
        let names = DataFrame::new(names.len(), columns.collect())?.lazy();
        let mut args = JoinArgs::new(JoinType::Left);
        args.maintain_order = MaintainOrderJoin::Left;
        let named = sorted.join(names, [place()], [place()], args);
        match self.conditions.width() {
            0 => named.collect(),
            _ => frame::every_pair(named, self.conditions.clone().lazy()).collect(),
        }
    }
}
