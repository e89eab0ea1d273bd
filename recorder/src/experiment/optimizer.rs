//! The optimizers that an experiment can name.

use cograd_trace::Conditions;
use serde::{Deserialize, Serialize};

use super::rule::Problem;
use crate::optimizer::{self, Adam, Decayed, Momentum};

/// How the gradient that a rule makes moves the parameters; `docs/update-rules.md` describes each.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Optimizer {
    /// Stochastic gradient descent.
    Sgd {
        /// λ.
        #[serde(default)]
        weight_decay: f64,
    },
    /// With momentum, or Nesterov's.
    Momentum {
        /// μ.
        #[serde(default = "default_momentum")]
        momentum: f64,
        /// Whether it is Nesterov's.
        #[serde(default)]
        nesterov: bool,
        /// λ.
        #[serde(default)]
        weight_decay: f64,
    },
    /// Adam, weight decay being part of the gradient.
    Adam {
        /// β₁.
        #[serde(default = "default_beta1")]
        beta1: f64,
        /// β₂.
        #[serde(default = "default_beta2")]
        beta2: f64,
        /// ε.
        #[serde(default = "default_epsilon")]
        epsilon: f64,
        /// λ.
        #[serde(default)]
        weight_decay: f64,
    },
    /// Adam, weight decay being apart from the gradient.
    #[serde(rename = "adamw")]
    AdamW {
        /// β₁.
        #[serde(default = "default_beta1")]
        beta1: f64,
        /// β₂.
        #[serde(default = "default_beta2")]
        beta2: f64,
        /// ε.
        #[serde(default = "default_epsilon")]
        epsilon: f64,
        /// λ.
        #[serde(default = "default_weight_decay")]
        weight_decay: f64,
    },
}

fn default_momentum() -> f64 {
    0.9
}

fn default_beta1() -> f64 {
    0.9
}

fn default_beta2() -> f64 {
    0.999
}

fn default_epsilon() -> f64 {
    1e-8
}

fn default_weight_decay() -> f64 {
    0.01
}

impl Default for Optimizer {
    fn default() -> Optimizer {
        Optimizer::Sgd { weight_decay: 0.0 }
    }
}

impl Optimizer {
    /// Whether it is SGD with nothing more.
    pub fn is_plain(&self) -> bool {
        *self == Optimizer::default()
    }

    /// Whether it divides gradients coordinate by coordinate.
    pub(super) fn is_preconditioning(&self) -> bool {
        matches!(self, Optimizer::Adam { .. } | Optimizer::AdamW { .. })
    }

    /// The conditions of a run, with the optimizer and its settings among them; plain SGD is none.
    pub(crate) fn conditions(&self, others: Conditions) -> Conditions {
        let named =
            |name: &str, weight_decay: f64| others.clone().with("optimizer", name).with("weight_decay", weight_decay);
        let adam = |name, [beta1, beta2, epsilon, weight_decay]: [f64; 4]| {
            named(name, weight_decay).with("beta1", beta1).with("beta2", beta2).with("epsilon", epsilon)
        };
        match *self {
            _ if self.is_plain() => others,
            Optimizer::Sgd { weight_decay } => named("sgd", weight_decay),
            Optimizer::Momentum { momentum, nesterov, weight_decay } => {
                named("momentum", weight_decay).with("momentum", momentum).with("nesterov", nesterov)
            }
            Optimizer::Adam { beta1, beta2, epsilon, weight_decay } => {
                adam("adam", [beta1, beta2, epsilon, weight_decay])
            }
            Optimizer::AdamW { beta1, beta2, epsilon, weight_decay } => {
                adam("adamw", [beta1, beta2, epsilon, weight_decay])
            }
        }
    }

    /// What moves the parameters; `None` for plain SGD, which the rules are themselves.
    pub(crate) fn optimizer(&self) -> Option<Box<dyn optimizer::Optimizer>> {
        Some(match *self {
            _ if self.is_plain() => return None,
            Optimizer::Sgd { weight_decay } => Box::new(Decayed { weight_decay }),
            Optimizer::Momentum { momentum, nesterov, weight_decay } => {
                Box::new(Momentum { momentum, nesterov, weight_decay })
            }
            Optimizer::Adam { beta1, beta2, epsilon, weight_decay } => {
                Box::new(Adam { beta1, beta2, epsilon, weight_decay, decoupled: false })
            }
            Optimizer::AdamW { beta1, beta2, epsilon, weight_decay } => {
                Box::new(Adam { beta1, beta2, epsilon, weight_decay, decoupled: true })
            }
        })
    }

    /// Settings that are impossible.
    pub(super) fn check(&self) -> Result<(), Problem> {
        let below_one = |key, value: f64| match (0.0..1.0).contains(&value) {
            true => Ok(()),
            false => Err((key, format!("{key} = {value}: 0 to less than 1 is possible"))),
        };
        let decay = |value: f64| match value >= 0.0 && value.is_finite() {
            true => Ok(()),
            false => Err(("weight_decay", format!("weight_decay = {value}: a finite number, 0 or more, is needed"))),
        };
        match *self {
            Optimizer::Sgd { weight_decay } => decay(weight_decay),
            Optimizer::Momentum { momentum, weight_decay, .. } => {
                below_one("momentum", momentum)?;
                decay(weight_decay)
            }
            Optimizer::Adam { beta1, beta2, epsilon, weight_decay }
            | Optimizer::AdamW { beta1, beta2, epsilon, weight_decay } => {
                below_one("beta1", beta1)?;
                below_one("beta2", beta2)?;
                // It is added in f32, where less would be 0 and a gradient of 0 would move by 0/0.
                match (1e-37..f64::from(f32::MAX)).contains(&epsilon) {
                    true => decay(weight_decay),
                    false => {
                        Err(("epsilon", format!("epsilon = {epsilon}: a finite number, at least 1e-37, is needed")))
                    }
                }
            }
        }
    }
}
