//! `summary.json`: what analysis says of a study as a whole.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use crate::ReportError;

#[derive(Debug, Deserialize)]
pub struct Summary {
    /// Version of the program that analysed.
    pub cograd: String,
    pub study: StudySummary,
    /// Seed of the null worlds.
    pub seed: u64,
    pub null_worlds: u64,
    pub runs: Vec<RunSummary>,
    /// The update rules at matched training accuracy, by noise level; empty where a level has one rule only.
    #[serde(default)]
    pub matched: Vec<MatchedRule>,
    #[serde(default)]
    pub predictions: Vec<Prediction>,
    /// What the analysis was asked for; none of an older one.
    pub options: Option<OptionsSummary>,
    /// The other files of the analysis, by name; empty of an older one.
    #[serde(default)]
    pub files: BTreeMap<String, serde::de::IgnoredAny>,
}

#[derive(Debug, Deserialize)]
pub struct OptionsSummary {
    pub group_by: Option<String>,
    /// Resamples of the examples that the intervals are of.
    pub bootstrap: Option<u64>,
    /// Restrictions, as the analysis writes them.
    #[serde(default)]
    pub steps: serde_json::Value,
    #[serde(default)]
    pub layers: serde_json::Value,
    #[serde(default)]
    pub examples: serde_json::Value,
}

/// What the record of the whole population says of a run.
#[derive(Debug, Clone, Deserialize)]
pub struct PopulationSummary {
    /// Steps recorded.
    pub steps: u64,
    pub alpha_first: Option<f64>,
    pub alpha_last: Option<f64>,
    pub coverage: Option<Coverage>,
}

/// At how many steps the interval estimated from the sample covers the exact value.
#[derive(Debug, Clone, Deserialize)]
pub struct Coverage {
    pub alpha: Covered,
    pub difference: Covered,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub struct Covered {
    pub covered: u64,
    /// Steps with both an interval and an exact value.
    pub of: u64,
}

#[derive(Debug, Deserialize)]
pub struct StudySummary {
    pub name: Option<String>,
    pub experiment_sha256: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct RunSummary {
    pub run: String,
    pub rule: String,
    /// Level c of winsorized SGD in percent, 0 for plain SGD; none for other rules.
    pub winsorization: Option<f64>,
    pub noise: f64,
    pub seed: u64,
    /// Widths of the layers, input first.
    pub network: Vec<u64>,
    pub steps: u64,
    pub train_examples: u64,
    /// |P|/m: the proper accuracy of the training set.
    pub pristine_fraction: Option<f64>,
    pub sampled_examples: u64,
    pub sampled_pristine: u64,
    pub coordinates: u64,
    pub recorded_steps: u64,
    pub trace_bytes: u64,
    pub manifest_sha256: String,
    /// The program that recorded the run.
    #[serde(default)]
    pub writer: Option<String>,
    pub alpha_first: Option<f64>,
    pub alpha_last: Option<f64>,
    #[serde(rename = "final")]
    pub last: FinalMetrics,
    pub overfit: OverfitSummary,
    pub max_train_accuracy: Option<f64>,
    pub population: Option<PopulationSummary>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct OverfitSummary {
    #[serde(rename = "final")]
    pub last: Option<f64>,
    /// Per 1 000 steps.
    pub slope: Option<f64>,
}

/// A rule at a noise level, where its training accuracy first reaches one that every run of the level reached.
#[derive(Debug, Clone, Deserialize)]
pub struct MatchedRule {
    pub noise: f64,
    /// The training accuracy matched.
    pub train_accuracy: f64,
    pub rule: String,
    pub step: Option<f64>,
    pub test_accuracy: Option<f64>,
    pub overfit: Option<f64>,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub struct FinalMetrics {
    pub train_loss: Option<f64>,
    pub train_accuracy: Option<f64>,
    pub test_loss: Option<f64>,
    pub test_accuracy: Option<f64>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Prediction {
    /// Section of the paper.
    pub section: String,
    pub prediction: String,
    pub measured_as: String,
    pub measured: String,
    /// `holds`, `fails` or `not checkable`.
    pub verdict: String,
}

impl Summary {
    pub fn read(path: &Path) -> Result<Summary, ReportError> {
        let text = std::fs::read_to_string(path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => ReportError::MissingFile { path: path.to_owned() },
            _ => ReportError::Read { path: path.to_owned(), source },
        })?;
        serde_json::from_str(&text).map_err(|source| ReportError::Summary { path: path.to_owned(), source })
    }
}

impl RunSummary {
    /// |P|/n of the sampled examples: what α would be if designations meant nothing.
    pub fn group_size(&self) -> Option<f64> {
        (self.sampled_examples > 0).then(|| self.sampled_pristine as f64 / self.sampled_examples as f64)
    }

    /// Whether the sample has pristine and corrupt examples.
    pub fn has_both_groups(&self) -> bool {
        self.sampled_pristine > 0 && self.sampled_pristine < self.sampled_examples
    }
}
