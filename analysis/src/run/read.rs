//! The first half of the analysis of a run: what the kernels find in each step of its gradients and its population record.

use std::ops::Range;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use cograd_trace::{GradientStep, PopulationLayer, PopulationStep, Run};

use super::Analysis;
use crate::gradients::Gradients;
use crate::kernel::contribution::{Contributions, StepContributions};
use crate::kernel::grouping::Grouping;
use crate::kernel::halves::Measured;
use crate::matrix::Matrix;
use crate::sample::{self, Key, Sample, StepValues};
use crate::selection::Selection;
use crate::shard::Shape;
use crate::statistic::{Compute, Statistic};
use crate::{AnalysisError, Observer, Options};

/// Of more examples not every two are compared: the inner products of these take 800 MB a layer.
const MOST_EXAMPLES: usize = 10_000;

/// Which records of a run are analysed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reads {
    /// Whether any is read: a statistic is of the gradients.
    pub(crate) gradients: bool,
    /// Whether the population record is among them.
    pub(crate) population: bool,
}

impl Reads {
    /// No more than the statistics need.
    pub(crate) fn new(run: &Run, statistics: &[&'static Statistic], options: &Options) -> Reads {
        Reads {
            gradients: statistics.iter().any(|statistic| statistic.compute.needs_gradients()),
            // The record's ‖g‖² is that of all examples: it has no contributions to that of some.
            population: !run.population_steps().is_empty() && options.examples.is_none(),
        }
    }
}

/// Which row groups of a run are read, by their places.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunPart {
    /// Of the gradients.
    pub(crate) sample: Range<usize>,
    /// Of the population record.
    pub(crate) population: Range<usize>,
}

impl RunPart {
    /// All of them.
    pub(crate) const WHOLE: RunPart = RunPart { sample: 0..usize::MAX, population: 0..usize::MAX };
}

/// What was found in the steps of a run: all that its tables need of gradients and population record.
pub(crate) struct Found {
    /// In the gradients; `None` if no statistic is of them.
    pub(crate) sample: Option<Steps>,
    /// In the population record; `None` if there is none, or it is left out.
    pub(crate) population: Option<Steps>,
}

/// What was found step by step.
#[derive(Debug)]
pub(crate) struct Steps {
    /// Contributions and self terms of the analysed examples.
    pub(crate) contributions: Contributions,
    /// What the values are of, at every step.
    pub(crate) keys: Vec<Key>,
    /// Which examples are similar, at the steps that show it.
    pub(crate) similarity: Vec<(i64, Vec<Vec<f64>>)>,
    /// The lengths of the numbers of group pairs and of the norms, at every step.
    lengths: (Vec<usize>, usize),
    /// A row a step: of each key its value and the ends of its interval, NaN where there is none, then the numbers of group pairs and the
    /// norms. No rows if no statistic asks for them.
    numbers: Matrix,
}

/// Numbers that a value takes up: itself, and the ends of its interval.
const OF_VALUE: usize = 3;

impl Steps {
    /// Of `examples` examples and, so far, no step. What does not fit into memory is kept in `directory`.
    pub(crate) fn new(examples: usize, directory: &Path) -> Steps {
        Steps {
            contributions: Contributions::new(examples),
            keys: Vec::new(),
            similarity: Vec::new(),
            lengths: (Vec::new(), 0),
            numbers: Matrix::new(directory),
        }
    }

    /// The steps, ascending.
    pub(crate) fn steps(&self) -> &[i64] {
        self.contributions.steps()
    }

    /// How many of them have values: all or none.
    pub(crate) fn measured(&self) -> usize {
        self.numbers.rows()
    }

    /// Adds a step later than those so far.
    ///
    /// # Errors
    /// Its numbers cannot be kept.
    pub(crate) fn push(
        &mut self,
        step: i64,
        contributions: StepContributions,
        values: Option<StepValues>,
    ) -> Result<(), AnalysisError> {
        self.contributions.push(step, contributions);
        let Some(StepValues { keys, values, group_pairs, norms, similarity }) = values else { return Ok(()) };
        if self.measured() == 0 {
            self.keys = keys;
            self.lengths = (group_pairs.iter().map(Vec::len).collect(), norms.len());
        }
        if !similarity.is_empty() {
            self.similarity.push((step, similarity));
        }
        let row = values.iter().flat_map(to_numbers).chain(group_pairs.into_iter().flatten()).chain(norms);
        self.numbers.push(&row.collect::<Vec<f64>>())
    }

    /// The values of these keys in these steps, by their places: one key after the other.
    ///
    /// # Errors
    /// They cannot be read.
    pub(crate) fn values(&self, keys: Range<usize>, steps: Range<usize>) -> Result<Vec<Measured>, AnalysisError> {
        let numbers = self.numbers.columns(OF_VALUE * keys.start..OF_VALUE * keys.end, steps.clone())?;
        let of_key = |numbers: &[f64]| (0..steps.len()).map(|row| measured(numbers, row)).collect::<Vec<_>>();
        Ok(numbers.chunks_exact((OF_VALUE * steps.len()).max(1)).flat_map(of_key).collect())
    }

    /// The numbers of the statistic of group pairs at a place, one number after the other, each over all steps; `None` if there are none.
    ///
    /// # Errors
    /// They cannot be read.
    pub(crate) fn group_pairs(&self, place: usize) -> Result<Option<Vec<f64>>, AnalysisError> {
        let Some(&length) = self.lengths.0.get(place) else { return Ok(None) };
        let first = OF_VALUE * self.keys.len() + self.lengths.0[..place].iter().sum::<usize>();
        self.numbers.columns(first..first + length, 0..self.measured()).map(Some)
    }

    /// Whether its steps have norms.
    pub(crate) fn has_norms(&self) -> bool {
        self.lengths.1 > 0
    }

    /// The norms of these steps, a row each.
    ///
    /// # Errors
    /// They cannot be read.
    pub(crate) fn norms(&self, steps: Range<usize>) -> Result<Vec<Vec<f64>>, AnalysisError> {
        let first = OF_VALUE * self.keys.len() + self.lengths.0.iter().sum::<usize>();
        let columns = self.numbers.columns(first..first + self.lengths.1, steps.clone())?;
        let of_step = |row: usize| columns.iter().skip(row).step_by(steps.len()).copied().collect();
        Ok((0..steps.len()).map(of_step).collect())
    }

    /// Everything of these steps as it was pushed, but for the keys.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn pushed(&self, steps: Range<usize>) -> Result<Vec<StepValues>, AnalysisError> {
        let width = OF_VALUE * self.keys.len() + self.lengths.0.iter().sum::<usize>() + self.lengths.1;
        let steps = steps.start.min(self.measured())..steps.end.min(self.measured());
        let columns = self.numbers.columns(0..width, steps.clone())?;
        let of_step = |place: usize| {
            let mut numbers = columns.iter().skip(place - steps.start).step_by(steps.len()).copied();
            let mut next = |length: usize| numbers.by_ref().take(length).collect::<Vec<f64>>();
            let values = next(OF_VALUE * self.keys.len());
            let step = self.steps()[place];
            let similar = self.similarity.binary_search_by_key(&step, |(step, _)| *step);
            StepValues {
                keys: Vec::new(),
                values: values.chunks_exact(OF_VALUE).map(|value| measured(value, 0)).collect(),
                group_pairs: self.lengths.0.iter().map(|&length| next(length)).collect(),
                norms: next(self.lengths.1),
                similarity: similar.map_or_else(|_| Vec::new(), |place| self.similarity[place].1.clone()),
            }
        };
        Ok(steps.clone().map(of_step).collect())
    }
}

fn to_numbers(measured: &Measured) -> [f64; OF_VALUE] {
    let (lower, upper) = measured.interval.unwrap_or((f64::NAN, f64::NAN));
    [measured.value.unwrap_or(f64::NAN), lower, upper]
}

/// The value in a row of its columns.
fn measured(columns: &[f64], row: usize) -> Measured {
    let number = |place: usize| Some(columns[place * columns.len() / OF_VALUE + row]).filter(|number| !number.is_nan());
    Measured { value: number(0), interval: number(1).zip(number(2)) }
}

impl Analysis<'_> {
    /// What the kernels find in a part of the run. No more is read than the statistics need.
    ///
    /// # Errors
    /// A file is malformed, or does not belong to the others.
    pub(crate) fn read(&self, part: &RunPart, observer: &dyn Observer) -> Result<Found, AnalysisError> {
        let steps_read = AtomicUsize::new(0);
        let step_read = || observer.steps_read(steps_read.fetch_add(1, Ordering::Relaxed) + 1);
        self.found(|| self.read_sample(&part.sample, &step_read), || self.read_population(&part.population, &step_read))
    }

    /// What is found by these two functions, which are called only where there is something to find.
    pub(crate) fn found(
        &self,
        sample: impl FnOnce() -> Result<Steps, AnalysisError>,
        population: impl FnOnce() -> Result<Steps, AnalysisError>,
    ) -> Result<Found, AnalysisError> {
        let Reads { gradients, population: with_population } = self.reads;
        Ok(Found {
            sample: gradients.then(sample).transpose()?,
            population: (gradients && with_population).then(population).transpose()?,
        })
    }

    /// Where numbers of steps are kept that do not fit into memory.
    pub(crate) fn directory(&self) -> &Path {
        self.directory
    }

    /// The run.
    pub(crate) fn run(&self) -> &Run {
        self.run
    }

    /// The analysed steps of the gradients, and of the population record.
    pub(crate) fn steps(&self) -> [Vec<i64>; 2] {
        let analysed = |steps: &[i64]| steps.iter().copied().filter(|&step| self.selection.has_step(step)).collect();
        [analysed(&self.run.manifest().recorded_steps), analysed(self.run.population_steps())]
    }

    /// The sizes of what is found in each of these steps.
    ///
    /// # Errors
    /// The labels cannot be read.
    pub(crate) fn shapes(&self) -> Result<[Shape; 2], AnalysisError> {
        let classes = self.classes()?.map_or(0, Grouping::groups);
        let (layers, groups) = (self.selection.layer_names.len(), self.groups.names().len());
        let similarity = self.similarity()?.map_or_else(Vec::new, |similarity| similarity.lengths());
        let shape = |examples| Shape { examples, layers, groups, classes, similarity: similarity.clone() };
        Ok([shape(self.selection.sampled.len()), shape(self.examples.population_ids().len())])
    }

    /// Contributions, self terms and values of the chosen part of the sample.
    fn read_sample(&self, row_groups: &Range<usize>, step_read: &(dyn Fn() + Sync)) -> Result<Steps, AnalysisError> {
        let id = &self.run.manifest().run;
        let marked = self.examples.sampled_ids();
        let examples = self.selection.sampled.len();
        if self.has(Compute::needs_pairs) && examples > MOST_EXAMPLES {
            return Err(AnalysisError::TooManyExamples { run: id.clone(), examples, largest: MOST_EXAMPLES });
        }
        let classes = self.classes()?;
        let sample = self
            .has(Compute::needs_pairs)
            .then(|| Sample::new(id, &self.selection, &self.grouping, classes, self.statistics, self.options));
        let similarity = self.similarity()?;
        // Those of a step are dropped at once: they are the same at every step, and more than its values.
        let keys = OnceLock::new();
        let of_step = |mut step: GradientStep<'_, '_>| {
            let (t, examples) = (step.step(), step.example_ids());
            if examples != marked {
                return Ok(Err((t, examples.len())));
            }
            let found = match self.selection.has_step(t) {
                true => {
                    let mut gradients = Gradients::new(step, &self.selection, self.block)?;
                    let contributions = gradients.contributions()?;
                    let similar = similarity.as_ref().filter(|similarity| similarity.has_step(t));
                    let values = sample.as_ref().map(|sample| sample.step_values(&mut gradients, similar));
                    let mut values = values.transpose()?;
                    let of_step = values.as_mut().map(|values| std::mem::take(&mut values.keys));
                    keys.get_or_init(|| of_step.unwrap_or_default());
                    Some((t, contributions, values))
                }
                // It is checked, and nothing of it is kept.
                false => step.read(Some(&[])).map(|_| None)?,
            };
            step_read();
            Ok(Ok(found))
        };
        let mut steps = Steps::new(self.selection.sampled.len(), self.directory);
        let taken = self.run.each_step(row_groups.clone(), of_step, |step| {
            let step = step.map_err(|(step, recorded)| AnalysisError::Sample {
                run: id.clone(),
                step,
                marked: marked.len(),
                recorded,
            })?;
            step.map_or(Ok(()), |(step, contributions, values)| steps.push(step, contributions, values))
        });
        taken.map_err(|source| AnalysisError::in_run(self.run, source))??;
        steps.keys = keys.into_inner().unwrap_or_default();
        Ok(steps)
    }

    /// Contributions, self terms and closed forms of the population over the chosen layers.
    fn read_population(
        &self,
        row_groups: &Range<usize>,
        step_read: &(dyn Fn() + Sync),
    ) -> Result<Steps, AnalysisError> {
        let of_step = |step: PopulationStep<'_>| {
            let of_step = || (step.step, of_layers(&step, &self.selection), self.moments(&step));
            let of_step = self.selection.has_step(step.step).then(of_step);
            step_read();
            of_step
        };
        let mut steps = Steps::new(self.examples.population_ids().len(), self.directory);
        let found = self.run.map_population_row_groups(row_groups.clone(), of_step);
        for (step, contributions, moments) in
            found.map_err(|source| AnalysisError::in_run(self.run, source))?.into_iter().flatten()
        {
            steps.push(step, contributions, Some(moments))?;
        }
        Ok(steps)
    }

    /// The statistics of the population that are functions of its moments.
    fn moments(&self, step: &PopulationStep<'_>) -> StepValues {
        let sums = |(layer, values): (usize, &PopulationLayer<'_>)| {
            let chosen = self.selection.has_layer(layer);
            let self_sum = || values.self_terms.map(|self_terms| self_terms.iter().sum());
            chosen.then(|| (layer, values.contributions.iter().sum(), self_sum()))
        };
        let layers: Vec<(usize, f64, Option<f64>)> = step.layers.iter().enumerate().filter_map(sums).collect();
        sample::population_values(step.contributions.len(), &layers, self.statistics)
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

#[cfg(test)]
mod tests {
    use cograd_trace::{Conditions, Coordinate, Parameter, RunDescription, RunWriter, Task};

    use super::*;
    use crate::{GroupBy, NoObserver, statistic};

    /// Two parameters, of 300 and 170 coordinates that are recorded in turn, of nine examples.
    fn write(study: &std::path::Path) -> Run {
        let coordinate = |place: u64| match place % 3 {
            2 if place / 3 < 170 => Coordinate { parameter: 1, index: place / 3 },
            _ => Coordinate { parameter: 0, index: place },
        };
        let parameters = ["a", "b"].map(|layer| Parameter::new(&format!("{layer}.weight"), &[1000], None)).to_vec();
        let description = RunDescription {
            run: "run".into(),
            conditions: Conditions::new(Some(1)),
            task: Task::default(),
            steps: 3,
            writer: "test".into(),
            train_examples: 9,
            example_ids: (0..9).collect(),
            population_ids: None,
            parameters,
            coordinates: (0..470).map(coordinate).collect(),
        };
        let mut writer = RunWriter::create(study, description).unwrap();
        for step in 0..2 {
            let value = |place: usize| ((place * (7919 + step) % 10007) as f32 - 4000.0) / 1000.0;
            writer.write_gradients(step as i64, &(0..9 * 470).map(value).collect::<Vec<f32>>()).unwrap();
        }
        writer.finish(&[], &[]).unwrap();
        Run::open(&study.join("runs/run")).unwrap()
    }

    #[test]
    fn a_step_in_blocks_of_coordinates_has_what_it_has_whole() {
        let study = tempfile::tempdir().unwrap();
        let run = write(study.path());
        for (layers, examples) in [(None, None), (Some(vec!["a".to_string()]), Some("1..9".parse().unwrap()))] {
            let options = Options { layers, examples, ..Options::default() };
            let statistics = statistic::chosen(None).unwrap();
            let steps = |block: usize| {
                let mut analysis = Analysis::new(&run, &GroupBy::All, &statistics, &options, study.path()).unwrap();
                analysis.block = block;
                analysis.read(&RunPart::WHOLE, &NoObserver).unwrap().sample.unwrap()
            };
            let whole = steps(usize::MAX);
            for block in [1, 9 * 128, 9 * 256] {
                let found = steps(block);
                assert!(found.contributions == whole.contributions, "to the last bit, in blocks of {block}");
                assert!(found.keys == whole.keys && !whole.keys.is_empty());
                let values = |steps: &Steps| -> Vec<Option<f64>> {
                    let pushed = steps.pushed(0..2).unwrap();
                    pushed.iter().flat_map(|step| &step.values).flat_map(numbers).collect()
                };
                for (place, (found, whole)) in values(&found).into_iter().zip(values(&whole)).enumerate() {
                    let alike = found.zip(whole).map_or(found == whole, |(found, whole)| {
                        found == whole || (found - whole).abs() <= 1e-5 * whole.abs().max(1e-3)
                    });
                    assert!(alike, "{found:?} is not {whole:?}: {:?}", whole_key(&steps(1), place / 3));
                }
            }
        }
    }

    fn numbers(measured: &crate::kernel::halves::Measured) -> [Option<f64>; 3] {
        [measured.value, measured.interval.map(|ends| ends.0), measured.interval.map(|ends| ends.1)]
    }

    fn whole_key(steps: &Steps, place: usize) -> Key {
        steps.keys[place % steps.keys.len()].clone()
    }
}
