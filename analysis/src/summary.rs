//! `summary.json`: what a reader of the results needs before any table, with the provenance of every number.

use std::collections::BTreeMap;
use std::path::Path;

use cograd_trace::{Metric, Run, Split, Study, sealed, sha256_of_file};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::coherence::PopulationCurves;
use crate::prediction::{self, Evidence, Prediction};
use crate::statistic::coverage::{Covered, coverage};
use crate::statistic::overfit::{self, Overfit};
use crate::statistic::permutation::Test;
use crate::statistic::{curves, matched};
use crate::{AnalysisError, Estimate, Options, RunAnalysis, World, rule};

/// Why a population record is left out of an analysis of some examples.
const EXAMPLES_RESTRICTED: &str = "it has the contributions to the gradient of all examples, not to that of some";

/// The content of `summary.json`.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Version of the program that analysed.
    pub cograd: String,
    /// The study analysed.
    pub study: StudySummary,
    /// Analysis seed, which determines the null worlds.
    pub seed: u64,
    /// Null worlds per run, B.
    pub null_worlds: usize,
    /// What was asked for.
    pub options: OptionsSummary,
    /// The runs, ordered by rule, noise and seed.
    pub runs: Vec<RunSummary>,
    /// The update rules at matched training accuracy, by noise level; empty where a level has one rule only.
    pub matched: Vec<MatchedRule>,
    /// The paper's predictions, with what was measured and a verdict each.
    pub predictions: Vec<Prediction>,
    /// The tables, by file name.
    pub files: BTreeMap<String, TableSummary>,
    /// SHA-256 of the file with an empty seal; empty until it is written.
    pub seal: String,
}

/// What was asked for.
#[derive(Clone, Debug, Serialize)]
pub struct OptionsSummary {
    /// `pristine`, `label`, `original-label`, `learned`, or the path of a file.
    pub group_by: String,
    /// Steps analysed, as a range; `None`: all.
    pub steps: Option<String>,
    /// Layers analysed; `None`: all.
    pub layers: Option<Vec<usize>>,
    /// Which of the sampled examples were analysed, as a range of ids or the path of a file; `None`: all.
    pub examples: Option<String>,
    /// Resamples for intervals.
    pub bootstrap: usize,
    /// Null worlds per run, B.
    pub null_worlds: usize,
    /// Analysis seed.
    pub seed: u64,
}

/// What a table holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableSummary {
    /// Its rows.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its content.
    pub sha256: String,
}

/// Which study was analysed.
#[derive(Clone, Debug, Serialize)]
pub struct StudySummary {
    /// `name` in study.toml, or the directory's name.
    pub name: String,
    /// SHA-256 of study.toml, the resolved experiment; `None` if the study has none.
    pub experiment_sha256: Option<String>,
}

/// What was found out about one run.
#[derive(Clone, Debug, Serialize)]
pub struct RunSummary {
    /// Run id.
    pub run: String,
    /// Update rule.
    pub rule: String,
    /// Winsorization level c in percent, 0 for `sgd`; `None` for a rule of another kind.
    pub winsorization: Option<f64>,
    /// Label noise ε.
    pub noise: f64,
    /// Seed of the run.
    pub seed: u64,
    /// Widths of the network, input first.
    pub network: Vec<usize>,
    /// Updates made, T.
    pub steps: u64,
    /// Training examples, m.
    pub train_examples: usize,
    /// |P|/m over all training examples, the proper accuracy of the noisy set.
    pub pristine_fraction: Option<f64>,
    /// Sampled examples that were analysed, n.
    pub sampled_examples: usize,
    /// |P| among the sampled examples.
    pub sampled_pristine: usize,
    /// Sampled coordinates that were analysed, d.
    pub coordinates: usize,
    /// Number of steps with gradients that were analysed.
    pub recorded_steps: usize,
    /// How many of them are 0, 1, 2, … without a gap.
    pub contiguous_steps: usize,
    /// Bytes of all files of the run.
    pub trace_bytes: u64,
    /// SHA-256 of the run's manifest, which holds those of its other files.
    pub manifest_sha256: String,
    /// Program that recorded the run, and its version.
    pub writer: String,
    /// α at the first recorded step.
    pub alpha_first: Option<f64>,
    /// α at the last recorded step.
    pub alpha_last: Option<f64>,
    /// The crossover statistic.
    pub crossover: Test,
    /// D after the first ten steps.
    pub difference_10: Test,
    /// Tests over all steps at once.
    pub simultaneous: Simultaneous,
    /// The last evaluation.
    #[serde(rename = "final")]
    pub last: Final,
    /// Overfit at the last evaluation, and its growth.
    pub overfit: OverfitSummary,
    /// The largest training accuracy of the evaluations.
    pub max_train_accuracy: Option<f64>,
    /// The exact numbers, of all examples and parameters; `None` if the run has no population record, or it is left out.
    pub population: Option<PopulationSummary>,
    /// Why the population record was left out; `None` if it was not, or there is none.
    pub population_left_out: Option<String>,
}

/// What was found out from the population record of a run.
#[derive(Clone, Debug, Serialize)]
pub struct PopulationSummary {
    /// Number of its steps that were analysed.
    pub steps: usize,
    /// How many of them are 0, 1, 2, … without a gap.
    pub contiguous_steps: usize,
    /// α at the first of its steps.
    pub alpha_first: Option<f64>,
    /// α at the last of its steps.
    pub alpha_last: Option<f64>,
    /// The crossover statistic.
    pub crossover: Test,
    /// D after the first ten steps.
    pub difference_10: Test,
    /// Tests over all steps at once.
    pub simultaneous: Simultaneous,
    /// How often the population as estimated from the sample covers it; `None` if there is no such estimate.
    pub coverage: Option<Coverage>,
}

/// At how many steps the intervals of the population as estimated from the sample cover the exact values.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Coverage {
    /// Of α_t.
    pub alpha: Covered,
    /// Of D_t, over the contiguous steps.
    pub difference: Covered,
}

/// Overfit of a run; `None` without both accuracies.
#[derive(Clone, Debug, Serialize)]
pub struct OverfitSummary {
    /// At the last evaluation.
    #[serde(rename = "final")]
    pub last: Option<f64>,
    /// Least-squares slope over the evaluated steps, per 1 000 steps.
    pub slope: Option<f64>,
}

/// One update rule at one noise level, where its training accuracy first reaches one that every run of the level
/// reached. Means over seeds.
#[derive(Clone, Debug, Serialize)]
pub struct MatchedRule {
    /// Label noise ε.
    pub noise: f64,
    /// The training accuracy matched, A.
    pub train_accuracy: f64,
    /// Update rule.
    pub rule: String,
    /// Step at which it is reached, interpolated between evaluations.
    pub step: Option<f64>,
    /// Test accuracy there.
    pub test_accuracy: Option<f64>,
    /// Overfit there.
    pub overfit: Option<f64>,
}

/// Simultaneous tests over the steps; `value` is max |z|.
#[derive(Clone, Debug, Serialize)]
pub struct Simultaneous {
    /// Of α_t over the recorded steps.
    pub alpha: Test,
    /// Of D_t over the contiguous steps.
    pub difference: Test,
}

/// The last evaluation of all examples of each split; `None` if there is none.
#[derive(Clone, Debug, Serialize)]
pub struct Final {
    /// Mean training loss, in nats, with the labels trained on.
    pub train_loss: Option<f64>,
    /// Training accuracy.
    pub train_accuracy: Option<f64>,
    /// Mean test loss, in nats.
    pub test_loss: Option<f64>,
    /// Test accuracy.
    pub test_accuracy: Option<f64>,
}

/// What is kept of a run when its tables are written.
pub(crate) struct RunFacts {
    summary: RunSummary,
    evidence: Evidence,
    overfit: Vec<Overfit>,
}

impl RunFacts {
    pub(crate) fn of(run: &Run, analysis: &RunAnalysis, options: &Options) -> Result<RunFacts, AnalysisError> {
        let summary = RunSummary::of(run, analysis, options)?;
        Ok(RunFacts { summary, evidence: Evidence::of(analysis), overfit: analysis.overfit() })
    }
}

impl Summary {
    pub(crate) fn of(
        study: &Study,
        options: &Options,
        runs: Vec<RunFacts>,
        files: BTreeMap<String, TableSummary>,
    ) -> Summary {
        let matched = MatchedRule::of_study(&runs);
        let (runs, evidence): (Vec<RunSummary>, Vec<Evidence>) =
            runs.into_iter().map(|facts| (facts.summary, facts.evidence)).unzip();
        Summary {
            cograd: env!("CARGO_PKG_VERSION").to_string(),
            study: StudySummary::of(study),
            seed: options.seed,
            null_worlds: options.null_worlds,
            options: OptionsSummary::of(options),
            runs,
            matched,
            predictions: prediction::judge_all(&evidence),
            files,
            seal: String::new(),
        }
    }

    /// The JSON text, indented and sealed, with a final line break.
    pub(crate) fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        sealed(self)
    }
}

impl OptionsSummary {
    fn of(options: &Options) -> OptionsSummary {
        OptionsSummary {
            group_by: options.group_by.to_string(),
            steps: options.steps.map(|steps| steps.to_string()),
            layers: options.layers.clone(),
            examples: options.examples.as_ref().map(|examples| examples.to_string()),
            bootstrap: options.bootstrap,
            null_worlds: options.null_worlds,
            seed: options.seed,
        }
    }
}

impl StudySummary {
    fn of(study: &Study) -> StudySummary {
        let experiment = study.experiment_toml();
        let named =
            experiment.and_then(|text| Some(text.parse::<toml::Table>().ok()?.get("name")?.as_str()?.to_string()));
        StudySummary {
            name: named.unwrap_or_else(|| directory_name(study.directory())),
            experiment_sha256: experiment.map(|text| hexadecimal(&Sha256::digest(text))),
        }
    }
}

fn directory_name(directory: &Path) -> String {
    let absolute = std::path::absolute(directory).unwrap_or_else(|_| directory.to_path_buf());
    absolute.file_name().map_or_else(|| "study".to_string(), |name| name.to_string_lossy().into_owned())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl RunSummary {
    fn of(run: &Run, analysis: &RunAnalysis, options: &Options) -> Result<RunSummary, AnalysisError> {
        let (manifest, paper) = (&analysis.manifest, &analysis.paper);
        let in_run = |source| AnalysisError::Run { run: manifest.run.clone(), source };
        let manifest_sha256 = sha256_of_file(&run.directory().join("manifest.json")).map_err(in_run)?;
        let overfit = analysis.overfit();
        let left_out = !manifest.population_steps.is_empty() && options.examples.is_some();
        Ok(RunSummary {
            run: manifest.run.clone(),
            rule: manifest.rule.clone(),
            winsorization: rule::winsorization(&manifest.rule),
            noise: manifest.noise,
            seed: manifest.seed,
            network: manifest.network.clone(),
            steps: manifest.steps,
            train_examples: manifest.train_examples,
            pristine_fraction: analysis.proper_accuracy(),
            sampled_examples: analysis.sampled.len(),
            sampled_pristine: paper.designation.pristine(),
            coordinates: analysis.coordinates,
            recorded_steps: paper.contributions.steps().len(),
            contiguous_steps: paper.contributions.contiguous_steps(),
            trace_bytes: manifest.files.values().map(|file| file.bytes).sum(),
            manifest_sha256,
            writer: manifest.writer.clone(),
            alpha_first: paper.alpha_first(),
            alpha_last: paper.alpha_last(),
            crossover: paper.crossover,
            difference_10: paper.difference_10,
            simultaneous: Simultaneous::of(paper),
            last: Final::of(&analysis.metrics),
            overfit: OverfitSummary { last: overfit::last(&overfit), slope: overfit::slope(&overfit) },
            max_train_accuracy: overfit::max_train_accuracy(&overfit),
            population: analysis.exact.as_ref().map(|exact| PopulationSummary::of(exact, analysis)),
            population_left_out: left_out.then(|| EXAMPLES_RESTRICTED.to_string()),
        })
    }
}

impl PopulationSummary {
    fn of(exact: &Estimate, analysis: &RunAnalysis) -> PopulationSummary {
        PopulationSummary {
            steps: exact.contributions.steps().len(),
            contiguous_steps: exact.contributions.contiguous_steps(),
            alpha_first: exact.alpha_first(),
            alpha_last: exact.alpha_last(),
            crossover: exact.crossover,
            difference_10: exact.difference_10,
            simultaneous: Simultaneous::of(exact),
            coverage: analysis.population.as_ref().map(|estimated| Coverage::of(exact, estimated, analysis)),
        }
    }
}

impl Coverage {
    fn of(exact: &Estimate, estimated: &PopulationCurves, analysis: &RunAnalysis) -> Coverage {
        let (sampled, steps) = (&analysis.coherence.steps, exact.contributions.steps());
        let alphas: Vec<_> = by_step(sampled, estimated.decomposition.iter().map(|at_step| at_step.alpha.interval));
        let differences: Vec<_> =
            by_step(sampled, estimated.cumulative.iter().map(|at_step| at_step.difference.interval));
        let World { decomposition, cumulative, .. } = exact.actual();
        Coverage {
            alpha: coverage(&alphas, &by_step(steps, decomposition.iter().map(|at_step| at_step.alpha))),
            difference: coverage(&differences, &by_step(steps, cumulative.iter().map(|at_step| at_step.difference))),
        }
    }
}

/// The values with the steps that they are at, the first ones if there are more steps.
fn by_step<T>(steps: &[i64], values: impl Iterator<Item = T>) -> Vec<(i64, T)> {
    steps.iter().copied().zip(values).collect()
}

impl Simultaneous {
    fn of(estimate: &Estimate) -> Simultaneous {
        Simultaneous { alpha: estimate.alpha.simultaneous, difference: estimate.difference.simultaneous }
    }
}

impl MatchedRule {
    /// By noise level, then in the order of the rules.
    fn of_study(runs: &[RunFacts]) -> Vec<MatchedRule> {
        let mut sorted: Vec<&RunFacts> = runs.iter().collect();
        sorted.sort_by(|a, b| a.summary.noise.total_cmp(&b.summary.noise));
        sorted.chunk_by(|a, b| a.summary.noise == b.summary.noise).flat_map(MatchedRule::of_level).collect()
    }

    fn of_level(runs: &[&RunFacts]) -> Vec<MatchedRule> {
        let curves: Vec<&[Overfit]> = runs.iter().map(|run| run.overfit.as_slice()).collect();
        let by_rule: Vec<&[&RunFacts]> = runs.chunk_by(|a, b| a.summary.rule == b.summary.rule).collect();
        match matched::level(&curves) {
            Some(level) if by_rule.len() > 1 => by_rule.iter().map(|runs| MatchedRule::of_rule(runs, level)).collect(),
            _ => Vec::new(),
        }
    }

    fn of_rule(runs: &[&RunFacts], level: f64) -> MatchedRule {
        let places: Vec<_> = runs.iter().filter_map(|run| matched::at(&run.overfit, level)).collect();
        let mean = |value: fn(&matched::Matched) -> Option<f64>| {
            let values: Vec<f64> = places.iter().filter_map(value).collect();
            (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
        };
        MatchedRule {
            noise: runs[0].summary.noise,
            train_accuracy: level,
            rule: runs[0].summary.rule.clone(),
            step: mean(|place| Some(place.step)),
            test_accuracy: mean(|place| place.test_accuracy),
            overfit: mean(|place| place.overfit),
        }
    }
}

impl Final {
    fn of(metrics: &[Metric]) -> Final {
        let last = |split| curves::of_split(metrics, split).last().copied();
        let (train, test) = (last(Split::Train), last(Split::Test));
        Final {
            train_loss: train.map(|metric| metric.loss),
            train_accuracy: train.map(|metric| metric.accuracy),
            test_loss: test.map(|metric| metric.loss),
            test_accuracy: test.map(|metric| metric.accuracy),
        }
    }
}
