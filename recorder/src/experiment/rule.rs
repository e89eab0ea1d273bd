//! The update rules that an experiment can name.

use cograd_trace::Conditions;
use serde::{Deserialize, Deserializer, Serialize};

use super::number_label;
use crate::rule::{MedianOfMeans, NormClipped, RollingMedian, Sgd, UpdateRule, Winsorized};

/// How a minibatch becomes an update; `docs/update-rules.md` describes each.
// `Sgd {}` rather than `Sgd`, since serde lets a unit variant have any keys.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Rule {
    /// Stochastic gradient descent, no momentum.
    Sgd {},
    /// Every coordinate's most extreme per-example gradients clipped (paper §3).
    Winsorized {
        /// Level c in percent, in [0, 50).
        #[serde(deserialize_with = "without_sign_of_0")]
        percent: f64,
    },
    /// The coordinate-wise median of the means of groups of the minibatch (Zielinski et al. 2020: M3).
    MedianOfMeans {
        /// Groups, k.
        #[serde(default = "default_groups")]
        groups: usize,
    },
    /// The coordinate-wise median of the last three minibatch gradients (Zielinski et al. 2020: RM3).
    RollingMedian {},
    /// Per-example gradients clipped to a norm, and noise (Abadi et al. 2016).
    NormClipped {
        /// Largest norm of an example's gradient, R.
        norm: f64,
        /// Standard deviation of the noise in units of R, σ.
        #[serde(default, deserialize_with = "without_sign_of_0")]
        noise: f64,
    },
}

/// A number; −0 is 0.
fn without_sign_of_0<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(f64::deserialize(deserializer)? + 0.0)
}

fn default_groups() -> usize {
    3
}

/// Most groups of `median-of-means`: their means are sorted by insertion.
const MOST_GROUPS: usize = 1000;

/// What is wrong: the key and what is allowed.
pub(crate) type Problem = (&'static str, String);

impl Rule {
    /// The name in run ids: with its settings, so that no two rules share one.
    pub fn label(&self) -> String {
        match self {
            Rule::Sgd {} => "sgd".into(),
            Rule::Winsorized { percent } => format!("winsorized-{}", number_label(*percent)),
            Rule::MedianOfMeans { groups } => format!("median-of-means-{groups}"),
            Rule::RollingMedian {} => "rolling-median".into(),
            Rule::NormClipped { norm, noise: 0.0 } => format!("norm-clipped-{}", number_label(*norm)),
            Rule::NormClipped { norm, noise } => {
                format!("norm-clipped-{}-noise-{}", number_label(*norm), number_label(*noise))
            }
        }
    }

    /// The conditions of a run, with the rule and its settings among them.
    pub(crate) fn conditions(&self, others: Conditions) -> Conditions {
        match *self {
            Rule::Sgd {} => others.with("rule", "sgd"),
            Rule::Winsorized { percent } => others.with("rule", "winsorized").with("winsorization", percent),
            Rule::MedianOfMeans { groups } => others.with("rule", "median-of-means").with("groups", groups as i64),
            Rule::RollingMedian {} => others.with("rule", "rolling-median"),
            Rule::NormClipped { norm, noise } => {
                others.with("rule", "norm-clipped").with("norm", norm).with("sigma", noise)
            }
        }
    }

    /// The rule at the start of a run of this seed.
    pub(crate) fn update_rule(self, seed: u64) -> Box<dyn UpdateRule> {
        match self {
            Rule::Sgd {} => Box::new(Sgd),
            Rule::Winsorized { percent } => Box::new(Winsorized { percent }),
            Rule::MedianOfMeans { groups } => Box::new(MedianOfMeans { groups }),
            Rule::RollingMedian {} => Box::new(RollingMedian::default()),
            Rule::NormClipped { norm, noise } => Box::new(NormClipped::new(norm, noise, seed)),
        }
    }

    /// Settings that are impossible with any minibatch.
    pub(super) fn check(&self) -> Result<(), Problem> {
        match *self {
            Rule::Winsorized { percent } if !(0.0..50.0).contains(&percent) => Err((
                "percent",
                format!(
                    "winsorized: percent = {percent}: 0 to less than 50 is possible: at 50 nothing is left unclipped"
                ),
            )),
            Rule::MedianOfMeans { groups } if !(1..=MOST_GROUPS).contains(&groups) => {
                Err(("groups", format!("median-of-means: groups = {groups}: 1 to {MOST_GROUPS} are possible")))
            }
            Rule::NormClipped { norm, .. } if !(norm > 0.0 && norm.is_finite()) => {
                Err(("norm", format!("norm-clipped: norm = {norm}: a finite number above 0 is needed")))
            }
            Rule::NormClipped { noise, .. } if !(noise >= 0.0 && noise.is_finite()) => {
                Err(("noise", format!("norm-clipped: noise = {noise}: a finite number, 0 or more, is needed")))
            }
            _ => Ok(()),
        }
    }

    /// Settings that are impossible with minibatches of this size.
    pub(super) fn check_against(&self, batch: usize) -> Result<(), Problem> {
        match *self {
            Rule::MedianOfMeans { groups } if groups > batch => Err((
                "groups",
                format!("median-of-means: groups = {groups}: a minibatch of {batch} examples has 1 to {batch} groups"),
            )),
            _ => Ok(()),
        }
    }
}
