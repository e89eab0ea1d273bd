//! The analysis of one run: every statistic, and its null worlds.

use std::sync::atomic::{AtomicUsize, Ordering};

use cograd_trace::{Example, Manifest, Metric, PopulationLayer, PopulationStep, Run, StepGradients, TraceError};

use crate::coherence::{self, Coherence, CoherenceCurves, PopulationCurves, Sample, StepCoherence};
use crate::estimate::{Estimate, Estimator};
use crate::groups::Groups;
use crate::selection::Selection;
use crate::statistic::contribution::{self, Contributions, StepContributions};
use crate::statistic::designation::Designation;
use crate::statistic::learned;
use crate::statistic::overfit::{self, Overfit};
use crate::statistic::population::Sizes;
use crate::{AnalysisError, Observer, Options};

/// Everything that an analysis finds out about one run.
#[derive(Clone, Debug)]
pub struct RunAnalysis {
    /// The run's manifest.
    pub manifest: Manifest,
    /// All m training examples, ascending by id.
    pub examples: Vec<Example>,
    /// The evaluations of the run.
    pub metrics: Vec<Metric>,
    /// Ids of the n sampled examples that are analysed, ascending; every list of n follows this order.
    pub sampled: Vec<u32>,
    /// Number of sampled coordinates that are analysed, d.
    pub coordinates: usize,
    /// The groups of the examples.
    pub groups: Groups,
    /// From the sample, as the paper does it.
    pub paper: Estimate,
    /// From the population record; `None` if there is none or it is left out.
    pub exact: Option<Estimate>,
    /// The coherence statistics of the sample, and those of the population as estimated from it.
    pub coherence: CoherenceCurves,
    /// Those of the population itself; `None` as `exact`.
    pub exact_coherence: Option<CoherenceCurves>,
    /// The decomposition and the cumulative contributions of the population as estimated from the sample; `None` if the sizes of
    /// the layers are not known.
    pub population: Option<PopulationCurves>,
}

impl RunAnalysis {
    /// Analyses `run`: verifies the hash of every file while gradients and population record stream through, once.
    ///
    /// # Errors
    /// If a file of the run is altered, truncated or malformed, its files do not belong together, or it has not what the
    /// options ask for.
    pub fn of(run: &Run, options: &Options, observer: &dyn Observer) -> Result<RunAnalysis, AnalysisError> {
        let manifest = run.manifest().clone();
        if i64::try_from(manifest.seed).is_err() {
            return Err(AnalysisError::Seed { run: manifest.run, seed: manifest.seed });
        }
        let in_run = |source: TraceError| AnalysisError::Run { run: manifest.run.clone(), source };
        let (verified, trace) = rayon::join(|| run.verify().map_err(in_run), || Trace::read(run, options, observer));
        verified?;
        let Trace { examples, metrics, selection, groups, sample, coherence, population, exact_coherence } = trace?;

        let pristine_of = |ids: &mut dyn Iterator<Item = u32>| -> Designation {
            Designation::new(ids.map(|id| examples[id as usize].pristine).collect())
        };
        let paper = Estimate::of(
            Estimator::Paper,
            sample,
            pristine_of(&mut selection.sampled.iter().copied()),
            groups.of_ids(selection.sampled.iter().copied()),
            &manifest.run,
            options,
        );
        let sizes = population_sizes(&examples, &selection.population, &paper.designation);
        let estimated = coherence.population(sizes);
        let all = 0..examples.len() as u32;
        let exact = population.map(|population| {
            let (designation, grouping) = (pristine_of(&mut all.clone()), groups.of_ids(all));
            Estimate::of(Estimator::Exact, population, designation, grouping, &manifest.run, options)
        });
        Ok(RunAnalysis {
            manifest,
            metrics,
            coordinates: selection.layer_of_coordinate.len(),
            sampled: selection.sampled,
            groups,
            paper,
            exact,
            coherence,
            exact_coherence,
            population: estimated,
            examples,
        })
    }

    /// The estimates, the paper's first.
    pub fn estimates(&self) -> impl Iterator<Item = &Estimate> {
        std::iter::once(&self.paper).chain(&self.exact)
    }

    /// The evaluated steps and what fraction of the examples was learned by each.
    pub fn learned(&self) -> Vec<learned::Learned> {
        learned::curve(&self.examples, &crate::statistic::curves::evaluated_steps(&self.metrics))
    }

    /// Accuracies and overfit at every evaluated step; the classes are the network's outputs.
    pub fn overfit(&self) -> Vec<Overfit> {
        let classes = self.manifest.network.last().copied().unwrap_or(0);
        overfit::curve(&self.metrics, self.manifest.noise, classes)
    }

    /// |P|/m over all training examples, the proper accuracy of the noisy set; `None` without examples.
    pub fn proper_accuracy(&self) -> Option<f64> {
        let pristine = self.examples.iter().filter(|example| example.pristine).count();
        (!self.examples.is_empty()).then(|| pristine as f64 / self.examples.len() as f64)
    }
}

/// What is read of a run.
struct Trace {
    examples: Vec<Example>,
    metrics: Vec<Metric>,
    selection: Selection,
    groups: Groups,
    sample: Contributions,
    coherence: CoherenceCurves,
    population: Option<Contributions>,
    exact_coherence: Option<CoherenceCurves>,
}

impl Trace {
    fn read(run: &Run, options: &Options, observer: &dyn Observer) -> Result<Trace, AnalysisError> {
        let id = &run.manifest().run;
        let in_run = |source: TraceError| AnalysisError::Run { run: id.clone(), source };
        let examples = run.examples().map_err(in_run)?;
        let metrics = run.metrics().map_err(in_run)?;
        let selection = Selection::of(run, &examples, options)?;
        // The record's ‖g‖² is that of all examples: it has no contributions to that of some.
        let with_population = !run.population_steps().is_empty() && options.examples.is_none();
        let all: Vec<u32> = (0..examples.len() as u32).collect();
        let analysed = if with_population { &all } else { &selection.sampled };
        let groups = Groups::of(id, &examples, analysed, &options.group_by)?;
        let steps_read = AtomicUsize::new(0);
        let step_read = || observer.steps_read(steps_read.fetch_add(1, Ordering::Relaxed) + 1);
        let coherence = coherence_of_sample(run, &examples, &selection, &groups, options);
        let (sample, coherence) = read_sample(run, &examples, &selection, &coherence, &step_read)?;
        let population =
            with_population.then(|| read_population(run, examples.len(), &selection, &step_read)).transpose();
        let (population, exact_coherence) = population.map_err(in_run)?.unzip();
        Ok(Trace { metrics, groups, sample, coherence, population, exact_coherence, selection, examples })
    }
}

/// How many examples of each group the sampled ones stand for.
fn population_sizes(examples: &[Example], population: &[u32], sampled: &Designation) -> Sizes {
    let pristine = population.iter().filter(|&&id| examples[id as usize].pristine).count();
    Sizes {
        pristine: if sampled.pristine() > 0 { pristine } else { 0 },
        corrupt: if sampled.corrupt() > 0 { population.len() - pristine } else { 0 },
    }
}

fn coherence_of_sample(
    run: &Run,
    examples: &[Example],
    selection: &Selection,
    groups: &Groups,
    options: &Options,
) -> Coherence {
    let sampled = || selection.sampled.iter().map(|&id| &examples[id as usize]);
    let sample = Sample {
        run: &run.manifest().run,
        population: selection.population.len(),
        pristine: &sampled().map(|example| example.pristine).collect::<Vec<bool>>(),
        grouping: &groups.of_ids(selection.sampled.iter().copied()),
        labels: &sampled().map(|example| example.label).collect::<Vec<u8>>(),
        layer_of_coordinate: &selection.layer_of_coordinate,
        network: &run.manifest().network,
    };
    Coherence::new(&sample, options)
}

/// Contributions, self terms and coherence of the chosen part of the sample.
fn read_sample(
    run: &Run,
    examples: &[Example],
    selection: &Selection,
    coherence: &Coherence,
    step_read: &(dyn Fn() + Sync),
) -> Result<(Contributions, CoherenceCurves), AnalysisError> {
    let marked: Vec<u32> =
        examples.iter().filter(|example| example.sampled).map(|example| example.example_id).collect();
    let of_step = |step: StepGradients<'_>| {
        if step.example_ids != marked {
            return Err((step.step, step.example_ids.len()));
        }
        let of_step = || {
            let gradients = selection.gradients(&step);
            let contributions = contribution::of_step(&gradients, selection.sampled.len());
            (step.step, contributions, coherence.of_step(&gradients))
        };
        let of_step = selection.has_step(step.step).then(of_step);
        step_read();
        Ok(of_step)
    };
    let steps = run.map_steps(of_step);
    let run = &run.manifest().run;
    let mut contributions = Contributions::new(selection.sampled.len());
    let mut curves = CoherenceCurves::new(coherence.classes());
    for step in steps.map_err(|source| AnalysisError::Run { run: run.clone(), source })? {
        let step = step.map_err(|(step, recorded): (i64, usize)| AnalysisError::Sample {
            run: run.clone(),
            step,
            marked: marked.len(),
            recorded,
        })?;
        if let Some((step, of_step, coherence)) = step {
            contributions.push(step, of_step);
            curves.push(step, coherence);
        }
    }
    Ok((contributions, curves))
}

/// Contributions, self terms and coherence of all `examples` over the chosen layers.
fn read_population(
    run: &Run,
    examples: usize,
    selection: &Selection,
    step_read: &(dyn Fn() + Sync),
) -> Result<(Contributions, CoherenceCurves), TraceError> {
    let of_step = |step: PopulationStep<'_>| {
        let of_step = || (step.step, of_layers(&step, selection), coherence_of_layers(&step, selection));
        let of_step = selection.has_step(step.step).then(of_step);
        step_read();
        of_step
    };
    let mut contributions = Contributions::new(examples);
    let mut curves = CoherenceCurves::default();
    for (step, of_step, coherence) in run.map_population(of_step)?.into_iter().flatten() {
        contributions.push(step, of_step);
        curves.push(step, coherence);
    }
    Ok((contributions, curves))
}

/// The closed-form statistics of the chosen layers.
fn coherence_of_layers(step: &PopulationStep<'_>, selection: &Selection) -> StepCoherence {
    let sums = |(layer, of_layer): (usize, &PopulationLayer<'_>)| {
        (layer as u32, of_layer.contributions.iter().sum(), of_layer.self_terms.iter().sum())
    };
    let chosen = step.layers.iter().enumerate().filter(|(layer, _)| selection.has_layer(*layer));
    coherence::exact(step.contributions.len(), &chosen.map(sums).collect::<Vec<(u32, f64, f64)>>())
}

/// Sums over the chosen layers; of all of them, the totals as recorded.
fn of_layers(step: &PopulationStep<'_>, selection: &Selection) -> StepContributions {
    if (0..step.layers.len()).all(|layer| selection.has_layer(layer)) {
        return StepContributions { contributions: step.contributions.to_vec(), self_terms: step.self_terms.to_vec() };
    }
    let examples = step.contributions.len();
    let mut sums = StepContributions { contributions: vec![0.0; examples], self_terms: vec![0.0; examples] };
    let add = |sums: &mut [f64], values: &[f64]| sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
    for (_, layer) in step.layers.iter().enumerate().filter(|(layer, _)| selection.has_layer(*layer)) {
        add(&mut sums.contributions, layer.contributions);
        add(&mut sums.self_terms, layer.self_terms);
    }
    sums
}
