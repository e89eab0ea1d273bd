//! What was trained, as far as the writer says so.

use serde::{Deserialize, Serialize};

/// The task of a run. Every part is optional.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Task {
    /// What an example's gradient is the gradient of, for example `cross-entropy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<String>,
    /// How the losses of an example's tokens, pixels or steps are one loss: `mean` or `sum`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reduction: Option<String>,
    /// Mode of the network while gradients were taken: `train` or `evaluation`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Type that was computed in, for example `float32`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dtype: Option<String>,
    /// The network in a word; `mlp` promises what [`crate::Run::network_widths`] says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Number of classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<u64>,
    /// Their names, from class 0 on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub class_names: Vec<String>,
    /// How recorded gradients were compared with those of plain autograd.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub self_check: Option<SelfCheck>,
}

/// How far recorded gradients are from those computed one example at a time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SelfCheck {
    /// The largest difference, relative to the norm of the example's gradient.
    pub largest_relative_difference: f64,
    /// Number of examples compared.
    pub examples: u64,
}

impl Task {
    /// What is wrong with it, if anything.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.classes == Some(0) {
            return Err("classes is 0; leave it out if there are none".to_string());
        }
        match self.classes {
            Some(classes) if !self.class_names.is_empty() && self.class_names.len() as u64 != classes => {
                return Err(format!("class_names has {} names for {classes} classes", self.class_names.len()));
            }
            _ => {}
        }
        match &self.self_check {
            Some(SelfCheck { largest_relative_difference: largest, .. }) if !(0.0..f64::INFINITY).contains(largest) => {
                Err(format!(
                    "self_check: largest_relative_difference is {largest}, but must be finite and not negative"
                ))
            }
            _ => Ok(()),
        }
    }
}
