//! What is recomputed of one run, from its trace, with the options of the analysis.

use cograd_trace::{Example, Manifest, Metric, Subset, sha256_of_file};

use crate::check::run::Checked;
use crate::options::{Options, Selection};
use crate::plain::contribution::Terms;
use crate::plain::groups::Grouping;
use crate::plain::learned::learned;
use crate::plain::overfit::{self, Overfit};
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
}

/// One estimator's numbers.
pub(crate) struct Estimate {
    pub record: Record,
    pub pristine: Pristine,
    /// `None` if the groups cannot be told.
    pub grouped: Option<Grouped>,
}

impl Recomputed {
    pub(crate) fn of(checked: &Checked, options: &Options, selection: &Selection) -> Result<Recomputed, String> {
        let trace = &checked.trace;
        let manifest = trace.manifest().clone();
        let manifest_sha256 =
            sha256_of_file(&trace.run.directory().join("manifest.json")).map_err(|error| error.to_string())?;
        let grouping = Grouping::of(&options.group_by, &trace.examples);
        let selected = trace.selected(selection);
        let (mut steps, mut terms) = (Vec::new(), Vec::new());
        for step in checked.sample.iter().filter(|step| selection.has_step(step.step)) {
            let mut sum = Terms::of_none(selected.len());
            let chosen = step.layers.iter().enumerate().filter(|(layer, _)| selection.has_layer(*layer));
            chosen.for_each(|(_, of_layer)| sum.add(of_layer, 1.0));
            steps.push(step.step);
            terms.push(sum);
        }
        let pristine = |place: &usize| trace.examples[*place].label == trace.examples[*place].original_label;
        let mut records = vec![Record {
            estimator: "paper",
            pristine: selected.iter().map(pristine).collect(),
            steps,
            contributions: terms.iter().map(|terms| terms.contributions.clone()).collect(),
        }];
        // The population's g is that of all examples: of some it has no record.
        if !checked.whole.is_empty() && selection.examples.is_none() {
            let whole = checked.whole.iter().filter(|step| selection.has_step(step.step));
            let (steps, contributions) = whole.map(|step| (step.step, step.contributions.clone())).unzip();
            let pristine = (0..trace.examples.len()).map(|place| pristine(&place)).collect();
            records.push(Record { estimator: "exact", pristine, steps, contributions });
        }
        let estimates = records.into_iter().map(|record| {
            let pristine = record.pristine(&manifest.run, options);
            let grouped = grouping.as_ref().ok().map(|grouping| {
                let of_record = match record.estimator {
                    "paper" => grouping.of_some(&selected),
                    _ => grouping.of.clone(),
                };
                record.grouped(&of_record, grouping.names.len(), &manifest.run, options)
            });
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
