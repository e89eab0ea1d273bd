//! One run, read once, step by step: what the checks and the statistics need of it.

use std::collections::BTreeMap;
use std::ops::Range;

use cograd_results::summary::Options;
use cograd_trace::{
    Condition, ExampleColumn, GradientNorm, Manifest, Metric, Parameter, PopulationLayer, PopulationStep, Run,
    StepGradients, TraceError,
};
use rayon::prelude::*;

use crate::check::seeds::is_ours;
use crate::check::{gradients, learned_steps, population};
use crate::coherence::{self, Sample, Setting, StepCoherence, Stratum};
use crate::examples::Examples;
use crate::options::Selection;
use crate::plain::contribution::{Terms, terms};
use crate::plain::groups::{Grouping, classes};
use crate::plain::network::{Network, WeightPosition};
use crate::plain::similarity::Similar;
use crate::recompute::StepRange;
use crate::tally::Tally;

/// A layer of a run, and which of its parameters have recorded coordinates.
pub(crate) struct Layer {
    pub name: String,
    pub strata: Vec<Stratum>,
    /// Places of all of its coordinates.
    pub places: Vec<usize>,
}

/// The small tables of a run, and the networks of its snapshots.
pub(crate) struct Trace {
    pub run: Run,
    pub examples: Examples,
    pub parameters: Vec<Parameter>,
    /// Number of all values of the parameters; `None` if it is not known.
    pub size: Option<u64>,
    pub layers: Vec<Layer>,
    /// Parameter and place in it of each coordinate.
    pub coordinates: Vec<(usize, u64)>,
    pub metrics: Vec<Metric>,
    /// Inputs of the sampled examples; `None` if the run has none.
    pub inputs: Option<Vec<Vec<f32>>>,
    pub norms: Vec<GradientNorm>,
    /// Widths of the network, if it is one that the audit can take forward and backward.
    pub widths: Option<Vec<usize>>,
    networks: BTreeMap<i64, Network>,
}

/// What the gradients of one step say.
pub(crate) struct SampleStep {
    pub step: i64,
    /// Contributions and self terms of the analysed examples over the recorded coordinates of each layer.
    pub layers: Vec<Terms>,
    /// Whether the gradients may have been stored as f16: those of other programs.
    pub is_half: bool,
    /// Against the snapshot, if the step has one.
    pub recomputed: Option<Tally>,
    /// If the step was analysed.
    pub coherence: Option<StepCoherence>,
}

/// What the whole training set's record of one step says.
pub(crate) struct WholeStep {
    pub step: i64,
    /// Over the layers asked for.
    pub contributions: Vec<f64>,
    /// Σ s, Σ |s| and Σ q of each layer.
    pub sums: Vec<[f64; 3]>,
    /// Self terms of the sampled examples, by layer; `None` of those that are not in it, or if there are none.
    pub sampled_self_terms: Vec<Option<Vec<f64>>>,
    /// Against itself.
    pub consistent: Tally,
    /// Against the snapshot, if the step has one.
    pub recomputed: Option<Tally>,
}

impl Trace {
    /// Reads everything but the gradients and the population.
    pub(crate) fn read(run: &Run) -> Result<Trace, TraceError> {
        let (parameters, layers) = (run.parameters()?, run.layers()?);
        let coordinates: Vec<(usize, u64)> =
            run.coordinates()?.iter().map(|coordinate| (coordinate.parameter as usize, coordinate.index)).collect();
        let mut places = vec![Vec::new(); parameters.len()];
        coordinates.iter().enumerate().for_each(|(place, (parameter, _))| places[*parameter].push(place));
        let stratum = |parameter: usize, is_known: bool| Stratum {
            parameter,
            places: places[parameter].clone(),
            size: is_known.then(|| parameters[parameter].size()),
        };
        let size = layers.iter().map(|layer| layer.size).sum();
        let layer = |layer: cograd_trace::Layer| {
            let strata = layer.parameters.iter().map(|&parameter| stratum(parameter, layer.size.is_some()));
            let strata: Vec<Stratum> = strata.filter(|stratum| !stratum.places.is_empty()).collect();
            Layer { name: layer.name, places: strata.iter().flat_map(|of| of.places.clone()).collect(), strata }
        };
        let mut trace = Trace {
            run: run.clone(),
            examples: Examples::read(run)?,
            size,
            layers: layers.into_iter().map(layer).collect(),
            coordinates,
            metrics: {
                let mut metrics = run.metrics()?;
                metrics.sort_by_key(|metric| metric.step);
                metrics
            },
            inputs: None,
            norms: run.gradient_norms()?,
            widths: run.network_widths()?,
            networks: BTreeMap::new(),
            parameters,
        };
        trace.widths = trace.widths.take().filter(|widths| trace.is_known(widths));
        let inputs = run.inputs()?;
        let width = trace.widths.as_deref().map(|widths| widths[0]);
        let width = width.or_else(|| Some(inputs.as_ref()?.first()?.shape.iter().skip(1).product()));
        trace.inputs = inputs.zip(width).and_then(|(inputs, width)| rows_of(&inputs, width));
        if let Some(widths) = trace.widths.clone() {
            for step in run.snapshots() {
                trace.networks.extend(Network::new(&run.weights(step)?, &widths).map(|network| (step, network)));
            }
        }
        Ok(trace)
    }

    /// Whether the audit computes what a network of these widths was trained with: the cross-entropy of a label that is the number of an
    /// output, in f32 or f64. Another program may count labels from 1, or leave some out.
    fn is_known(&self, widths: &[usize]) -> bool {
        let outputs = 0..widths.last().map_or(0, |&outputs| outputs as i64);
        let are_outputs = match &self.examples.label {
            None => true,
            Some(ExampleColumn::Integers(labels)) => {
                labels.contains(&Some(0)) && labels.iter().flatten().all(|label| outputs.contains(label))
            }
            Some(_) => false,
        };
        let manifest = self.manifest();
        has_cross_entropy(manifest) && is_precise(manifest) && (is_ours(manifest) || are_outputs)
    }

    pub(crate) fn manifest(&self) -> &Manifest {
        self.run.manifest()
    }

    /// The measurements at these steps.
    pub(crate) fn metrics_in(&self, steps: StepRange) -> &[Metric] {
        let before = |limit: i64| self.metrics.partition_point(|metric| metric.step < limit);
        &self.metrics[steps.begin.map_or(0, before)..steps.end.map_or(self.metrics.len(), before)]
    }

    /// The networks of the snapshots, by step.
    pub(crate) fn networks(&self) -> &BTreeMap<i64, Network> {
        &self.networks
    }

    /// Every sampled example at the step of every snapshot, against its learned step.
    pub(crate) fn learned_steps(&self) -> Tally {
        let evaluated = learned_steps::evaluated(&self.metrics);
        let mut tally = Tally::default();
        for (&step, network) in &self.networks {
            tally.add(self.each_sampled(|example, _, input, tally| {
                let forward = network.forward(input);
                // A null of another program may mean that it is not known.
                let is_known = is_ours(self.manifest()) || self.examples.learned(example).is_some();
                let is_told = evaluated.contains(&step) && is_known;
                learned_steps::check(&self.examples, example, step, &forward.logits, is_told, tally);
            }));
        }
        tally
    }

    /// Calls `check` with each sampled example, its place in the sample and its input.
    fn each_sampled(&self, check: impl Fn(usize, usize, &[f32], &mut Tally) + Sync) -> Tally {
        let inputs = self.inputs.as_deref().unwrap_or_default();
        let examples: Vec<(&usize, &Vec<f32>)> = self.examples.sampled.iter().zip(inputs).collect();
        let of_example = |(place, (example, input)): (usize, (&usize, &Vec<f32>))| {
            let mut tally = Tally::default();
            check(*example, place, input, &mut tally);
            tally
        };
        let tallies: Vec<Tally> = examples.into_par_iter().enumerate().map(of_example).collect();
        let mut sum = Tally::default();
        tallies.into_iter().for_each(|tally| sum.add(tally));
        sum
    }

    /// The sampled examples that are analysed.
    pub(crate) fn selected(&self, selection: &Selection) -> Vec<usize> {
        self.examples.sampled.iter().copied().filter(|&example| selection.has_example(example)).collect()
    }

    /// Whether the population record is left out of the analysis: its g is that of all its examples.
    pub(crate) fn leaves_out_population(&self, selection: &Selection) -> bool {
        selection.examples.is_some()
    }

    /// The groups by `by`; the reason if they cannot be told.
    pub(crate) fn grouping(&self, by: &str, selection: &Selection) -> Result<Grouping, String> {
        let column = |name: &str| self.run.example_column(name).map_err(|error| error.to_string());
        let grouping = Grouping::new(by, self.examples.count, &column)?;
        grouping.check(&self.selected(selection))?;
        if !self.manifest().population_steps.is_empty() && !self.leaves_out_population(selection) {
            grouping.check(&self.examples.population)?;
        }
        Ok(grouping)
    }

    /// Why recorded gradients cannot be made of the weights alone, if so.
    pub(crate) fn preconditioned(&self) -> Option<&'static str> {
        let condition = self.manifest().conditions.get("preconditioned");
        matches!(condition, Some(Condition::Boolean(true))).then_some(
            "they are divided by what the optimizer remembered, which no snapshot keeps: --replay records them again",
        )
    }

    /// What the coherence statistics need that is the same at every step.
    pub(crate) fn setting(&self, options: &Options, selection: &Selection, grouping: &Grouping) -> Setting {
        let selected = self.selected(selection);
        let layers = self.layers.iter().enumerate().filter(|(_, layer)| selection.has_layer(&layer.name));
        let steps = self.manifest().recorded_steps.iter().copied().filter(|step| selection.has_step(*step));
        let steps: Vec<i64> = steps.collect();
        let learned = self.examples.learned_step.as_ref().map(|of| selected.iter().map(|&id| of[id]).collect());
        let sample = Sample {
            run: &self.manifest().run,
            // The chosen examples are a sample of those that could have been chosen.
            population: (0..self.examples.count).filter(|&example| selection.has_example(example)).count(),
            groups: grouping.of_some(&selected),
            group_names: &grouping.names,
            classes: self.examples.label.as_ref().and_then(|labels| classes(labels, &selected)),
            layers: layers
                .map(|(place, layer)| coherence::Layer { place, strata: layer.strata.clone() })
                .filter(|layer| !layer.strata.is_empty())
                .collect(),
            similar: Similar::new(&steps, learned),
        };
        Setting::new(sample, options)
    }

    /// Reads the gradients of the steps at these places among the recorded ones.
    pub(crate) fn sample_steps(
        &self,
        places: Range<usize>,
        selection: &Selection,
        setting: Option<&Setting>,
    ) -> Result<Vec<SampleStep>, TraceError> {
        self.run.map_steps_at(places, |mut step| {
            let (t, example_ids, coordinates) = (step.step(), step.example_ids(), step.coordinates());
            let of_step = StepGradients { step: t, example_ids, values: step.read(None)?, coordinates };
            let rows = self.examples.sampled.iter().zip(of_step.values.chunks_exact(of_step.coordinates.max(1)));
            let rows: Vec<&[f32]> =
                rows.filter(|(example, _)| selection.has_example(**example)).map(|(_, row)| row).collect();
            let is_half = !is_ours(self.manifest()) && gradients::are_halves(of_step.values);
            Ok(SampleStep {
                step: of_step.step,
                is_half,
                layers: self.layers.iter().map(|layer| terms(&rows, &layer.places)).collect(),
                recomputed: self.recompute(&of_step, is_half),
                coherence: setting
                    .filter(|_| selection.has_step(of_step.step))
                    .map(|setting| setting.of_step(of_step.step, &rows)),
            })
        })
    }

    fn recompute(&self, of_step: &StepGradients<'_>, is_half: bool) -> Option<Tally> {
        let network = self.networks.get(&of_step.step)?;
        self.inputs.as_ref()?;
        let place = |(parameter, index): &(usize, u64)| WeightPosition::new(&self.parameters[*parameter], *index);
        let places: Vec<Option<WeightPosition>> = self.coordinates.iter().map(place).collect();
        Some(self.each_sampled(|example, row, input, tally| {
            let recorded = &of_step.values[row * of_step.coordinates..(row + 1) * of_step.coordinates];
            if let Some(label) = self.examples.class(example) {
                let recorded = (recorded, is_half);
                gradients::check(network, &network.forward(input), label, recorded, &places, example, tally);
            }
        }))
    }

    /// Reads the population.
    pub(crate) fn whole_steps(&self, selection: &Selection) -> Result<Vec<WholeStep>, TraceError> {
        // The place of each sampled example among those of the population.
        let place = |example: &usize| self.examples.population.binary_search(example).ok();
        let places: Vec<Option<usize>> = self.examples.sampled.iter().map(place).collect();
        self.run.map_population(|of_step| {
            let mut consistent = Tally::default();
            population::check(&of_step, &self.norms, &mut consistent);
            let of_sample = |place: usize| -> Option<Vec<f64>> {
                of_step.layers.iter().map(|layer| Some(layer.self_terms?[place])).collect()
            };
            let sampled_self_terms: Vec<Option<Vec<f64>>> = places.iter().map(|place| of_sample((*place)?)).collect();
            let network = self.networks.get(&of_step.step).filter(|_| self.inputs.is_some());
            let recomputed = network.map(|network| {
                self.each_sampled(|example, place, input, tally| {
                    let recorded = sampled_self_terms[place].as_ref();
                    if let Some((label, recorded)) = self.examples.class(example).zip(recorded) {
                        gradients::check_self_terms(network, &network.forward(input), label, recorded, example, tally);
                    }
                })
            });
            WholeStep {
                step: of_step.step,
                contributions: self.over_layers(&of_step, selection),
                sums: of_step.layers.iter().map(sums).collect(),
                sampled_self_terms,
                consistent,
                recomputed,
            }
        })
    }

    /// Contributions over the analysed layers.
    fn over_layers(&self, of_step: &PopulationStep<'_>, selection: &Selection) -> Vec<f64> {
        if self.layers.iter().all(|layer| selection.has_layer(&layer.name)) {
            return of_step.contributions.to_vec();
        }
        let mut sums = vec![0.0; of_step.contributions.len()];
        let layers = of_step.layers.iter().zip(&self.layers).filter(|(_, layer)| selection.has_layer(&layer.name));
        for (layer, _) in layers {
            for (sum, value) in sums.iter_mut().zip(layer.contributions) {
                *sum += value;
            }
        }
        sums
    }
}

/// Σ s, Σ |s| and Σ q, which is NaN if it was not recorded.
fn sums(layer: &PopulationLayer<'_>) -> [f64; 3] {
    let (mut sum, mut size) = (0.0, 0.0);
    for s in layer.contributions {
        sum += s;
        size += s.abs();
    }
    [sum, size, layer.self_terms.map_or(f64::NAN, |self_terms| self_terms.iter().sum())]
}

/// Whether an example's loss is the cross-entropy of its label and nothing more, as far as the run says.
fn has_cross_entropy(manifest: &Manifest) -> bool {
    let plain = ["cross entropy", "softmax cross entropy", "categorical cross entropy", "ce"];
    let words = |loss: &str| loss.trim().to_lowercase().replace(['-', '_'], " ");
    manifest.task.loss.as_deref().is_none_or(|loss| plain.contains(&words(loss).as_str()))
}

/// Whether the run was computed in f32 or f64, as far as it says.
fn is_precise(manifest: &Manifest) -> bool {
    let is_short = |dtype: &str| ["16", "8", "half"].iter().any(|word| dtype.to_lowercase().contains(word));
    !manifest.task.dtype.as_deref().is_some_and(is_short)
}

/// The rows of the one tensor of so many columns.
fn rows_of(inputs: &[cograd_trace::Tensor], width: usize) -> Option<Vec<Vec<f32>>> {
    match inputs {
        [input] if width > 0 && input.shape.iter().skip(1).product::<usize>() == width => {
            Some(input.values.chunks_exact(width).map(<[f32]>::to_vec).collect())
        }
        _ => None,
    }
}
