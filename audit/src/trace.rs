//! One run, read once, step by step: what the checks and the statistics need of it.

use std::collections::{BTreeMap, BTreeSet};

use cograd_trace::{
    Coordinate, Example, GradientNorm, Manifest, Metric, PopulationLayer, PopulationStep, Run, StepGradients,
    TraceError,
};
use rayon::prelude::*;

use crate::check::{gradients, learned_steps, population};
use crate::coherence::{Sample, Setting, StepCoherence};
use crate::options::{Options, Selection};
use crate::plain::contribution::{Terms, terms};
use crate::plain::groups::Grouping;
use crate::plain::network::Network;
use crate::tally::Tally;

/// The small tables of a run, and the networks of its snapshots.
pub(crate) struct Trace {
    pub run: Run,
    pub examples: Vec<Example>,
    pub coordinates: Vec<Coordinate>,
    pub metrics: Vec<Metric>,
    /// Places of the sampled examples among `examples`.
    pub sampled: Vec<usize>,
    /// Inputs of the sampled examples; `None` if the run has none.
    pub inputs: Option<Vec<Vec<f32>>>,
    pub norms: Vec<GradientNorm>,
    networks: BTreeMap<i64, Network>,
}

/// What the gradients of one step say.
pub(crate) struct SampleStep {
    pub step: i64,
    /// Contributions and self terms of the analysed examples over the recorded weights of each layer.
    pub layers: Vec<Terms>,
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
    /// Self terms of the sampled examples, by layer.
    pub sampled_self_terms: Vec<Vec<f64>>,
    /// Against itself.
    pub consistent: Tally,
    /// Against the snapshot, if the step has one.
    pub recomputed: Option<Tally>,
}

impl Trace {
    /// Reads everything but the gradients and the population.
    pub(crate) fn read(run: &Run) -> Result<Trace, TraceError> {
        let examples = run.examples()?;
        let inputs = run.inputs()?;
        let mut networks = BTreeMap::new();
        for step in run.snapshots() {
            let snapshot = run.weights(step)?;
            if let Some(network) = Network::of(&snapshot).filter(|network| network.widths() == run.manifest().network) {
                networks.insert(step, network);
            }
        }
        Ok(Trace {
            run: run.clone(),
            sampled: (0..examples.len()).filter(|&place| examples[place].sampled).collect(),
            examples,
            coordinates: run.coordinates()?,
            metrics: run.metrics()?,
            inputs,
            norms: run.gradient_norms()?,
            networks,
        })
    }

    pub(crate) fn manifest(&self) -> &Manifest {
        self.run.manifest()
    }

    /// Number of layers: of the network, or as many as coordinates name.
    pub(crate) fn layers(&self) -> usize {
        match self.manifest().network.len() {
            0 => self.coordinates.iter().map(|coordinate| coordinate.layer as usize + 1).max().unwrap_or(0),
            widths => widths - 1,
        }
    }

    /// Steps whose snapshot is of the manifest's network.
    pub(crate) fn networks(&self) -> BTreeSet<i64> {
        self.networks.keys().copied().collect()
    }

    /// Every sampled example at the step of every snapshot, against its learned step.
    pub(crate) fn learned_steps(&self) -> Tally {
        let evaluated = learned_steps::evaluated(&self.metrics);
        let mut tally = Tally::default();
        for (&step, network) in &self.networks {
            let check = |(&place, input): (&usize, &Vec<f32>)| {
                let mut tally = Tally::default();
                let forward = network.forward(input);
                learned_steps::check(&self.examples[place], step, &forward, evaluated.contains(&step), &mut tally);
                tally
            };
            let inputs = self.inputs.as_deref().unwrap_or_default();
            let tallies: Vec<Tally> = self.sampled.par_iter().zip(inputs).map(check).collect();
            tallies.into_iter().for_each(|of_example| tally.add(of_example));
        }
        tally
    }

    /// Places, among all examples, of the sampled ones that are analysed.
    pub(crate) fn selected(&self, selection: &Selection) -> Vec<usize> {
        self.sampled.iter().copied().filter(|&place| selection.has_example(place)).collect()
    }

    /// The groups; the reason if they cannot be told.
    pub(crate) fn grouping(&self, options: &Options, selection: &Selection) -> Result<Grouping, String> {
        let grouping = Grouping::of(&options.group_by, &self.examples)?;
        match (&selection.examples, self.manifest().population_steps.is_empty()) {
            (None, false) => grouping.check(&(0..self.examples.len()).collect::<Vec<usize>>())?,
            _ => grouping.check(&self.selected(selection))?,
        }
        Ok(grouping)
    }

    /// What the coherence statistics need that is the same at every step; `grouping` is empty if the groups cannot be told.
    pub(crate) fn setting(&self, options: &Options, selection: &Selection, grouping: Option<&Grouping>) -> Setting {
        let selected = self.selected(selection);
        let example = |place: &usize| self.examples[*place];
        let unknown = ["unknown".to_string()];
        let (groups, group_names) = match grouping {
            Some(grouping) => (grouping.of_some(&selected), &grouping.names[..]),
            None => (vec![0; selected.len()], &unknown[..]),
        };
        let layer =
            |coordinate: &Coordinate| Some(coordinate.layer as usize).filter(|&layer| selection.has_layer(layer));
        let sample = Sample {
            run: &self.manifest().run,
            // The chosen examples are a sample of those that could have been chosen.
            population: (0..self.examples.len()).filter(|&place| selection.has_example(place)).count(),
            pristine: selected.iter().map(example).map(|example| example.label == example.original_label).collect(),
            groups,
            group_names,
            labels: selected.iter().map(example).map(|example| example.label).collect(),
            layer_of_coordinate: self.coordinates.iter().map(layer).collect(),
            network: &self.manifest().network,
        };
        Setting::new(sample, options)
    }

    /// Reads the gradients.
    pub(crate) fn sample_steps(
        &self,
        selection: &Selection,
        setting: Option<&Setting>,
    ) -> Result<Vec<SampleStep>, TraceError> {
        let places: Vec<Vec<usize>> = (0..self.layers())
            .map(|layer| (0..self.coordinates.len()).filter(|&c| self.coordinates[c].layer as usize == layer).collect())
            .collect();
        self.run.map_steps(|of_step| {
            let rows = self.sampled.iter().zip(of_step.values.chunks_exact(of_step.coordinates.max(1)));
            let rows: Vec<&[f32]> =
                rows.filter(|(place, _)| selection.has_example(**place)).map(|(_, row)| row).collect();
            SampleStep {
                step: of_step.step,
                layers: places.iter().map(|places| terms(&rows, places)).collect(),
                recomputed: self.recompute(&of_step),
                coherence: setting.filter(|_| selection.has_step(of_step.step)).map(|setting| setting.of_step(&rows)),
            }
        })
    }

    fn recompute(&self, of_step: &StepGradients<'_>) -> Option<Tally> {
        let network = self.networks.get(&of_step.step)?;
        let inputs = self.inputs.as_ref()?;
        let examples = self.sampled.par_iter().zip(inputs).zip(of_step.values.par_chunks_exact(of_step.coordinates));
        let tallies: Vec<Tally> = examples
            .map(|((&place, input), recorded)| {
                let mut tally = Tally::default();
                let (forward, label) = (network.forward(input), usize::from(self.examples[place].label));
                gradients::check(network, &forward, label, recorded, &self.coordinates, place as u32, &mut tally);
                tally
            })
            .collect();
        Some(sum(tallies))
    }

    /// Reads the population.
    pub(crate) fn whole_steps(&self, selection: &Selection) -> Result<Vec<WholeStep>, TraceError> {
        self.run.map_population(|of_step| {
            let mut consistent = Tally::default();
            population::check(&of_step, &self.norms, &mut consistent);
            let of_sample =
                |place: usize| -> Vec<f64> { of_step.layers.iter().map(|layer| layer.self_terms[place]).collect() };
            let sampled_self_terms: Vec<Vec<f64>> = self.sampled.iter().map(|&place| of_sample(place)).collect();
            let recomputed = self.networks.get(&of_step.step).zip(self.inputs.as_ref()).map(|(network, inputs)| {
                let examples = self.sampled.par_iter().zip(inputs).zip(&sampled_self_terms);
                let tallies: Vec<Tally> = examples
                    .map(|((&place, input), recorded)| {
                        let mut tally = Tally::default();
                        let (forward, label) = (network.forward(input), usize::from(self.examples[place].label));
                        gradients::check_self_terms(network, &forward, label, recorded, place as u32, &mut tally);
                        tally
                    })
                    .collect();
                sum(tallies)
            });
            WholeStep {
                step: of_step.step,
                contributions: over_layers(&of_step, selection),
                sums: of_step.layers.iter().map(sums).collect(),
                sampled_self_terms,
                consistent,
                recomputed,
            }
        })
    }
}

/// Σ s, Σ |s| and Σ q.
fn sums(layer: &PopulationLayer<'_>) -> [f64; 3] {
    let mut sums = [0.0; 3];
    for (s, q) in layer.contributions.iter().zip(layer.self_terms) {
        sums[0] += s;
        sums[1] += s.abs();
        sums[2] += q;
    }
    sums
}

/// Contributions over the analysed layers.
fn over_layers(of_step: &PopulationStep<'_>, selection: &Selection) -> Vec<f64> {
    if selection.layers.is_none() {
        return of_step.contributions.to_vec();
    }
    let mut sums = vec![0.0; of_step.contributions.len()];
    for (_, layer) in of_step.layers.iter().enumerate().filter(|(layer, _)| selection.has_layer(*layer)) {
        for (sum, value) in sums.iter_mut().zip(layer.contributions) {
            *sum += value;
        }
    }
    sums
}

fn sum(tallies: Vec<Tally>) -> Tally {
    let mut sum = Tally::default();
    tallies.into_iter().for_each(|tally| sum.add(tally));
    sum
}
