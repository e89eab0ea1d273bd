//! Which runs of a grid are to be recorded: `noise=0.25,rule=winsorized-2,seed=1`, or `run=` and the name of one.

use std::str::FromStr;

use crate::error::RecordError;
use crate::experiment::number_label;
use crate::study::Plan;

/// Conditions that a run must all meet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    text: String,
    noise: Option<f64>,
    rule: Option<String>,
    seed: Option<u64>,
    run: Option<String>,
}

impl FromStr for Selection {
    type Err = String;

    /// Parses `key=value` conditions between commas; the keys are `noise`, `rule`, `seed` and `run`, each at most once.
    ///
    /// # Errors
    /// The message, if a key is unknown or repeated, or a value no number.
    fn from_str(text: &str) -> Result<Selection, String> {
        let mut selection = Selection { text: text.to_string(), ..Selection::default() };
        for condition in text.split(',') {
            let (key, value) = condition
                .split_once('=')
                .map(|(key, value)| (key.trim(), value.trim()))
                .ok_or_else(|| format!("`{condition}` is no condition such as noise=0.25, rule=sgd or seed=1"))?;
            match key {
                "noise" => set(&mut selection.noise, condition, value.parse().ok())?,
                "rule" => set(&mut selection.rule, condition, Some(value.to_string()))?,
                "seed" => set(&mut selection.seed, condition, value.parse().ok())?,
                "run" => set(&mut selection.run, condition, Some(value.to_string()))?,
                _ => {
                    let by = "runs are selected by noise, rule and seed, or one by its name: run=NAME";
                    return Err(format!("unknown key `{key}`: {by}"));
                }
            }
        }
        Ok(selection)
    }
}

fn set<T>(condition: &mut Option<T>, text: &str, value: Option<T>) -> Result<(), String> {
    let value = value.ok_or_else(|| format!("`{text}` does not end in a number"))?;
    match condition.replace(value) {
        None => Ok(()),
        Some(_) => Err(format!("`{text}` is the second condition of its key: repeat --only for another set of runs")),
    }
}

impl Selection {
    fn selects(&self, plan: &Plan, label: &str) -> bool {
        self.noise.is_none_or(|noise| noise == plan.noise)
            && self.seed.is_none_or(|seed| seed == plan.seed)
            && self.run.as_ref().is_none_or(|run| *run == plan.id)
            && self.rule.as_deref().is_none_or(|rule| is_rule(rule, label))
    }
}

/// Whether `label` is the rule that was asked for, or one of its levels: `winsorized` is `winsorized-2`, too.
fn is_rule(asked: &str, label: &str) -> bool {
    match label.strip_prefix(asked) {
        Some(rest) => {
            rest.is_empty() || rest.strip_prefix('-').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        }
        None => false,
    }
}

/// The plans that any of the selections selects, in their order; all of them if there is no selection.
///
/// # Errors
/// A selection that selects no run, with what there is.
pub(crate) fn select(plans: Vec<Plan>, only: &[Selection]) -> Result<Vec<Plan>, RecordError> {
    for selection in only {
        if !plans.iter().any(|plan| selection.selects(plan, &plan.rule.label())) {
            return Err(RecordError::NothingSelected { selection: selection.text.clone(), there: describe(&plans) });
        }
    }
    let selected =
        |plan: &Plan| only.is_empty() || only.iter().any(|selection| selection.selects(plan, &plan.rule.label()));
    Ok(plans.into_iter().filter(selected).collect())
}

/// The values that runs can be selected by.
fn describe(plans: &[Plan]) -> String {
    let list = |value: &dyn Fn(&Plan) -> String| {
        let mut values: Vec<String> = Vec::new();
        for value in plans.iter().map(value) {
            if !values.contains(&value) {
                values.push(value);
            }
        }
        values.join(", ")
    };
    format!(
        "noise {}; rule {}; seed {}",
        list(&|plan| number_label(plan.noise)),
        list(&|plan| plan.rule.label()),
        list(&|plan| plan.seed.to_string())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_selected_by_its_label_or_by_its_name_without_the_level() {
        for (asked, label, expected) in [
            ("sgd", "sgd", true),
            ("winsorized-2", "winsorized-2", true),
            ("winsorized", "winsorized-2", true),
            ("winsorized-2", "winsorized-25", false),
            ("winsor", "winsorized-2", false),
            ("median-of-means", "median-of-means-3", true),
            ("median", "median-of-means-3", false),
            ("norm-clipped", "norm-clipped-1-noise-0.5", true),
            ("norm-clipped-1", "norm-clipped-1-noise-0.5", false),
            ("rolling", "rolling-median", false),
        ] {
            assert_eq!(is_rule(asked, label), expected, "{asked} {label}");
        }
    }

    #[test]
    fn conditions_that_cannot_be_met_say_why() {
        let error = |text: &str| text.parse::<Selection>().unwrap_err();
        assert!(error("nois=0.25").contains("unknown key `nois`: runs are selected by noise, rule and seed"));
        assert!(error("noise=high").contains("`noise=high` does not end in a number"));
        assert!(error("noise").contains("no condition"));
        assert!(error("").contains("no condition"));
        assert!(error("noise=0,noise=1").contains("second condition"));
    }
}
