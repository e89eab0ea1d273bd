//! What is recomputed of one run, from its trace, with the options of the analysis.

use cograd_trace::{Example, Manifest, Metric, Subset, sha256_of_file};

use crate::check::run::Checked;
use crate::coherence::{self, StepCoherence};
use crate::options::{Options, Selection};
use crate::plain::contribution::Terms;
use crate::plain::groups::Grouping;
use crate::plain::learned::learned;
use crate::plain::overfit::{self, Overfit};
use crate::plain::population;
use crate::record::{Grouped, Pristine, Record};

/// The recomputed statistics of one run.
pub(crate) struct Recomputed {
    pub manifest: Manifest,
    pub manifest_sha256: String,
    /// All m training examples.
    pub examples: Vec<Example>,
    pub metrics: Vec<Metric>,
    /// Places of the analysed sampled examples among all.
    pub selected: Vec<usize>,
    /// Terms of the sample over the analysed layers, one a step.
    pub terms: Vec<Terms>,
    /// Recorded weights of the analysed layers.
    pub coordinates: usize,
    /// The groups; the reason if they cannot be told from the study alone.
    pub grouping: Result<Grouping, String>,
    /// The sample's numbers, and the population's if it was recorded.
    pub estimates: Vec<Estimate>,
    /// Coherence of the sample, one a step.
    pub coherence: Vec<StepCoherence>,
    /// Coherence of the population, one list a step.
    pub exact_coherence: Vec<(i64, Vec<coherence::Row>)>,
    /// Whether there is a record of the population that the analysis could not use.
    pub is_population_left_out: bool,
    /// What the sample says of the population; `None` if the network is not known.
    pub population: Option<population::Estimated>,
}

/// One estimator's numbers.
pub(crate) struct Estimate {
    pub record: Record,
    pub pristine: Pristine,
    /// `None` if the groups cannot be told.
    pub grouped: Option<Grouped>,
}

impl Recomputed {
    pub(crate) fn of(checked: Checked, options: &Options, selection: &Selection) -> Result<Recomputed, String> {
        let trace = &checked.trace;
        let manifest = trace.manifest().clone();
        let manifest_sha256 =
            sha256_of_file(&trace.run.directory().join("manifest.json")).map_err(|error| error.to_string())?;
        let selected = trace.selected(selection);
        let grouping = trace.grouping(options, selection);
        let (mut steps, mut terms, mut of_steps) = (Vec::new(), Vec::new(), Vec::new());
        for step in checked.sample.into_iter().filter(|step| selection.has_step(step.step)) {
            let mut sum = Terms::of_none(selected.len());
            let chosen = step.layers.iter().enumerate().filter(|(layer, _)| selection.has_layer(*layer));
            chosen.for_each(|(_, of_layer)| sum.add(of_layer, 1.0));
            steps.push(step.step);
            terms.push(sum);
            of_steps.push(step.coherence.unwrap_or_default());
        }
        let pristine = |place: &usize| trace.examples[*place].label == trace.examples[*place].original_label;
        let sampled: Vec<bool> = selected.iter().map(pristine).collect();
        let all: Vec<bool> = (0..trace.examples.len()).map(|place| pristine(&place)).collect();
        let chosen: Vec<bool> =
            (0..all.len()).filter(|&place| selection.has_example(place)).map(|place| all[place]).collect();
        let population = population::Estimated::of(&steps, &of_steps, &sampled, &chosen);
        let mut exact_coherence = Vec::new();
        let is_population_left_out = !checked.whole.is_empty() && selection.examples.is_some();
        let mut records = vec![Record {
            estimator: "paper",
            pristine: sampled,
            steps,
            contributions: terms.iter().map(|terms| terms.contributions.clone()).collect(),
        }];
        // The population's g is that of all examples: of some it has no record.
        if !checked.whole.is_empty() && selection.examples.is_none() {
            let (mut steps, mut contributions) = (Vec::new(), Vec::new());
            for step in checked.whole.into_iter().filter(|step| selection.has_step(step.step)) {
                let layers: Vec<(usize, [f64; 3])> =
                    step.sums.into_iter().enumerate().filter(|(layer, _)| selection.has_layer(*layer)).collect();
                exact_coherence.push((step.step, coherence::exact(all.len(), &layers)));
                steps.push(step.step);
                contributions.push(step.contributions);
            }
            records.push(Record { estimator: "exact", pristine: all, steps, contributions });
        }
        let estimates = records.into_iter().map(|record| {
            let of_record = grouping.as_ref().ok().map(|grouping| match record.estimator {
                "paper" => (grouping.of_some(&selected), grouping.names.len()),
                _ => (grouping.of.clone(), grouping.names.len()),
            });
            let (pristine, grouped) = record.numbers(of_record, &manifest.run, options);
            Estimate { record, pristine, grouped }
        });
        Ok(Recomputed {
            estimates: estimates.collect(),
            examples: trace.examples.clone(),
            metrics: trace.metrics.clone(),
            manifest,
            manifest_sha256,
            selected,
            terms,
            coherence: of_steps,
            exact_coherence,
            population,
            is_population_left_out,
            coordinates: trace.coordinates.iter().filter(|at| selection.has_layer(at.layer as usize)).count(),
            grouping,
        })
    }

    /// |P|/m.
    pub(crate) fn proper_accuracy(&self) -> Option<f64> {
        let (all, _) = learned(&self.examples, Subset::All, 0);
        let (pristine, _) = learned(&self.examples, Subset::Pristine, 0);
        (all > 0).then(|| f64::from(pristine) / f64::from(all))
    }

    /// Accuracies and overfit by evaluated step.
    pub(crate) fn overfit(&self) -> Vec<Overfit> {
        overfit::curve(&self.metrics, self.manifest.noise, self.manifest.network.last().copied().unwrap_or(0))
    }

    /// The sample's numbers.
    pub(crate) fn paper(&self) -> &Estimate {
        &self.estimates[0]
    }
}
