//! The paper's predictions as checks with a number each, one file a prediction [S 7].
//!
//! A prediction is judged on what was measured and never tuned: one that fails is a finding. Runs that differ in nothing
//! but their seed are averaged; how each prediction is measured stands in its file and in `docs/statistics.md`.

mod crosses_over;
mod early_contribution;
mod early_gradient;
mod pristine_first;
mod pristine_slower;
mod slower_learning;

use cograd_trace::Subset;
use serde::Serialize;

use crate::RunAnalysis;
use crate::statistic::permutation::Test;
use crate::statistic::{curves, learned};

/// Largest p-value that counts as evidence.
pub const SIGNIFICANT: f64 = 0.05;
/// Update rule that the predictions of §2 are about.
const PLAIN: &str = "sgd";

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
}

impl Evidence {
    /// From the analysis of a run.
    pub fn of(analysis: &RunAnalysis) -> Evidence {
        let (contributions, designation) = (&analysis.contributions, &analysis.designation);
        let first = analysis.actual().decomposition.first().filter(|_| contributions.contiguous_steps() > 0);
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
            crossover: analysis.crossover,
            difference_10: analysis.difference_10,
        }
    }
}

/// Judges every prediction, on the runs of plain SGD or, without any, on those of the first update rule.
pub fn judge_all(runs: &[Evidence]) -> Vec<Prediction> {
    let first = runs.first().map_or(PLAIN, |run| run.rule.as_str());
    let rule = if runs.iter().any(|run| run.rule == PLAIN) { PLAIN } else { first };
    let of_rule: Vec<&Evidence> = runs.iter().filter(|run| run.rule == rule).collect();
    let levels = levels(&of_rule);
    let judges = [
        slower_learning::judge,
        pristine_first::judge,
        pristine_slower::judge,
        early_gradient::judge,
        crosses_over::judge,
        early_contribution::judge,
    ];
    judges.iter().map(|judge| judge(&levels)).collect()
}

/// The runs at one noise level, one a seed.
struct Level<'a> {
    noise: f64,
    runs: Vec<&'a Evidence>,
}

fn levels<'a>(runs: &[&'a Evidence]) -> Vec<Level<'a>> {
    let mut sorted = runs.to_vec();
    sorted.sort_by(|a, b| a.noise.total_cmp(&b.noise));
    sorted.chunk_by(|a, b| a.noise == b.noise).map(|runs| Level { noise: runs[0].noise, runs: runs.to_vec() }).collect()
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

/// `prefix` and a list of what each level has, or why there is nothing.
fn sentence(prefix: &str, levels: &[String], needed: usize, lacking: &str) -> String {
    let list = match levels.len() {
        0 => "nothing of the kind was recorded".to_string(),
        _ => format!("{prefix} {}", levels.join(", ")).trim_start().to_string(),
    };
    let caution = if levels.len() < needed { format!("; {lacking}") } else { String::new() };
    let mut text = format!("{list}{caution}.");
    if let Some(first) = text.get(..1).map(str::to_uppercase) {
        text.replace_range(..1, &first);
    }
    text
}

/// A step count: whole if it is, one decimal if it is a mean.
fn step_text(step: f64, steps: u64) -> String {
    if step.is_infinite() {
        format!("not within {steps} steps")
    } else if step.fract() == 0.0 {
        format!("{step}")
    } else {
        format!("{step:.1}")
    }
}

/// Three significant digits.
fn number(value: f64) -> String {
    let magnitude = if value == 0.0 { 0 } else { value.abs().log10().floor() as i32 };
    match magnitude {
        -4..=5 => format!("{value:.*}", (2 - magnitude).max(0) as usize),
        _ => format!("{value:.2e}"),
    }
}

/// A p-value, with "≤" where no null world was as extreme: a smaller one cannot be shown.
fn p_text(test: &Test) -> String {
    match (test.p, test.exceedances) {
        (Some(p), Some(0)) => format!("p ≤ {}", number(p)),
        (Some(p), _) => format!("p = {}", number(p)),
        _ => "no p-value".to_string(),
    }
}

/// The p-values of runs, one a seed.
fn p_texts(tests: &[Test]) -> String {
    tests.iter().map(p_text).collect::<Vec<_>>().join("; ")
}

/// Whether every test is significant; `None` if none is insignificant but one has no p-value.
fn all_significant(tests: &[Test]) -> Option<bool> {
    match verdict(tests.iter().map(|test| test.p.map(|p| p <= SIGNIFICANT))) {
        Verdict::Holds => Some(true),
        Verdict::Fails => Some(false),
        Verdict::NotCheckable => None,
    }
}
