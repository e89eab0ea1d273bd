//! matched.parquet: the conditions of a noise level where their training accuracy first reaches one that all of its runs reached.

use std::collections::BTreeMap;

use super::Study;
use crate::evidence::Evidence;
use crate::plain::matched::{Reached, first_reached};
use crate::plain::overfit::largest;
use crate::sheet::{Key, Sheet, Value};

pub(super) fn sheet(study: &Study<'_>) -> Result<Sheet, String> {
    let runs = study.runs.as_ref().map_err(String::clone)?;
    let keys: Vec<&str> = study.conditions.iter().map(|condition| condition.name.as_str()).collect();
    let mut sheet = Sheet::new(&keys, &["train_accuracy", "step", "test_accuracy", "overfit"]);
    // The runs of each noise level, those without one being one, by condition.
    let mut levels: BTreeMap<Key, BTreeMap<Vec<Key>, Vec<&Evidence>>> = BTreeMap::new();
    // A run that was never evaluated has no part in it.
    for run in runs.iter().filter(|run| !run.overfit.is_empty()) {
        let level = levels.entry(run.conditions.number("noise").into()).or_default();
        level.entry(run.key(study.conditions)).or_default().push(run);
    }
    for of_level in levels.into_values().filter(|of_level| of_level.len() > 1) {
        let reached: Option<Vec<f64>> = of_level.values().flatten().map(|run| largest(&run.overfit)).collect();
        let Some(level) = reached.and_then(|reached| reached.into_iter().reduce(f64::min)) else { continue };
        for (key, runs) in of_level {
            let places: Vec<Reached> = runs.iter().filter_map(|run| first_reached(&run.overfit, level)).collect();
            let mean = |of: fn(&Reached) -> Option<f64>| {
                let values: Vec<f64> = places.iter().filter_map(of).collect();
                Value::near((!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64), 1.0)
            };
            let means = [mean(|place| Some(place.step)), mean(|place| place.test), mean(|place| place.overfit)];
            sheet.push(key, [Value::exact(Some(level))].into_iter().chain(means));
        }
    }
    Ok(sheet)
}

#[cfg(test)]
mod tests {
    use cograd_results::Kind;
    use cograd_results::summary::Condition;
    use cograd_trace::Conditions;

    use super::*;
    use crate::plain::overfit::Overfit;

    #[test]
    fn conditions_of_a_noise_level_are_matched_at_the_accuracy_that_all_reach() {
        let run = |rule: &str, noise: f64, reached: [f64; 2]| {
            let at = |(step, train)| Overfit {
                step,
                train: Some(train),
                test: Some(train / 2.0),
                overfit: None,
                chance: None,
            };
            let conditions = Conditions::new(None).with("rule", rule).with("noise", noise);
            let overfit = [0, 10].into_iter().zip(reached).map(at).collect();
            Evidence { overfit, ..Evidence::for_tests(rule, conditions) }
        };
        let runs = [run("sgd", 0.5, [0.0, 0.5]), run("adam", 0.5, [0.0, 1.0]), run("sgd", 0.0, [0.0, 1.0])];
        let condition = |name: &str, kind| Condition { name: name.to_string(), kind, varies: true };
        let conditions = [condition("noise", Kind::Number), condition("rule", Kind::Text)];
        let runs = Ok(runs.iter().collect());
        let sheet = sheet(&Study { runs, names: Vec::new(), conditions: &conditions }).unwrap();
        let expected = |rule: &str, step| {
            let values = [Value::near(Some(step), 1.0), Value::near(Some(0.25), 1.0), Value::Null];
            (vec![Key::from(0.5), Key::from(rule)], [vec![Value::exact(Some(0.5))], values.to_vec()].concat())
        };
        assert_eq!(sheet.rows(), [expected("adam", 5.0), expected("sgd", 10.0)]);
    }
}
