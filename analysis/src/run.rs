//! The analysis of one run: what is read of its trace, and every table of it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use cograd_results::TABLES;
use cograd_trace::{Examples, PopulationStep, Run, StepGradients, TraceError, sha256_of_file};
use polars::prelude::*;

use crate::contributions::Sums;
use crate::groups::{self, Groups};
use crate::kernel::contribution::{self, Contributions, StepContributions};
use crate::kernel::grouping::Grouping;
use crate::record::Record;
use crate::sample::{self, Pair, Sample, StepValues};
use crate::selection::Selection;
use crate::statistic::{Compute, Statistic, population};
use crate::table::{self, runs::Analysed};
use crate::{AnalysisError, Estimator, GroupBy, Observer, Options, frame};

/// Why a population record is left out of an analysis of some examples.
const EXAMPLES_RESTRICTED: &str = "it has the contributions to the gradient of all examples, not to that of some";

/// What was found out about one run.
pub(crate) struct RunAnalysis {
    /// Its rows of every table, by name.
    pub(crate) tables: BTreeMap<&'static str, DataFrame>,
    /// Its row of `runs`, with what predictions are judged by.
    pub(crate) facts: DataFrame,
    /// Names of its groups, in order.
    pub(crate) groups: Vec<String>,
}

/// What is read of the gradients and the population record.
struct Read {
    contributions: Option<Contributions>,
    values: Steps,
    population: Option<(Contributions, Steps)>,
}

/// The values of the steps, by step.
#[derive(Default)]
struct Steps {
    steps: Vec<i64>,
    values: Vec<StepValues>,
}

impl RunAnalysis {
    /// Analyses `run`: verifies the hash of every file while gradients and population record stream through, once.
    ///
    /// # Errors
    /// If a file of the run is altered, truncated or malformed, its files do not belong together, or it has not what the
    /// options ask for.
    pub(crate) fn of(
        run: &Run,
        group_by: &GroupBy,
        statistics: &[&'static Statistic],
        options: &Options,
        observer: &dyn Observer,
    ) -> Result<RunAnalysis, AnalysisError> {
        let analyse = || Analysis::new(run, group_by, statistics, options)?.find(observer);
        let (verified, found) =
            rayon::join(|| run.verify().map_err(|source| AnalysisError::in_run(run, source)), analyse);
        verified?;
        found
    }
}

/// The analysis of a run while it is made.
struct Analysis<'a> {
    run: &'a Run,
    statistics: &'a [&'static Statistic],
    options: &'a Options,
    examples: Examples,
    selection: Selection,
    groups: Groups,
    grouping: Grouping,
    with_population: bool,
}

impl<'a> Analysis<'a> {
    fn new(
        run: &'a Run,
        group_by: &GroupBy,
        statistics: &'a [&'static Statistic],
        options: &'a Options,
    ) -> Result<Analysis<'a>, AnalysisError> {
        let examples = run.examples().map_err(|source| AnalysisError::in_run(run, source))?;
        let selection = Selection::of(run, &examples, options)?;
        // The record's ‖g‖² is that of all examples: it has no contributions to that of some.
        let with_population = !run.population_steps().is_empty() && options.examples.is_none();
        let mut analysed = selection.sampled.clone();
        if with_population {
            analysed.extend(examples.population_ids());
            analysed.sort_unstable();
        }
        let groups = Groups::of(run, &analysed, group_by)?;
        let grouping = groups.of_ids(selection.sampled.iter().copied());
        Ok(Analysis { run, statistics, options, examples, selection, groups, grouping, with_population })
    }

    fn find(&self, observer: &dyn Observer) -> Result<RunAnalysis, AnalysisError> {
        let read = self.read(observer)?;
        let mut found = Tables::default();
        self.add_contributions(&read, &mut found).map_err(AnalysisError::frame)?;
        self.add_values(&read, &mut found).map_err(AnalysisError::frame)?;
        let record = Record::new(self.run, &self.groups, &self.selection.sampled, read.contributions.as_ref());
        for statistic in self.statistics {
            if let Compute::Record { table, .. } = statistic.compute {
                let rows = table(&record)?.collect().map_err(AnalysisError::frame)?;
                found.add(statistic.tables[0], rows);
            }
        }
        found.add("groups", self.groups_frame().map_err(AnalysisError::frame)?);
        let mut tables = found.stacked().map_err(AnalysisError::frame)?;
        let curves = curves(&tables).map_err(AnalysisError::frame)?;
        // The sample is of all examples: of a part of them it estimates nothing.
        let of_all = self.examples.population.is_none() && read.population.is_some();
        if self.has(|compute| matches!(compute, Compute::Population)) && of_all {
            let coverage = table::coverage::table(curves.clone().lazy()).collect().map_err(AnalysisError::frame)?;
            tables.insert("coverage", coverage);
        }
        tables.insert("curves", curves);
        let facts = table::runs::row(&self.analysed(&read)?, &record, |name| tables.get(name))?;
        Ok(RunAnalysis { tables, facts, groups: self.groups.names().to_vec() })
    }

    fn has(&self, wanted: fn(Compute) -> bool) -> bool {
        self.statistics.iter().any(|statistic| wanted(statistic.compute))
    }

    fn analysed<'r>(&'r self, read: &'r Read) -> Result<Analysed<'r>, AnalysisError> {
        let manifest = self.run.directory().join("manifest.json");
        let left_out = !self.run.population_steps().is_empty() && !self.with_population;
        let steps = read.contributions.as_ref().map(Contributions::steps);
        Ok(Analysed {
            run: self.run,
            selection: &self.selection,
            steps: steps.unwrap_or(&[]),
            population_steps: read.population.as_ref().map(|(contributions, _)| contributions.steps()),
            population_left_out: left_out.then_some(EXAMPLES_RESTRICTED),
            manifest_sha256: sha256_of_file(&manifest)
                .map_err(|source| AnalysisError::in_run(self.run, source.into()))?,
        })
    }

    /// Reads no more than the statistics need.
    fn read(&self, observer: &dyn Observer) -> Result<Read, AnalysisError> {
        let mut read = Read { contributions: None, values: Steps::default(), population: None };
        if !self.has(Compute::needs_gradients) {
            return Ok(read);
        }
        let steps_read = AtomicUsize::new(0);
        let step_read = || observer.steps_read(steps_read.fetch_add(1, Ordering::Relaxed) + 1);
        let (contributions, values) = self.read_sample(&step_read)?;
        (read.contributions, read.values) = (Some(contributions), values);
        if self.with_population {
            read.population =
                Some(self.read_population(&step_read).map_err(|source| AnalysisError::in_run(self.run, source))?);
        }
        Ok(read)
    }

    /// Contributions, self terms and values of the chosen part of the sample.
    fn read_sample(&self, step_read: &(dyn Fn() + Sync)) -> Result<(Contributions, Steps), AnalysisError> {
        let id = &self.run.manifest().run;
        let marked = self.examples.sampled_ids();
        let classes = groups::classes(self.run, &self.selection.sampled)?;
        let sample = self
            .has(Compute::needs_pairs)
            .then(|| Sample::new(id, &self.selection, &self.grouping, classes.as_ref(), self.statistics, self.options));
        let of_step = |step: StepGradients<'_>| {
            if step.example_ids != marked {
                return Err((step.step, step.example_ids.len()));
            }
            let of_step = || {
                let gradients = self.selection.gradients(&step);
                let contributions = contribution::of_step(&gradients, self.selection.sampled.len());
                (step.step, contributions, sample.as_ref().map(|sample| sample.step_values(&gradients)))
            };
            let of_step = self.selection.has_step(step.step).then(of_step);
            step_read();
            Ok(of_step)
        };
        let mut contributions = Contributions::new(self.selection.sampled.len());
        let mut values = Steps::default();
        for step in self.run.map_steps(of_step).map_err(|source| AnalysisError::in_run(self.run, source))? {
            let step = step.map_err(|(step, recorded)| AnalysisError::Sample {
                run: id.clone(),
                step,
                marked: marked.len(),
                recorded,
            })?;
            if let Some((step, of_step, of_pairs)) = step {
                contributions.push(step, of_step);
                values.push(step, of_pairs);
            }
        }
        Ok((contributions, values))
    }

    /// Contributions, self terms and closed forms of the population over the chosen layers.
    fn read_population(&self, step_read: &(dyn Fn() + Sync)) -> Result<(Contributions, Steps), TraceError> {
        let of_step = |step: PopulationStep<'_>| {
            let of_step = || (step.step, of_layers(&step, &self.selection), self.moments(&step));
            let of_step = self.selection.has_step(step.step).then(of_step);
            step_read();
            of_step
        };
        let mut contributions = Contributions::new(self.examples.population_ids().len());
        let mut values = Steps::default();
        for (step, of_step, moments) in self.run.map_population(of_step)?.into_iter().flatten() {
            contributions.push(step, of_step);
            values.push(step, Some(moments));
        }
        Ok((contributions, values))
    }

    /// The statistics of the population that are functions of its moments.
    fn moments(&self, step: &PopulationStep<'_>) -> StepValues {
        let sums = |(layer, values): (usize, &cograd_trace::PopulationLayer<'_>)| {
            let chosen = self.selection.has_layer(layer);
            let self_sum = || values.self_terms.map(|self_terms| self_terms.iter().sum());
            chosen.then(|| (layer, values.contributions.iter().sum(), self_sum()))
        };
        let layers: Vec<(usize, f64, Option<f64>)> = step.layers.iter().enumerate().filter_map(sums).collect();
        sample::population_values(step.contributions.len(), &layers, self.statistics)
    }

    /// The tables of group sums and their tests, of the sample and of the population record.
    fn add_contributions(&self, read: &Read, found: &mut Tables) -> PolarsResult<()> {
        if !self.has(|compute| matches!(compute, Compute::Contributions { .. })) {
            return Ok(());
        }
        let population = || self.groups.of_ids(self.examples.population_ids());
        let paper = read.contributions.as_ref().map(|paper| (Estimator::Paper, paper, self.grouping.clone()));
        let exact = read.population.as_ref().map(|(exact, _)| (Estimator::Exact, exact, population()));
        for (estimator, contributions, grouping) in paper.into_iter().chain(exact) {
            let sums = Sums { estimator, contributions, grouping: &grouping };
            let run = &self.run.manifest().run;
            for (name, rows) in sums.find(run, self.statistics, self.options)?.tables {
                found.add(name, rows);
            }
        }
        Ok(())
    }

    /// The tables of what was computed step by step.
    fn add_values(&self, read: &Read, found: &mut Tables) -> PolarsResult<()> {
        if self.has(Compute::is_of_a_step) {
            found.add("coherence", self.coherence(&read.values)?);
            if let Some((_, values)) = &read.population {
                found.add("coherence", self.coherence(values)?);
            }
        }
        let of_group_pairs = self.statistics.iter().filter_map(|statistic| match statistic.compute {
            Compute::GroupPairs { table, .. } => Some((statistic.tables[0], table)),
            _ => None,
        });
        for (place, (name, table)) in of_group_pairs.enumerate() {
            found.add(name, table(self.group_pairs(&read.values, place)?.lazy())?.collect()?);
        }
        let known = !read.values.steps.is_empty() && read.values.values.iter().all(|step| !step.norms.is_empty());
        if self.has(|compute| matches!(compute, Compute::Population)) && known {
            let norms: Vec<Vec<Vec<f64>>> = read.values.values.iter().map(|step| step.norms.clone()).collect();
            let sizes = self.population_sizes();
            for (name, rows) in population::tables(&read.values.steps, &norms, &self.grouping, &sizes)? {
                found.add(name, rows);
            }
        }
        Ok(())
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
    fn coherence(&self, of_steps: &Steps) -> PolarsResult<DataFrame> {
        let keys = of_steps.values.first().map_or(&[][..], |step| &step.keys);
        let names = self.groups.names();
        let classes = groups::classes(self.run, &self.selection.sampled).ok().flatten();
        let class = |place: usize| classes.as_ref().map(|classes| classes.names()[place].as_str());
        let of_pair = |pair: Pair| match pair {
            Pair::All => (None, None),
            Pair::Groups(a, b) => (Some(names[a].as_str()), Some(names[b].as_str())),
            Pair::Classes(a, b) => (class(a), class(b)),
        };
        let steps = of_steps.steps.len();
        let of_rows = |row: usize| (&keys[row / steps], &of_steps.values[row % steps].values[row / steps]);
        let rows = || (0..keys.len() * steps).map(of_rows);
        let layer = |layer: Option<usize>| layer.map(|layer| self.selection.layer_names[layer].as_str());
        df!(
            "estimator" => rows().map(|(key, _)| key.estimator.as_str()).collect::<Vec<_>>(),
            "step" => of_steps.steps.repeat(keys.len()),
            "layer" => rows().map(|(key, _)| layer(key.layer)).collect::<Vec<_>>(),
            "statistic" => rows().map(|(key, _)| key.statistic).collect::<Vec<_>>(),
            "group_a" => rows().map(|(key, _)| of_pair(key.pair).0).collect::<Vec<_>>(),
            "group_b" => rows().map(|(key, _)| of_pair(key.pair).1).collect::<Vec<_>>(),
            "value" => rows().map(|(_, value)| value.value).collect::<Vec<_>>(),
            "lower" => rows().map(|(_, value)| value.ends().0).collect::<Vec<_>>(),
            "upper" => rows().map(|(_, value)| value.ends().1).collect::<Vec<_>>(),
            "unbounded" => rows().map(|(_, value)| value.ends().2).collect::<Vec<_>>(),
        )
    }

    /// One ordered pair of groups after the other, each over all steps.
    fn group_pairs(&self, of_steps: &Steps, place: usize) -> PolarsResult<DataFrame> {
        let names = self.groups.names();
        // Chosen layers may have no coordinate, and then no inner products.
        let known = of_steps.values.iter().all(|step| step.group_pairs.len() > place);
        let (groups, steps) = (names.len(), if known { of_steps.steps.len() } else { 0 });
        let rows = || (0..groups * groups).flat_map(|pair| (0..steps).map(move |step| (pair, step)));
        df!(
            "step" => of_steps.steps[..steps].repeat(groups * groups),
            "group_a" => rows().map(|(pair, _)| names[pair / groups].as_str()).collect::<Vec<_>>(),
            "group_b" => rows().map(|(pair, _)| names[pair % groups].as_str()).collect::<Vec<_>>(),
            "value" => rows().map(|(pair, step)| of_steps.values[step].group_pairs[place][pair]).collect::<Vec<_>>(),
        )
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

impl Steps {
    fn push(&mut self, step: i64, values: Option<StepValues>) {
        if let Some(values) = values {
            self.steps.push(step);
            self.values.push(values);
        }
    }
}

/// Contributions and self terms over the chosen layers.
fn of_layers(step: &PopulationStep<'_>, selection: &Selection) -> StepContributions {
    let unknown = || vec![f64::NAN; step.contributions.len()];
    if selection.has_all_layers() {
        let self_terms = step.self_terms.map_or_else(unknown, <[f64]>::to_vec);
        return StepContributions { contributions: step.contributions.to_vec(), self_terms };
    }
    let mut sums = StepContributions {
        contributions: vec![0.0; step.contributions.len()],
        self_terms: vec![0.0; step.contributions.len()],
    };
    for (_, layer) in step.layers.iter().enumerate().filter(|(place, _)| selection.has_layer(*place)) {
        sums.contributions.iter_mut().zip(layer.contributions).for_each(|(sum, value)| *sum += value);
        let self_terms = layer.self_terms.map_or_else(unknown, <[f64]>::to_vec);
        sums.self_terms.iter_mut().zip(self_terms).for_each(|(sum, value)| *sum += value);
    }
    sums
}

/// The curves of all tables, in their order.
fn curves(tables: &BTreeMap<&'static str, DataFrame>) -> PolarsResult<DataFrame> {
    let mut curves = Vec::new();
    for table in TABLES {
        if let Some(rows) = tables.get(table.name) {
            curves.extend(table::curves::of_table(table, rows)?);
        }
    }
    if curves.is_empty() { frame::empty(&cograd_results::tables::CURVES) } else { frame::stacked(curves)?.collect() }
}

/// Tables while they are made, each of one frame or several.
#[derive(Default)]
struct Tables(BTreeMap<&'static str, Vec<DataFrame>>);

impl Tables {
    fn add(&mut self, name: &'static str, rows: DataFrame) {
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
