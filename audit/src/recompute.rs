//! What is recomputed of one run, from its trace, with the options of the analysis.

use cograd_results::summary::Options;
use cograd_trace::{Manifest, Metric};

use crate::check::run::Checked;
use crate::coherence::{self, StepCoherence};
use crate::examples::Examples;
use crate::options::Selection;
use crate::plain::contribution::Terms;
use crate::plain::groups::Grouping;
use crate::plain::overfit::{self, Overfit};
use crate::plain::permutation::Groups;
use crate::plain::population;
use crate::record::{Estimate, Record};

/// The recomputed statistics of one run.
pub(crate) struct Recomputed {
    pub manifest: Manifest,
    pub manifest_sha256: String,
    /// All m training examples.
    pub examples: Examples,
    pub metrics: Vec<Metric>,
    /// The analysed sampled examples.
    pub selected: Vec<usize>,
    /// Terms of the sample over the analysed layers, one a step.
    pub terms: Vec<Terms>,
    /// Recorded coordinates of the analysed layers.
    pub coordinates: usize,
    /// Values of all parameters; `None` if that is not known.
    pub parameters: Option<u64>,
    /// Names of all layers.
    pub layers: Vec<String>,
    grouping: Result<Grouping, String>,
    /// The sample's numbers, and the population's if it was recorded; of one group if the groups cannot be told.
    pub estimates: Vec<Estimate>,
    /// Coherence of the sample, one a step.
    pub coherence: Vec<StepCoherence>,
    /// Coherence of the population, one list a step.
    pub exact_coherence: Vec<(i64, Vec<coherence::Row>)>,
    /// Whether there is a record of the population that the analysis could not use.
    pub is_population_left_out: bool,
    /// What the sample says of the population; `None` if sizes of parameters are not known.
    pub population: Option<population::Estimated>,
}

impl Recomputed {
    pub(crate) fn of(checked: Checked, options: &Options, selection: &Selection) -> Result<Recomputed, String> {
        let Checked { trace, grouping, sample, whole } = checked;
        let manifest = trace.manifest().clone();
        let manifest_text = cograd_files::read_regular(&trace.run.directory().join("manifest.json"));
        let manifest_sha256 = cograd_files::sha256_of_sealed(&manifest_text.map_err(|error| error.to_string())?);
        let selected = trace.selected(selection);
        let (group_of, count): (Vec<usize>, usize) = match &grouping {
            Ok(grouping) => (grouping.of.clone(), grouping.names.len()),
            Err(_) => (vec![0; trace.examples.count], 1),
        };
        let groups_of =
            |examples: &[usize]| Groups::new(examples.iter().map(|&example| group_of[example]).collect(), count);
        let chosen: Vec<bool> = trace.layers.iter().map(|layer| selection.has_layer(&layer.name)).collect();
        let (mut steps, mut terms, mut of_steps) = (Vec::new(), Vec::new(), Vec::new());
        for step in sample.into_iter().filter(|step| selection.has_step(step.step)) {
            let mut sum = Terms::of_none(selected.len());
            let layers = step.layers.iter().zip(&chosen).filter(|(_, is_chosen)| **is_chosen);
            layers.for_each(|(of_layer, _)| sum.add(of_layer, 1.0));
            steps.push(step.step);
            terms.push(sum);
            of_steps.push(step.coherence.unwrap_or_default());
        }
        let groups = groups_of(&selected);
        // A file need not name those that are not analysed.
        let drawn_from = |example: &usize| selection.has_example(*example) && group_of[*example] < count;
        let all = groups_of(&(0..trace.examples.count).filter(drawn_from).collect::<Vec<usize>>());
        let population = population::Estimated::of(&steps, &of_steps, &groups.sizes, &all.sizes);
        let mut exact_coherence = Vec::new();
        let is_population_left_out = !whole.is_empty() && trace.leaves_out_population(selection);
        let contributions = terms.iter().map(|terms| terms.contributions.clone()).collect();
        let self_sums: Vec<f64> = terms.iter().map(|terms| terms.self_terms.iter().sum()).collect();
        let mut records = vec![Record::new("paper", groups, steps, contributions, &self_sums)];
        if !whole.is_empty() && !is_population_left_out {
            let (mut steps, mut contributions, mut self_sums) = (Vec::new(), Vec::new(), Vec::new());
            for step in whole.into_iter().filter(|step| selection.has_step(step.step)) {
                let layers = step.sums.into_iter().enumerate().filter(|(layer, _)| chosen[*layer]);
                let layers: Vec<(usize, [f64; 3])> = layers.collect();
                self_sums.push(layers.iter().map(|(_, sums)| sums[2]).sum());
                exact_coherence.push((step.step, coherence::exact(trace.examples.population.len(), &layers)));
                steps.push(step.step);
                contributions.push(step.contributions);
            }
            let groups = groups_of(&trace.examples.population);
            records.push(Record::new("exact", groups, steps, contributions, &self_sums));
        }
        Ok(Recomputed {
            estimates: records.into_iter().map(|record| record.numbers(&manifest.run, options)).collect(),
            manifest,
            manifest_sha256,
            selected,
            terms,
            coherence: of_steps,
            exact_coherence,
            population,
            is_population_left_out,
            coordinates: trace
                .layers
                .iter()
                .zip(&chosen)
                .filter(|(_, is)| **is)
                .map(|(layer, _)| layer.places.len())
                .sum(),
            parameters: trace.size,
            layers: trace.layers.into_iter().map(|layer| layer.name).collect(),
            examples: trace.examples,
            metrics: trace.metrics,
            grouping,
        })
    }

    /// The groups; the reason if they cannot be told from the study alone.
    pub(crate) fn grouping(&self) -> Result<&Grouping, String> {
        self.grouping.as_ref().map_err(String::clone)
    }

    /// Accuracies and overfit by evaluated step.
    pub(crate) fn overfit(&self) -> Vec<Overfit> {
        let equal = self.manifest.task.classes.filter(|classes| *classes > 0).map(|classes| 1.0 / classes as f64);
        let chance = self.examples.same_label().or(equal);
        overfit::curve(&self.metrics, self.manifest.conditions.number("noise"), chance)
    }

    /// The sample's numbers.
    pub(crate) fn paper(&self) -> &Estimate {
        &self.estimates[0]
    }

    /// The population's numbers, if it was recorded and is analysed.
    pub(crate) fn exact(&self) -> Option<&Estimate> {
        self.estimates.get(1)
    }
}
