//! What is kept of a run for the claims of the whole study.

use std::collections::BTreeMap;

use cograd_results::Kind;
use cograd_results::summary;
use cograd_trace::{Condition, Conditions};

use crate::plain::overfit::{self, Overfit};
use crate::plain::permutation::Tested;
use crate::plain::{curves, learned};
use crate::recompute::Recomputed;
use crate::record::Test;
use crate::sheet::{Key, Value};
use crate::tally::Number;

/// A run's part in the claims of the study.
pub(crate) struct Evidence {
    pub run: String,
    pub conditions: Conditions,
    /// Names of its groups; the reason if they cannot be told.
    pub groups: Result<Vec<String>, String>,
    pub overfit: Vec<Overfit>,
    pub half_loss_step: Option<f64>,
    pub early_slope: Option<f64>,
    pub median_pristine: Option<f64>,
    pub median_corrupt: Option<f64>,
    pub proper_accuracy: Option<f64>,
    /// α_0; `None` if step 0 is not recorded.
    pub alpha_0: Option<Number>,
    /// |P|/n; `None` without both groups.
    pub group_size: Option<f64>,
    /// The crossover statistic of `pristine`.
    pub crossover: Observed,
    /// The difference of `pristine` and `corrupt` after ten steps.
    pub difference_10: Observed,
}

/// What was found of a statistic, and what the null worlds say of it.
#[derive(Clone, Copy, Default)]
pub(crate) struct Observed {
    pub value: Option<Number>,
    pub tested: Option<Tested>,
    pub worlds: u32,
}

impl Evidence {
    pub(crate) fn new(run: &Recomputed) -> Evidence {
        let paper = run.paper();
        let groups = run.grouping().map(|grouping| grouping.names.clone());
        let place = |name: &str| groups.as_ref().ok()?.iter().position(|group| group == name);
        let pair = place("pristine").zip(place("corrupt"));
        let median = |name: &str| {
            let (group, of) = (place(name)?, &run.grouping().ok()?.of);
            let members: Vec<usize> = (0..of.len()).filter(|&example| of[example] == group).collect();
            learned::median(&run.trace.examples, &members)
        };
        let alpha = |group: usize| paper.record.first_shares()?[group];
        let size = |(pristine, corrupt): (usize, usize)| {
            let sizes = &paper.record.groups.sizes;
            let n = paper.record.groups.of.len();
            (sizes[pristine] > 0 && sizes[corrupt] > 0).then(|| sizes[pristine] as f64 / n as f64)
        };
        let observed = |test: Option<&Test>| {
            test.map_or(Observed::default(), |test| Observed {
                value: test.observed,
                tested: test.against_null(),
                worlds: test.worlds,
            })
        };
        Evidence {
            run: run.manifest().run.clone(),
            conditions: run.manifest().conditions.clone(),
            overfit: run.overfit.clone(),
            half_loss_step: curves::half_loss_step(&run.trace.metrics),
            early_slope: curves::early_slope(&run.trace.metrics),
            median_pristine: median("pristine"),
            median_corrupt: median("corrupt"),
            proper_accuracy: run.trace.examples.proper_accuracy(),
            alpha_0: pair.map(|pair| pair.0).filter(|_| paper.record.contiguous > 0).and_then(alpha),
            group_size: pair.and_then(size),
            crossover: observed(pair.and_then(|(pristine, _)| paper.test("crossover", (pristine, None)))),
            difference_10: observed(pair.and_then(|(a, b)| paper.test("difference_10", (a, Some(b))))),
            groups,
        }
    }

    /// The largest training accuracy.
    pub(crate) fn max_train_accuracy(&self) -> Option<f64> {
        overfit::largest(&self.overfit)
    }

    /// The cells of the conditions of the study, as keys.
    pub(crate) fn key(&self, conditions: &[summary::Condition]) -> Vec<Key> {
        conditions.iter().map(|of| Key::from(&cell(self.conditions.get(&of.name), of.kind))).collect()
    }
}

/// The conditions of a study of these runs, by name: of the most special type that holds all values.
pub(crate) fn conditions(runs: &[&Conditions]) -> Vec<summary::Condition> {
    let mut values: BTreeMap<&str, Vec<&Condition>> = BTreeMap::new();
    runs.iter().flat_map(|run| run.iter()).for_each(|(name, value)| values.entry(name).or_default().push(value));
    let condition = |(name, values): (&str, Vec<&Condition>)| {
        let all = |is: fn(&Condition) -> bool| values.iter().all(|value| is(value));
        summary::Condition {
            name: name.to_string(),
            kind: if all(|value| matches!(value, Condition::Boolean(_))) {
                Kind::Boolean
            } else if all(|value| matches!(value, Condition::Integer(_))) {
                Kind::Integer
            } else if all(|value| value.number().is_some()) {
                Kind::Number
            } else {
                Kind::Text
            },
            varies: values.len() < runs.len() || values.iter().any(|value| *value != values[0]),
        }
    };
    values.into_iter().map(condition).collect()
}

/// What the cell of a condition must be.
pub(crate) fn cell(condition: Option<&Condition>, kind: Kind) -> Value {
    match (condition, kind) {
        (None, _) => Value::Null,
        (Some(Condition::Boolean(flag)), Kind::Boolean) => Value::Flag(*flag),
        (Some(Condition::Integer(value)), Kind::Integer) => Value::int(*value),
        (Some(condition), Kind::Number) => Value::exact(condition.number()),
        (Some(condition), _) => Value::text(Some(&condition.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Evidence {
        /// A run of one group, of which nothing else is known.
        pub(crate) fn for_tests(run: &str, conditions: Conditions) -> Evidence {
            Evidence {
                run: run.to_string(),
                conditions,
                groups: Ok(vec!["all".to_string()]),
                overfit: Vec::new(),
                half_loss_step: None,
                early_slope: None,
                median_pristine: None,
                median_corrupt: None,
                proper_accuracy: None,
                alpha_0: None,
                group_size: None,
                crossover: Observed::default(),
                difference_10: Observed::default(),
            }
        }
    }

    #[test]
    fn conditions_have_the_type_that_holds_all_their_values() {
        let runs = [
            Conditions::new(Some(1)).with("rule", "sgd").with("width", 512_i64).with("noise", 0_i64).with("mode", true),
            Conditions::new(Some(1)).with("rule", "sgd").with("width", 64_i64).with("noise", 0.5).with("mode", "x"),
            Conditions::new(Some(2)).with("rule", "sgd").with("width", 64_i64).with("noise", 0.5),
        ];
        let found = conditions(&runs.iter().collect::<Vec<_>>());
        let found: Vec<_> = found.iter().map(|of| (of.name.as_str(), of.kind, of.varies)).collect();
        let expected = [
            ("mode", Kind::Text, true),
            ("noise", Kind::Number, true),
            ("rule", Kind::Text, false),
            ("width", Kind::Integer, true),
        ];
        assert_eq!(found, expected);
        assert_eq!(cell(runs[0].get("noise"), Kind::Number), Value::exact(Some(0.0)));
        assert_eq!(cell(runs[0].get("mode"), Kind::Text), Value::text(Some("true")));
        assert_eq!(cell(runs[2].get("mode"), Kind::Text), Value::Null);
    }
}
