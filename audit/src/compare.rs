//! The published tables of one run against what is recomputed, some steps after the others.

use std::collections::BTreeMap;
use std::ops::Range;

use cograd_results::TABLES;

use crate::claim::Claim;
use crate::evidence::Evidence;
use crate::plain::curves::steps;
use crate::recompute::{Recomputed, StepRange};
use crate::results::{Results, Unmade};
use crate::sheet::{Comparison, Places, Sheet};
use crate::sheets::{self, Make};
use crate::table::Tables;
use crate::tally::Tally;
use crate::trace::{SampleStep, Trace};

/// Rows of the tables of a run that are recomputed at once, about, and those that are read at once.
const RECOMPUTED: f64 = (1 << 18) as f64;
const READ: f64 = (1 << 21) as f64;

/// Steps that are recomputed at once, and whether the rows of the tables are read that begin with them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batch {
    pub steps: StepRange,
    begins_part: bool,
}

/// Rows of a step of gradients, and of an evaluation, where there are no tables.
const NO_TABLES: [f64; 2] = [512.0, 16.0];

impl Batch {
    /// Those of a run that is not compared.
    pub(crate) fn without_tables(trace: &Trace) -> Vec<Batch> {
        Batch::all(trace, NO_TABLES)
    }

    /// The batches of a run's steps, of which one of the gradients or the population has so many rows in the tables, and an evaluated one so
    /// many.
    fn all(trace: &Trace, rows: [f64; 2]) -> Vec<Batch> {
        let manifest = trace.manifest();
        let recorded = manifest.recorded_steps.iter().chain(&manifest.population_steps).map(|step| (*step, rows[0]));
        let evaluated = steps(&trace.metrics).into_iter().map(|step| (step, rows[1]));
        let mut weights: Vec<(i64, f64)> = recorded.chain(evaluated).collect();
        weights.sort_unstable_by_key(|(step, _)| *step);
        let mut batches = vec![Batch { steps: StepRange::default(), begins_part: true }];
        let (mut in_batch, mut in_part) = (0.0, 0.0);
        for of_step in weights.chunk_by(|a, b| a.0 == b.0) {
            let (step, weight) = (of_step[0].0, of_step.iter().map(|(_, weight)| weight).sum::<f64>());
            if in_batch > 0.0 && in_batch + weight > RECOMPUTED {
                let begins_part = in_part + RECOMPUTED > READ;
                batches.last_mut().into_iter().for_each(|batch| batch.steps.end = Some(step));
                batches.push(Batch { steps: StepRange { begin: Some(step), end: None }, begins_part });
                (in_batch, in_part) = (0.0, if begins_part { 0.0 } else { in_part });
            }
            in_batch += weight;
            in_part += weight;
        }
        batches
    }
}

/// The comparison of the tables with one run, while its steps are recomputed.
pub(crate) struct OfRun<'a> {
    results: &'a Results,
    pub run: Recomputed,
    batches: Vec<Batch>,
    /// Of each table that is compared step by step, the rows of each part.
    rows: BTreeMap<&'static str, Vec<Vec<Range<usize>>>>,
    /// How many parts were begun.
    parts: usize,
    tables: Tables,
    places: BTreeMap<&'static str, Places>,
    keys: BTreeMap<&'static str, Vec<String>>,
    comparisons: BTreeMap<&'static str, Result<Comparison, Unmade>>,
    identities: Tally,
}

impl<'a> OfRun<'a> {
    /// Before the first step.
    pub(crate) fn new(results: &'a Results, run: Recomputed) -> OfRun<'a> {
        let trace = &run.trace;
        let rows = |tables: &[&str], steps: usize| {
            let files = tables.iter().filter_map(|name| results.tables.get(name));
            let rows: usize = files.flat_map(|file| file.rows_of(&run.manifest().run)).map(Range::len).sum();
            // They are in `curves` once more.
            2.0 * rows as f64 / steps.max(1) as f64
        };
        let (evaluated, others): (Vec<&str>, Vec<&str>) = TABLES
            .iter()
            .filter(|table| matches!(sheets::make(table.name), Some(Make::OfSteps(_))))
            .map(|table| table.name)
            .partition(|name| ["metrics", "learned", "overfit"].contains(name));
        let manifest = run.manifest();
        let recorded = manifest.recorded_steps.len() + manifest.population_steps.len();
        let weights = [rows(&others, recorded), rows(&evaluated, steps(&trace.metrics).len())];
        let batches = Batch::all(trace, weights);
        let mut of_run = OfRun {
            results,
            rows: BTreeMap::new(),
            parts: 0,
            tables: Tables::new(),
            places: BTreeMap::new(),
            keys: BTreeMap::new(),
            comparisons: BTreeMap::new(),
            identities: Tally::default(),
            batches,
            run,
        };
        of_run.cut();
        of_run
    }

    /// Finds the rows of each part.
    fn cut(&mut self) {
        let begins_part = self.batches.iter().filter(|batch| batch.begins_part);
        let begins: Vec<i64> = begins_part.map(|batch| batch.steps.begin.unwrap_or(i64::MIN)).collect();
        for definition in TABLES {
            let make = sheets::make(definition.name);
            if let (Some(Make::OfSteps(_) | Make::Curves), Some(file)) =
                (make, self.results.tables.get(definition.name))
            {
                match file.parts_of(&self.run.manifest().run, &begins) {
                    Ok(parts) => drop(self.rows.insert(definition.name, parts)),
                    Err(why) => drop(self.comparisons.insert(definition.name, Err(why.into()))),
                }
            }
        }
    }

    /// The batches in which the run is recomputed.
    pub(crate) fn batches(&self) -> Vec<Batch> {
        self.batches.clone()
    }

    /// Compares the steps of a batch, of which these are those of the sample.
    pub(crate) fn add(&mut self, batch: Batch, sample: Vec<SampleStep>) {
        if batch.begins_part {
            self.end_part();
            self.begin_part();
        }
        self.run.add(batch.steps, sample);
        for definition in TABLES {
            if let Some(Make::OfSteps(make)) = sheets::make(definition.name) {
                match make(&self.run) {
                    Ok(sheet) => {
                        let tables = std::mem::take(&mut self.tables);
                        self.compare(definition, &sheet, &tables);
                        self.tables = tables;
                    }
                    Err(why) => drop(self.comparisons.insert(definition.name, Err(why.into()))),
                }
            }
        }
    }

    fn begin_part(&mut self) {
        for (name, parts) in &mut self.rows {
            match self.results.tables[name].load(std::mem::take(&mut parts[self.parts])) {
                Ok(table) => drop(self.tables.insert(name, table)),
                Err(why) => drop(self.comparisons.insert(name, Err(why.into()))),
            }
        }
        self.parts += 1;
    }

    /// Compares a sheet with the rows that are there.
    fn compare(&mut self, definition: &'static cograd_results::Table, sheet: &Sheet, tables: &Tables) {
        let Some(table) = tables.get(definition.name) else { return };
        let comparison = self.comparisons.entry(definition.name).or_insert_with(|| Ok(Comparison::default()));
        let Ok(comparison) = comparison else { return };
        if !self.keys.contains_key(definition.name) {
            self.results.tell_unknown(definition, sheet);
            self.keys.insert(definition.name, sheet.keys.clone());
        }
        let places = self.places.entry(definition.name).or_insert_with(|| Places::new(&sheet.keys, table));
        self.results.with_known(definition, |known| comparison.rows(sheet, table, places, known));
    }

    /// Compares what is left of the rows that are there, and what they are with each other.
    fn end_part(&mut self) {
        self.compare_curves();
        for definition in TABLES {
            let name = definition.name;
            let (Some(table), Some(places)) = (self.tables.get(name), self.places.get(name)) else { continue };
            if let (Some(Ok(comparison)), Some(keys)) = (self.comparisons.get_mut(name), self.keys.get(name)) {
                self.results.with_known(definition, |known| comparison.rest(keys, table, places, known));
            }
        }
        self.results.identities(self.run.manifest(), &self.tables, &mut self.identities);
        self.results.sums.borrow_mut().add(&self.tables);
        (self.tables, self.places) = Default::default();
    }

    /// Compares `curves` with the tables that it is made of.
    fn compare_curves(&mut self) {
        let definition = &cograd_results::tables::CURVES;
        if self.parts == 0 {
            return;
        }
        if let Some(unread) =
            TABLES.iter().find(|table| !table.curves.is_empty() && !self.tables.contains_key(table.name))
        {
            let why = format!("{}.parquet cannot be read: see the other claims", unread.name);
            self.comparisons.insert(definition.name, Err(why.into()));
            return;
        }
        let tables = std::mem::take(&mut self.tables);
        sheets::curves::each(&tables, |sheet| self.compare(definition, sheet, &tables));
        self.tables = tables;
    }

    /// The claims of the run, once all batches were added.
    pub(crate) fn finish(mut self, claims: &mut Vec<Claim>) -> Evidence {
        self.end_part();
        let results = self.results;
        self.run.test_all(&results.summary.options);
        for definition in TABLES {
            if let Some(make @ (Make::OfRun(_) | Make::Null)) = sheets::make(definition.name) {
                let compared = self.compare_whole(definition, make);
                self.comparisons.insert(definition.name, compared);
            }
        }
        let run = self.run.manifest().run.clone();
        for definition in TABLES {
            let is_of_run = !matches!(sheets::make(definition.name), None | Some(Make::OfStudy(_) | Make::OverSeeds));
            if is_of_run {
                let compared = self.comparisons.remove(definition.name).unwrap_or_else(|| Ok(Comparison::default()));
                claims.extend(results.claim(definition, &run, || compared));
            }
        }
        claims.push(self.identities.into_claim("every row has the conditions and the seed of its run", &run));
        results.compared.borrow_mut().insert(run);
        Evidence::new(&self.run)
    }

    /// Compares all rows of a table of the run.
    fn compare_whole(&mut self, definition: &'static cograd_results::Table, make: Make) -> Result<Comparison, Unmade> {
        let Some(file) = self.results.tables.get(definition.name) else { return Ok(Comparison::default()) };
        let tables = Tables::from([(definition.name, file.load(file.rows_of(&self.run.manifest().run).to_vec())?)]);
        self.results.identities(self.run.manifest(), &tables, &mut self.identities);
        let (mut comparison, mut places) = (Comparison::default(), None);
        let table = &tables[definition.name];
        let mut keys = Vec::new();
        let mut compare = |sheet: &Sheet| {
            let places = places.get_or_insert_with(|| {
                self.results.tell_unknown(definition, sheet);
                Places::new(&sheet.keys, table)
            });
            keys.clone_from(&sheet.keys);
            self.results.with_known(definition, |known| comparison.rows(sheet, table, places, known));
        };
        match make {
            Make::OfRun(make) => compare(&make(&self.run)?),
            _ => sheets::null::each(&self.run, &mut compare)?,
        }
        if let Some(places) = &places {
            self.results.with_known(definition, |known| comparison.rest(&keys, table, places, known));
        }
        Ok(comparison)
    }
}
