//! What is recomputed of one run, from its trace, with the options of the analysis: some steps after the others, so that little
//! of each is kept.

use std::collections::VecDeque;
use std::ops::Range;
use std::rc::Rc;

use cograd_results::summary::Options;
use cograd_trace::Manifest;

use crate::coherence::{self, RowKey, Setting, StepCoherence};
use crate::options::Selection;
use crate::plain::contribution::Terms;
use crate::plain::cumulative::difference;
use crate::plain::groups::Grouping;
use crate::plain::interval;
use crate::plain::learned;
use crate::plain::overfit::{self, Overfit};
use crate::plain::permutation::Groups;
use crate::plain::population::{Estimated, Estimating};
use crate::record::{Estimate, RecordedSteps, pairs};
use crate::trace::{SampleStep, Trace, WholeStep};

/// The recomputed statistics of one run.
pub(crate) struct Recomputed {
    pub trace: Rc<Trace>,
    pub manifest_sha256: String,
    /// The analysed sampled examples.
    pub selected: Vec<usize>,
    /// Recorded coordinates of the analysed layers.
    pub coordinates: usize,
    pub grouping: Result<Grouping, String>,
    /// What coherence needs; `None` if the examples are too many.
    pub setting: Option<Setting>,
    /// The sample's numbers, and the population's if it was recorded; of one group if the groups cannot be told.
    pub estimates: Vec<Estimate>,
    /// Whether there is a record of the population that the analysis could not use.
    pub is_population_left_out: bool,
    /// Accuracies and overfit by evaluated step.
    pub overfit: Vec<Overfit>,
    pub are_learned_steps_known: bool,
    /// Of each group, and then of each pair of groups, how often the estimated population covers the exact one.
    pub coverage: Vec<Covered>,
    /// What was added last.
    pub part: Part,
    selection: Selection,
    chosen: Vec<bool>,
    population: Estimating,
    /// The steps of the population that were not added yet, with what they are of.
    whole: VecDeque<WholeStep>,
    whole_examples: usize,
}

/// What is recomputed of some steps.
#[derive(Default)]
pub(crate) struct Part {
    /// The steps that are in it, evaluated ones included.
    pub steps: StepRange,
    /// Terms of the sample over the analysed layers, one a step.
    pub terms: Vec<Terms>,
    /// As [`Recomputed::estimates`].
    pub records: Vec<RecordedSteps>,
    /// Coherence of the sample, one a step.
    pub coherence: Vec<StepCoherence>,
    /// Coherence of the population, one list a step.
    pub exact_coherence: Vec<(i64, Vec<(RowKey, interval::Estimate)>)>,
    /// What the sample says of the population; `None` if sizes of parameters are not known.
    pub population: Option<Estimated>,
}

/// Steps from one on, to before another; without one, all that there are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct StepRange {
    pub begin: Option<i64>,
    pub end: Option<i64>,
}

impl StepRange {
    pub(crate) fn contains(self, step: i64) -> bool {
        self.begin.is_none_or(|begin| begin <= step) && self.end.is_none_or(|end| step < end)
    }

    /// Where its steps are among ascending ones.
    pub(crate) fn places(self, steps: &[i64]) -> Range<usize> {
        let before = |limit: i64| steps.partition_point(|step| *step < limit);
        self.begin.map_or(0, before)..self.end.map_or(steps.len(), before)
    }
}

/// At how many steps an interval covers a value: at least, and at most where rounding decides; and at how many there are both.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Covered {
    pub least: i128,
    pub most: i128,
    pub steps: i128,
    /// At how many more there may be both: rounding decides whether there is an interval.
    pub open: i128,
}

impl Covered {
    pub(crate) fn add(&mut self, interval: &interval::Estimate, value: f64) {
        if interval.is_open() {
            (self.most, self.open) = (self.most + 1, self.open + 1);
        } else if let Some((certain, possible)) = interval.covers(value) {
            self.least += i128::from(certain);
            self.most += i128::from(possible);
            self.steps += 1;
        }
    }
}

impl Recomputed {
    /// Before the first step; `whole` is the record of the population.
    pub(crate) fn new(
        trace: &Rc<Trace>,
        grouping: Result<Grouping, String>,
        setting: Option<Setting>,
        whole: Vec<WholeStep>,
        options: &Options,
        selection: &Selection,
    ) -> Result<Recomputed, String> {
        let manifest = trace.manifest();
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
        let groups = groups_of(&selected);
        // A file need not name those that are not analysed.
        let drawn_from = |example: &usize| selection.has_example(*example) && group_of[*example] < count;
        let all = groups_of(&(0..trace.examples.count).filter(drawn_from).collect::<Vec<usize>>());
        let population = Estimating::new(&groups.sizes, &all.sizes);
        let is_population_left_out = !whole.is_empty() && trace.leaves_out_population(selection);
        let mut estimates = vec![Estimate::new("paper", groups, &manifest.run, options)];
        let is_exact = !whole.is_empty() && !is_population_left_out;
        if is_exact {
            estimates.push(Estimate::new("exact", groups_of(&trace.examples.population), &manifest.run, options));
        }
        let layers = trace.layers.iter().zip(&chosen).filter(|(_, is)| **is);
        let equal = manifest.task.classes.filter(|classes| *classes > 0).map(|classes| 1.0 / classes as f64);
        let chance = trace.examples.same_label().or(equal);
        Ok(Recomputed {
            manifest_sha256,
            selected,
            coordinates: layers.map(|(layer, _)| layer.places.len()).sum(),
            grouping,
            setting,
            estimates,
            is_population_left_out,
            overfit: overfit::curve(&trace.metrics, manifest.conditions.number("noise"), chance),
            are_learned_steps_known: learned::are_known(&trace.examples, &trace.metrics),
            coverage: vec![Covered::default(); count + pairs(count).len()],
            part: Part::default(),
            selection: selection.clone(),
            chosen,
            population,
            whole: whole.into_iter().filter(|step| is_exact && selection.has_step(step.step)).collect(),
            whole_examples: trace.examples.population.len(),
            trace: trace.clone(),
        })
    }

    pub(crate) fn manifest(&self) -> &Manifest {
        self.trace.manifest()
    }

    /// The groups; the reason if they cannot be told from the study alone.
    pub(crate) fn grouping(&self) -> Result<&Grouping, String> {
        self.grouping.as_ref().map_err(String::clone)
    }

    /// The sample's numbers.
    pub(crate) fn paper(&self) -> &Estimate {
        &self.estimates[0]
    }

    /// The population's numbers, if it was recorded and is analysed.
    pub(crate) fn exact(&self) -> Option<&Estimate> {
        self.estimates.get(1)
    }

    /// Adds these steps, later than those before, of the sample and of the population.
    pub(crate) fn add(&mut self, steps: StepRange, sample: Vec<SampleStep>) {
        let mut part = Part { steps, ..Part::default() };
        let mut recorded = Vec::new();
        for step in sample.into_iter().filter(|step| self.selection.has_step(step.step)) {
            let mut sum = Terms::of_none(self.selected.len());
            let layers = step.layers.iter().zip(&self.chosen).filter(|(_, is_chosen)| **is_chosen);
            layers.for_each(|(of_layer, _)| sum.add(of_layer, 1.0));
            recorded.push((step.step, sum.contributions.clone(), sum.self_terms.iter().sum()));
            part.terms.push(sum);
            part.coherence.push(step.coherence.unwrap_or_default());
        }
        part.records.push(self.estimates[0].add(recorded));
        part.population = self.population.add(&part.coherence, part.records[0].contiguous);
        if let Some(exact) = self.estimates.get_mut(1) {
            let mut recorded = Vec::new();
            while let Some(step) = self.whole.pop_front_if(|step| steps.contains(step.step)) {
                let layers = step.sums.into_iter().enumerate().filter(|(layer, _)| self.chosen[*layer]);
                let layers: Vec<(usize, [f64; 3])> = layers.collect();
                part.exact_coherence.push((step.step, coherence::exact(self.whole_examples, &layers)));
                recorded.push((step.step, step.contributions, layers.iter().map(|(_, sums)| sums[2]).sum()));
            }
            part.records.push(exact.add(recorded));
        }
        self.part = part;
        self.cover();
    }

    /// Counts where the estimated population covers the exact one.
    fn cover(&mut self) {
        let [paper, exact] = &self.part.records[..] else { return };
        // What is estimated is of the training set.
        let Some(estimated) = self.part.population.as_ref().filter(|_| !self.trace.examples.population_is_part) else {
            return;
        };
        let (actual, groups) = (&exact.worlds[0], self.estimates[0].record.groups.sizes.len());
        for (place, step) in paper.steps.iter().enumerate() {
            let Ok(of_exact) = exact.steps.binary_search(step) else { continue };
            for (group, interval) in estimated.shares[place].iter().enumerate() {
                let value = actual.decomposition[of_exact].shares[group];
                value.into_iter().for_each(|value| self.coverage[group].add(interval, value.value));
            }
            let Some(differences) = estimated.differences.get(place) else { continue };
            for (pair, (a, b)) in pairs(groups).into_iter().enumerate() {
                let mean = |group: usize| actual.means[group].get(of_exact).copied().flatten();
                let value = difference(mean(a), mean(b));
                let covered = &mut self.coverage[groups + pair];
                value.into_iter().for_each(|value| covered.add(&differences[pair], value.value));
            }
        }
    }

    /// Tests what was added, once all steps were.
    pub(crate) fn test_all(&mut self, options: &Options) {
        self.estimates.iter_mut().for_each(|estimate| estimate.test_all(options));
    }
}
