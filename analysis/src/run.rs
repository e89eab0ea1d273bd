//! The analysis of one run: every statistic, and its null worlds.

use std::sync::atomic::{AtomicUsize, Ordering};

use cograd_trace::{Example, Manifest, Metric, Run, TraceError};

use crate::coherence::{Coherence, CoherenceCurves, Sampled};
use crate::statistic::contribution::{self, Contributions};
use crate::statistic::cumulative::{self, Cumulative};
use crate::statistic::decomposition::{self, Decomposition};
use crate::statistic::designation::Designation;
use crate::statistic::linear::Linear;
use crate::statistic::null_world::NullWorlds;
use crate::statistic::overfit::{self, Overfit};
use crate::statistic::partition::Partition;
use crate::statistic::permutation::{self, FamilyTest, Test};
use crate::statistic::{crossover, learned};
use crate::{AnalysisError, Observer, Options};

/// Steps whose cumulative difference is tested on its own: the paper's Figure 3 shows the first ten.
const FIRST_STEPS: usize = 10;

/// Everything that an analysis finds out about one run.
#[derive(Clone, Debug)]
pub struct RunAnalysis {
    /// The run's manifest.
    pub manifest: Manifest,
    /// All m training examples, ascending by id.
    pub examples: Vec<Example>,
    /// The evaluations of the run.
    pub metrics: Vec<Metric>,
    /// Ids of the n sampled examples, ascending; every list of n follows this order.
    pub sampled: Vec<u32>,
    /// Their actual designation.
    pub designation: Designation,
    /// Their contributions and self terms at every recorded step.
    pub contributions: Contributions,
    /// The coherence statistics of the sample, and of the population as the sample has it, at every recorded step.
    pub coherence: CoherenceCurves,
    /// World 0, the actual one, and the null worlds kept for drawing, in order.
    pub worlds: Vec<World>,
    /// The null distribution of α, one entry a recorded step.
    pub alpha: NullCurve,
    /// The null distribution of D, one entry a contiguous step.
    pub difference: NullCurve,
    /// Test of the crossover statistic.
    pub crossover: Test,
    /// Test of D after the first ten steps, 0…9; without a value if fewer are contiguous from 0.
    pub difference_10: Test,
}

/// The curves of one world.
#[derive(Clone, Debug, PartialEq)]
pub struct World {
    /// The decomposition at every recorded step.
    pub decomposition: Vec<Decomposition>,
    /// The cumulative mean contributions at every contiguous step.
    pub cumulative: Vec<Cumulative>,
}

/// The null distribution of a statistic over the steps, and the tests of the actual one against it.
#[derive(Clone, Debug, PartialEq)]
pub struct NullCurve {
    /// One entry a step, in the order of the recorded steps.
    pub points: Vec<NullPoint>,
    /// max |z| over the steps, and its p-value.
    pub simultaneous: Test,
}

/// The null distribution of a statistic at one step. All are `None` where the statistic is missing.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct NullPoint {
    /// Exact expectation over null worlds.
    pub mean: Option<f64>,
    /// Exact standard deviation over null worlds.
    pub sd: Option<f64>,
    /// Lower end of the simultaneous 95 % band; `None` too if every world gives the same value or worlds are too few.
    pub lower: Option<f64>,
    /// Upper end of the simultaneous 95 % band; `None` as `lower`.
    pub upper: Option<f64>,
    /// Pointwise two-sided p-value; `None` too if every world gives the same value or there is no null world.
    pub p: Option<f64>,
}

impl RunAnalysis {
    /// Analyses `run`: verifies the hash of every file while the gradients stream through, once.
    ///
    /// # Errors
    /// If a file of the run is altered, truncated or malformed, or its files do not belong together.
    pub fn of(run: &Run, options: &Options, observer: &dyn Observer) -> Result<RunAnalysis, AnalysisError> {
        let manifest = run.manifest().clone();
        if i64::try_from(manifest.seed).is_err() {
            return Err(AnalysisError::Seed { run: manifest.run, seed: manifest.seed });
        }
        let in_run = |source: TraceError| AnalysisError::Run { run: manifest.run.clone(), source };
        let (verified, read) = rayon::join(|| run.verify().map_err(in_run), || read(run, options, observer, &in_run));
        verified?;
        let Trace { examples, metrics, sampled, designation, contributions, coherence } = read?;

        let null_worlds = NullWorlds::new(options.seed, &manifest.run, &designation);
        let kept = (1..=options.kept_worlds as u64).map(|world| null_worlds.designation(world));
        let worlds: Vec<World> =
            std::iter::once(designation.clone()).chain(kept).map(|world| World::of(&contributions, &world)).collect();
        let tests = Tests::of(&contributions, &worlds[0], &designation, &null_worlds, options);
        let Tests { alpha, difference, crossover, difference_10 } = tests;
        Ok(RunAnalysis {
            manifest,
            examples,
            metrics,
            sampled,
            designation,
            contributions,
            coherence,
            worlds,
            alpha,
            difference,
            crossover,
            difference_10,
        })
    }

    /// The actual world.
    pub fn actual(&self) -> &World {
        &self.worlds[0]
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

impl World {
    fn of(contributions: &Contributions, designation: &Designation) -> World {
        World {
            decomposition: decomposition::decompose(contributions, designation),
            cumulative: cumulative::cumulate(contributions, designation),
        }
    }
}

/// What is read of a run.
struct Trace {
    examples: Vec<Example>,
    metrics: Vec<Metric>,
    sampled: Vec<u32>,
    designation: Designation,
    contributions: Contributions,
    coherence: CoherenceCurves,
}

fn read(
    run: &Run,
    options: &Options,
    observer: &dyn Observer,
    in_run: &(impl Fn(TraceError) -> AnalysisError + Sync),
) -> Result<Trace, AnalysisError> {
    let examples = run.examples().map_err(in_run)?;
    let metrics = run.metrics().map_err(in_run)?;
    let sampled: Vec<u32> =
        examples.iter().filter(|example| example.sampled).map(|example| example.example_id).collect();
    let pristine = examples.iter().filter(|example| example.sampled).map(|example| example.pristine).collect();

    let designation = Designation::new(pristine);
    let coherence = coherence_of(run, &examples, &designation, options).map_err(in_run)?;

    let steps_read = AtomicUsize::new(0);
    let of_step = |step: cograd_trace::StepGradients<'_>| {
        if step.example_ids != sampled {
            return Err((step.step, step.example_ids.len()));
        }
        let contributions = contribution::of_step(step.values, sampled.len());
        let coherence = coherence.of_step(step.values);
        observer.steps_read(steps_read.fetch_add(1, Ordering::Relaxed) + 1);
        Ok((step.step, contributions, coherence))
    };
    let mut contributions = Contributions::new(sampled.len());
    let mut curves = CoherenceCurves::new(coherence.classes());
    for step in run.map_steps(of_step).map_err(in_run)? {
        let (step, of_step, coherence) = step.map_err(|(step, recorded): (i64, usize)| AnalysisError::Sample {
            run: run.manifest().run.clone(),
            step,
            marked: sampled.len(),
            recorded,
        })?;
        contributions.push(step, &of_step);
        curves.push(step, coherence);
    }
    Ok(Trace { examples, metrics, sampled, designation, contributions, coherence: curves })
}

fn coherence_of(
    run: &Run,
    examples: &[Example],
    designation: &Designation,
    options: &Options,
) -> Result<Coherence, TraceError> {
    let labels: Vec<u8> = examples.iter().filter(|example| example.sampled).map(|example| example.label).collect();
    let groups = Partition::new(2, designation.flags().iter().map(|&pristine| u8::from(!pristine)).collect());
    let sampled = Sampled { pristine: designation.flags(), groups: &groups, labels: &labels };
    Ok(Coherence::new(run.manifest(), &run.coordinates()?, examples.len(), &sampled, options))
}

/// The permutation tests of a run.
struct Tests {
    alpha: NullCurve,
    difference: NullCurve,
    crossover: Test,
    difference_10: Test,
}

impl Tests {
    fn of(
        contributions: &Contributions,
        actual: &World,
        designation: &Designation,
        null_worlds: &NullWorlds,
        options: &Options,
    ) -> Tests {
        let worlds = options.null_worlds as u32;
        let alpha = decomposition::linear(contributions, designation);
        let difference = cumulative::linear(contributions, designation);
        let crossover = [crossover::linear(contributions, &actual.decomposition, designation)];
        let families: [&[Option<Linear>]; 3] = [&alpha, &difference, &crossover];
        let tests = permutation::test_families(&families, designation, null_worlds, worlds);
        let tenth = actual.cumulative.get(FIRST_STEPS - 1).and_then(|at_step| at_step.difference);
        let tenth_exceedances = tests[1].exceedances.get(FIRST_STEPS - 1).copied().flatten();
        Tests {
            alpha: NullCurve::new(&alpha, &tests[0]),
            difference: NullCurve::new(&difference, &tests[1]),
            crossover: Test::new(crossover::value(&actual.decomposition), tests[2].exceedances[0], worlds),
            difference_10: Test::new(tenth, tenth_exceedances, worlds),
        }
    }
}

impl NullCurve {
    fn new(members: &[Option<Linear>], test: &FamilyTest) -> NullCurve {
        let point = |(member, linear): (usize, &Option<Linear>)| match linear {
            None => NullPoint::default(),
            Some(linear) => NullPoint::new(linear, test.band, test.pointwise_p(member)),
        };
        NullCurve { points: members.iter().enumerate().map(point).collect(), simultaneous: test.simultaneous }
    }
}

impl NullPoint {
    fn new(linear: &Linear, band: Option<f64>, p: Option<f64>) -> NullPoint {
        let half_width = band.filter(|_| linear.standardised.is_some()).map(|band| band * linear.sd);
        NullPoint {
            mean: Some(linear.mean),
            sd: Some(linear.sd),
            lower: half_width.map(|half| linear.mean - half),
            upper: half_width.map(|half| linear.mean + half),
            p,
        }
    }
}
