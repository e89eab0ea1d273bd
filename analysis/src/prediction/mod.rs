//! The paper's predictions as checks with a number each, one file a prediction [S 5].
//!
//! A prediction is judged on what was measured and never tuned: one that fails is a finding. Runs that differ in nothing
//! but their seed are averaged; how each prediction is measured stands in its file and in `docs/statistics.md`. Those of
//! §2 are about plain SGD, those of §3 about winsorized SGD with plain SGD as its level c = 0.

mod crosses_over;
mod early_contribution;
mod early_gradient;
mod falling;
mod less_overfit;
mod lower_accuracy;
mod pristine_first;
mod pristine_slower;
mod proper_accuracy;
mod slower_learning;
mod slower_overfit;
mod text;

use cograd_trace::Subset;
use serde::Serialize;

use crate::RunAnalysis;
use crate::rule::{self, SGD};
use crate::statistic::permutation::Test;
use crate::statistic::{curves, learned, overfit};

/// Largest p-value that counts as evidence.
pub const SIGNIFICANT: f64 = 0.05;

/// A prediction of the paper, judged.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Prediction {
    /// Section of the paper.
    pub section: String,
    /// What the paper predicts.
    pub prediction: String,
    /// The number it is judged by.
    pub measured_as: String,
    /// What was measured, as a sentence.
    pub measured: String,
    /// Whether it holds.
    pub verdict: Verdict,
}

/// Whether a prediction holds on the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Verdict {
    /// It does, at every noise level it speaks of.
    #[serde(rename = "holds")]
    Holds,
    /// It does not, at one or more.
    #[serde(rename = "fails")]
    Fails,
    /// What was recorded does not tell.
    #[serde(rename = "not checkable")]
    NotCheckable,
}

/// What the predictions need of one run. A missing value is `None`; a step never reached is infinite.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// Update rule.
    pub rule: String,
    /// Label noise ε.
    pub noise: f64,
    /// Updates made, T.
    pub steps: u64,
    /// [`curves::half_loss_step`].
    pub half_loss_step: Option<f64>,
    /// [`curves::early_slope`].
    pub early_slope: Option<f64>,
    /// [`learned::median_step`] of the pristine examples.
    pub median_pristine: Option<f64>,
    /// [`learned::median_step`] of the corrupt examples.
    pub median_corrupt: Option<f64>,
    /// α_0; `None` if step 0 is not recorded.
    pub alpha_0: Option<f64>,
    /// |P|/n, the expectation of α in a null world; `None` without both groups.
    pub group_size: Option<f64>,
    /// Test of the crossover statistic.
    pub crossover: Test,
    /// Test of D after ten steps.
    pub difference_10: Test,
    /// Training accuracy at the last evaluation.
    pub final_train_accuracy: Option<f64>,
    /// [`overfit::max_train_accuracy`].
    pub max_train_accuracy: Option<f64>,
    /// |P|/m.
    pub proper_accuracy: Option<f64>,
    /// [`overfit::last`].
    pub final_overfit: Option<f64>,
    /// [`overfit::slope`].
    pub overfit_slope: Option<f64>,
}

impl Evidence {
    /// From the analysis of a run.
    pub fn of(analysis: &RunAnalysis) -> Evidence {
        let paper = &analysis.paper;
        let (contributions, designation) = (&paper.contributions, &paper.designation);
        let first = paper.actual().decomposition.first().filter(|_| contributions.contiguous_steps() > 0);
        let overfit = analysis.overfit();
        let group_size = designation.pristine() as f64 / designation.examples() as f64;
        Evidence {
            rule: analysis.manifest.rule.clone(),
            noise: analysis.manifest.noise,
            steps: analysis.manifest.steps,
            half_loss_step: curves::half_loss_step(&analysis.metrics),
            early_slope: curves::early_slope(&analysis.metrics),
            median_pristine: learned::median_step(&analysis.examples, Subset::Pristine),
            median_corrupt: learned::median_step(&analysis.examples, Subset::Corrupt),
            alpha_0: first.and_then(|at_step| at_step.alpha),
            group_size: designation.has_both().then_some(group_size),
            crossover: paper.crossover,
            difference_10: paper.difference_10,
            final_train_accuracy: overfit.last().and_then(|at_step| at_step.train_accuracy),
            max_train_accuracy: overfit::max_train_accuracy(&overfit),
            proper_accuracy: analysis.proper_accuracy(),
            final_overfit: overfit::last(&overfit),
            overfit_slope: overfit::slope(&overfit),
        }
    }
}

/// Judges every prediction: those of §2 on the runs of plain SGD, those of §3 on those of plain and winsorized SGD.
pub fn judge_all(runs: &[Evidence]) -> Vec<Prediction> {
    let grid = grid(runs);
    let plain: Vec<Level<'_>> = grid.iter().flatten().filter(|level| level.percent == 0.0).cloned().collect();
    let of_plain = [
        slower_learning::judge,
        pristine_first::judge,
        pristine_slower::judge,
        early_gradient::judge,
        crosses_over::judge,
        early_contribution::judge,
    ];
    let of_grid = [less_overfit::judge, lower_accuracy::judge, proper_accuracy::judge, slower_overfit::judge];
    of_plain.iter().map(|judge| judge(&plain)).chain(of_grid.iter().map(|judge| judge(&grid))).collect()
}

/// The runs of plain or winsorized SGD at one noise level and one winsorization level, one a seed.
#[derive(Clone)]
struct Level<'a> {
    noise: f64,
    /// c in percent.
    percent: f64,
    runs: Vec<&'a Evidence>,
}

/// The levels by noise, and within a noise level by c, both ascending.
fn grid(runs: &[Evidence]) -> Vec<Vec<Level<'_>>> {
    let winsorized = runs.iter().filter_map(|run| Some((rule::winsorization(&run.rule)?, run)));
    let mut sorted: Vec<(f64, &Evidence)> = winsorized.collect();
    sorted.sort_by(|(c, a), (d, b)| a.noise.total_cmp(&b.noise).then(c.total_cmp(d)));
    sorted.chunk_by(|(_, a), (_, b)| a.noise == b.noise).map(levels_of_noise).collect()
}

fn levels_of_noise<'a>(runs: &[(f64, &'a Evidence)]) -> Vec<Level<'a>> {
    runs.chunk_by(|(c, _), (d, _)| c == d).map(Level::new).collect()
}

impl<'a> Level<'a> {
    /// `sgd` and `winsorized-0` are the same: where both were recorded, the runs of the latter count.
    fn new(runs: &[(f64, &'a Evidence)]) -> Level<'a> {
        let (percent, first) = runs[0];
        let both = runs.iter().any(|(_, run)| run.rule != SGD);
        let counts = |run: &&'a Evidence| !both || run.rule != SGD;
        Level { noise: first.noise, percent, runs: runs.iter().map(|(_, run)| *run).filter(counts).collect() }
    }
}

impl Level<'_> {
    /// Mean over the runs that have the value; `None` if none has.
    fn mean(&self, value: impl Fn(&Evidence) -> Option<f64>) -> Option<f64> {
        let values: Vec<f64> = self.runs.iter().filter_map(|run| value(run)).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    }
}

/// The levels that have the value, with its mean.
fn means(levels: &[Level<'_>], value: impl Fn(&Evidence) -> Option<f64>) -> Vec<(f64, f64)> {
    levels.iter().filter_map(|level| Some((level.noise, level.mean(&value)?))).collect()
}

/// Whether `smaller` < `larger`; `None` if both are infinite, which tells nothing.
fn is_less(smaller: f64, larger: f64) -> Option<bool> {
    (smaller.is_finite() || larger.is_finite()).then_some(smaller < larger)
}

/// Fails if one comparison does, holds if there are some and all do.
fn verdict(comparisons: impl IntoIterator<Item = Option<bool>>) -> Verdict {
    let comparisons: Vec<Option<bool>> = comparisons.into_iter().collect();
    if comparisons.contains(&Some(false)) {
        Verdict::Fails
    } else if comparisons.is_empty() || comparisons.contains(&None) {
        Verdict::NotCheckable
    } else {
        Verdict::Holds
    }
}

/// Whether the values rise strictly from each noise level to the next.
fn rises(values: &[(f64, f64)]) -> Verdict {
    verdict(values.windows(2).map(|pair| is_less(pair[0].1, pair[1].1)))
}

/// Whether every test is significant; `None` if none is insignificant but one has no p-value.
fn all_significant(tests: &[Test]) -> Option<bool> {
    match verdict(tests.iter().map(|test| test.p.map(|p| p <= SIGNIFICANT))) {
        Verdict::Holds => Some(true),
        Verdict::Fails => Some(false),
        Verdict::NotCheckable => None,
    }
}
