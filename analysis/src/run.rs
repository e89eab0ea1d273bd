//! The analysis of one run in two halves: what the kernels find in its steps, and every table of it.
//!
//! The first half is a map over the row groups of its gradients and of its population record, in `run/read.rs`. A shard of an
//! analysis is that half of some row groups, stored.

mod read;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::OnceLock;

use cograd_files::{FileError, read_regular, sha256_of_sealed};
use cograd_results::tables::COHERENCE;
use cograd_results::{TABLES, Table, table as definition};
use cograd_trace::{Examples, Run};
use polars::prelude::*;

pub(crate) use self::read::{Found, Reads, RunPart, Steps};
use crate::contributions::Sums;
use crate::gradients::BLOCK;
use crate::groups::{self, Groups};
use crate::kernel::grouping::Grouping;
use crate::record::Record;
use crate::sample::Pair;
use crate::selection::Selection;
use crate::statistic::similarity::Similarity;
use crate::statistic::{Compute, Statistic, population};
use crate::table::{self, runs::Analysed};
use crate::{AnalysisError, Estimator, GroupBy, Options};

/// Why a population record is left out of an analysis of some examples.
const EXAMPLES_RESTRICTED: &str = "it has the contributions to the gradient of all examples, not to that of some";

/// Rows of a table of the statistics that are numbers of a step, at most, that are there at once.
const ROWS: usize = 1 << 16;
/// Steps whose norms are there at once, at most.
const STEPS: usize = 1 << 10;

/// Takes the rows of a run's table, all at once or some after the others; the tables come in their order.
pub(crate) type Sink<'s> = dyn FnMut(&'static Table, DataFrame) -> Result<(), AnalysisError> + 's;

/// What was found out about one run beside the rows of its tables.
pub(crate) struct RunAnalysis {
    /// Its row of `runs`, with what predictions are judged by.
    pub(crate) facts: DataFrame,
    /// Names of its groups, in order.
    pub(crate) groups: Vec<String>,
}

/// The analysis of a run while it is made.
pub(crate) struct Analysis<'a> {
    run: &'a Run,
    statistics: &'a [&'static Statistic],
    options: &'a Options,
    /// Where numbers of steps are kept that do not fit into memory.
    directory: &'a Path,
    examples: Examples,
    selection: Selection,
    groups: Groups,
    grouping: Grouping,
    reads: Reads,
    /// Numbers of a step that are held at a time.
    block: usize,
    /// Filled by the first use of [`Analysis::classes`].
    classes: OnceLock<Option<Grouping>>,
}

impl<'a> Analysis<'a> {
    /// What is found and made of `run`, under these options; what does not fit into memory is kept in `directory` meanwhile.
    ///
    /// # Errors
    /// It has not what the options ask for, or its examples, parameters or coordinates cannot be read.
    pub(crate) fn new(
        run: &'a Run,
        group_by: &GroupBy,
        statistics: &'a [&'static Statistic],
        options: &'a Options,
        directory: &'a Path,
    ) -> Result<Analysis<'a>, AnalysisError> {
        let examples = run.examples().map_err(|source| AnalysisError::in_run(run, source))?;
        let selection = Selection::new(run, &examples, options)?;
        let reads = Reads::new(run, statistics, options);
        let mut analysed = selection.sampled.clone();
        if reads.population {
            analysed.extend(examples.population_ids());
            analysed.sort_unstable();
        }
        let groups = Groups::new(run, &analysed, group_by)?;
        let grouping = groups.of_ids(selection.sampled.iter().copied());
        Ok(Analysis {
            run,
            statistics,
            options,
            directory,
            examples,
            selection,
            groups,
            grouping,
            reads,
            block: BLOCK,
            classes: OnceLock::new(),
        })
    }

    /// The second half: every table, from what was found in all steps.
    ///
    /// # Errors
    /// What else the statistics are of cannot be read, a table cannot be made, or its rows are not taken.
    pub(crate) fn tables(&self, read: &Found, sink: &mut Sink<'_>) -> Result<RunAnalysis, AnalysisError> {
        let mut found = Tables::default();
        self.add_contributions(read, &mut found).map_err(AnalysisError::frame)?;
        self.add_values(read, &mut found)?;
        self.add_similarity(read, &mut found)?;
        let contributions = read.sample.as_ref().map(|steps| &steps.contributions);
        let record = Record::new(self.run, &self.groups, &self.selection.sampled, contributions);
        for statistic in self.statistics {
            if let Compute::Record { table: make, gradients } = statistic.compute {
                let rows = |record: &Record<'_>| make(record)?.collect().map_err(AnalysisError::frame);
                match definition(statistic.tables[0]).filter(|_| gradients) {
                    Some(table) => in_parts(record.rows(), ROWS)
                        .try_for_each(|part| sink(table, rows(&record.with_rows(part))?))?,
                    None => found.add(statistic.tables[0], rows(&record)?),
                }
            }
        }
        found.add("groups", self.groups_frame().map_err(AnalysisError::frame)?);
        let mut tables = found.stacked().map_err(AnalysisError::frame)?;
        // The sample is of all examples: of a part of them it estimates nothing.
        let of_all = self.examples.population.is_none() && read.population.is_some();
        if self.has(|compute| matches!(compute, Compute::Population)) && of_all {
            let coverage = table::coverage::table(&tables).map_err(AnalysisError::frame)?;
            tables.extend(coverage.map(|rows| ("coverage", rows)));
        }
        let facts = table::runs::row(&self.analysed(read)?, &record, |name| tables.get(name))?;
        for table in TABLES {
            if let Some(rows) = tables.remove(table.name) {
                sink(table, rows)?;
            }
            if table.name == COHERENCE.name && self.has(Compute::is_of_a_step) {
                let mut of_records = [&read.sample, &read.population].into_iter().flatten();
                of_records.try_for_each(|steps| self.coherence(steps, sink))?;
            }
        }
        Ok(RunAnalysis { facts, groups: self.groups.names().to_vec() })
    }

    /// The labels of the sampled examples, for statistics of classes; `None` as [`groups::classes`] says. They are read once.
    ///
    /// # Errors
    /// The labels cannot be read.
    fn classes(&self) -> Result<Option<&Grouping>, AnalysisError> {
        if self.classes.get().is_none() {
            let _ = self.classes.set(groups::classes(self.run, &self.selection.sampled)?);
        }
        Ok(self.classes.get().and_then(Option::as_ref))
    }

    fn has(&self, wanted: fn(Compute) -> bool) -> bool {
        self.statistics.iter().any(|statistic| wanted(statistic.compute))
    }

    fn analysed<'r>(&'r self, read: &'r Found) -> Result<Analysed<'r>, AnalysisError> {
        let manifest = self.run.directory().join("manifest.json");
        let text = read_regular(&manifest)
            .map_err(|source| AnalysisError::in_run(self.run, FileError::io("read", &manifest)(source).into()))?;
        let left_out = !self.run.population_steps().is_empty() && !self.reads.population;
        Ok(Analysed {
            run: self.run,
            selection: &self.selection,
            steps: read.sample.as_ref().map_or(&[], Steps::steps),
            population_steps: read.population.as_ref().map(Steps::steps),
            population_left_out: left_out.then_some(EXAMPLES_RESTRICTED),
            manifest_sha256: sha256_of_sealed(&text),
        })
    }

    /// The tables of group sums and their tests, of the sample and of the population record.
    fn add_contributions(&self, read: &Found, found: &mut Tables) -> PolarsResult<()> {
        if !self.has(|compute| matches!(compute, Compute::Contributions { .. })) {
            return Ok(());
        }
        let population = || self.groups.of_ids(self.examples.population_ids());
        let paper = read.sample.as_ref().map(|paper| (Estimator::Paper, paper, self.grouping.clone()));
        let exact = read.population.as_ref().map(|exact| (Estimator::Exact, exact, population()));
        for (estimator, steps, grouping) in paper.into_iter().chain(exact) {
            let sums = Sums { estimator, contributions: &steps.contributions, grouping: &grouping };
            let run = &self.run.manifest().run;
            for (name, rows) in sums.find(run, self.statistics, self.options)?.tables {
                found.add(name, rows);
            }
        }
        Ok(())
    }

    /// The tables of what was computed step by step.
    fn add_values(&self, read: &Found, found: &mut Tables) -> Result<(), AnalysisError> {
        let nothing = Steps::new(0, self.directory);
        let sample = read.sample.as_ref().unwrap_or(&nothing);
        let of_group_pairs = self.statistics.iter().filter_map(|statistic| match statistic.compute {
            Compute::GroupPairs { table, .. } => Some((statistic.tables[0], table)),
            _ => None,
        });
        for (place, (name, table)) in of_group_pairs.enumerate() {
            let rows = table(self.group_pairs(sample, place)?.lazy()).and_then(LazyFrame::collect);
            found.add(name, rows.map_err(AnalysisError::frame)?);
        }
        if self.has(|compute| matches!(compute, Compute::Population)) && sample.has_norms() {
            let sizes = self.population_sizes();
            let mut tables = population::Tables::new(sample.steps(), &self.grouping, &sizes);
            for steps in in_parts(sample.measured(), STEPS) {
                sample.norms(steps)?.iter().for_each(|norms| tables.add(norms));
            }
            for (name, rows) in tables.frames().map_err(AnalysisError::frame)? {
                found.add(name, rows);
            }
        }
        Ok(())
    }

    /// The tables of which examples are similar, if they are asked for.
    fn add_similarity(&self, read: &Found, found: &mut Tables) -> Result<(), AnalysisError> {
        let (Some(similarity), Some(sample)) = (self.similarity()?, &read.sample) else { return Ok(()) };
        for (name, rows) in similarity.tables(&sample.similarity).map_err(AnalysisError::frame)? {
            found.add(name, rows);
        }
        Ok(())
    }

    /// What the examples are told apart by where it is asked which are similar; `None` if nobody asks.
    ///
    /// # Errors
    /// Labels or learned steps cannot be read.
    fn similarity(&self) -> Result<Option<Similarity>, AnalysisError> {
        let [steps, _] = self.steps();
        let of = || Similarity::new(self.run, &self.selection.sampled, self.classes()?, &steps);
        self.has(|compute| matches!(compute, Compute::Similarity)).then(of).transpose()
    }

    /// How many examples of each group the sampled ones stand for; 0 of a group without a sampled one.
    fn population_sizes(&self) -> Vec<usize> {
        let mut sizes = vec![0; self.groups.names().len()];
        let of_example = self.groups.of_example();
        let of_population = self.selection.population.iter().filter_map(|&id| of_example[id as usize]);
        of_population.for_each(|group| sizes[usize::from(group)] += 1);
        let sampled = self.grouping.sizes().iter();
        sizes.iter().zip(sampled).map(|(&size, &sampled)| if sampled > 0 { size } else { 0 }).collect()
    }

    /// One series after the other, each over all of its steps.
    fn coherence(&self, of_steps: &Steps, sink: &mut Sink<'_>) -> Result<(), AnalysisError> {
        let classes = self.classes()?;
        let steps = of_steps.measured();
        for keys in in_parts(of_steps.keys.len(), ROWS / steps.max(1)) {
            for steps in in_parts(steps, ROWS) {
                sink(&COHERENCE, self.series(of_steps, keys.clone(), steps, classes)?)?;
            }
        }
        Ok(())
    }

    /// Some of them, in some of the steps.
    fn series(
        &self,
        of_steps: &Steps,
        keys: Range<usize>,
        steps: Range<usize>,
        classes: Option<&Grouping>,
    ) -> Result<DataFrame, AnalysisError> {
        let values = of_steps.values(keys.clone(), steps.clone())?;
        let keys = &of_steps.keys[keys];
        let names = self.groups.names();
        let class = |place: usize| classes.map(|classes| classes.names()[place].as_str());
        let of_pair = |pair: Pair| match pair {
            Pair::All => (None, None),
            Pair::Groups(a, b) => (Some(names[a].as_str()), Some(names[b].as_str())),
            Pair::Classes(a, b) => (class(a), class(b)),
        };
        let rows = || keys.iter().flat_map(|key| std::iter::repeat_n(key, steps.len()));
        let layer = |layer: Option<usize>| layer.map(|layer| self.selection.layer_names[layer].as_str());
        let frame = df!(
            "estimator" => rows().map(|key| key.estimator.as_str()).collect::<Vec<_>>(),
            "step" => of_steps.steps()[steps.clone()].repeat(keys.len()),
            "layer" => rows().map(|key| layer(key.layer)).collect::<Vec<_>>(),
            "statistic" => rows().map(|key| key.statistic.as_ref()).collect::<Vec<_>>(),
            "group_a" => rows().map(|key| of_pair(key.pair).0).collect::<Vec<_>>(),
            "group_b" => rows().map(|key| of_pair(key.pair).1).collect::<Vec<_>>(),
            "value" => values.iter().map(|value| value.value).collect::<Vec<_>>(),
            "lower" => values.iter().map(|value| value.ends().0).collect::<Vec<_>>(),
            "upper" => values.iter().map(|value| value.ends().1).collect::<Vec<_>>(),
            "unbounded" => values.iter().map(|value| value.ends().2).collect::<Vec<_>>(),
        );
        frame.map_err(AnalysisError::frame)
    }

    /// One ordered pair of groups after the other, each over all steps.
    fn group_pairs(&self, of_steps: &Steps, place: usize) -> Result<DataFrame, AnalysisError> {
        let names = self.groups.names();
        // Chosen layers may have no coordinate, and then no inner products.
        let numbers = of_steps.group_pairs(place)?.unwrap_or_default();
        let pairs = names.len() * names.len();
        let (mut values, steps) = (numbers, of_steps.measured());
        let steps = if values.is_empty() { 0 } else { steps };
        let totals = values.split_off(pairs * steps);
        let rows = || (0..pairs).flat_map(|pair| std::iter::repeat_n(pair, steps));
        let frame = df!(
            "step" => of_steps.steps()[..steps].repeat(pairs),
            "group_a" => rows().map(|pair| names[pair / names.len()].as_str()).collect::<Vec<_>>(),
            "group_b" => rows().map(|pair| names[pair % names.len()].as_str()).collect::<Vec<_>>(),
            "value" => values,
            "total" => totals.repeat(pairs),
        );
        frame.map_err(AnalysisError::frame)
    }

    fn groups_frame(&self) -> PolarsResult<DataFrame> {
        let sampled: Vec<u64> = self.grouping.sizes().iter().map(|&size| size as u64).collect();
        let sizes: Vec<u64> = self.groups.sizes().iter().map(|&size| size as u64).collect();
        df!(
            "group" => self.groups.names().to_vec(),
            "order" => (0..sizes.len() as u64).collect::<Vec<_>>(),
            "examples" => sizes,
            "sampled" => sampled,
        )
    }
}

/// 0 … `length` − 1 in parts of so many, or of one.
fn in_parts(length: usize, at_once: usize) -> impl Iterator<Item = Range<usize>> {
    (0..length).step_by(at_once.max(1)).map(move |first| first..(first + at_once.max(1)).min(length))
}

/// Tables while they are made, each of one frame or several.
#[derive(Default)]
struct Tables(BTreeMap<&'static str, Vec<DataFrame>>);

impl Tables {
    /// Adds rows of a table, whose columns alone are kept.
    fn add(&mut self, name: &'static str, mut rows: DataFrame) {
        let others: Vec<PlSmallStr> = match definition(name) {
            Some(table) => rows.get_column_names_owned().into_iter().filter(|column| !table.has(column)).collect(),
            None => Vec::new(),
        };
        rows = rows.drop_many(others);
        self.0.entry(name).or_default().push(rows);
    }

    /// The frames of each table one after the other; a column that one has not is null there.
    fn stacked(self) -> PolarsResult<BTreeMap<&'static str, DataFrame>> {
        let stacked = |(name, frames): (&'static str, Vec<DataFrame>)| {
            let args = UnionArgs { parallel: false, ..UnionArgs::default() };
            let frames: Vec<LazyFrame> = frames.into_iter().map(IntoLazy::lazy).collect();
            Ok((name, concat_lf_diagonal(frames, args)?.collect()?))
        };
        self.0.into_iter().map(stacked).collect()
    }
}
